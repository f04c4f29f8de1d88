//! The bytes of one connection: what was read and is not understood yet, what is to be written.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use wavetank_platform::Stream;

use crate::listener::peeked::Peeked;
use crate::upstream::meter::Metered;

/// Bytes read at once: at first, and at most, where each read fills its room.
const READ_MIN: usize = 8 * 1024;
const READ_MAX: usize = 512 * 1024;
/// Bytes that wait to be written, and pieces of them, at most.
const OUT_MAX: usize = 400 * 1024;
const PIECES_MAX: usize = 16;
/// Pieces written at once, the head apart. A frame of the body is three at most.
const SLICES: usize = PIECES_MAX + 4;

/// The bytes of one connection.
#[derive(Debug)]
pub(super) struct Io {
    stream: Metered<Stream>,
    /// Read and not understood yet. It has no room while the connection idles.
    pub(super) input: BytesMut,
    /// How much is read next.
    room: usize,
    small: bool,
    head: Vec<u8>,
    head_written: usize,
    body: VecDeque<Bytes>,
    unflushed: bool,
}

impl Io {
    /// Nothing read, nothing to write.
    pub(super) fn new(stream: Metered<Stream>) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            room: READ_MIN,
            small: false,
            head: Vec::new(),
            head_written: 0,
            body: VecDeque::new(),
            unflushed: false,
        }
    }

    /// Reads more; 0: the peer has ended its side.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < self.room {
            self.input.reserve(self.room);
        }
        // It has no state of its own: what is dropped here has read nothing.
        let count = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(cx))?;
        self.adapt(count);
        Poll::Ready(Ok(count))
    }

    /// Reads that fill their room are given twice as much; two that use less than half of it, half.
    fn adapt(&mut self, count: usize) {
        if count >= self.room {
            self.room = (self.room * 2).min(READ_MAX);
            self.small = false;
        } else if count >= self.room / 2 {
            self.small = false;
        } else if self.small {
            self.room = (self.room / 2).max(READ_MIN);
            self.small = false;
        } else {
            self.small = true;
        }
    }

    /// Ready when the peer has ended its side, or sends what nobody asked for.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut room = [0; 1];
        Pin::new(&mut self.stream).poll_read(cx, &mut ReadBuf::new(&mut room)).map(|_| ())
    }

    /// Lets go of what was read; says whether nothing was left of it, nor of what was to be written.
    pub(super) fn rest(&mut self) -> bool {
        let is_clean = self.input.is_empty() && self.is_written();
        self.input = BytesMut::new();
        is_clean
    }

    /// Takes a head to be written.
    pub(super) fn write_head(&mut self, head: Vec<u8>) {
        self.head = head;
        self.head_written = 0;
        self.unflushed = true;
    }

    /// Forgets what is to be written: nobody takes it.
    pub(super) fn give_up(&mut self) {
        self.head = Vec::new();
        self.head_written = 0;
        self.body.clear();
        self.unflushed = false;
    }

    /// Passes over empty lines; says whether there were any.
    pub(super) fn skip_blank_lines(&mut self) -> bool {
        let before = self.input.len();
        while let [b'\n', ..] | [b'\r', b'\n', ..] = &self.input[..] {
            self.input.advance(if self.input[0] == b'\n' { 1 } else { 2 });
        }
        self.input.len() < before
    }

    /// Where the pieces of a body go.
    pub(super) fn body(&mut self) -> &mut VecDeque<Bytes> {
        self.unflushed = true;
        &mut self.body
    }

    /// Whether more can wait to be written.
    pub(super) fn has_room(&self) -> bool {
        self.body.len() < PIECES_MAX && self.body.iter().map(Bytes::len).sum::<usize>() < OUT_MAX
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_written(&self) -> bool {
        !self.unflushed
    }

    /// Writes all that waits.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.head.is_empty() || !self.body.is_empty() {
            let count = if self.body.is_empty() {
                ready!(Pin::new(&mut self.stream).poll_write(cx, &self.head[self.head_written..]))?
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let waiting =
                    std::iter::once(&self.head[self.head_written..]).chain(self.body.iter().map(|piece| &**piece));
                let mut used = 0;
                for (slice, piece) in slices.iter_mut().zip(waiting.filter(|piece| !piece.is_empty())) {
                    *slice = IoSlice::new(piece);
                    used += 1;
                }
                ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..used]))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written(count);
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn written(&mut self, mut count: usize) {
        let of_head = count.min(self.head.len() - self.head_written);
        self.head_written += of_head;
        count -= of_head;
        if self.head_written == self.head.len() {
            self.head = Vec::new();
            self.head_written = 0;
        }
        while let Some(piece) = self.body.front_mut() {
            if count < piece.len() {
                piece.advance(count);
                break;
            }
            count -= piece.len();
            self.body.pop_front();
        }
    }

    /// The stream, for another protocol: what was read already comes first.
    pub(super) fn into_stream(self) -> Stream {
        Peeked::after(self.input, self.stream.into_inner()).into_stream()
    }

    /// Tells the peer that nothing more comes.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
