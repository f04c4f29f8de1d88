//! The program behind the proxy: streams whatever it is asked for, and holds nothing of it.
//!
//! - `/echo`: the body as it comes, and behind it how long it was, as the trailer `x-bytes`
//! - `/bytes/N`: so many bytes
//! - `/count`, and any other path: how many bytes the body has
//!
//! At an address of its own, in HTTP/1.1, it says 103 before the answer, whatever the path; hyper says no such thing.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank_platform::hyper_rt::{HyperExecutor, HyperTimer};
use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::{ListenOptions, Platform, Stream};

use crate::live::loopback;

/// Bytes of one piece of a body.
const PIECE: usize = 64 * 1024;
/// What is sent where nothing else is asked for.
static ZEROS: [u8; PIECE] = [0; PIECE];

const EARLY: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n\
HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly";

/// The running program. It ends when this handle is dropped.
#[derive(Debug)]
pub struct Origin {
    /// Where it speaks HTTP/1.1.
    pub http1: SocketAddr,
    /// Where it speaks HTTP/2 with prior knowledge.
    pub http2: SocketAddr,
    /// Where it answers every request with 103 first.
    pub early: SocketAddr,
    _serving: [OwnedTask; 3],
}

#[derive(Debug, Clone, Copy)]
enum Tongue {
    Http1,
    Http2,
    Early,
}

impl Origin {
    /// Starts it on free ports of the loopback.
    ///
    /// # Panics
    /// When there are none.
    pub async fn start(platform: &Platform) -> Self {
        let (http1, first) = serve(platform, Tongue::Http1).await;
        let (http2, second) = serve(platform, Tongue::Http2).await;
        let (early, third) = serve(platform, Tongue::Early).await;
        Self { http1, http2, early, _serving: [first, second, third] }
    }
}

async fn serve(platform: &Platform, tongue: Tongue) -> (SocketAddr, OwnedTask) {
    let listener = platform.net.listen(loopback(0), ListenOptions::default()).await.expect("a free port");
    let (address, own) = (listener.local_addr(), platform.clone());
    let serving = platform.spawn.go(async move {
        while let Ok(stream) = listener.accept().await {
            own.spawn.go(converse(own.clone(), tongue, stream));
        }
    });
    (address, serving.abort_on_drop())
}

/// A caller that leaves is no error here.
async fn converse(platform: Platform, tongue: Tongue, mut stream: Stream) {
    let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request).await) });
    match tongue {
        Tongue::Http1 => {
            let io = TokioIo::new(stream);
            let _left = http1::Builder::new().timer(HyperTimer).serve_connection(io, service).await;
        }
        Tongue::Http2 => {
            let io = TokioIo::new(stream);
            let mut server = http2::Builder::new(HyperExecutor::new(&platform));
            let _left = server.timer(HyperTimer).max_concurrent_streams(1000).serve_connection(io, service).await;
        }
        Tongue::Early => {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let _left = stream.write_all(EARLY).await;
        }
    }
}

async fn answer(request: Request<Incoming>) -> Response<Reply> {
    let path = request.uri().path().to_owned();
    if path == "/echo" {
        let mut response = Response::new(Reply::Echo { body: request.into_body(), bytes: 0, told: false });
        response.headers_mut().insert("trailer", HeaderValue::from_static("x-bytes"));
        return response;
    }
    if let Some(wanted) = path.strip_prefix("/bytes/").and_then(|count| count.parse().ok()) {
        return Response::new(Reply::Zeros(wanted));
    }
    let mut body = request.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { break };
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
    Response::new(Reply::Text(Some(format!("{bytes}\n").into())))
}

/// A body that is made as it is sent.
#[derive(Debug)]
enum Reply {
    Text(Option<Bytes>),
    Zeros(u64),
    Echo { body: Incoming, bytes: usize, told: bool },
}

impl Body for Reply {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Zeros(0) => Poll::Ready(None),
            Self::Zeros(left) => {
                let piece = usize::try_from(*left).unwrap_or(PIECE).min(PIECE);
                *left -= piece as u64;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&ZEROS[..piece])))))
            }
            Self::Echo { told: true, .. } => Poll::Ready(None),
            Self::Echo { body, bytes, told } => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                if let Some(frame) = frame
                    && frame.as_ref().map_or(true, Frame::is_data)
                {
                    *bytes += frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len);
                    return Poll::Ready(Some(frame));
                }
                *told = true;
                let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("x-bytes"), (*bytes).into())]);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
    }
}
