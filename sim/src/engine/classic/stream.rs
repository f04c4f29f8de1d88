//! An open connection between two pods: turmoil's, kept from what it would take amiss.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use turmoil::net::TcpStream;

use super::wires::{Wires, is_current};

/// A process's end of a connection. Closes it when dropped.
pub(super) struct HostStream {
    pub(super) wires: Arc<Wires>,
    /// The host that the socket is on.
    pub(super) home: Handle,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    /// Whether our side has said that it ends; turmoil calls saying it twice an error.
    pub(super) has_ended: bool,
    /// `None` only while dropped.
    pub(super) socket: Option<TcpStream>,
}

impl HostStream {
    /// turmoil finds a socket by the host that runs, so another host's task must not use it.
    fn socket(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if !is_current(&self.home) {
            return Err(io::Error::other("a socket of one pod is used by a task of another"));
        }
        self.socket.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for HostStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for HostStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = std::task::ready!(self.socket()?.poll_write(cx, bytes));
        if let Ok(count) = sent {
            self.wires.note(self.local, self.peer, count);
        }
        Poll::Ready(sent)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_ended {
            return Poll::Ready(Ok(()));
        }
        let ended = std::task::ready!(self.socket()?.poll_shutdown(cx));
        self.has_ended = true;
        Poll::Ready(ended)
    }
}

impl Drop for HostStream {
    /// Closes the socket on its own host.
    fn drop(&mut self) {
        let socket = self.socket.take();
        if turmoil::in_simulation() && !is_current(&self.home) {
            self.home.spawn(async move { drop(socket) });
        }
    }
}
