//! Connecting: capture and Services first, as in the first engine, then turmoil's network; connections that
//! stay within a pod are pipes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use turmoil::net::TcpStream;
use wavetank_platform::{BoxFuture, Clock, ConnectOptions, ListenOptions, Listener, Net, OriginalDst, Stream};

use super::listen::listen;
use super::stream::HostStream;
use super::wires::Wires;
use crate::engine::core::Shared;
use crate::engine::nat::Route;
use crate::engine::pod::Process;

/// Bytes on their way within a pod, each way.
const INSIDE_BUFFER: usize = 64 << 10;
/// Linux sends a SYN six times.
const SYN_GIVES_UP: Duration = Duration::from_secs(127);

/// The network as one process sees it.
#[derive(Debug, Clone)]
pub(super) struct HostNet {
    pub(super) shared: Arc<Shared>,
    pub(super) wires: Arc<Wires>,
    pub(super) process: Arc<Process>,
}

impl Net for HostNet {
    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> BoxFuture<'_, io::Result<Listener>> {
        Box::pin(async move {
            let listening = listen(self.clone(), addr, options);
            self.wires.at_home(self.process.pod, listening).await?
        })
    }

    fn connect(&self, addr: SocketAddr, options: ConnectOptions) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let route = self.shared.core().route(&self.process, addr, options.source)?;
            if route.stays_inside {
                return self.connect_inside(&route, addr).await;
            }
            let (net, source) = (self.clone(), route.source);
            let stream = self.wires.at_home(self.process.pod, async move { net.connect_out(route.target).await });
            let stream = stream.await??;
            let shown = SocketAddr::new(source, stream.local.port());
            Ok(Stream::new(stream, shown, addr, None))
        })
    }
}

impl HostNet {
    async fn connect_inside(&self, route: &Route, shown_peer: SocketAddr) -> io::Result<Stream> {
        let pod = self.process.pod;
        let IpAddr::V4(ip) = route.target.ip() else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        let queue = self.wires.listener_inside(pod, ip, route.target.port());
        let queue = queue.ok_or(io::ErrorKind::ConnectionRefused)?;
        let local = SocketAddr::new(route.source, self.wires.inside_port(pod));
        let (ours, theirs) = tokio::io::duplex(INSIDE_BUFFER);
        let accepted = Stream::new(theirs, route.target, local, route.original_dst);
        queue.send(accepted).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(Stream::new(ours, local, shown_peer, None))
    }

    /// Connects to another pod, through its capture. An address that nobody has gives no answer.
    async fn connect_out(&self, target: SocketAddr) -> io::Result<HostStream> {
        let captured = {
            let core = self.shared.core();
            let pod = core.pod_by_ip(target.ip());
            pod.map(|pod| core.pod(pod).capture.as_ref().and_then(|capture| capture.inbound(target.port())))
        };
        let Some(captured) = captured else {
            let clock: &dyn Clock = &*self.wires.clock;
            clock.sleep(SYN_GIVES_UP).await;
            return Err(io::ErrorKind::TimedOut.into());
        };
        let real = SocketAddr::new(target.ip(), captured.unwrap_or(target.port()));
        let socket = TcpStream::connect(real).await?;
        let stream = self.own(socket)?;
        self.wires.introduce(stream.local, real, captured.map(|_| OriginalDst(target)));
        Ok(stream)
    }

    /// Takes charge of a socket of turmoil's.
    pub(super) fn own(&self, socket: TcpStream) -> io::Result<HostStream> {
        let home = self.wires.runtime(self.process.pod).ok_or(io::ErrorKind::ConnectionAborted)?;
        let (local, peer) = (socket.local_addr()?, socket.peer_addr()?);
        let wires = self.wires.clone();
        Ok(HostStream { wires, home, local, peer, has_ended: false, socket: Some(socket) })
    }
}
