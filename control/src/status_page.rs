//! The control plane's standing over HTTP: `GET /ready` and `GET /status`.
//!
//! `/ready` answers 200 when a mesh is in force, else 503. `/status` is JSON: the generation of the mesh in force, the
//! digest of the manifests last read and the generation that has all of them, every proxy with what it took and
//! refused, and what is found about the manifests. Neither changes anything.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use wavetank_platform::hyper_rt::HyperTimer;
use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::{ListenOptions, Listener, Platform, Stream};

use crate::ads::ProxyStatus;
use crate::config::{SourceFile, digest};
use crate::diagnostic::Diagnostic;
use crate::server::Control;

/// Connections at a time; a further one is closed.
const CONNECTIONS_MAX: usize = 64;
/// Time for a request's head.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What the page tells.
#[derive(Debug)]
pub struct StatusPage {
    control: Arc<Control>,
    read: Mutex<Read>,
}

/// What was last read.
#[derive(Debug, Default)]
struct Read {
    /// [`digest`] of the manifests.
    digest: String,
    /// The generation with all of them in it.
    generation: u64,
    found: Vec<Diagnostic>,
}

impl StatusPage {
    /// The page of `control`.
    pub fn new(control: Arc<Control>) -> Arc<Self> {
        Arc::new(Self { control, read: Mutex::default() })
    }

    /// Tells from now on that these manifests were read, are all in the mesh from `generation` on, and what was found.
    pub fn set_read(&self, manifests: &[SourceFile], generation: u64, found: Vec<Diagnostic>) {
        let digest = digest(manifests.iter().map(|file| (&*file.name, &*file.text)));
        let mut read = self.read();
        // What is read again before its push is not in the mesh sooner for that.
        *read = Read { digest, generation: generation.max(read.generation), found };
    }

    fn read(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves the page on `addr` until the returned task is dropped.
    ///
    /// Errs when the port cannot be had.
    pub async fn serve(self: &Arc<Self>, platform: &Platform, addr: SocketAddr) -> io::Result<(SocketAddr, OwnedTask)> {
        let listener = platform.net.listen(addr, ListenOptions::default()).await?;
        let bound = listener.local_addr();
        let task = platform.spawn.go(accept(self.clone(), platform.clone(), listener));
        Ok((bound, task.abort_on_drop()))
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
        match request.uri().path() {
            "/ready" | "/status" if !is_get => reply(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".into()),
            "/ready" if self.control.generation() > 0 => reply(StatusCode::OK, "text/plain", "ready\n".into()),
            "/ready" => reply(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "no mesh is in force yet\n".into()),
            "/status" => reply(StatusCode::OK, "application/json", format!("{:#}\n", self.status())),
            _ => reply(StatusCode::NOT_FOUND, "text/plain", "/ready or /status\n".into()),
        }
    }

    fn status(&self) -> Value {
        let read = self.read();
        json!({
            "generation": self.control.generation(),
            "manifests": { "digest": read.digest, "generation": read.generation },
            "proxies": self.control.status().iter().map(proxy).collect::<Vec<_>>(),
            "found": read.found.iter().chain(&self.control.findings()).map(finding).collect::<Vec<_>>(),
        })
    }
}

fn proxy(status: &ProxyStatus) -> Value {
    let types = status.types.iter().map(|(kind, standing)| {
        let standing = json!({ "sent": standing.sent, "acked": standing.acked, "refused": standing.nack });
        (kind.to_string(), standing)
    });
    json!({
        "node": status.node,
        "connected": status.connected,
        "settled": status.settled,
        "types": types.collect::<serde_json::Map<_, _>>(),
    })
}

fn finding(found: &Diagnostic) -> Value {
    json!({
        "code": found.code.to_string(),
        "severity": found.severity.to_string(),
        "file": &*found.span.file,
        "line": found.span.line,
        "column": found.span.column,
        "message": found.message,
    })
}

fn reply(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

async fn accept(page: Arc<StatusPage>, platform: Platform, listener: Listener) {
    let mut connections: Vec<OwnedTask> = Vec::new();
    loop {
        match listener.accept().await {
            Ok(stream) => {
                connections.retain(|connection| !connection.is_finished());
                if connections.len() < CONNECTIONS_MAX {
                    connections.push(platform.spawn.go(converse(page.clone(), stream)).abort_on_drop());
                }
            }
            // Out of file descriptors, say, the next try fails too.
            Err(_) => platform.clock.sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn converse(page: Arc<StatusPage>, stream: Stream) {
    let service = service_fn(move |request| {
        let answer = page.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut server = http1::Builder::new();
    server.auto_date_header(false).timer(HyperTimer).header_read_timeout(HEAD_MAX);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a reader of the status page left");
    }
}
