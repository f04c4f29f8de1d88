//! A stream whose small writes wait for each other until its connection has nothing more to do.
//!
//! h2 writes every frame of data that is not tiny at once: where many streams have something to say, or where
//! trailers follow, each frame would cost a system call. Here frames are gathered while the connection is polled, and
//! go out together when that is done ([`Sending`]).

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wavetank_platform::hyper_rt::HyperExecutor;

/// Bytes that wait, at most.
const WAITING_MAX: usize = 16 * 1024;
/// Bytes of a write that waits, at most: larger ones are not worth a copy.
const COPIED_MAX: usize = 4 * 1024;
/// Slices of a write that goes out behind what waits; more are written next.
const SLICES: usize = 8;

/// A stream, to be shared by who writes and who sends.
#[derive(Debug)]
pub(crate) struct Gathered<S>(Arc<Mutex<Inner<S>>>);

#[derive(Debug)]
struct Inner<S> {
    stream: S,
    waiting: BytesMut,
    /// Something was written that nobody has tried to send.
    due: bool,
    /// Sending failed; whoever writes next is told.
    failure: Option<io::Error>,
}

impl<S> Clone for Gathered<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> Gathered<S> {
    /// Gathers what is written to `stream`.
    pub(crate) fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(Inner { stream, waiting: BytesMut::new(), due: false, failure: None })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    /// Sends what was written in this turn of the connection's. What the stream does not take now is sent in a later
    /// turn, for which `cx` is woken.
    fn send(&self, cx: &mut Context<'_>) {
        let mut inner = self.inner();
        if !std::mem::take(&mut inner.due) {
            return;
        }
        if let Poll::Ready(Err(error)) = inner.poll_send(cx) {
            inner.failure = Some(error);
            cx.waker().wake_by_ref();
        }
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting))?;
            self.sent(count)?;
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// `count` of the bytes that wait have gone out.
    fn sent(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.waiting.advance(count);
        if self.waiting.is_empty() {
            // A connection that idles keeps no room.
            self.waiting = BytesMut::new();
        }
        Ok(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Err(failure));
        }
        let count = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        if count <= COPIED_MAX && self.waiting.len() + count <= WAITING_MAX {
            self.waiting.reserve(count);
            bufs.iter().for_each(|buf| self.waiting.extend_from_slice(buf));
            self.due = true;
            return Poll::Ready(Ok(count));
        }
        loop {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let waiting = [IoSlice::new(&self.waiting)];
            let mut used = 0;
            for (slice, buf) in slices.iter_mut().zip(waiting.iter().chain(bufs).filter(|buf| !buf.is_empty())) {
                *slice = *buf;
                used += 1;
            }
            let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..used]))?;
            self.due = true;
            let of_waiting = count.min(self.waiting.len());
            if !self.waiting.is_empty() {
                self.sent(of_waiting)?;
            }
            if count > of_waiting || count == 0 {
                return Poll::Ready(Ok(count - of_waiting));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was written in this turn is not sent before its end.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        match inner.failure.take() {
            Some(failure) => Poll::Ready(Err(failure)),
            None if inner.due => Poll::Ready(Ok(())),
            None => inner.poll_send(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        ready!(inner.poll_send(cx))?;
        Pin::new(&mut inner.stream).poll_shutdown(cx)
    }
}

pin_project! {
    /// A connection's future, after each turn of which what it wrote is sent.
    #[derive(Debug)]
    pub(crate) struct Sending<F, S> {
        #[pin]
        connection: F,
        gathered: Gathered<S>,
    }
}

impl<F, S> Sending<F, S> {
    /// `connection` writes to `gathered`.
    pub(crate) fn new(connection: F, gathered: Gathered<S>) -> Self {
        Self { connection, gathered }
    }

    /// The connection.
    pub(crate) fn connection(self: Pin<&mut Self>) -> Pin<&mut F> {
        self.project().connection
    }
}

impl<F: Future, S: AsyncWrite + Unpin> Future for Sending<F, S> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let polled = this.connection.poll(cx);
        this.gathered.send(cx);
        polled
    }
}

/// Runs what hyper spawns for a client's connection, the connection itself among it. All of it runs on one thread, so
/// that only the connection finds something to be sent.
pub(crate) struct SendingExecutor<S> {
    executor: HyperExecutor,
    gathered: Gathered<S>,
}

impl<S> SendingExecutor<S> {
    /// Spawns by `executor` for the connection that writes to `gathered`.
    pub(crate) fn new(executor: HyperExecutor, gathered: Gathered<S>) -> Self {
        Self { executor, gathered }
    }
}

impl<S> Clone for SendingExecutor<S> {
    fn clone(&self) -> Self {
        Self { executor: self.executor.clone(), gathered: self.gathered.clone() }
    }
}

impl<F, S> hyper::rt::Executor<F> for SendingExecutor<S>
where
    F: Future + Send + 'static,
    F::Output: Send,
    S: AsyncWrite + Send + Unpin + 'static,
{
    fn execute(&self, future: F) {
        self.executor.execute(Sending::new(future, self.gathered.clone()));
    }
}

#[cfg(test)]
mod tests;
