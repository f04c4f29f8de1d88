//! The HTTP request path, byte for byte as Envoy answers.

mod io_support;

use io_support::*;
use wavetank_proxy::record::{Direction, Flag, Protocol};
use wavetank_proxy::snapshot::cluster::Breakers;
use wavetank_proxy::snapshot::listener::Listener;
use wavetank_proxy::snapshot::route::{ClusterChoice, Forward, WeightedCluster};

const DS: &str = "date: D\r\nserver: envoy\r\n";
const UST: &str = "x-envoy-upstream-service-time: N\r\n";

fn flags(record: &wavetank_proxy::record::Record) -> String {
    record.flags.iter().map(Flag::to_string).collect::<Vec<_>>().join(",")
}

/// A proxy whose only route leads to an origin that acts like this.
async fn to_origin(acts: &'static [Act]) -> (Bench, Origin) {
    let platform = host();
    let origin = Origin::start(&platform, acts).await;
    let snapshot = snapshot(http(manager(vec![route_to("up")])), vec![cluster("up", &[origin.address])]);
    (Bench::start(&platform, snapshot).await, origin)
}

#[tokio::test]
async fn a_response_passes_with_envoys_headers_in_envoys_order() {
    let (bench, origin) = to_origin(&[Act::Answer(OK)]).await;
    let answer = bench.ask("GET /x?y=1 HTTP/1.1\r\nHost: a.test\r\nUser-Agent: me\r\n\r\n").await;
    assert_eq!(answer, format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{UST}{DS}\r\nok"));
    assert_eq!(
        origin.requests(),
        ["GET /x?y=1 HTTP/1.1\r\nhost: a.test\r\nuser-agent: me\r\nx-forwarded-proto: http\r\n\
          x-envoy-expected-rq-timeout-ms: 15000\r\n\r\n"]
    );
    let record = bench.record().await;
    assert_eq!((record.status, flags(&record).as_str(), &*record.details), (200, "", "via_upstream"));
    assert_eq!((record.bytes_received, record.bytes_sent), (0, 2));
    assert_eq!((&*record.method, &*record.authority, &*record.path), ("GET", "a.test", "/x?y=1"));
    assert_eq!(record.user_agent.as_deref(), Some("me"));
    assert_eq!(record.protocol, Protocol::Http1);
    let decision = &record.decision;
    let names = [
        &decision.listener,
        &decision.filter_chain,
        &decision.route_config,
        &decision.virtual_host,
        &decision.route,
        &decision.cluster,
    ];
    let names: Vec<_> = names.into_iter().map(|name| name.as_deref().unwrap_or("-")).collect();
    assert_eq!(names, ["l", "chain", "rc", "vh", "r", "up"]);
    assert_eq!((decision.route_index, record.attempts.len()), (Some(0), 1));
    assert_eq!(record.endpoint(), Some(origin.address));
    assert_eq!(record.upstream().map(|leg| leg.remote), Some(origin.address));
    assert_eq!(record.attempts[0].status, Some(200));
}

#[tokio::test]
async fn local_replies_are_envoys_to_the_byte() {
    let platform = host();
    let gone = refusing(&platform).await;
    let refused = "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";
    let overflow = "upstream connect error or disconnect/reset before headers. reset reason: overflow";
    let text = |body: &str| format!("content-length: {}\r\ncontent-type: text/plain\r\n{DS}\r\n{body}", body.len());
    let full = |limit: Breakers| {
        let mut cluster = cluster("up", &[gone]);
        cluster.breakers = limit;
        cluster
    };
    let none = Breakers::default();
    let cases = [
        (
            "NR",
            vec![cluster("up", &[])],
            "GET / HTTP/1.1\r\nhost: b.test\r\n\r\n",
            format!("404 Not Found\r\n{DS}content-length: 0\r\n\r\n"),
            "NR",
            "route_not_found",
        ),
        (
            "no host",
            vec![],
            "GET / HTTP/1.1\r\n\r\n",
            format!("400 Bad Request\r\n{DS}connection: close\r\ncontent-length: 0\r\n\r\n"),
            "",
            "missing_host_header",
        ),
        (
            "NC",
            vec![],
            GET,
            format!("503 Service Unavailable\r\n{DS}content-length: 0\r\n\r\n"),
            "NC",
            "cluster_not_found",
        ),
        (
            "UH",
            vec![cluster("up", &[])],
            GET,
            format!("503 Service Unavailable\r\n{}", text("no healthy upstream")),
            "UH",
            "no_healthy_upstream",
        ),
        (
            "UF",
            vec![cluster("up", &[gone])],
            GET,
            format!("503 Service Unavailable\r\n{}", text(refused)),
            "UF",
            "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
        ),
        (
            "HEAD UF",
            vec![cluster("up", &[gone])],
            "HEAD / HTTP/1.1\r\nhost: a.test\r\n\r\n",
            format!("503 Service Unavailable\r\n{}", text(refused).trim_end_matches(refused)),
            "UF",
            "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
        ),
        (
            "UO",
            vec![full(Breakers { pending_requests_max: 0, ..none })],
            GET,
            format!("503 Service Unavailable\r\nx-envoy-overloaded: true\r\n{}", text(overflow)),
            "UO",
            "upstream_reset_before_response_started{overflow}",
        ),
        (
            "websocket not configured",
            vec![cluster("up", &[])],
            "GET / HTTP/1.1\r\nhost: a.test\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n",
            format!("403 Forbidden\r\n{DS}connection: close\r\ncontent-length: 0\r\n\r\n"),
            "",
            "upgrade_failed",
        ),
        (
            "OPTIONS *",
            vec![],
            "OPTIONS * HTTP/1.1\r\nhost: a.test\r\n\r\n",
            format!("404 Not Found\r\n{DS}content-length: 0\r\n\r\n"),
            "",
            "absolute_path_rejected",
        ),
    ];
    for (name, clusters, request, wanted, flag, details) in cases {
        let bench = Bench::start(&platform, snapshot(http(manager(vec![route_to("up")])), clusters)).await;
        assert_eq!(bench.ask(request).await, format!("HTTP/1.1 {wanted}"), "{name}");
        let record = bench.record().await;
        assert_eq!((flags(&record).as_str(), &*record.details), (flag, details), "{name}");
    }
}

#[tokio::test]
async fn an_endpoint_that_fails_before_a_whole_head_gives_envoys_reason() {
    let termination = "upstream connect error or disconnect/reset before headers. reset reason: connection termination";
    let protocol = "upstream connect error or disconnect/reset before headers. reset reason: protocol error";
    let cases: [(&'static [Act], u16, &str, &str, &str); 5] = [
        (&[Act::Refuse], 503, termination, "UC", "connection_termination"),
        (&[Act::Close], 503, termination, "UC", "connection_termination"),
        (&[Act::Last("HTTP/1.1 200 OK\r\ncontent-le")], 502, protocol, "UPE", "protocol_error"),
        (&[Act::Last("garbage and more\r\n\r\n")], 502, protocol, "UPE", "protocol_error"),
        (&[Act::Last("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n")], 502, protocol, "UPE", "protocol_error"),
    ];
    for (acts, status, body, flag, reason) in cases {
        let (bench, _origin) = to_origin(acts).await;
        let answer = bench.ask(GET).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");
        let record = bench.record().await;
        assert_eq!(flags(&record), flag);
        assert_eq!(*record.details, format!("upstream_reset_before_response_started{{{reason}}}"));
        assert_eq!(record.attempts[0].failure.as_deref(), Some(reason));
    }
}

#[tokio::test]
async fn an_endpoint_that_breaks_off_mid_body_is_a_protocol_error_after_the_bytes_so_far() {
    for (sent, passed) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789",
            format!("content-length: 100\r\n{UST}{DS}\r\n0123456789"),
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n",
            format!("{UST}{DS}transfer-encoding: chunked\r\n\r\nA\r\n0123456789\r\n"),
        ),
    ] {
        let (bench, _origin) = to_origin(Vec::leak(vec![Act::Last(sent)])).await;
        let mut stream = bench.connect().await;
        tokio::io::AsyncWriteExt::write_all(&mut stream, GET.as_bytes()).await.unwrap();
        assert_eq!(read_rest(&mut stream).await, format!("HTTP/1.1 200 OK\r\n{passed}"));
        let record = bench.record().await;
        assert_eq!((record.status, flags(&record).as_str()), (200, "UPE"));
        assert_eq!(&*record.details, "upstream_reset_after_response_started{protocol_error}");
        assert_eq!(record.bytes_sent, 10);
    }
}

