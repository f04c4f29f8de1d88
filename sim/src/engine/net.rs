//! The door of a container: listening, connecting, resolving.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use turmoil_net::NetstatState;
use turmoil_net::shim::tokio::net::{TcpListener, TcpStream};
use wavetank_platform::net::Accept;
use wavetank_platform::{BoxFuture, ConnectOptions, ListenOptions, Listener, Net, OriginalDst, Resolver, Stream};

use super::conn::Tuple;
use super::core::{Core, Shared};
use super::nat::{ListeningPort, LocalDial, Route, ServicePick, capture_outbound};
use super::pod::{PodId, Process};
use super::slab::Key;
use super::socket::{Socket, SocketIo, TankStream};

/// The network as one process sees it.
pub(super) struct TankNet {
    pub(super) shared: Arc<Shared>,
    pub(super) process: Arc<Process>,
}

impl Net for TankNet {
    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> BoxFuture<'_, io::Result<Listener>> {
        Box::pin(async move {
            let (key, local) = self.shared.core().listen(&self.process, addr, &options)?;
            Ok(Listener::new(TankListener { shared: self.shared.clone(), key }, local))
        })
    }

    fn connect(&self, addr: SocketAddr, options: ConnectOptions) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let route = self.shared.core().route(&self.process, addr, options.source)?;
            let (shared, process) = (self.shared.clone(), self.process.clone());
            let source = route.source;
            let dial = Dial { shared: shared.clone(), process, route, future: None, local_port: None };
            let (key, local) = dial.await?;
            let shown = SocketAddr::new(source, local.port());
            Ok(Stream::new(TankStream { shared, key }, shown, addr, None))
        })
    }
}

impl Resolver for TankNet {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            if let Ok(ip) = name.parse() {
                return Ok(vec![ip]);
            }
            let core = self.shared.core();
            let pod = core.pod(self.process.pod);
            if name == "localhost" {
                return Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
            }
            if name == pod.spec.name {
                return Ok(vec![IpAddr::V4(pod.ip)]);
            }
            let addrs = core.dns.resolve(name, &pod.spec.namespace);
            addrs
                .map(<[IpAddr]>::to_vec)
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{name} has no address")))
        })
    }
}

impl Core {
    fn listen(
        &mut self,
        process: &Arc<Process>,
        addr: SocketAddr,
        options: &ListenOptions,
    ) -> io::Result<(Key, SocketAddr)> {
        let pod = process.pod;
        let IpAddr::V4(ip) = addr.ip() else {
            return Err(no_ipv6());
        };
        if !process.is_alive() || !self.enter(pod) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if addr.port() != 0 && !self.ports.is_free(pod, ip, addr.port(), options.reuse_port) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let listener = match bind(addr) {
            // No listener has the port, but connections once accepted on it do.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => bind(SocketAddr::new(addr.ip(), 0))?,
            bound => bound?,
        };
        let local = listener.local_addr()?;
        let port = if addr.port() == 0 { local.port() } else { addr.port() };
        let socket = self.sockets.insert(Socket::new(SocketIo::Listener(listener), process.clone(), local));
        let listening = ListeningPort {
            ip,
            port,
            real_port: local.port(),
            backlog: options.backlog as usize,
            reuse_port: options.reuse_port,
            socket,
            waiting: Default::default(),
        };
        self.ports.add(pod, listening);
        Ok((socket, SocketAddr::new(addr.ip(), port)))
    }

    /// Decides where a connection to `addr` goes.
    pub(super) fn route(&mut self, process: &Process, addr: SocketAddr, source: Option<IpAddr>) -> io::Result<Route> {
        let pod = process.pod;
        let own = self.pod(pod).ip;
        let IpAddr::V4(ip) = addr.ip() else {
            return Err(no_ipv6());
        };
        if !process.is_alive() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let addr = if ip.is_unspecified() { SocketAddr::new(Ipv4Addr::LOCALHOST.into(), addr.port()) } else { addr };
        let captured = self.pod(pod).capture.as_ref();
        let captured = captured.and_then(|capture| capture_outbound(capture, process.container, own, addr, source));
        let (target, original_dst) = match captured {
            Some(port) => (SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), Some(OriginalDst(addr))),
            None => match self.services.pick(pod, addr) {
                ServicePick::NotAService => (addr, None),
                ServicePick::NoEndpoints => return Err(io::ErrorKind::ConnectionRefused.into()),
                ServicePick::Endpoint(endpoint) => (endpoint, None),
            },
        };
        let IpAddr::V4(target_ip) = target.ip() else {
            return Err(no_ipv6());
        };
        let stays_inside = target_ip.is_loopback() || target_ip == own;
        let to_loopback = target_ip.is_loopback() && captured.is_none();
        let source = match source {
            None if to_loopback => Ipv4Addr::LOCALHOST.into(),
            None => own.into(),
            Some(source) if source == own || (source.is_loopback() && stays_inside) => source,
            Some(_) => return Err(io::ErrorKind::AddrNotAvailable.into()),
        };
        let port = match self.ports.find(pod, target_ip, target.port()) {
            Some(listening) if stays_inside => listening.real_port,
            _ => target.port(),
        };
        Ok(Route { target: SocketAddr::new(target.ip(), port), stays_inside, original_dst, source })
    }

    /// The connection that `listener` has accepted in the kernel, as its process is to see it; `None` for
    /// one that died before.
    fn admit_accepted(&mut self, listener: Key, stream: TcpStream, peer: SocketAddr) -> io::Result<Option<Accepted>> {
        let process = self.sockets.get(listener).map(|socket| socket.process.clone());
        let process = process.ok_or(io::ErrorKind::ConnectionAborted)?;
        let pod = process.pod;
        let local = stream.local_addr()?;
        let mut shown_local = local;
        if let Some(listening) = self.ports.of_socket(pod, listener) {
            listening.waiting.remove(&peer);
            shown_local.set_port(listening.port);
        }
        if self.stillborn.remove(&(pod, local.port(), peer)) {
            return Ok(None);
        }
        let mut shown_peer = peer;
        let mut original_dst = None;
        if let Some(dial) = self.local_dials.remove(&(pod, peer.port()))
            && (peer.ip().is_loopback() || peer.ip() == IpAddr::V4(self.pod(pod).ip))
        {
            original_dst = dial.original_dst;
            shown_peer.set_ip(dial.shown_peer_ip);
        } else if let Some(conn) = self.conns.find(Tuple::new(local, peer)).and_then(|(key, _)| self.conns.get(key)) {
            if conn.captured {
                original_dst = Some(OriginalDst(conn.dst));
            } else {
                shown_local = conn.dst;
            }
        }
        let key = self.add_stream(stream, process, (local, peer));
        Ok(Some(Accepted { key, local: shown_local, peer: shown_peer, original_dst }))
    }
}

