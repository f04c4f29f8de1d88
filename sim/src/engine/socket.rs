//! The pods' sockets. The engine owns them, so that a killed process loses them at once; processes hold
//! handles.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil_net::shim::tokio::net::{TcpListener, TcpStream};

use super::conn::{Tuple, forge};
use super::core::{Core, Shared};
use super::flow::Dir;
use super::pod::{PodId, Process};
use super::slab::Key;

/// Bytes taken from the kernel in one read. The kernel tells the sender of free space only when one read
/// frees half of its 64 KiB buffer, so every read takes all there is.
pub(super) const READ_AHEAD: usize = 64 * 1024;

/// An open socket of a process.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) io: SocketIo,
    pub(super) process: Arc<Process>,
    /// Local address, as the kernel has it.
    pub(super) local: SocketAddr,
    /// Bytes taken from the kernel and not read yet.
    ahead: BytesMut,
    /// The network gave up on the peer.
    pub(super) timed_out: bool,
}

#[derive(Debug)]
pub(super) enum SocketIo {
    Stream { stream: TcpStream, peer: SocketAddr },
    Listener(TcpListener),
}

impl Socket {
    pub(super) fn new(io: SocketIo, process: Arc<Process>, local: SocketAddr) -> Self {
        Self { io, process, local, ahead: BytesMut::new(), timed_out: false }
    }

    fn explain(&self, error: io::Error) -> io::Error {
        if self.timed_out { io::ErrorKind::TimedOut.into() } else { error }
    }
}

impl Core {
    /// Directs the kernel calls that follow to this pod's kernel. False when no world runs.
    pub(super) fn enter(&self, pod: PodId) -> bool {
        if self.kernels.is_some() {
            turmoil_net::set_current(self.pod(pod).host);
        }
        self.kernels.is_some()
    }

    /// Registers an open connection of `process`.
    pub(super) fn add_stream(
        &mut self,
        stream: TcpStream,
        process: Arc<Process>,
        ends: (SocketAddr, SocketAddr),
    ) -> Key {
        let (local, peer) = ends;
        let key = self.sockets.insert(Socket::new(SocketIo::Stream { stream, peer }, process, local));
        if let Some((conn, dir)) = self.conns.find(Tuple::new(local, peer))
            && let Some(conn) = self.conns.get_mut(conn)
        {
            conn.sockets[dir as usize] = Some(key);
        }
        key
    }

    /// Takes what the kernel has received for a socket, before a reset discards it: Linux hands over the
    /// bytes first, and then the error.
    pub(super) fn read_ahead(&mut self, key: Key) {
        let (kernels, pods, scratch) = (&self.kernels, &self.pods, &mut self.scratch);
        if let (Some(socket), Some(_)) = (self.sockets.get_mut(key), kernels)
            && let SocketIo::Stream { stream, .. } = &mut socket.io
        {
            turmoil_net::set_current(pods[socket.process.pod.0 as usize].host);
            let mut buf = ReadBuf::new(scratch);
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(Ok(())) = Pin::new(stream).poll_read(&mut cx, &mut buf) {
                socket.ahead.extend_from_slice(buf.filled());
            }
        }
    }

    fn poll_read(&mut self, key: Key, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (kernels, pods, scratch) = (&self.kernels, &self.pods, &mut self.scratch);
        let (Some(socket), Some(_)) = (self.sockets.get_mut(key), kernels) else {
            return Poll::Ready(Err(gone()));
        };
        if !socket.ahead.is_empty() {
            let n = socket.ahead.len().min(out.remaining());
            out.put_slice(&socket.ahead[..n]);
            socket.ahead.advance(n);
            return Poll::Ready(Ok(()));
        }
        let SocketIo::Stream { stream, .. } = &mut socket.io else {
            return Poll::Ready(Err(gone()));
        };
        turmoil_net::set_current(pods[socket.process.pod.0 as usize].host);
        let mut buf = ReadBuf::new(scratch);
        if let Err(error) = ready!(Pin::new(stream).poll_read(cx, &mut buf)) {
            return Poll::Ready(Err(socket.explain(error)));
        }
        let bytes = buf.filled();
        let n = bytes.len().min(out.remaining());
        out.put_slice(&bytes[..n]);
        socket.ahead.extend_from_slice(&bytes[n..]);
        // A window update may have to go out.
        self.dirty |= bytes.len() >= READ_AHEAD / 2;
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, key: Key, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with_stream(key, |stream| stream.poll_write(cx, bytes))
    }

