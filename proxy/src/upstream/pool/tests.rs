//! Pools whose endpoint leaves the configuration.

use std::io;

use tokio::io::DuplexStream;
use tokio::sync::{Mutex as AsyncMutex, Notify};
use wavetank_platform::{BoxFuture, ConnectOptions, ListenOptions, Listener, Net, Stream};

use super::*;
use crate::snapshot::cluster::Discovery;
use crate::tls::Tls;

/// Connections that come about when the test lets them.
#[derive(Default)]
struct Gate {
    asked: Notify,
    opened: Notify,
    far_ends: AsyncMutex<Vec<DuplexStream>>,
}

struct GatedNet(Arc<Gate>);

impl Net for GatedNet {
    fn listen(&self, _: SocketAddr, _: ListenOptions) -> BoxFuture<'_, io::Result<Listener>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn connect(&self, addr: SocketAddr, _: ConnectOptions) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            self.0.asked.notify_one();
            self.0.opened.notified().await;
            let (near, far) = tokio::io::duplex(1024);
            self.0.far_ends.lock().await.push(far);
            Ok(Stream::new(near, SocketAddr::from(([127, 0, 0, 1], 1)), addr, None))
        })
    }
}

fn pool() -> (Arc<Pool>, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let mut platform = wavetank_platform::linux::platform().expect("random bytes");
    platform.net = Arc::new(GatedNet(gate.clone()));
    let connector = Connector { tls: Tls::new(&platform), ids: Arc::default(), platform };
    let address = SocketAddr::from(([10, 0, 0, 1], 80));
    let pool = Pool::new(Arc::new(connector), Breakers::default(), address, TransportSocket::Raw, Wire::Http1);
    (Arc::new(pool), gate)
}

/// The endpoint of a request may leave while its connection is being opened. Once, such a connection was
/// closed and opened anew for ever, and the request waited until its caller left.
#[tokio::test]
async fn a_request_that_waits_for_its_connection_is_served_after_the_endpoint_left() {
    let (pool, gate) = pool();
    let settings = Settings::from(&Cluster::new("one", Discovery::OriginalDst));
    let leaving = async {
        gate.asked.notified().await;
        pool.retire();
        gate.opened.notify_one();
    };
    let (lease, ()) = tokio::join!(pool.lease(settings), leaving);
    assert_eq!(lease.expect("a connection").leg().remote, pool.address());
}

#[tokio::test]
async fn a_connection_of_an_endpoint_that_left_is_not_kept() {
    let (pool, gate) = pool();
    let settings = Settings::from(&Cluster::new("one", Discovery::OriginalDst));
    pool.retire();
    gate.opened.notify_one();
    drop(pool.lease(settings).await.expect("a connection"));
    while !pool.is_unused() {
        tokio::task::yield_now().await;
    }
    assert!(pool.state().ready.is_empty());
}
