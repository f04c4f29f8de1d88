//! A gRPC service in plaintext, on a port of its own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tonic::body::Body;
use tower_service::Service;
use wavetank_platform::hyper_rt::{HyperExecutor, HyperTimer};
use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::{ListenOptions, Platform};

/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Serves `service` on `addr` until the returned task is dropped; returns the bound address.
///
/// Errs when the port cannot be had.
pub async fn serve<S>(platform: &Platform, addr: SocketAddr, service: S) -> io::Result<(SocketAddr, OwnedTask)>
where
    S: Service<http::Request<Incoming>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    let listener = platform.net.listen(addr, ListenOptions::default()).await?;
    let bound = listener.local_addr();
    let own = platform.clone();
    let serving = platform.spawn.go(async move {
        loop {
            let Ok(stream) = listener.accept().await else {
                own.clock.sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let (service, executor) = (service.clone(), HyperExecutor::new(&own));
            own.spawn.go(async move {
                let service = service_fn(move |request| service.clone().call(request));
                let mut server = hyper::server::conn::http2::Builder::new(executor);
                // A client that leaves is no error here.
                let _ = server.timer(HyperTimer).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok((bound, serving.abort_on_drop()))
}
