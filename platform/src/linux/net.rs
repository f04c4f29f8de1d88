//! TCP on Linux.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::net::{Accept, BoxFuture, ConnectOptions, ListenOptions, Listener, Net, OriginalDst, Stream};

/// Sockets of this process.
#[derive(Debug)]
pub(super) struct LinuxNet;

impl Net for LinuxNet {
    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> BoxFuture<'_, io::Result<Listener>> {
        Box::pin(async move {
            let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(options.reuse_port)?;
            socket.bind(&addr.into())?;
            socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
            let listener = TcpListener::from_std(socket.into())?;
            let local = listener.local_addr()?;
            Ok(Listener::new(LinuxListener(listener), local))
        })
    }

    fn connect(&self, addr: SocketAddr, options: ConnectOptions) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let stream = match options.source {
                None => TcpStream::connect(addr).await?,
                Some(source) => connect_from(source, addr).await?,
            };
            stream.set_nodelay(true)?;
            let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
            Ok(Stream::new(stream, local, peer, None))
        })
    }
}

async fn connect_from(source: IpAddr, addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(addr).await
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
            Ok((socket, _)) => Some(adopt(socket)),
        }
    }
}

/// A socket that tokio did not accept.
fn adopt(socket: Socket) -> io::Result<Stream> {
    socket.set_nonblocking(true)?;
    let stream = TcpStream::from_std(socket.into())?;
    let peer = stream.peer_addr()?;
    accepted(stream, peer)
}

fn accepted(stream: TcpStream, peer: SocketAddr) -> io::Result<Stream> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let original_dst = original_dst(&stream).filter(|dst| dst.0 != local);
    Ok(Stream::new(stream, local, peer, original_dst))
}

/// `SO_ORIGINAL_DST` of a redirected connection; `None` when netfilter knows nothing of it.
fn original_dst(stream: &TcpStream) -> Option<OriginalDst> {
    let socket = SockRef::from(stream);
    let addr = socket.original_dst_v4().or_else(|_| socket.original_dst_v6()).ok()?;
    addr.as_socket().map(OriginalDst)
}
