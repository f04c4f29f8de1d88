//! Listening, connecting, and byte streams that know the address their peer first asked for.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A boxed future that may cross threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The network as one process sees it.
pub trait Net: Send + Sync {
    /// Binds and listens on `addr`; port 0 picks a free one.
    ///
    /// Errs with `AddrInUse` or `AddrNotAvailable` as the host does.
    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> BoxFuture<'_, io::Result<Listener>>;

    /// Opens a TCP connection to `addr`. Has no time limit of its own beyond the host's SYN retries
    /// (127 s on Linux); callers bound it.
    fn connect(&self, addr: SocketAddr, options: ConnectOptions) -> BoxFuture<'_, io::Result<Stream>>;
}

/// How to listen.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Connections the host completes before they are accepted.
    pub backlog: u32,
    /// Lets several workers of one process listen on the same address (`SO_REUSEPORT`).
    pub reuse_port: bool,
}

impl Default for ListenOptions {
    /// Backlog 1024, address not shared.
    fn default() -> Self {
        Self { backlog: 1024, reuse_port: false }
    }
}

/// How to connect.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    /// Local address to connect from; `None` leaves the choice to the host.
    pub source: Option<IpAddr>,
}

/// The destination a captured connection was opened to, before redirection (`SO_ORIGINAL_DST`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OriginalDst(pub SocketAddr);

impl fmt::Display for OriginalDst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A byte stream that can be boxed into a [`Stream`].
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// An open TCP connection.
pub struct Stream {
    io: Box<dyn Io>,
    local: SocketAddr,
    peer: SocketAddr,
    original_dst: Option<OriginalDst>,
}

impl Stream {
    /// Wraps a connected byte stream with the addresses of its two ends.
    pub fn new(io: impl Io, local: SocketAddr, peer: SocketAddr, original_dst: Option<OriginalDst>) -> Self {
        Self { io: Box::new(io), local, peer, original_dst }
    }

    /// Our end.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The other end.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Where the peer meant to connect to; `None` when the connection was not redirected.
    pub fn original_dst(&self) -> Option<OriginalDst> {
        self.original_dst
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("local", &self.local)
            .field("peer", &self.peer)
            .field("original_dst", &self.original_dst)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// What a host's listening socket must do; wrapped by [`Listener`].
pub trait Accept: Send + Sync {
    /// Waits for the next connection. A connection that died before it was accepted may surface as an
    /// error; the listener itself stays usable.
    fn accept(&self) -> BoxFuture<'_, io::Result<Stream>>;

    /// The next connection that has come already; `None` when there is none, or the host cannot tell.
    fn accept_now(&self) -> Option<io::Result<Stream>> {
        None
    }
}

/// A listening socket. Closed when dropped.
pub struct Listener {
    accept: Box<dyn Accept>,
    local: SocketAddr,
}

impl Listener {
    /// Wraps a host's listening socket bound to `local`.
    pub fn new(accept: impl Accept + 'static, local: SocketAddr) -> Self {
        Self { accept: Box::new(accept), local }
    }

    /// The bound address, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Waits for the next connection.
    ///
    /// Errs when a single connection could not be accepted; calling again is right after any error.
    pub async fn accept(&self) -> io::Result<Stream> {
        self.accept.accept().await
    }

    /// The next connection that has come already; `None` when there is none, or the host cannot tell. Who
    /// closes a socket takes these first: the host resets what has come and was not accepted.
    pub fn accept_now(&self) -> Option<io::Result<Stream>> {
        self.accept.accept_now()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("local", &self.local).finish_non_exhaustive()
    }
}
