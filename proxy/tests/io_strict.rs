//! What the proxy refuses, byte for byte: heads that two readers may read in two ways, heads that are too
//! large or too late, and how a refusal ends its connection.

mod io_support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use io_support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank_platform::ListenOptions;
use wavetank_proxy::record::{Direction, Flag, Record};
use wavetank_proxy::snapshot::listener::{HttpManager, Listener};
use wavetank_proxy::snapshot::route::{Action, Route, RouteMatch};

async fn bench_of(
    change: impl FnOnce(&mut HttpManager),
    direction: Direction,
    acts: &'static [Act],
) -> (Bench, Origin) {
    let platform = host();
    let origin = Origin::start(&platform, acts).await;
    let mut manager = manager(vec![route_to("up")]);
    change(&mut manager);
    let mut listener = Listener::new("l", any_port());
    listener.filter_chains.push(chain(http(manager)));
    listener.direction = direction;
    let bench = Bench::start(&platform, of(listener, vec![cluster("up", &[origin.address])])).await;
    (bench, origin)
}

async fn strict() -> (Bench, Origin) {
    bench_of(|_| {}, Direction::Gateway, &[Act::Answer(OK)]).await
}

fn told(record: &Record) -> (u16, String, String) {
    let flags: Vec<_> = record.flags.iter().map(Flag::to_string).collect();
    (record.status, flags.join(","), record.details.to_string())
}

fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: a.test\r\n{lines}\r\n")
}

fn post(rest: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: a.test\r\n{rest}")
}

