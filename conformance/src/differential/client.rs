//! The caller: raw bytes, or HTTP/2, in plaintext or over TLS.

use std::error::Error;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use wavetank_platform::{Io, Platform, Stream};
use wavetank_proxy::snapshot::tls::{SecretName, UpstreamTls};
use wavetank_proxy::tls::Tls;

use super::row::{H2, Row, Step};
use super::sides::Side;
use super::upstream::Upstream;

/// For what is sure to come.
const PATIENCE: Duration = Duration::from_secs(2);
/// For an end that may not come.
const SHORT: Duration = Duration::from_millis(1200);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// What a caller can look at while it waits.
pub struct Sight<'a> {
    /// The servers behind the proxy.
    pub upstream: &'a Upstream,
    /// How many access log lines are there.
    pub logged: &'a dyn Fn() -> usize,
    /// TLS of the caller.
    pub tls: &'a Tls,
    /// The side that is called.
    pub side: &'a Side,
    /// Where the caller is.
    pub platform: &'a Platform,
}

/// Does what `row` says at `addr`; what the caller got, as text. `<…>` marks what is no byte.
pub async fn run(row: &Row, addr: SocketAddr, sight: &Sight<'_>) -> String {
    let stream = match connect(row, addr).await {
        Ok(stream) => stream,
        Err(error) => return format!("<no connection: {}>", error.kind()),
    };
    if row.resets {
        reset_at_the_end(&stream);
    }
    let Some(tls) = &row.tls else { return talk(row, stream, sight).await };
    let config = UpstreamTls {
        certificate: tls.certificate.map(|name| SecretName(name.into())),
        validation: None,
        sni: tls.sni.map(Into::into),
        alpn: tls.alpn.iter().map(|name| (*name).into()).collect(),
    };
    let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return "<gone>".to_owned() };
    match sight.tls.connect(&config, Stream::new(stream, local, peer, None)).await {
        Ok((stream, session)) => {
            let alpn = session.alpn.as_deref().unwrap_or("-").to_owned();
            format!("<alpn {alpn}>{}", talk(row, stream, sight).await)
        }
        Err(_) => "<no TLS>".to_owned(),
    }
}

/// A RST instead of a FIN when the stream is dropped.
fn reset_at_the_end(stream: &TcpStream) {
    let _unsupported = stream.set_zero_linger();
}

async fn connect(row: &Row, addr: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((row.from, 0)))?;
    let stream = socket.connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn talk<S: Io>(row: &Row, stream: S, sight: &Sight<'_>) -> String {
    if row.h2.is_empty() { raw(row, stream, sight).await } else { http2(row, stream).await }
}

async fn raw<S: Io>(row: &Row, mut stream: S, sight: &Sight<'_>) -> String {
    let mut wire = Wire { stream: &mut stream, got: Vec::new(), taken: 0, notes: String::new(), ended: false };
    let head_only = row.steps.iter().any(|step| matches!(step, Step::Send(bytes) if bytes.starts_with(b"HEAD ")));
    for step in &row.steps {
        match step {
            Step::Send(bytes) => {
                let _gone = wire.stream.write_all(bytes).await;
                let _gone = wire.stream.flush().await;
            }
            Step::Answers(count) => {
                for _ in 0..*count {
                    wire.answer(head_only).await;
                }
            }
            Step::Until(text) => wire.until(text).await,
            Step::End => wire.end().await,
            Step::Upstream(count, end) => {
                let seen = || {
                    let seen = sight.upstream.seen();
                    seen.len() >= *count && seen.last().is_some_and(|last| last.ends_with(end))
                };
                if !look(seen).await {
                    wire.notes.push_str("<not upstream>");
                }
            }
            Step::Logged(count) => {
                if !look(|| (sight.logged)() >= *count).await {
                    wire.notes.push_str("<not logged>");
                }
            }
            Step::Wait(time) => tokio::time::sleep(*time).await,
            Step::Settled => sight.side.settle(sight.platform).await,
            Step::Back(cluster) => sight.side.back(sight.platform, cluster).await,
            Step::HalfClose => {
                let _gone = wire.stream.shutdown().await;
            }
            Step::Leave => return wire.text(),
        }
    }
    let _gone = wire.stream.shutdown().await;
    let _late = tokio::time::timeout(SHORT, wire.rest()).await;
    wire.text()
}

