//! The HTTP/1.1 server under every program: keep-alive without a limit of its own, one task a connection.
//! It writes no `date`: a program has no clock but the world's, and a proxy in front adds the field.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use wavetank_platform::{ListenOptions, Listener, Platform, Stream};

use super::{Conditions, Program};

/// Largest request body a program reads; a longer one is answered 413.
const BODY_MAX: usize = 4 << 20;

/// A request as a program sees it.
#[derive(Debug)]
pub(super) struct Asked {
    /// Method.
    pub(super) method: Method,
    /// Path and query as received.
    pub(super) uri: Uri,
    /// Header fields.
    pub(super) headers: HeaderMap,
    /// The whole body.
    pub(super) body: Bytes,
    /// Address of the peer of the connection.
    pub(super) peer: IpAddr,
}

/// A program's reply.
#[derive(Debug)]
pub(super) struct Said {
    /// Status.
    pub(super) status: u16,
    /// `content-type`; no field when empty.
    pub(super) content_type: &'static str,
    /// Header fields beside the type and the length.
    pub(super) headers: Vec<(&'static str, &'static str)>,
    /// The whole body.
    pub(super) body: Bytes,
}

impl Said {
    /// A reply of plain text.
    pub(super) fn text(status: u16, body: &'static str) -> Self {
        Self::typed(status, "text/plain; charset=utf-8", body)
    }

    /// A reply of type `content_type`.
    pub(super) fn typed(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, headers: Vec::new(), body: body.into() }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if !self.content_type.is_empty() {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        for (name, value) in self.headers {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Listens on `addr` and answers as `program` under `conditions`, until the process ends. Returns the bound
/// address.
///
/// Errs when `addr` cannot be bound.
pub(super) async fn serve(
    platform: &Platform,
    program: Program,
    conditions: Conditions,
    addr: SocketAddr,
) -> io::Result<SocketAddr> {
    let listener = platform.net.listen(addr, ListenOptions::default()).await?;
    let bound = listener.local_addr();
    let door = platform.clone();
    platform.spawn.go(accept_all(door, program, conditions, listener));
    Ok(bound)
}

async fn accept_all(platform: Platform, program: Program, conditions: Conditions, listener: Listener) {
    loop {
        match listener.accept().await {
            Ok(stream) => {
                platform.spawn.go(converse(platform.clone(), program.clone(), conditions.clone(), stream));
            }
            // Out of sockets, perhaps: not at full speed against the wall.
            Err(_) => platform.clock.sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Answers the requests of one connection until either side ends it.
async fn converse(platform: Platform, program: Program, conditions: Conditions, stream: Stream) {
    let peer = stream.peer_addr().ip();
    let service = service_fn(|request: http::Request<Incoming>| {
        let (platform, program, conditions) = (platform.clone(), program.clone(), conditions.clone());
        async move {
            let (head, body) = request.into_parts();
            let said = match Limited::new(body, BODY_MAX).collect().await {
                Ok(body) => {
                    let body = body.to_bytes();
                    let asked = Asked { method: head.method, uri: head.uri, headers: head.headers, body, peer };
                    let fate = conditions.fate();
                    if !fate.wait.is_zero() {
                        platform.clock.sleep(fate.wait).await;
                    }
                    match fate.fails {
                        Some(status) => Said::text(status, "failed as asked\n"),
                        None => program.answer(&platform, asked).await,
                    }
                }
                Err(_) => Said::text(413, ""),
            };
            Ok::<_, Infallible>(said.into_response())
        }
    });
    let mut server = http1::Builder::new();
    server.auto_date_header(false);
    // What breaks a connection is told by whoever called.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}
