//! The answer to a refused head, and the end of its connection: written after the answers to all requests
//! before it, recorded, and followed by a while of reading, for a connection that is closed with bytes unread
//! is reset, and a reset can take the answer away from the caller.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wavetank_platform::clock::Sleep;

use super::head::Refusal;
use crate::http::caller::{Answering, Caller};
use crate::http::headers::HeaderList;
use crate::http::intake::Form;
use crate::http::progress::Progress;
use crate::record::Flag;
use crate::route::RequestHead;

/// How long the caller has to close; Envoy's `delayed_close_timeout`.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes read meanwhile, at most.
const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A connection at its end.
pub(super) struct Farewell {
    answer: Vec<u8>,
    written: usize,
    stage: Stage,
}

enum Stage {
    Writing,
    Closing,
    Lingering { until: Pin<Box<Sleep>>, left: usize },
}

impl Farewell {
    /// Answers `refusal`; its record is handed over.
    pub(super) fn new(caller: &Caller, refusal: &Refusal) -> Self {
        Self { answer: answer(caller, refusal), written: 0, stage: Stage::Writing }
    }

    /// Ready when the connection can be dropped.
    pub(super) fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        caller: &Caller,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match &mut self.stage {
                Stage::Writing => {
                    while self.written < self.answer.len() {
                        let rest = &self.answer[self.written..];
                        match ready!(Pin::new(&mut *stream).poll_write(cx, rest))? {
                            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                            count => self.written += count,
                        }
                    }
                    ready!(Pin::new(&mut *stream).poll_flush(cx))?;
                    self.stage = Stage::Closing;
                }
                Stage::Closing => {
                    ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
                    let until = Box::pin(caller.shared.platform.clock.sleep(LINGER));
                    self.stage = Stage::Lingering { until, left: LINGER_BYTES_MAX };
                }
                Stage::Lingering { until, left } => {
                    if until.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Ok(()));
                    }
                    let mut scratch = [0; 4096];
                    let mut buf = ReadBuf::new(&mut scratch);
                    let ended = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buf)).is_err();
                    let count = buf.filled().len();
                    if ended || count == 0 || count > *left {
                        return Poll::Ready(Ok(()));
                    }
                    *left -= count;
                }
            }
        }
    }
}

/// Our answer as bytes; its record is handed over.
pub(crate) fn answer(caller: &Caller, refusal: &Refusal) -> Vec<u8> {
    let start = refusal.begun.unwrap_or_else(|| caller.shared.platform.clock.now());
    let progress = Arc::new(Progress::new(start, true));
    let version = caller.shared.store.current().version;
    let mut record = caller.open_record(start, version, &progress);
    let mut form = Form { close: true, ..Form::default() };
    if let Some(named) = &refusal.named {
        record.record.method = (&*named.method).into();
        record.record.authority = (&*named.authority).into();
        record.record.path = (&*named.target).into();
        form.head = &*named.method == "HEAD";
        let head = RequestHead {
            method: &named.method,
            path_and_query: &named.target,
            authority: &named.authority,
            scheme: "",
            headers: &HeaderList::new(),
        };
        record.log_request(&head, false);
    }
    let flag = refusal.failure.reply().flag;
    caller.tell_listener(flag);
    if flag == Some(Flag::DPE) {
        record.log_unread();
    }
    let answering = Answering { caller, form, request_id: None, progress };
    let response = answering.whole(refusal.failure.reply(), record);
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    for (name, value) in response.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(response.body());
    bytes
}
