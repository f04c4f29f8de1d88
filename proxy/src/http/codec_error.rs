//! Answers to what hyper refuses though the gate let it pass, such as targets that are no URI.
//!
//! hyper answers a request head that it cannot parse by itself, with bare headers and without telling
//! anyone. Between requests nothing else writes such bytes, so they are recognised on their way out, put
//! into Envoy's form and recorded.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::caller::Caller;
use super::gate;
use super::reply::Failure;

/// hyper's own answers after the status line.
const BARE: &[u8] = b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A stream on which hyper's own answers are replaced.
pub(crate) struct CodecErrors<S> {
    stream: S,
    caller: Arc<Caller>,
    instead: Option<Instead>,
}

/// What is written instead of `replaced` bytes.
struct Instead {
    bytes: Vec<u8>,
    written: usize,
    replaced: usize,
}

impl<S> CodecErrors<S> {
    /// Watches what is written to `stream`.
    pub(crate) fn new(stream: S, caller: Arc<Caller>) -> Self {
        Self { stream, caller, instead: None }
    }

    /// What must be written instead of `bytes`, if anything.
    fn judge(&self, bytes: &[u8]) -> Option<Instead> {
        let replaced = bytes.len();
        let status = bytes.strip_suffix(BARE).filter(|_| self.caller.activity.is_idle())?;
        let failure = match status {
            b"HTTP/1.1 400 Bad Request" => Failure::BadRequest("http1.codec_error"),
            b"HTTP/1.1 414 URI Too Long" => Failure::UriTooLong,
            b"HTTP/1.1 431 Request Header Fields Too Large" => Failure::HeadersTooLarge,
            _ => return None,
        };
        Some(Instead { bytes: gate::answer(&self.caller, &failure.into()), written: 0, replaced })
    }
}

impl<S: AsyncWrite + Unpin> CodecErrors<S> {
    /// Writes what stands instead; ready with the length of what it replaces.
    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some(instead) = &mut self.instead {
            if instead.written == instead.bytes.len() {
                let replaced = instead.replaced;
                self.instead = None;
                return Poll::Ready(Ok(replaced));
            }
            match Pin::new(&mut self.stream).poll_write(cx, &instead.bytes[instead.written..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => instead.written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(0))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CodecErrors<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CodecErrors<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.instead.is_none() {
            self.instead = self.judge(buf);
        }
        if self.instead.is_some() {
            return self.poll_instead(cx);
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
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
        if self.instead.is_none() {
            self.instead = bufs.first().and_then(|first| self.judge(first));
        }
        if self.instead.is_some() {
            return self.poll_instead(cx);
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