    fn poll_shutdown(&mut self, key: Key, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with_stream(key, |stream| stream.poll_shutdown(cx))
    }

    fn with_stream<T>(
        &mut self,
        key: Key,
        act: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let (kernels, pods) = (&self.kernels, &self.pods);
        let (Some(socket), Some(_)) = (self.sockets.get_mut(key), kernels) else {
            return Poll::Ready(Err(gone()));
        };
        let SocketIo::Stream { stream, .. } = &mut socket.io else {
            return Poll::Ready(Err(gone()));
        };
        turmoil_net::set_current(pods[socket.process.pod.0 as usize].host);
        let result = ready!(act(Pin::new(stream)));
        self.dirty = true;
        Poll::Ready(result.map_err(|error| socket.explain(error)))
    }

    /// Closes a socket, as its process's `close(2)` does. Does nothing when it is closed already.
    pub(super) fn close(&mut self, key: Key) {
        let Some(socket) = self.sockets.remove(key) else {
            return;
        };
        let pod = socket.process.pod;
        if !self.enter(pod) {
            return forget(socket.io);
        }
        self.dirty = true;
        let half_dead = match socket.io {
            SocketIo::Listener(_) => {
                self.ports.remove(pod, key);
                None
            }
            SocketIo::Stream { peer, .. } => self.close_stream(pod, socket.local, peer, !socket.ahead.is_empty()),
        };
        self.enter(pod);
        drop(socket.io);
        if let Some((conn, peer)) = half_dead {
            self.lose_end(conn, peer);
        }
    }

    /// Does what the kernel does not when a connection is closed: `unread` bytes make Linux reset it, and
    /// so do bytes that come later. Returns the connection and its peer's end when that is gone already.
    fn close_stream(&mut self, pod: PodId, local: SocketAddr, peer: SocketAddr, unread: bool) -> Option<(Key, Dir)> {
        let mut half_dead = None;
        if let Some((key, dir)) = self.conns.find(Tuple::new(local, peer))
            && let Some(conn) = self.conns.get_mut(key)
        {
            conn.closed[dir as usize] = true;
            conn.sockets[dir as usize] = None;
            half_dead = conn.gone[dir.back() as usize].then_some((key, dir.back()));
        }
        self.local_dials.remove(&(pod, local.port()));
        let own = IpAddr::V4(self.pod(pod).ip);
        if unread && !peer.ip().is_loopback() && peer.ip() != own {
            let now = self.clock.nanos();
            self.send(forge(local, peer, None), now);
            self.hand_over(forge(peer, local, None));
        }
        half_dead
    }

    /// Closes every socket of a process.
    pub(super) fn close_all(&mut self, process: &Arc<Process>) {
        let mine = |(key, socket): (Key, &Socket)| Arc::ptr_eq(&socket.process, process).then_some(key);
        let keys: Vec<Key> = self.sockets.iter().filter_map(mine).collect();
        keys.into_iter().for_each(|key| self.close(key));
    }
}

/// The socket went with its process or with the world.
fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the process of this socket has ended")
}

/// Lets go of a kernel's socket after its kernel, which its destructor would call.
fn forget(io: SocketIo) {
    match io {
        SocketIo::Stream { stream, .. } => std::mem::forget(stream),
        SocketIo::Listener(listener) => std::mem::forget(listener),
    }
}

/// A process's handle of an open connection. Closes it when dropped.
pub(super) struct TankStream {
    pub(super) shared: Arc<Shared>,
    pub(super) key: Key,
}

impl AsyncRead for TankStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.shared.core().poll_read(self.key, cx, buf)
    }
}

impl AsyncWrite for TankStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.core().poll_write(self.key, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.core().poll_shutdown(self.key, cx)
    }
}

impl Drop for TankStream {
    fn drop(&mut self) {
        self.shared.core().close(self.key);
    }
}
