//! The admin ports: one request for each connection, few connections at a time, little to read, an end to
//! waiting. A port that is taken is waited for; the proxy serves without it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use wavetank_platform::hyper_rt::HyperTimer;
use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::{ListenOptions, Listener, Platform, Stream};

use super::page::{self, Door, Page};
use super::view::View;
use crate::bootstrap::Ports;

/// Connections of one port at a time; beyond, they are closed at once.
const CONNECTIONS_MAX: usize = 32;

/// Bound on one connection, from accept to the last byte.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long a failed bind waits for its next try.
const REBIND_AFTER: Duration = Duration::from_secs(1);

/// How long accepting rests after an error.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// The admin ports of one process. They close when this is dropped.
#[derive(Debug)]
pub struct Admin {
    _serving: Vec<OwnedTask>,
}

impl Admin {
    /// Serves `view` on those of `ports` that are wanted.
    pub fn start(platform: &Platform, ports: &Ports, view: &Arc<View>) -> Self {
        let doors = [
            (Door::Admin, ports.admin),
            (Door::Agent, ports.agent),
            (Door::Health, ports.health),
            (Door::Stats, ports.stats),
        ];
        let wanted = doors.into_iter().filter_map(|(door, address)| Some((door, address?)));
        let serve = |(door, address)| {
            let serving = serve(platform.clone(), door, address, view.clone());
            platform.spawn.go(serving).abort_on_drop()
        };
        Self { _serving: wanted.map(serve).collect() }
    }
}

async fn serve(platform: Platform, door: Door, address: SocketAddr, view: Arc<View>) {
    let listener = bind(&platform, door, address).await;
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(?door, %error, "accept");
                platform.clock.sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let Ok(permit) = permits.clone().try_acquire_owned() else { continue };
        let (own, view) = (platform.clone(), view.clone());
        // Ends by itself, in time.
        platform.spawn.go(async move {
            let exchange = exchange(&own, stream, door, view);
            if own.clock.timeout(CONNECTION_TIMEOUT, exchange).await.is_err() {
                tracing::debug!(?door, "admin connection took too long");
            }
            drop(permit);
        });
    }
}

/// The socket of a port. A process that takes over from another shares it for a while.
async fn bind(platform: &Platform, door: Door, address: SocketAddr) -> Listener {
    let options = ListenOptions { reuse_port: true, ..ListenOptions::default() };
    let mut told = false;
    loop {
        match platform.net.listen(address, options.clone()).await {
            Ok(listener) => {
                tracing::info!(?door, address = %listener.local_addr(), "listening");
                return listener;
            }
            Err(error) if told => tracing::debug!(?door, %address, %error, "cannot listen"),
            Err(error) => {
                told = true;
                tracing::warn!(?door, %address, %error, "cannot listen; trying on");
            }
        }
        platform.clock.sleep(REBIND_AFTER).await;
    }
}

async fn exchange(platform: &Platform, stream: Stream, door: Door, view: Arc<View>) {
    let service = service_fn(|request: Request<Incoming>| {
        let mut page = page::answer(&view, door, request.method(), request.uri().path());
        let scraper = view.scraper.as_ref().filter(|_| door == Door::Agent && page.is_metrics());
        async move {
            if let Some(scraper) = scraper {
                page.body.extend(scraper.scrape(platform).await);
            }
            Ok::<_, Infallible>(response(page))
        }
    });
    let served = http1::Builder::new()
        .timer(HyperTimer)
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(?door, %error, "admin connection");
    }
}

fn response(page: Page) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(page.body)));
    *response.status_mut() = page.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(page.media_type));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache, max-age=0"));
    headers.insert("x-content-type-options", header::HeaderValue::from_static("nosniff"));
    if let Some(allow) = page.allow {
        headers.insert(header::ALLOW, header::HeaderValue::from_static(allow));
    }
    response
}
