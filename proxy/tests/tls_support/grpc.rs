//! A gRPC server for tests, over the door in memory.

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tower_service::Service;
use wavetank_platform::hyper_rt::{HyperExecutor, HyperTimer};
use wavetank_platform::{Io, ListenOptions, Platform};
use wavetank_proxy::snapshot::tls::DownstreamTls;
use wavetank_proxy::tls::Tls;

/// Serves `service` on `port` from now on.
pub(crate) async fn serve<S>(platform: &Platform, port: u16, tls: Option<(Tls, DownstreamTls)>, service: S)
where
    S: Service<Request<Incoming>, Response = Response<tonic::body::Body>, Error = std::convert::Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    let listener = platform.net.listen(([127, 0, 0, 1], port).into(), ListenOptions::default()).await.unwrap();
    let platform = platform.clone();
    platform.spawn.clone().go(async move {
        while let Ok(stream) = listener.accept().await {
            let (platform, tls, service) = (platform.clone(), tls.clone(), service.clone());
            platform.spawn.clone().go(async move {
                match tls {
                    None => connection(&platform, stream, service).await,
                    Some((tls, config)) => match tls.accept(&config, stream).await {
                        Ok((stream, _)) => connection(&platform, stream, service).await,
                        Err(error) => eprintln!("test server: {error}"),
                    },
                }
            });
        }
    });
}

async fn connection<S>(platform: &Platform, stream: impl Io, service: S)
where
    S: Service<Request<Incoming>, Response = Response<tonic::body::Body>, Error = std::convert::Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    let service = service_fn(move |request| service.clone().call(request));
    let _ = hyper::server::conn::http2::Builder::new(HyperExecutor::new(platform))
        .timer(HyperTimer)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
