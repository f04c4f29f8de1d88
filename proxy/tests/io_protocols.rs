//! HTTP/2 on either side, TLS on either side, upgrades, and what is no HTTP at all.

mod io_support;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use io_support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank_platform::hyper_rt::HyperExecutor;
use wavetank_platform::{ListenOptions, Platform};
use wavetank_proxy::DrainTimes;
use wavetank_proxy::record::{Flag, Protocol, Record};
use wavetank_proxy::snapshot::cluster::UpstreamProtocol;
use wavetank_proxy::snapshot::listener::HttpManager;

fn flags(record: &Record) -> String {
    record.flags.iter().map(Flag::to_string).collect::<Vec<_>>().join(",")
}

type Trailing = StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

/// A body of one chunk and one trailer.
fn trailing(data: &'static str) -> Trailing {
    let trailers = HeaderMap::from_iter([("x-t".parse().unwrap(), "1".parse().unwrap())]);
    let frames = vec![Ok(Frame::data(Bytes::from_static(data.as_bytes()))), Ok(Frame::trailers(trailers))];
    StreamBody::new(futures_util::stream::iter(frames))
}

/// An HTTP/2 server that answers with the names of the headers it was sent, in their order, and a trailer.
async fn http2_origin(platform: &Platform) -> std::net::SocketAddr {
    let listener = platform.net.listen(any_port(), ListenOptions::default()).await.unwrap();
    let (address, owner) = (listener.local_addr(), platform.clone());
    platform.spawn.go(async move {
        while let Ok(stream) = listener.accept().await {
            let service = service_fn(|request: Request<Incoming>| async move {
                assert_eq!(
                    (request.version(), request.uri().authority().unwrap().as_str()),
                    (Version::HTTP_2, "a.test")
                );
                let names: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
                let answer = Response::builder().header("x-sent", names.join(" "));
                let sent = request.into_body().collect().await.unwrap();
                assert!(sent.trailers().is_none_or(|trailers| trailers.contains_key("x-t")));
                Ok::<_, Infallible>(answer.body(trailing("h2")).unwrap())
            });
            let server = hyper::server::conn::http2::Builder::new(HyperExecutor::new(&owner));
            let conn = server.serve_connection(TokioIo::new(stream), service);
            owner.spawn.go(async move {
                let _ended = conn.await;
            });
        }
    });
    address
}

async fn http2_client<B>(bench: &Bench) -> http2::SendRequest<B>
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let stream = bench.connect().await;
    let client = http2::Builder::new(HyperExecutor::new(&bench.platform));
    let (sender, conn) = client.handshake(TokioIo::new(stream)).await.unwrap();
    bench.platform.spawn.go(async move {
        let _ended = conn.await;
    });
    sender
}

async fn of_http2(upstream: UpstreamProtocol) -> Bench {
    of_http2_with(upstream, |_| ()).await
}

async fn of_http2_with(upstream: UpstreamProtocol, change: impl FnOnce(&mut HttpManager)) -> Bench {
    let platform = host();
    let address = match upstream {
        UpstreamProtocol::Http1 => Origin::start(&platform, &[Act::Answer(OK)]).await.address,
        _ => http2_origin(&platform).await,
    };
    let mut cluster = cluster("up", &[address]);
    cluster.protocol = upstream;
    let mut manager = manager(vec![route_to("up")]);
    change(&mut manager);
    Bench::start(&platform, snapshot(http(manager), vec![cluster])).await
}

#[tokio::test]
async fn an_expectation_that_is_met_here_leaves_the_order_of_headers() {
    let bench = of_http2_with(UpstreamProtocol::Http2, |manager| manager.proxy_100_continue = true).await;
    let request = "POST / HTTP/1.1\r\nhost: a.test\r\nx-a: 1\r\nexpect: 100-continue\r\nx-b: 1\r\nx-c: 1\r\n\
                   content-length: 2\r\n\r\nhi";
    let answer = bench.ask(request).await;
    assert!(answer.contains("x-sent: x-a x-b x-c content-length "), "{answer}");
}

#[tokio::test]
async fn http2_passes_to_either_protocol_with_trailers() {
    for upstream in [UpstreamProtocol::Http1, UpstreamProtocol::SameAsDownstream] {
        let bench = of_http2(upstream).await;
        let mut sender = http2_client(&bench).await;
        for _ in 0..2 {
            let request = Request::post("http://a.test/x").body(trailing("hello")).unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!((response.status().as_u16(), response.headers()["server"].to_str().unwrap()), (200, "envoy"));
            assert!(!response.headers().contains_key("connection"));
            let body = response.into_body().collect().await.unwrap();
            assert_eq!(body.trailers().is_some(), upstream == UpstreamProtocol::SameAsDownstream);
        }
        let records = bench.records.wait(2).await;
        assert!(records.iter().all(|record| record.protocol == Protocol::Http2 && record.flags.is_empty()));
        assert_eq!((records[0].bytes_received, records[0].bytes_sent), (5, 2));
        assert_eq!(&*records[0].authority, "a.test");
    }
}

