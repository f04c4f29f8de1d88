//! TCP on Linux.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::namespace::Namespace;
use crate::net::{Accept, BoxFuture, ConnectOptions, ListenOptions, Listener, Net, OriginalDst, Stream};

/// Sockets of this process, or of another network namespace.
#[derive(Debug, Default)]
pub(super) struct LinuxNet {
    namespace: Option<Namespace>,
}

impl LinuxNet {
    pub(super) fn within(namespace: Namespace) -> Self {
        Self { namespace: Some(namespace) }
    }

    fn open(&self, addr: SocketAddr, options: &ListenOptions) -> io::Result<TcpListener> {
        let stream = Type::STREAM.nonblocking();
        let socket = self.make(|| Socket::new(Domain::for_address(addr), stream, Some(Protocol::TCP)))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(options.reuse_port)?;
        // What is accepted has it from here.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&addr.into())?;
        socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
        TcpListener::from_std(socket.into())
    }

    /// Makes a socket where this network is.
    fn make<T>(&self, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match &self.namespace {
            Some(namespace) => namespace.within(make),
            None => make(),
        }
    }
}

impl Net for LinuxNet {
    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> BoxFuture<'_, io::Result<Listener>> {
        Box::pin(async move {
            let listener = self.open(addr, &options)?;
            let local = listener.local_addr()?;
            Ok(Listener::new(LinuxListener(listener), local))
        })
    }

    fn connect(&self, addr: SocketAddr, options: ConnectOptions) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let socket = self.make(|| if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() })?;
            if let Some(source) = options.source {
                socket.bind(SocketAddr::new(source, 0))?;
            }
            let stream = socket.connect(addr).await?;
            stream.set_nodelay(true)?;
            let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
            Ok(Stream::new(stream, local, peer, None))
        })
    }
}

struct LinuxListener(TcpListener);

impl Accept for LinuxListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            accepted(stream, peer)
        })
    }

    // Not by tokio: what it knows of the socket may be older than the connection.
    fn accept_now(&self) -> Option<io::Result<Stream>> {
        match SockRef::from(&self.0).accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(error)),
            Ok((socket, peer)) => Some(adopt(socket, &peer)),
        }
    }
}

/// A socket that tokio did not accept. Its peer may have left, and the socket itself does not know it then.
fn adopt(socket: Socket, peer: &SockAddr) -> io::Result<Stream> {
    socket.set_nonblocking(true)?;
    let peer = peer.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    accepted(TcpStream::from_std(socket.into())?, peer)
}

fn accepted(stream: TcpStream, peer: SocketAddr) -> io::Result<Stream> {
    let local = stream.local_addr()?;
    let original_dst = original_dst(&stream, local.ip()).filter(|dst| dst.0 != local);
    Ok(Stream::new(stream, local, peer, original_dst))
}

/// `SO_ORIGINAL_DST` of a redirected connection to `local`; `None` when netfilter knows nothing of it.
fn original_dst(stream: &TcpStream, local: IpAddr) -> Option<OriginalDst> {
    let socket = SockRef::from(stream);
    // An IPv4 connection to an IPv6 socket is IPv4 to netfilter.
    let addr = if local.to_canonical().is_ipv4() { socket.original_dst_v4() } else { socket.original_dst_v6() };
    addr.ok()?.as_socket().map(OriginalDst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_accepted_sends_at_once() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = LinuxNet::default().open(address.parse().unwrap(), &ListenOptions::default()).unwrap();
            let address = listener.local_addr().unwrap();
            let (connected, accepted) = tokio::join!(biased; TcpStream::connect(address), listener.accept());
            let (stream, peer) = accepted.unwrap();
            assert!(stream.nodelay().unwrap());
            assert_eq!(connected.unwrap().local_addr().unwrap(), peer);
        }
    }
}
