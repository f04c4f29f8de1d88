//! Reading the first bytes of a stream without taking them from whoever reads next.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use wavetank_platform::Stream;

/// A stream some of whose first bytes have been looked at.
#[derive(Debug)]
pub(crate) struct Peeked {
    first: BytesMut,
    stream: Stream,
}

impl Peeked {
    /// Nothing looked at yet.
    pub(crate) fn new(stream: Stream) -> Self {
        Self { first: BytesMut::new(), stream }
    }

    /// `first` were taken from `stream` and belong to whoever reads next.
    pub(crate) fn after(first: BytesMut, stream: Stream) -> Self {
        Self { first, stream }
    }

    /// The bytes looked at so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.first
    }

    /// Reads more bytes to look at; false at the end of the stream.
    ///
    /// Cancel safe. Errs as the stream does.
    pub(crate) async fn more(&mut self) -> io::Result<bool> {
        self.first.reserve(4096);
        Ok(self.stream.read_buf(&mut self.first).await? > 0)
    }

    /// The stream, with the bytes looked at before all others.
    pub(crate) fn into_stream(self) -> Stream {
        if self.first.is_empty() {
            return self.stream;
        }
        let (local, peer, dst) = (self.stream.local_addr(), self.stream.peer_addr(), self.stream.original_dst());
        Stream::new(self, local, peer, dst)
    }
}

impl AsyncRead for Peeked {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = self.first.len().min(buf.remaining());
        buf.put_slice(&self.first[..count]);
        self.first.advance(count);
        if self.first.is_empty() {
            self.first = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peeked {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
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
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