struct Accepted {
    key: Key,
    local: SocketAddr,
    peer: SocketAddr,
    original_dst: Option<OriginalDst>,
}

/// The kernel's `bind` and `listen`, which never wait.
fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let mut bind = pin!(TcpListener::bind(addr));
    match bind.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(bound) => bound,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

fn no_ipv6() -> io::Error {
    io::Error::new(io::ErrorKind::AddrNotAvailable, "the tank's pods have IPv4 addresses only")
}

/// A connection being opened. Dropping it abandons the attempt.
struct Dial {
    shared: Arc<Shared>,
    process: Arc<Process>,
    route: Route,
    future: Option<BoxFuture<'static, io::Result<TcpStream>>>,
    /// The client's port, noted for the accepting end of a connection within the pod.
    local_port: Option<u16>,
}

impl Future for Dial {
    type Output = io::Result<(Key, SocketAddr)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = self.shared.clone();
        let mut core = shared.core();
        let (pod, target) = (self.process.pod, self.route.target);
        if !self.process.is_alive() || !core.enter(pod) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let first = self.future.is_none();
        let future = self.future.get_or_insert_with(|| Box::pin(TcpStream::connect(target)));
        let polled = future.as_mut().poll(cx);
        core.dirty |= first;
        match polled {
            Poll::Pending => {
                if first && self.route.stays_inside {
                    self.note_local_dial(&mut core);
                }
                Poll::Pending
            }
            Poll::Ready(Ok(stream)) => {
                self.local_port = None;
                let local = stream.local_addr()?;
                let key = core.add_stream(stream, self.process.clone(), (local, target));
                Poll::Ready(Ok((key, local)))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(core.explain_connect(pod, target, error))),
        }
    }
}

impl Dial {
    /// Notes what the accepting end is to be told. It may accept before this end learns of it, so the
    /// client's port is looked up in the kernel.
    fn note_local_dial(&mut self, core: &mut Core) {
        let pod = self.process.pod;
        let rows = turmoil_net::netstat(core.pod(pod).ip).entries;
        let mine = |row: &&turmoil_net::NetstatEntry| {
            row.state == Some(NetstatState::SynSent) && row.peer == Some(self.route.target)
        };
        if let Some(row) = rows.iter().rev().find(mine) {
            let dial = LocalDial { original_dst: self.route.original_dst, shown_peer_ip: self.route.source };
            core.local_dials.insert((pod, row.local.port()), dial);
            self.local_port = Some(row.local.port());
        }
    }
}

impl Drop for Dial {
    fn drop(&mut self) {
        let Some(future) = self.future.take() else {
            return;
        };
        let mut core = self.shared.core();
        let pod = self.process.pod;
        if let Some(port) = self.local_port {
            core.local_dials.remove(&(pod, port));
        }
        if core.enter(pod) {
            drop(future);
        } else {
            std::mem::forget(future);
        }
    }
}

impl Core {
    /// The kernel calls a forged reset a refusal; running out of SYN retries is `TimedOut`.
    fn explain_connect(&mut self, pod: PodId, target: SocketAddr, error: io::Error) -> io::Error {
        match self.connect_timeouts.get_mut(&(pod, target)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                io::ErrorKind::TimedOut.into()
            }
            _ => error,
        }
    }

    fn poll_accept(&mut self, key: Key, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let pod = self.sockets.get(key).map(|socket| socket.process.pod);
        match (pod.is_some_and(|pod| self.enter(pod)), self.sockets.get(key)) {
            (true, Some(Socket { io: SocketIo::Listener(listener), .. })) => listener.poll_accept(cx),
            _ => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }
}

/// A process's handle of a listening socket. Closes it when dropped.
struct TankListener {
    shared: Arc<Shared>,
    key: Key,
}

impl Accept for TankListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(std::future::poll_fn(|cx| {
            loop {
                let mut core = self.shared.core();
                let (stream, peer) = std::task::ready!(core.poll_accept(self.key, cx))?;
                core.dirty = true;
                if let Some(accepted) = core.admit_accepted(self.key, stream, peer)? {
                    let stream = TankStream { shared: self.shared.clone(), key: accepted.key };
                    return Poll::Ready(Ok(Stream::new(stream, accepted.local, accepted.peer, accepted.original_dst)));
                }
            }
        }))
    }
}

impl Drop for TankListener {
    fn drop(&mut self) {
        self.shared.core().close(self.key);
    }
}
