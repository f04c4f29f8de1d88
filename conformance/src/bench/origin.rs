//! The program behind the proxies: as little work for each request as can be.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::pki::{Pki, server};

/// Bytes of an ordinary body and of a message.
pub const SMALL: usize = 1024;
/// Bytes of a large body.
pub const LARGE: usize = 1 << 20;
/// Path whose answer is large; every other one's is small.
pub const LARGE_PATH: &str = "/large";
/// Path that is asked by gRPC.
pub const GRPC_PATH: &str = "/bench.Echo/Unary";

/// Bytes of one read.
const READ: usize = 64 * 1024;

/// Where the program listens.
#[derive(Debug, Clone, Copy)]
pub struct Origins {
    /// HTTP/1.1.
    pub http1: SocketAddr,
    /// HTTP/1.1 behind mTLS.
    pub secure: SocketAddr,
    /// HTTP/2 with prior knowledge, and gRPC.
    pub http2: SocketAddr,
    /// Says what it hears.
    pub echo: SocketAddr,
}

/// Starts the program on the current runtime, until that ends.
///
/// Errs when there are no free ports.
pub async fn start(pki: &Pki) -> io::Result<Origins> {
    let tls = pki.tls.clone();
    let answers = Answers::new();
    let (plain, behind_tls) = (answers.clone(), answers);
    Ok(Origins {
        http1: listen(move |stream| http1(stream, plain.clone())).await?,
        secure: listen(move |stream| {
            let (tls, answers) = (tls.clone(), behind_tls.clone());
            async move {
                let accepted = tls.accept(&server(), stream).await;
                let (stream, _) = accepted.map_err(|error| io::Error::other(error.to_string()))?;
                http1(stream, answers).await
            }
        })
        .await?,
        http2: listen(multiplexed).await?,
        echo: listen(echo).await?,
    })
}

async fn listen<F, Fut>(serve: F) -> io::Result<SocketAddr>
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Latency is not to wait for full segments.
            let _nodelay = stream.set_nodelay(true);
            tokio::spawn(serve(stream));
        }
    });
    Ok(address)
}

/// Whole responses, head and body in one.
#[derive(Clone)]
struct Answers {
    small: Bytes,
    large: Bytes,
}

impl Answers {
    fn new() -> Self {
        let of = |size: usize| {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {size}\r\n\r\n");
            [head.into_bytes(), vec![b'x'; size]].concat().into()
        };
        Self { small: of(SMALL), large: of(LARGE) }
    }
}

/// Answers requests without a body.
async fn http1<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answers: Answers) -> io::Result<()> {
    let mut heard: Vec<u8> = Vec::with_capacity(4096);
    loop {
        while let Some(end) = heard.windows(4).position(|four| four == b"\r\n\r\n") {
            let path = heard.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            let answer = if path == LARGE_PATH.as_bytes() { &answers.large } else { &answers.small };
            heard.drain(..end + 4);
            stream.write_all(answer).await?;
        }
        if stream.read_buf(&mut heard).await? == 0 {
            return Ok(());
        }
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut heard = vec![0; READ];
    loop {
        match stream.read(&mut heard).await? {
            0 => return Ok(()),
            count => stream.write_all(&heard[..count]).await?,
        }
    }
}

async fn multiplexed(stream: TcpStream) -> io::Result<()> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let serving = builder.max_concurrent_streams(1024).serve_connection(TokioIo::new(stream), service_fn(respond));
    serving.await.map_err(io::Error::other)
}

async fn respond(request: Request<Incoming>) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let body = Full::new(Bytes::from_static(&[b'x'; SMALL]));
    if request.uri().path() != GRPC_PATH {
        return Ok(Response::new(body.boxed_unsync()));
    }
    // A caller that breaks off is answered all the same, and never hears it.
    let asked = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let trailers =
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let body = Full::new(asked).with_trailers(async { Some(Ok(trailers)) }).boxed_unsync();
    let mut response = Response::new(body);
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}