#[tokio::test]
async fn a_missing_member_of_a_split_keeps_its_share() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Answer(OK)]).await;
    let arm =
        |name: &str| WeightedCluster { name: name.into(), weight: 50, headers: Default::default(), provenance: None };
    let split = forward(Forward::to(ClusterChoice::Weighted(vec![arm("up"), arm("missing")])));
    let bench =
        Bench::start(&platform, snapshot(http(manager(vec![split])), vec![cluster("up", &[origin.address])])).await;
    let mut stream = bench.connect().await;
    for _ in 0..200 {
        ask_on(&mut stream, GET).await;
    }
    let records = bench.records.wait(200).await;
    let missing = records.iter().filter(|record| flags(record) == "NC").count();
    // 200 draws of 1/2: outside 60..=140 with a probability below 1e-7.
    assert!((60..=140).contains(&missing), "{missing}");
    assert!(records.iter().all(|record| (record.status == 503) == (flags(record) == "NC")));
    assert_eq!(origin.requests().len(), 200 - missing);
}

#[tokio::test]
async fn connections_are_kept_on_both_sides_until_the_caller_wants_them_closed() {
    let (bench, origin) = to_origin(&[Act::Answer(OK)]).await;
    let mut stream = bench.connect().await;
    for _ in 0..3 {
        assert!(ask_on(&mut stream, GET).await.ends_with("\r\n\r\nok"));
    }
    let last = ask_on(&mut stream, "GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n").await;
    assert_eq!(last, format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{UST}{DS}connection: close\r\n\r\nok"));
    assert_eq!(read_rest(&mut stream).await, "");
    assert_eq!(origin.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert!(!origin.requests()[3].contains("connection"));
}

#[tokio::test]
async fn a_connection_that_the_endpoint_closed_while_idle_is_not_used() {
    let (bench, origin) = to_origin(&[Act::Last(OK), Act::Last(OK), Act::Last(OK)]).await;
    for _ in 0..3 {
        assert!(bench.ask(GET).await.ends_with("\r\n\r\nok"));
    }
    let records = bench.records.wait(3).await;
    assert!(records.iter().all(|record| record.flags.is_empty() && record.attempts.len() == 1));
    assert_eq!(origin.connections.load(std::sync::atomic::Ordering::SeqCst), 3);
}

/// Once, such a connection went from one of them to the next until all had failed.
#[tokio::test]
async fn a_connection_that_the_endpoint_closed_is_not_lent_to_those_who_wait() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Last(OK)]).await;
    let mut cluster = cluster("up", &[origin.address]);
    cluster.breakers = Breakers { connections_max: 1, ..Breakers::default() };
    let bench = Bench::start(&platform, snapshot(http(manager(vec![route_to("up")])), vec![cluster])).await;
    let answers = futures_util::future::join_all((0..6).map(|_| bench.ask(GET))).await;
    for answer in answers {
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    }
    assert!(bench.records.wait(6).await.iter().all(|record| record.flags.is_empty()));
}

