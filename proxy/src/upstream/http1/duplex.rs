//! A connection on which a response comes while its request still goes out. A task sends: a caller that is slow
//! to take the response does not hold up its own request.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use wavetank_platform::Spawn;
use wavetank_platform::spawn::OwnedTask;

use super::channel::{BrokenOff, Channel};

/// A connection in use by two: whoever reads here, and the task that sends.
#[derive(Debug)]
pub(crate) struct Duplex {
    shared: Arc<Mutex<Shared>>,
    /// Ends with this.
    sending: OwnedTask,
}

#[derive(Debug)]
struct Shared {
    channel: Box<Channel>,
    /// Told when sending fails.
    reader: Option<Waker>,
}

impl Duplex {
    /// Sends what is left of the request in a task of `spawn`.
    pub(crate) fn start(channel: Box<Channel>, spawn: &dyn Spawn) -> Self {
        let shared = Arc::new(Mutex::new(Shared { channel, reader: None }));
        let of_task = shared.clone();
        let sending = spawn.go(async move {
            let sent = poll_fn(|cx| lock(&of_task).channel.poll_send(cx)).await;
            if sent == Err(BrokenOff) {
                let reader = lock(&of_task).reader.take();
                reader.into_iter().for_each(Waker::wake);
            }
        });
        Self { shared, sending: sending.abort_on_drop() }
    }

    /// The next piece of the response's body.
    pub(crate) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let mut shared = lock(&self.shared);
        let polled = shared.channel.poll_frame(cx);
        if polled.is_pending() {
            shared.reader = Some(cx.waker().clone());
        }
        polled
    }

    /// Whether the response has been read to its end.
    pub(crate) fn is_end_stream(&self) -> bool {
        lock(&self.shared).channel.is_end_stream()
    }

    /// How much of the response's body is to come.
    pub(crate) fn size_hint(&self) -> SizeHint {
        lock(&self.shared).channel.size_hint()
    }

    /// The connection, if nothing more is sent.
    pub(crate) fn into_channel(self) -> Result<Box<Channel>, Self> {
        let Self { shared, sending } = self;
        match Arc::try_unwrap(shared) {
            Ok(shared) => Ok(shared.into_inner().unwrap_or_else(PoisonError::into_inner).channel),
            Err(shared) => Err(Self { shared, sending }),
        }
    }

    /// The connection when nothing more is sent, for which there is no bound of its own.
    pub(crate) async fn into_sent(self) -> Option<Box<Channel>> {
        let Self { shared, sending } = self;
        drop(sending);
        let _sent_or_broken = poll_fn(|cx| lock(&shared).channel.poll_send(cx)).await;
        let shared = Arc::into_inner(shared)?;
        Some(shared.into_inner().unwrap_or_else(PoisonError::into_inner).channel)
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
