//! The load over HTTP/2: plain requests, and gRPC calls of one message each way.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::Failure;
use super::load::{Count, Sample, window_of};
use super::origin::{GRPC_PATH, SMALL};

/// What is asked on each stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A GET.
    Get,
    /// A unary call with a message of [`SMALL`] bytes.
    Grpc,
}

/// As [`super::load::closed`], with `streams` callers on each of `connections`.
pub async fn closed(
    at: SocketAddr,
    call: Call,
    (connections, streams): (usize, usize),
    window: Duration,
    probe: &dyn Fn() -> Result<u64, Failure>,
) -> Result<Sample, Failure> {
    let mut senders = Vec::new();
    for _ in 0..connections {
        senders.push(connect(at).await?);
    }
    let callers = senders.iter().flat_map(|sender| (0..streams).map(move |_| sender.clone()));
    let tasks = callers.map(|mut sender| {
        move |count: Rc<Count>| async move { while count.note(once(&mut sender, at, call).await) {} }
    });
    window_of(tasks, window, probe).await
}

async fn connect(at: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = TcpStream::connect(at).await.map_err(|error| format!("connect: {error}"))?;
    stream.set_nodelay(true).map_err(|error| format!("connect: {error}"))?;
    let shaken = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|error| format!("HTTP/2: {error}"))?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn once(sender: &mut SendRequest<Full<Bytes>>, at: SocketAddr, call: Call) -> Result<(), Failure> {
    let (method, path) = if call == Call::Grpc { ("POST", GRPC_PATH) } else { ("GET", "/") };
    let mut request = Request::builder().method(method).uri(format!("http://{at}{path}"));
    request = request.header("user-agent", "bench/1").header("accept-encoding", "gzip");
    let body = match call {
        Call::Get => Bytes::new(),
        Call::Grpc => {
            request = request.header("content-type", "application/grpc").header("te", "trailers");
            let length = u32::try_from(SMALL).unwrap_or_default().to_be_bytes();
            [&[0][..], &length, &[b'x'; SMALL]].concat().into()
        }
    };
    let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
    sender.ready().await.map_err(|error| format!("HTTP/2: {error}"))?;
    let response = sender.send_request(request).await.map_err(|error| format!("HTTP/2: {error}"))?;
    if response.status() != StatusCode::OK {
        return Err(format!("answered {}", response.status()));
    }
    let collected = response.into_body().collect().await.map_err(|error| format!("HTTP/2 body: {error}"))?;
    let status = collected.trailers().and_then(|trailers| trailers.get("grpc-status")).cloned();
    let size = collected.to_bytes().len();
    match call {
        Call::Get if size == SMALL => Ok(()),
        Call::Grpc if size == SMALL + 5 && status.as_ref().is_some_and(|status| status == "0") => Ok(()),
        _ => Err(format!("a body of {size} bytes, gRPC status {status:?}")),
    }
}