#[tokio::test]
async fn head_has_the_headers_and_no_body() {
    let (bench, _origin) = to_origin(&[Act::Answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")]).await;
    let mut stream = bench.connect().await;
    for _ in 0..2 {
        let answer = ask_on(&mut stream, "HEAD / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
        assert_eq!(answer, format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{UST}{DS}\r\n"));
    }
    assert!(bench.records.wait(2).await.iter().all(|record| record.flags.is_empty() && record.bytes_sent == 0));
}

#[tokio::test]
async fn what_is_not_modified_keeps_the_length_that_it_has() {
    let (bench, _origin) = to_origin(&[Act::Answer("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n")]).await;
    let mut stream = bench.connect().await;
    for _ in 0..2 {
        tokio::io::AsyncWriteExt::write_all(&mut stream, GET.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream, true).await;
        assert_eq!(answer, format!("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n{UST}{DS}\r\n"));
    }
    assert!(bench.records.wait(2).await.iter().all(|record| record.flags.is_empty() && record.bytes_sent == 0));
}

#[tokio::test]
async fn unframed_and_hinted_responses_pass() {
    let chunked = format!("HTTP/1.1 200 OK\r\n{UST}{DS}transfer-encoding: chunked\r\n\r\n3\r\nold\r\n0\r\n\r\n");
    for (act, wanted) in [
        (Act::Last("HTTP/1.0 200 OK\r\n\r\nold"), chunked.as_str()),
        (Act::Last("HTTP/1.1 200 OK\r\n\r\nold"), &chunked),
        (
            Act::Answer("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
            &format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{UST}{DS}\r\nok"),
        ),
        (Act::Answer("HTTP/1.1 204 No Content\r\n\r\n"), &format!("HTTP/1.1 204 No Content\r\n{UST}{DS}\r\n")),
        (
            Act::Answer(
                "HTTP/1.1 404 Not Found\r\nX-Up: 1\r\nKeep-Alive: timeout=5\r\nServer: nginx\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\ncontent-length: 2\r\n\r\nok",
            ),
            &format!(
                "HTTP/1.1 404 Not Found\r\nx-up: 1\r\nserver: envoy\r\ndate: D\r\ncontent-length: 2\r\n{UST}\r\nok"
            ),
        ),
    ] {
        let (bench, _origin) = to_origin(Vec::leak(vec![act])).await;
        assert_eq!(bench.ask(GET).await, wanted);
        assert!(bench.record().await.flags.is_empty());
    }
}

#[tokio::test]
async fn a_chunked_request_passes_and_its_bytes_are_counted() {
    let (bench, origin) = to_origin(&[Act::Answer(OK)]).await;
    let request = "POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let mut stream = bench.connect().await;
    let first = ask_on(&mut stream, request).await;
    assert!(first.contains("HTTP/1.1 200 OK\r\n") || first.starts_with("HTTP/1.1 100 "), "{first}");
    assert!(origin.requests()[0].ends_with("transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"));
    assert!(!origin.requests()[0].contains("\r\nexpect:"));
    assert_eq!(bench.record().await.bytes_received, 2);
}

#[tokio::test]
async fn a_caller_that_leaves_is_recorded_as_dc() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Stall("")]).await;
    let mut listener = Listener::new("l", any_port());
    listener.filter_chains.push(chain(http(manager(vec![route_to("up")]))));
    listener.direction = Direction::Outbound;
    let bench = Bench::start(&platform, of(listener, vec![cluster("up", &[origin.address])])).await;
    let mut stream = bench.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut stream, GET.as_bytes()).await.unwrap();
    while origin.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(stream);
    let record = bench.record().await;
    assert_eq!((record.status, flags(&record).as_str()), (0, "DC"));
    assert_eq!(&*record.details, "downstream_remote_disconnect");
}

#[tokio::test]
async fn a_full_cluster_refuses_the_request_that_would_wait() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Stall("")]).await;
    let mut cluster = cluster("up", &[origin.address]);
    cluster.breakers = Breakers { connections_max: 1, pending_requests_max: 1, ..Breakers::default() };
    let bench = Bench::start(&platform, snapshot(http(manager(vec![route_to("up")])), vec![cluster])).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut stream = bench.connect().await;
        tokio::io::AsyncWriteExt::write_all(&mut stream, GET.as_bytes()).await.unwrap();
        waiting.push(stream);
        while origin.requests().is_empty() {
            tokio::task::yield_now().await;
        }
    }
    // The second may not have been read yet when the third is, but one of the two is refused.
    let mut third = bench.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut third, GET.as_bytes()).await.unwrap();
    let record = bench.record().await;
    assert_eq!((flags(&record).as_str(), record.endpoint()), ("UO", None));
}
