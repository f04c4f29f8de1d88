//! Listening: one queue for connections from within the pod and for those that turmoil brings.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use turmoil::net::TcpListener;
use wavetank_platform::net::Accept;
use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::{BoxFuture, Clock, ListenOptions, Listener, Spawn, Stream};

use super::net::HostNet;
use super::wires::Wires;
use crate::engine::pod::PodId;

/// How long an accepted connection waits for its opener, which tells at its next tick unless it is gone.
const INTRODUCTION_MAX: Duration = Duration::from_secs(1);
/// Ticks to wait for a port whose listener is being closed.
const CLOSING_TICKS_MAX: u32 = 5;
const TICK: Duration = Duration::from_millis(1);

/// Listens on `addr`. Must run on the pod's own host.
pub(super) async fn listen(net: HostNet, addr: SocketAddr, options: ListenOptions) -> io::Result<Listener> {
    let IpAddr::V4(ip) = addr.ip() else {
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "the tank's pods have IPv4 addresses only"));
    };
    if options.reuse_port {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "turmoil's ports are not shared"));
    }
    let pod = net.process.pod;
    if addr.port() != 0 && !net.wires.is_free(pod, ip, addr.port()) {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let socket = if ip.is_loopback() && addr.port() != 0 { None } else { Some(bind(&net, addr.port()).await?) };
    let port = match &socket {
        Some(socket) => socket.local_addr()?.port(),
        None => addr.port(),
    };
    let (queue, accepted) = mpsc::channel(options.backlog.max(1) as usize);
    net.wires.add_listener(pod, ip, port, queue.clone());
    let wires = net.wires.clone();
    let (_, spawn) = net.wires.doors(&net.shared, &net.process);
    let bringing = socket.filter(|_| !ip.is_loopback());
    let bringing = bringing.map(|socket| spawn.clone().go(bring(net, spawn, socket, queue)).abort_on_drop());
    let listener = HostListener { wires, pod, ip, port, accepted: Mutex::new(accepted), _bringing: bringing };
    Ok(Listener::new(listener, SocketAddr::new(addr.ip(), port)))
}

/// turmoil's `bind`, which takes every address of the host. A listener that was just dropped holds its port
/// until its task has ended.
async fn bind(net: &HostNet, port: u16) -> io::Result<TcpListener> {
    let clock: &dyn Clock = &*net.wires.clock;
    let mut ticks = 0;
    loop {
        match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && ticks < CLOSING_TICKS_MAX => {
                ticks += 1;
                clock.sleep(TICK).await;
            }
            bound => return bound,
        }
    }
}

/// Takes connections from turmoil and queues those that are introduced.
async fn bring(net: HostNet, spawn: Arc<dyn Spawn>, socket: TcpListener, queue: mpsc::Sender<Stream>) {
    loop {
        let Ok((stream, client)) = socket.accept().await else { continue };
        let Ok(stream) = net.own(stream) else { return };
        let introduction = net.wires.expect(client, stream.local);
        let (wires, queue) = (net.wires.clone(), queue.clone());
        spawn.go(async move {
            let clock: &dyn Clock = &*wires.clock;
            let local = stream.local;
            match clock.timeout(INTRODUCTION_MAX, introduction).await {
                Ok(Ok(original_dst)) => {
                    // A listener that is gone refuses what it has not accepted.
                    let _ = queue.send(Stream::new(stream, local, client, original_dst)).await;
                }
                _ => wires.give_up(client, local),
            }
        });
    }
}

/// A process's handle of a listening port. Closes it when dropped.
struct HostListener {
    wires: Arc<Wires>,
    pod: PodId,
    ip: Ipv4Addr,
    port: u16,
    accepted: Mutex<mpsc::Receiver<Stream>>,
    /// Ends with the listener.
    _bringing: Option<OwnedTask>,
}

impl Accept for HostListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let stream = self.accepted.lock().await.recv().await;
            stream.ok_or_else(|| io::ErrorKind::ConnectionAborted.into())
        })
    }
}

impl Drop for HostListener {
    fn drop(&mut self) {
        self.wires.remove_listener(self.pod, self.ip, self.port);
    }
}
