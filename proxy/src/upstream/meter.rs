//! Byte counters around a stream, so that a failure is judged by how far the peer had got.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::TlsError;

/// What went over one connection so far.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    read: AtomicU64,
    written: AtomicU64,
    ended: AtomicBool,
    refused: OnceLock<TlsError>,
}

impl Meter {
    /// Bytes read from the peer.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes written to the peer.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Whether the peer has ended its side, or the connection broke.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// The TLS failure that broke the connection after its handshake, if one did: with TLS 1.3 a client
    /// learns only on its first read that its certificate was refused.
    pub(crate) fn tls_failure(&self) -> Option<&TlsError> {
        self.refused.get()
    }

    fn note_failure(&self, error: &io::Error) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(failure) = TlsError::of_stream(error) {
            let _first_counts = self.refused.set(failure);
        }
    }
}

/// A stream whose bytes are counted.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    stream: S,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    /// Counts the bytes of `stream` in `meter`.
    pub(crate) fn new(stream: S, meter: Arc<Meter>) -> Self {
        Self { stream, meter }
    }

    /// The stream, whose bytes are counted no more.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    fn note_write(&self, outcome: &Poll<io::Result<usize>>) {
        match outcome {
            Poll::Ready(Ok(count)) => {
                self.meter.written.fetch_add(*count as u64, Ordering::Relaxed);
            }
            Poll::Ready(Err(error)) => self.meter.note_failure(error),
            Poll::Pending => {}
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let room = buf.remaining();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &outcome {
            Poll::Ready(Ok(())) => {
                let count = buf.filled().len() - before;
                self.meter.read.fetch_add(count as u64, Ordering::Relaxed);
                if count == 0 && room > 0 {
                    self.meter.ended.store(true, Ordering::Relaxed);
                }
            }
            Poll::Ready(Err(error)) => self.meter.note_failure(error),
            Poll::Pending => {}
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note_write(&outcome);
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note_write(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