/// Bytes, the status they are answered with, and flag and details of their record.
fn refused() -> Vec<(String, u16, &'static str, &'static str)> {
    let both = "http1.content_length_and_chunked_not_allowed";
    let line = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: a.test\r\n\r\n");
    let many: String = (0..100).map(|number| format!("x-{number}: 1\r\n")).collect();
    vec![
        (post("content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), 400, "DPE", both),
        (post("transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n"), 400, "DPE", both),
        (
            post("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            400,
            "DPE",
            "http1.codec_error",
        ),
        (post("content-length: 2\r\ncontent-length: 2\r\n\r\nhi"), 400, "DPE", "http1.codec_error"),
        (post("transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501, "DPE", "http1.invalid_transfer_encoding"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "", "missing_host_header"),
        (get("host: a.test\r\n"), 400, "DPE", "http1.duplicate_host"),
        ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n".to_owned(), 400, "DPE", "http.invalid_authority"),
        ("GET / HTTP/1.1\r\nhost: u@a.test\r\n\r\n".to_owned(), 400, "DPE", "http.invalid_authority"),
        ("GET / HTTP/1.1\nhost: a.test\n\n".to_owned(), 400, "DPE", "http1.bare_line_feed"),
        ("GET / HTTP/1.1\r\nhost: a.test\nx: 1\r\n\r\n".to_owned(), 400, "DPE", "http1.bare_line_feed"),
        (line("/a#b"), 400, "", "path_normalization_failed"),
        (line("/a%2fb"), 400, "", "path_normalization_failed"),
        (line("/a%5Cb"), 400, "", "path_normalization_failed"),
        (line("/a%252fb"), 400, "", "path_normalization_failed"),
        (line("/a%00b"), 400, "", "path_normalization_failed"),
        (line("/a%zzb"), 400, "", "path_normalization_failed"),
        ("TRACE / HTTP/1.1\r\nhost: a.test\r\n\r\n".to_owned(), 405, "", "trace_not_allowed"),
        (post("expect: 200-maybe\r\ncontent-length: 2\r\n\r\nhi"), 417, "", "unknown_expectation"),
        (get(&format!("x: {}\r\n", "a".repeat(70_000))), 431, "DPE", "http1.headers_too_large"),
        (get(&many), 431, "DPE", "http1.too_many_headers"),
        (line(&format!("/{}", "a".repeat(70_000))), 414, "DPE", "http1.uri_too_long"),
        ("GET / HTTP/1.0\r\nhost: a.test\r\n\r\n".to_owned(), 426, "DPE", "low_version"),
        ("GET / HTTP/2.0\r\nhost: a.test\r\n\r\n".to_owned(), 426, "DPE", "low_version"),
        ("GET /\r\n\r\n".to_owned(), 426, "DPE", "low_version"),
        (get("x: a\r\n b\r\n"), 400, "DPE", "http1.codec_error"),
        (get("x : a\r\n"), 400, "DPE", "http1.codec_error"),
        (get("x: a\0b\r\n"), 400, "DPE", "http1.invalid_characters"),
    ]
}

#[tokio::test]
async fn what_is_refused_is_answered_and_recorded_and_goes_nowhere() {
    let (bench, origin) = strict().await;
    for (number, (request, status, flag, details)) in refused().into_iter().enumerate() {
        let mut stream = bench.connect().await;
        let answer = ask_on(&mut stream, &request).await;
        let shown = &request[..request.len().min(80)];
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown}: {answer}");
        let record = bench.records.wait(number + 1).await.pop().unwrap();
        assert_eq!(told(&record), (status, flag.to_owned(), details.to_owned()), "{shown}");
        assert!(record.attempts.is_empty());
        if answer.contains("\r\nconnection: close\r\n") {
            assert_eq!(read_rest(&mut stream).await, "", "{shown}");
        } else {
            assert_eq!(status, 405, "{shown}");
        }
    }
    assert_eq!(origin.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_refusal_has_the_form_of_every_answer_of_ours() {
    let (bench, _origin) = strict().await;
    let answer = bench.ask("GET / HTTP/1.1\nhost: a.test\n\n").await;
    assert_eq!(
        answer,
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 11\r\ncontent-type: text/plain\r\ndate: D\r\nserver: envoy\r\n\
         connection: close\r\n\r\nBad Request"
    );
    let trace = bench.ask("TRACE / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert!(trace.contains("\r\nallow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"), "{trace}");
}

#[tokio::test]
async fn a_refusal_comes_after_the_answers_before_it_and_nothing_after_it_is_read() {
    let (bench, origin) = strict().await;
    let mut stream = bench.connect().await;
    let bad = "GET / HTTP/1.1\r\nhost: a.test\r\nhost: b.test\r\n\r\n";
    let requests = format!("{GET}{}hi{bad}{GET}", post("content-length: 2\r\n\r\n"));
    stream.write_all(requests.as_bytes()).await.unwrap();
    let answers = read_rest(&mut stream).await;
    let statuses: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "400"], "{answers}");
    assert_eq!(origin.requests().len(), 2);
    let records = bench.records.wait(3).await;
    assert_eq!(&*records[2].details, "http1.duplicate_host");
}

#[tokio::test]
async fn what_follows_a_request_that_asked_to_close_is_not_answered() {
    let (bench, _origin) = strict().await;
    let mut stream = bench.connect().await;
    let requests = format!("{}garbage\r\n\r\n", get("connection: close\r\n"));
    stream.write_all(requests.as_bytes()).await.unwrap();
    let answers = read_rest(&mut stream).await;
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
}

#[tokio::test]
async fn requests_pass_whole_however_they_are_cut() {
    let (bench, origin) = strict().await;
    let chunked = post("transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n");
    let requests = format!("\r\n{GET}{}hello{chunked}{GET}", post("content-length: 5\r\n\r\n"));
    for piece in [1, 7, 1000] {
        let mut stream = bench.connect().await;
        for part in requests.as_bytes().chunks(piece) {
            stream.write_all(part).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        for _ in 0..4 {
            let answer = read_answer(&mut stream, false).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        }
    }
    let seen = origin.requests();
    assert_eq!(seen.len(), 12);
    assert!(seen[1].ends_with("\r\n\r\nhello") && seen[10].contains("\r\n\r\n3\r\nabc\r\n0\r\n"), "{seen:?}");
}

#[tokio::test]
async fn limits_are_those_of_the_configuration() {
    let change = |manager: &mut HttpManager| (manager.head_bytes_max, manager.headers_max) = (1024, 3);
    let (bench, _origin) = bench_of(change, Direction::Gateway, &[Act::Answer(OK)]).await;
    for (request, status) in [
        (get("x: 1\r\ny: 1\r\n"), "200"),
        (get("x: 1\r\ny: 1\r\nz: 1\r\n"), "431"),
        (get(&format!("x: {}\r\n", "a".repeat(1000))), "431"),
        (format!("GET /{} HTTP/1.1\r\nhost: a.test\r\n\r\n", "a".repeat(1024)), "414"),
    ] {
        let answer = bench.ask(&request).await;
        assert_eq!(&answer[9..12], status, "{answer}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_whole_is_given_up() {
    const SOON: Duration = Duration::from_millis(30);
    type Change = fn(&mut HttpManager, Option<Duration>);
    for (change, wanted) in [
        (
            (|manager, soon| manager.request_headers_timeout = soon) as Change,
            (408, String::new(), "request_header_timeout".to_owned()),
        ),
        (|manager, soon| manager.stream_idle_timeout = soon, (408, "SI".to_owned(), "stream_idle_timeout".to_owned())),
        (|manager, soon| manager.request_timeout = soon, (408, String::new(), "request_overall_timeout".to_owned())),
    ] {
        let (bench, _origin) =
            bench_of(|manager| change(manager, Some(SOON)), Direction::Gateway, &[Act::Answer(OK)]).await;
        let mut stream = bench.connect().await;
        stream.write_all(format!("{GET}GET / HT").as_bytes()).await.unwrap();
        let answers = read_rest(&mut stream).await;
        assert!(answers.contains("HTTP/1.1 408 Request Timeout\r\n"), "{answers}");
        let records = bench.records.wait(2).await;
        assert_eq!(told(&records[1]), wanted);
        assert!(records[1].duration >= SOON, "{:?}", records[1].duration);
    }
}

#[tokio::test]
async fn a_caller_that_leaves_within_a_head_is_recorded() {
    let (bench, _origin) = strict().await;
    let mut stream = bench.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nho").await.unwrap();
    drop(stream);
    let record = bench.record().await;
    assert_eq!(told(&record), (0, "DC".to_owned(), "downstream_remote_disconnect".to_owned()));
}

#[tokio::test]
async fn a_client_that_half_closes_after_a_whole_request_gets_its_answers() {
    let (bench, origin) = strict().await;
    for requests in [GET.to_owned(), GET.repeat(3), format!("{}hello", post("content-length: 5\r\n\r\n"))] {
        let mut stream = bench.connect().await;
        stream.write_all(requests.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answers = read_rest(&mut stream).await;
        assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), requests.matches(" HTTP/1.1").count(), "{answers}");
    }
    assert_eq!(origin.requests().len(), 5);
    assert!(bench.records.wait(5).await.iter().all(|record| record.flags.is_empty()));
}

#[tokio::test]
async fn within_the_mesh_a_caller_that_half_closes_has_left() {
    let (bench, origin) = bench_of(|_| {}, Direction::Outbound, &[Act::Stall("")]).await;
    let mut stream = bench.connect().await;
    stream.write_all(GET.as_bytes()).await.unwrap();
    while origin.connections.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    stream.shutdown().await.unwrap();
    assert_eq!(read_rest(&mut stream).await, "");
    assert_eq!(told(&bench.record().await).1, "DC");
}

#[tokio::test]
async fn after_an_upgrade_the_gate_stands_aside() {
    let switching = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
    let upgrades = |manager: &mut HttpManager| manager.upgrades = vec!["websocket".into()];
    let (bench, _origin) = bench_of(upgrades, Direction::Gateway, Vec::leak(vec![Act::Stall(switching)])).await;
    let mut stream = bench.connect().await;
    let request = get("connection: Upgrade\r\nupgrade: websocket\r\n");
    // What is sent at once is no HTTP either, and waits for the answer.
    stream.write_all(format!("{request}\0\n\n early").as_bytes()).await.unwrap();
    let answer = read_answer(&mut stream, false).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    stream.write_all(b"\r\n\n late").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(read_rest(&mut stream).await, "");
    let record = bench.record().await;
    assert_eq!((record.status, record.bytes_received), (101, 17));
}

#[tokio::test]
async fn an_upgrade_that_is_refused_ends_the_connection_and_one_passed_over_does_not() {
    let (bench, _origin) = strict().await;
    let mut stream = bench.connect().await;
    let refused = get("connection: Upgrade\r\nupgrade: websocket\r\n");
    stream.write_all(format!("{refused}{GET}").as_bytes()).await.unwrap();
    let answers = read_rest(&mut stream).await;
    assert_eq!((answers.matches("HTTP/1.1 ").count(), &answers[9..12]), (1, "403"), "{answers}");
    let mut stream = bench.connect().await;
    let passed_over = get("connection: Upgrade\r\nupgrade: h2c\r\n");
    stream.write_all(format!("{passed_over}{GET}").as_bytes()).await.unwrap();
    for _ in 0..2 {
        let answer = read_answer(&mut stream, false).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}

/// Once the gate, which saw the end of the message, waited for a decision that had come with its head.
#[tokio::test]
async fn an_upgrade_passed_over_with_a_body_leaves_the_connection_as_it_was() {
    let (bench, origin) = strict().await;
    let mut stream = bench.connect().await;
    let head = post("connection: Upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    while origin.connections.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    stream.write_all(format!("hi{GET}").as_bytes()).await.unwrap();
    for _ in 0..2 {
        let answer = read_answer(&mut stream, false).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_caller_is_told_to_go_on_when_the_upstream_does() {
    for (says, wanted) in [
        ("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("HTTP/1.1 417 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "HTTP/1.1 417 Expectation Failed\r\n"),
    ] {
        let platform = host();
        let listener = platform.net.listen(any_port(), ListenOptions::default()).await.unwrap();
        let mut manager = manager(vec![route_to("up")]);
        manager.proxy_100_continue = true;
        let clusters = vec![cluster("up", &[listener.local_addr()])];
        let bench = Bench::start(&platform, snapshot(http(manager), clusters)).await;
        let mut caller = bench.connect().await;
        let head = post("expect: 100-continue\r\ncontent-length: 5\r\n\r\n");
        caller.write_all(head.as_bytes()).await.unwrap();
        let mut upstream = listener.accept().await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(b"\r\n\r\n") {
            assert!(upstream.read_buf(&mut got).await.unwrap() > 0);
        }
        assert!(String::from_utf8(got).unwrap().contains("\r\nexpect: 100-continue\r\n"));
        upstream.write_all(says.as_bytes()).await.unwrap();
        let mut told = vec![0; wanted.len()];
        caller.read_exact(&mut told).await.unwrap();
        assert_eq!(String::from_utf8(told).unwrap(), wanted);
        if says.contains("100") {
            caller.write_all(b"hello").await.unwrap();
            let mut body = [0; 5];
            upstream.read_exact(&mut body).await.unwrap();
            assert_eq!(&body, b"hello");
            upstream.write_all(OK.as_bytes()).await.unwrap();
            assert!(read_answer(&mut caller, false).await.starts_with("HTTP/1.1 200 OK\r\n"));
        } else {
            assert!(read_rest(&mut caller).await.contains("connection: close\r\n"));
        }
    }
}

#[tokio::test]
async fn a_connection_that_has_had_its_requests_is_asked_to_leave() {
    let change = |manager: &mut HttpManager| manager.requests_per_connection_max = Some(2);
    let (bench, origin) = bench_of(change, Direction::Gateway, &[Act::Answer(OK)]).await;
    let mut stream = bench.connect().await;
    assert!(!ask_on(&mut stream, GET).await.contains("connection: close"));
    stream.write_all(GET.repeat(2).as_bytes()).await.unwrap();
    let answers = read_rest(&mut stream).await;
    assert_eq!((answers.matches("HTTP/1.1 200 OK\r\n").count(), origin.requests().len()), (1, 2), "{answers}");
    assert!(answers.contains("\r\nconnection: close\r\n"), "{answers}");
}

#[tokio::test]
async fn routes_and_the_upstream_see_the_same_path() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Answer(OK)]).await;
    let refuse = Action::Direct { status: 403, body: "no".into() };
    let mut manager = manager(vec![Route::new(RouteMatch::prefix("/admin"), refuse), route_to("up")]);
    (manager.normalize_path, manager.merge_slashes) = (true, true);
    let bench = Bench::start(&platform, snapshot(http(manager), vec![cluster("up", &[origin.address])])).await;
    for path in ["/admin", "/a/../admin", "/./admin", "//admin", "/%61dmin", "/a/%2e%2e/admin", "/a\\..\\admin"] {
        let answer = bench.ask(&format!("GET {path} HTTP/1.1\r\nhost: a.test\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{path}: {answer}");
    }
    assert_eq!(origin.requests(), Vec::<String>::new());
    for (number, (path, wanted)) in
        [("/x/%61", "/x/a"), ("/x//y/./z", "/x/y/z"), ("/adm%69", "/admi"), ("/ADMIN", "/ADMIN")]
            .into_iter()
            .enumerate()
    {
        let answer = bench.ask(&format!("GET {path}?q=%2f//.. HTTP/1.1\r\nhost: a.test\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {answer}");
        let seen = &origin.requests()[number];
        assert!(seen.starts_with(&format!("GET {wanted}?q=%2f//.. HTTP/1.1\r\n")), "{seen}");
    }
}