/// Over HTTP/2 the end of a body may come apart from its last byte.
#[tokio::test]
async fn a_body_of_a_length_has_ended_when_its_end_has_come() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Answer(OK)]).await;
    let bench =
        Bench::start(&platform, snapshot(http(manager(vec![route_to("up")])), vec![cluster("up", &[origin.address])]))
            .await;
    let mut sender = http2_client(&bench).await;
    for _ in 0..3 {
        let request = Request::post("http://a.test/x").header("content-length", "5").body(trailing("hello")).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
    }
    let records = bench.records.wait(3).await;
    assert!(records.iter().all(|record| record.bytes_received == 5 && record.flags.is_empty()));
    assert_eq!(origin.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn http1_passes_to_http2_and_concurrent_requests_share_its_connection() {
    let bench = of_http2(UpstreamProtocol::Http2).await;
    let asks: Vec<_> = (0..5).map(|_| bench.ask(GET)).collect();
    for answer in futures_util::future::join_all(asks).await {
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("h2"), "{answer}");
    }
    let records = bench.records.wait(5).await;
    let local = records[0].upstream().unwrap().local;
    assert!(records.iter().all(|record| record.upstream().unwrap().local == local));
}

#[tokio::test]
async fn an_http2_caller_that_resets_its_stream_is_recorded_as_dr() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Stall("")]).await;
    let snapshot = snapshot(http(manager(vec![route_to("up")])), vec![cluster("up", &[origin.address])]);
    let bench = Bench::start(&platform, snapshot).await;
    let mut sender = http2_client::<Full<Bytes>>(&bench).await;
    let asking = sender.send_request(Request::get("http://a.test/").body(Full::default()).unwrap());
    let mut asking = Box::pin(asking);
    tokio::select! {
        biased;
        _ = &mut asking => panic!("nobody answers"),
        () = async { while origin.requests().is_empty() { tokio::task::yield_now().await; } } => {}
    }
    drop(asking);
    let record = bench.record().await;
    assert_eq!((flags(&record).as_str(), record.status), ("DR", 0));
}

#[tokio::test]
async fn a_drain_says_goaway_and_lets_streams_finish() {
    let bench = of_http2(UpstreamProtocol::Http1).await;
    let mut sender = http2_client::<Full<Bytes>>(&bench).await;
    let request = || Request::get("http://a.test/").body(Full::default()).unwrap();
    assert_eq!(sender.send_request(request()).await.unwrap().status(), 200);
    let times = DrainTimes { minimum: Duration::ZERO, maximum: Duration::from_secs(60) };
    bench.proxy.drain(times).await;
    assert!(sender.send_request(request()).await.is_err());
}

#[tokio::test]
async fn an_upgrade_that_is_let_through_becomes_a_tunnel() {
    let platform = host();
    let switching = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nhello";
    for (act, wanted) in [
        (Act::Last(switching), "HTTP/1.1 101 Switching Protocols\r\n"),
        (
            Act::Last(OK),
            "HTTP/1.1 200 OK\r\ndate: D\r\nserver: envoy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        ),
    ] {
        let origin = Origin::start(&platform, Vec::leak(vec![act])).await;
        let mut hcm = manager(vec![route_to("up")]);
        hcm.upgrades = vec!["websocket".into()];
        let bench = Bench::start(&platform, snapshot(http(hcm), vec![cluster("up", &[origin.address])])).await;
        let mut stream = bench.connect().await;
        let request = "GET / HTTP/1.1\r\nhost: a.test\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream, false).await;
        assert!(answer.starts_with(wanted), "{answer}");
        assert!(origin.requests()[0].contains("\r\nupgrade: websocket\r\n"));
        let rest = read_rest(&mut stream).await;
        stream.shutdown().await.unwrap();
        let record = bench.record().await;
        if answer.contains(" 101 ") {
            assert_eq!((rest.as_str(), record.status, record.bytes_sent), ("hello", 101, 5));
        } else {
            assert_eq!(&*record.details, "websocket_handshake_unsuccessful");
        }
    }
}

#[tokio::test]
async fn what_is_no_http_is_answered_and_recorded_as_envoy_does() {
    for (request, wanted, details) in [
        ("GET / HTTP/1.0\r\nhost: a.test\r\n\r\n", "426 Upgrade Required", "low_version"),
        ("garbage\r\n\r\n", "400 Bad Request", "http1.codec_error"),
        ("GET nopath HTTP/1.1\r\nhost: a\r\n\r\n", "400 Bad Request", "http1.codec_error"),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "400 Bad Request",
            "http1.codec_error",
        ),
    ] {
        let bench = of_http2(UpstreamProtocol::Http1).await;
        let mut stream = bench.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        let _broken = stream.read_to_end(&mut got).await;
        let got = String::from_utf8(got).unwrap();
        let (status, text) = wanted.split_once(' ').unwrap();
        assert!(
            got.contains(&format!(
                " {status} {text}\r\ncontent-length: {}\r\ncontent-type: text/plain\r\ndate: ",
                text.len()
            )),
            "{request}: {got}"
        );
        assert!(got.ends_with(&format!("\r\nserver: envoy\r\nconnection: close\r\n\r\n{text}")), "{got}");
        let record = bench.record().await;
        assert_eq!((flags(&record).as_str(), &*record.details), ("DPE", details));
        assert_eq!((record.status.to_string().as_str(), record.attempts.len()), (status, 0));
    }
}

#[tokio::test]
async fn a_caller_that_breaks_its_body_is_answered_or_given_up() {
    let bench = of_http2(UpstreamProtocol::Http1).await;
    let head = "POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut stream = bench.connect().await;
    stream.write_all(format!("{head}zz\r\n").as_bytes()).await.unwrap();
    let answer = read_rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    let mut stream = bench.connect().await;
    stream.write_all(format!("{head}3\r\nabc").as_bytes()).await.unwrap();
    drop(stream);
    let records = bench.records.wait(2).await;
    assert_eq!((flags(&records[0]).as_str(), &*records[0].details), ("DPE", "http1.codec_error"));
    assert_eq!((flags(&records[1]).as_str(), records[1].status), ("DC", 0));
}
