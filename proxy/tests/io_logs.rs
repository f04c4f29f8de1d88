//! Access logs of everything that has them: who gets a line, when, and what it says of headers that change on the way.

mod io_support;

use std::time::Duration;

use io_support::*;
use tokio::io::AsyncWriteExt;
use wavetank_proxy::DrainTimes;
use wavetank_proxy::access_log::format::{Shape, text};
use wavetank_proxy::access_log::{AccessLog, AccessLogs, Filter, Format, Wanted};
use wavetank_proxy::record::Flag;
use wavetank_proxy::snapshot::listener::{FilterChainMatch, Handler, Listener, TcpProxy};
use wavetank_proxy::snapshot::route::{ClusterChoice, Forward, RetryOn, RetryPolicy};

/// A log of this format.
fn log(path: &str, filter: Option<Filter>, format: &str) -> AccessLogs {
    let mut wanted = Wanted::default();
    let pieces = text(format, &mut wanted).unwrap();
    let format = Format::new(format, Shape::Text(pieces), false);
    AccessLogs::new(vec![AccessLog { path: path.into(), filter, format }], wanted)
}

#[tokio::test]
async fn each_attempt_has_a_line_and_the_request_has_one_after_them() {
    let platform = host();
    const UNAVAILABLE: &str = "HTTP/1.1 503 X\r\nx-from: first\r\ncontent-length: 2\r\n\r\nno";
    let origin = Origin::start(&platform, &[Act::Answer(UNAVAILABLE), Act::Close, Act::Answer(OK)]).await;
    let mut conditions = RetryOn::default();
    conditions.add("5xx").unwrap();
    let mut policy = RetryPolicy::new(conditions, 3);
    (policy.backoff_base, policy.backoff_max) = (Duration::from_millis(1), Duration::from_millis(2));
    let mut to = Forward::to(ClusterChoice::Single("up".into()));
    (to.retry_policy, to.prefix_rewrite) = (Some(policy.into()), Some("/new".into()));
    let mut hcm = manager(vec![forward(to)]);
    hcm.upstream_logs = log("tries", None, "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESP(x-from)% %REQ(:PATH)%\n");
    let said = "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQ(:PATH)% %RESPONSE_CODE% %RESP(SERVER)% %BYTES_SENT% \
                %UPSTREAM_REQUEST_ATTEMPT_COUNT% %REQ(X-NOT-THERE)%\n";
    hcm.access_logs = log("all", None, said);
    let bench = Bench::start(&platform, snapshot(http(hcm), vec![cluster("up", &[origin.address])])).await;
    assert!(bench.ask(GET).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(
        bench.records.lines(4).await,
        ["tries: 503 - first /new", "tries: 0 UC - /new", "tries: 200 - - /new", "all: / /new 200 envoy 2 3 -"]
    );
}

#[tokio::test]
async fn a_listener_tells_of_connections_that_no_chain_takes_and_of_others_when_they_end() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Answer(OK)]).await;
    let said = "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %PROTOCOL% %BYTES_RECEIVED% %FILTER_CHAIN_NAME%\n";
    let with = |matches: FilterChainMatch, filter| {
        let mut listener = Listener::new("l", any_port());
        let mut only = chain(http(manager(vec![route_to("up")])));
        only.matches = matches;
        listener.filter_chains.push(only);
        listener.access_logs = log("connections", filter, said);
        of(listener, vec![cluster("up", &[origin.address])])
    };
    let elsewhere = FilterChainMatch { destination_port: Some(1), ..FilterChainMatch::default() };
    let no_route = || Some(Filter::Flags(vec![Flag::NR]));
    let bench = Bench::start(&platform, with(elsewhere, no_route())).await;
    drop(bench.connect().await);
    assert_eq!(bench.records.lines(1).await, ["connections: NR filter_chain_not_found - 0 -"]);

    let bench = Bench::start(&platform, with(FilterChainMatch::default(), None)).await;
    let mut stream = bench.connect().await;
    ask_on(&mut stream, GET).await;
    drop(stream);
    assert_eq!(bench.records.lines(1).await, [format!("connections: - - HTTP/1.1 {} chain", GET.len())]);

    let bench = Bench::start(&platform, with(FilterChainMatch::default(), no_route())).await;
    bench.ask(GET).await;
    bench.record().await;
    bench.proxy.drain(DrainTimes { minimum: Duration::ZERO, maximum: Duration::from_secs(5) }).await;
    assert_eq!(bench.records.lines(0).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_tcp_proxy_tells_how_a_connection_ended() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Last("bye")]).await;
    let gone = refusing(&platform).await;
    let said =
        "%RESPONSE_FLAGS% %UPSTREAM_CLUSTER% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_TRANSPORT_FAILURE_REASON%\n";
    let to = |cluster: &str| {
        Handler::Tcp(
            TcpProxy {
                stat_prefix: "t".into(),
                clusters: vec![(cluster.into(), 1)],
                idle_timeout: None,
                connect_attempts_max: 1,
                access_logs: log("tcp", None, said),
            }
            .into(),
        )
    };
    let clusters = || vec![cluster("up", &[origin.address]), cluster("gone", &[gone])];
    let bench = Bench::start(&platform, snapshot(to("up"), clusters())).await;
    let mut stream = bench.connect().await;
    stream.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(read_rest(&mut stream).await, "bye");
    drop(stream);
    assert_eq!(bench.records.lines(1).await, [format!("tcp: - up {} 3 -", GET.len())]);

    for (name, line) in
        [("gone", "tcp: UF,URX gone 0 0 delayed_connect_error:_Connection_refused"), ("missing", "tcp: NC - 0 0 -")]
    {
        let bench = Bench::start(&platform, snapshot(to(name), clusters())).await;
        drop(bench.connect().await);
        assert_eq!(bench.records.lines(1).await, [line]);
    }
}
