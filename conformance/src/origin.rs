//! The program behind the mesh: answers every request with its own name and with what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use wavetank_platform::hyper_rt::HyperTimer;
use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::{Io, ListenOptions, Platform};
use wavetank_proxy::snapshot::tls::DownstreamTls;
use wavetank_proxy::tls::Tls;
use wavetank_proxy::tls::peer::PeerCertificate;

use crate::live::loopback;

/// A running program. It ends when this handle is dropped.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    _serving: OwnedTask,
}

impl Origin {
    /// Starts the program `name` on a free port of the loopback; with `tls`, behind the identity in it.
    ///
    /// Its answers have the name on the first line, method and path on the second, then one line for each
    /// request header, and last, where the caller showed a certificate, `peer:` and the caller's identity.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(platform: &Platform, name: &str, tls: Option<(Tls, DownstreamTls)>) -> Self {
        let listener = platform.net.listen(loopback(0), ListenOptions::default()).await.expect("a free port");
        let address = listener.local_addr();
        let requests = Arc::new(AtomicUsize::new(0));
        let program = Program { name: name.into(), requests: requests.clone() };
        let spawn = platform.spawn.clone();
        let serving = platform.spawn.go(async move {
            while let Ok(stream) = listener.accept().await {
                let (program, tls) = (program.clone(), tls.clone());
                spawn.go(async move {
                    match tls {
                        None => program.serve(stream, None).await,
                        Some((tls, config)) => {
                            if let Ok((stream, session)) = tls.accept(&config, stream).await {
                                program.serve(stream, session.peer).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, requests, _serving: serving.abort_on_drop() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have arrived.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
struct Program {
    name: Arc<str>,
    requests: Arc<AtomicUsize>,
}

impl Program {
    async fn serve(self, stream: impl Io, peer: Option<PeerCertificate>) {
        let service = service_fn(move |request| {
            let answer = self.answer(&request, peer.as_ref());
            async move { Ok::<_, Infallible>(answer) }
        });
        let mut server = hyper::server::conn::http1::Builder::new();
        // A caller that leaves is no error here.
        let _left = server.timer(HyperTimer).serve_connection(TokioIo::new(stream), service).await;
    }

    fn answer(&self, request: &Request<Incoming>, peer: Option<&PeerCertificate>) -> Response<Full<Bytes>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut text = format!("{}\n{} {}\n", self.name, request.method(), request.uri());
        for (name, value) in request.headers() {
            text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        }
        if let Some(uri) = peer.and_then(|peer| peer.uri_sans.first()) {
            text.push_str(&format!("peer: {uri}\n"));
        }
        Response::new(Full::new(Bytes::from(text)))
    }
}