async fn look(condition: impl Fn() -> bool) -> bool {
    let looking = async {
        while !condition() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.is_ok()
}

struct Wire<'a, S> {
    stream: &'a mut S,
    got: Vec<u8>,
    /// Bytes of whole answers.
    taken: usize,
    notes: String,
    ended: bool,
}

impl<S: Io> Wire<'_, S> {
    fn text(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.got), self.notes)
    }

    /// Reads some more; `false` at the end.
    async fn more(&mut self) -> bool {
        if !self.ended {
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.got)).await;
            self.ended = !matches!(read, Ok(Ok(1..)));
            if read.is_err() {
                self.notes.push_str("<nothing more>");
            }
        }
        !self.ended
    }

    async fn answer(&mut self, head_only: bool) {
        loop {
            if let Some(length) = whole(&self.got[self.taken..], head_only) {
                self.taken += length;
                return;
            }
            if !self.more().await {
                return;
            }
        }
    }

    async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.got).contains(text) {
            if !self.more().await {
                return;
            }
        }
    }

    async fn rest(&mut self) {
        while self.more().await {}
    }

    async fn end(&mut self) {
        let ended = tokio::time::timeout(SHORT, self.rest()).await.is_ok();
        self.notes.push_str(if ended { "<end>" } else { "<open>" });
    }
}

/// Length of the whole answer that `got` begins with, interim answers included.
fn whole(got: &[u8], head_only: bool) -> Option<usize> {
    let text = String::from_utf8_lossy(got);
    let head_end = text.find("\r\n\r\n")? + 4;
    let head = text.get(..head_end)?;
    let code = head.split(' ').nth(1)?;
    if code.starts_with('1') && code != "101" {
        return Some(head_end + whole(got.get(head_end..)?, head_only)?);
    }
    if head_only || matches!(code, "101" | "204" | "304") {
        return Some(head_end);
    }
    let body = got.get(head_end..)?;
    if head.contains("\r\ntransfer-encoding: chunked\r\n") {
        let last = body.windows(3).position(|three| three == b"0\r\n")?;
        let end = body.get(last..)?.windows(4).position(|four| four == b"\r\n\r\n")?;
        return Some(head_end + last + end + 4);
    }
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())?;
    (body.len() >= length).then_some(head_end + length)
}

async fn http2<S: Io>(row: &Row, stream: S) -> String {
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let Ok((mut sender, connection)) = handshake else { return "<no HTTP/2>".to_owned() };
    let conversation = async {
        let mut text = String::new();
        for request in &row.h2 {
            let answered = tokio::time::timeout(PATIENCE, one(&mut sender, request)).await;
            text.push_str(&answered.unwrap_or_else(|_late| "<nothing>".to_owned()));
        }
        drop(sender);
        text
    };
    let (text, _ended) = tokio::join!(conversation, connection);
    text
}

type Sender = hyper::client::conn::http2::SendRequest<Either<Full<Bytes>, Unsized>>;
type Unsized = StreamBody<tokio_stream::Once<Result<Frame<Bytes>, std::convert::Infallible>>>;

async fn one(sender: &mut Sender, request: &H2) -> String {
    let body = Bytes::from_static(request.body.as_bytes());
    let body = if request.sized {
        Either::Left(Full::new(body))
    } else {
        Either::Right(StreamBody::new(tokio_stream::once(Ok(Frame::data(body)))))
    };
    let mut builder = http::Request::builder().method(request.method).uri(&request.uri);
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    let Ok(message) = builder.body(body) else { return "<no request>".to_owned() };
    let response = match sender.send_request(message).await {
        Ok(response) => response,
        Err(error) => return cause(&error),
    };
    let mut text = format!("{}\r\n", response.status().as_u16());
    fields(response.headers(), &mut text);
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        match frame {
            Err(error) => {
                text.push_str(&cause(&error));
                break;
            }
            Ok(frame) => match frame.into_data() {
                Ok(data) => text.push_str(&String::from_utf8_lossy(&data)),
                Err(frame) => frame.trailers_ref().into_iter().for_each(|trailers| fields(trailers, &mut text)),
            },
        }
    }
    text
}

fn fields(headers: &http::HeaderMap, text: &mut String) {
    for (name, value) in headers {
        let _written = write!(text, "{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
    }
    text.push_str("\r\n");
}

/// The innermost cause: what the peer did.
fn cause(error: &hyper::Error) -> String {
    let mut inner: &dyn Error = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    format!("<{inner}>")
}
