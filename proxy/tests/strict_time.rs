//! How long callers may take where nothing is configured, in virtual time.

mod io_support;
mod tls_support;

use std::time::Duration;

use io_support::*;
use tls_support::World;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank_platform::{Platform, Stream};
use wavetank_proxy::record::{Flag, Record};
use wavetank_proxy::snapshot::listener::{HttpManager, Listener};
use wavetank_proxy::snapshot::route::{ClusterChoice, Forward};

/// A proxy in memory, at the edge or not, whose only route leads to an origin that acts like this.
async fn bench(edge: bool, acts: &'static [Act]) -> (Bench, Origin, Platform) {
    bench_of(|manager| manager.use_remote_address = edge, acts).await
}

async fn bench_of(change: impl FnOnce(&mut HttpManager), acts: &'static [Act]) -> (Bench, Origin, Platform) {
    let platform = World::new().platform(1);
    let origin = Origin::start(&platform, acts).await;
    // No route's timeout gets in the way.
    let mut to_up = Forward::to(ClusterChoice::Single("up".into()));
    to_up.timeout = Some(Duration::ZERO);
    let mut manager = manager(vec![forward(to_up)]);
    change(&mut manager);
    let mut listener = Listener::new("l", "127.0.0.1:8080".parse().unwrap());
    listener.filter_chains.push(chain(http(manager)));
    let bench = Bench::start(&platform, of(listener, vec![cluster("up", &[origin.address])])).await;
    (bench, origin, platform)
}

/// Reads to the end, and says how long that took.
async fn rest(platform: &Platform, stream: &mut Stream) -> (String, Duration) {
    let start = platform.clock.now();
    let rest = read_rest(stream).await;
    (rest, platform.clock.now().saturating_since(start))
}

fn told(record: &Record) -> (u16, String, String) {
    let flags: Vec<_> = record.flags.iter().map(Flag::to_string).collect();
    (record.status, flags.join(","), record.details.to_string())
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_given_up_sooner_at_the_edge() {
    for (edge, seconds, wanted) in [
        (true, 60, (408, String::new(), "request_header_timeout".to_owned())),
        (false, 300, (408, "SI".to_owned(), "stream_idle_timeout".to_owned())),
    ] {
        let (bench, _origin, platform) = bench(edge, &[Act::Answer(OK)]).await;
        let mut stream = bench.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a.te").await.unwrap();
        // Bytes that come one by one do not make it longer.
        platform.clock.sleep(Duration::from_secs(30)).await;
        stream.write_all(b"s").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"timeout") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
        }
        assert_eq!(told(&bench.record().await), wanted);
        assert_eq!(bench.record().await.duration.as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_given_up() {
    let (bench, _origin, platform) = bench(true, &[Act::Answer(OK)]).await;
    let mut stream = bench.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 9\r\n\r\nabc").await.unwrap();
    let (answer, _) = rest(&platform, &mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert_eq!(told(&bench.record().await), (408, "SI".to_owned(), "stream_idle_timeout".to_owned()));
    assert_eq!(bench.record().await.duration.as_secs(), 300);
}

/// A program that knows nothing of `100-continue` waits for the body, and a caller that has sent it for the answer.
#[tokio::test(start_paused = true)]
async fn a_body_that_was_offered_goes_on_when_the_upstream_says_nothing_for_a_second() {
    let (bench, origin, platform) = bench_of(|manager| manager.proxy_100_continue = true, &[Act::Answer(OK)]).await;
    let mut stream = bench.connect().await;
    let head = "POST / HTTP/1.1\r\nhost: a.test\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let start = platform.clock.now();
    stream.write_all(format!("{head}hello").as_bytes()).await.unwrap();
    let answer = read_answer(&mut stream, false).await;
    let (interim, last) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(interim, "HTTP/1.1 100 Continue");
    assert!(last.starts_with("HTTP/1.1 200 OK\r\n") && last.ends_with("ok"), "{last}");
    assert!(origin.requests()[0].ends_with("hello"));
    assert_eq!(platform.clock.now().saturating_since(start).as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_is_closed_after_an_hour() {
    let (bench, _origin, platform) = bench(true, &[Act::Answer(OK)]).await;
    let mut stream = bench.connect().await;
    assert!(ask_on(&mut stream, GET).await.starts_with("HTTP/1.1 200 OK\r\n"));
    let (rest, after) = rest(&platform, &mut stream).await;
    assert_eq!((rest.as_str(), after.as_secs()), ("", 3600));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_closed_its_side_is_answered_for_so_long() {
    let (bench, origin, platform) = bench(false, &[Act::Stall("")]).await;
    let mut stream = bench.connect().await;
    stream.write_all(GET.as_bytes()).await.unwrap();
    while origin.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    stream.shutdown().await.unwrap();
    let (answer, after) = rest(&platform, &mut stream).await;
    assert_eq!((answer.as_str(), after.as_secs()), ("", 15));
    assert_eq!(told(&bench.record().await), (0, "DC".to_owned(), "downstream_remote_disconnect".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_refused_caller_that_goes_on_sending_is_left_after_a_second() {
    let (bench, _origin, platform) = bench(true, &[Act::Answer(OK)]).await;
    let mut stream = bench.connect().await;
    stream.write_all(b"nonsense\r\n\r\n").await.unwrap();
    let answer = read_answer(&mut stream, false).await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    let start = platform.clock.now();
    while stream.write_all(&[b'x'; 1024]).await.is_ok() {
        platform.clock.sleep(Duration::from_millis(100)).await;
    }
    let after = platform.clock.now().saturating_since(start);
    assert!((900..=1200).contains(&after.as_millis()), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_reads_late_gets_all_that_comes_before_the_end() {
    const SIZE: usize = 1024 * 1024;
    let body = "x".repeat(SIZE);
    let sized = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n{body}");
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{SIZE:x}\r\n{body}\r\n0\r\n\r\n");
    for (answer, refused) in [(&sized, false), (&chunked, false), (&sized, true), (&chunked, true)] {
        let acts = Vec::leak(vec![Act::Answer(answer.clone().leak())]);
        let (bench, _origin, platform) = bench(false, acts).await;
        let mut stream = bench.connect().await;
        stream.write_all(GET.as_bytes()).await.unwrap();
        if refused {
            stream.write_all(b"nonsense\r\n\r\n").await.unwrap();
        } else {
            stream.shutdown().await.unwrap();
        }
        platform.clock.sleep(Duration::from_secs(3)).await;
        let (all, _) = rest(&platform, &mut stream).await;
        let data = all.bytes().filter(|byte| *byte == b'x').count();
        // A name in the head has one too, and the type of a refusal's text.
        assert_eq!(data, SIZE + 1 + usize::from(refused), "refused: {refused}");
        let chunks_end = !all.contains("transfer-encoding: chunked") || all.contains("\r\n0\r\n\r\n");
        assert!(chunks_end && all.contains("HTTP/1.1 400 Bad Request\r\n") == refused, "refused: {refused}");
    }
}
