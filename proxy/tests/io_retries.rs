//! Retries and timeouts of the HTTP request path.

mod io_support;

use std::time::Duration;

use io_support::*;
use wavetank_proxy::record::Flag;
use wavetank_proxy::snapshot::route::{ClusterChoice, Forward, RetryOn, RetryPolicy};

const DS: &str = "date: D\r\nserver: envoy\r\n";

fn flags(record: &wavetank_proxy::record::Record) -> String {
    record.flags.iter().map(Flag::to_string).collect::<Vec<_>>().join(",")
}

#[tokio::test]
async fn timeouts_answer_by_how_far_the_response_was() {
    let platform = host();
    for (acts, status, sent) in [
        (&[Act::Stall("")] as &'static [Act], 504, 24),
        (&[Act::Stall("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789")], 200, 10),
    ] {
        let origin = Origin::start(&platform, acts).await;
        let mut to = Forward::to(ClusterChoice::Single("up".into()));
        to.timeout = Some(Duration::from_millis(50));
        let clusters = vec![cluster("up", &[origin.address])];
        let bench = Bench::start(&platform, snapshot(http(manager(vec![forward(to)])), clusters)).await;
        let mut stream = bench.connect().await;
        let answer = ask_on(&mut stream, GET).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let record = bench.record().await;
        assert_eq!((record.status, flags(&record).as_str(), &*record.details), (status, "UT", "response_timeout"));
        assert_eq!(record.bytes_sent, sent);
    }
}

#[tokio::test]
async fn a_stream_that_stands_still_is_ended_with_si() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Stall("")]).await;
    let mut hcm = manager(vec![route_to("up")]);
    hcm.stream_idle_timeout = Some(Duration::from_millis(50));
    let bench = Bench::start(&platform, snapshot(http(hcm), vec![cluster("up", &[origin.address])])).await;
    let whole = bench.ask(GET).await;
    assert_eq!(
        whole,
        format!(
            "HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 14\r\ncontent-type: text/plain\r\n{DS}\r\nstream timeout"
        )
    );
    let half = bench.ask("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 100\r\n\r\nabc").await;
    assert_eq!(
        half,
        format!(
            "HTTP/1.1 408 Request Timeout\r\ncontent-length: 14\r\ncontent-type: text/plain\r\n{DS}connection: close\r\n\r\nstream timeout"
        )
    );
    let records = bench.records.wait(2).await;
    assert!(records.iter().all(|record| flags(record) == "SI" && &*record.details == "stream_idle_timeout"));
}

fn retrying(on: &str, retries: u32) -> Forward {
    let mut conditions = RetryOn::default();
    conditions.add(on).unwrap();
    let mut policy = RetryPolicy::new(conditions, retries);
    policy.backoff_base = Duration::from_millis(1);
    policy.backoff_max = Duration::from_millis(2);
    let mut to = Forward::to(ClusterChoice::Single("up".into()));
    to.retry_policy = Some(policy.into());
    to
}

const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno";

#[tokio::test]
async fn a_retried_request_is_sent_again_whole() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Answer(UNAVAILABLE), Act::Close, Act::Answer(OK)]).await;
    let handler = http(manager(vec![forward(retrying("5xx", 3))]));
    let bench = Bench::start(&platform, snapshot(handler, vec![cluster("up", &[origin.address])])).await;
    let answer = bench.ask("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\n\r\nhello").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(origin.requests().iter().filter(|request| request.ends_with("\r\n\r\nhello")).count(), 3);
    let record = bench.record().await;
    assert_eq!((flags(&record).as_str(), &*record.details, record.bytes_received), ("", "via_upstream", 5));
    let attempts: Vec<_> =
        record.attempts.iter().map(|attempt| (attempt.number, attempt.status, attempt.failure.as_deref())).collect();
    assert_eq!(attempts, [(1, Some(503), None), (2, None, Some("connection_termination")), (3, Some(200), None)]);
}

#[tokio::test]
async fn retries_that_run_out_say_so() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Answer(UNAVAILABLE)]).await;
    let gone = refusing(&platform).await;
    for (address, flag, attempts, tail) in [
        (origin.address, "URX", 3, "no"),
        (gone, "URX,UF", 3, "retried and the latest reset reason: remote connection failure"),
    ] {
        let handler = http(manager(vec![forward(retrying("5xx", 2))]));
        let bench = Bench::start(&platform, snapshot(handler, vec![cluster("up", &[address])])).await;
        let answer = bench.ask(GET).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with(tail), "{answer}");
        let record = bench.record().await;
        assert_eq!((flags(&record).as_str(), record.attempts.len()), (flag, attempts));
    }
}

#[tokio::test]
async fn a_retry_that_the_breaker_refuses_is_marked_and_the_answer_stands() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Answer(UNAVAILABLE)]).await;
    let mut cluster = cluster("up", &[origin.address]);
    cluster.breakers.retries_max = 0;
    let bench =
        Bench::start(&platform, snapshot(http(manager(vec![forward(retrying("5xx", 2))])), vec![cluster])).await;
    assert!(bench.ask(GET).await.ends_with("no"));
    let record = bench.record().await;
    assert_eq!((flags(&record).as_str(), &*record.details, record.attempts.len()), ("UO", "via_upstream", 1));
}

#[tokio::test]
async fn a_per_try_timeout_is_retried_where_its_conditions_say_so() {
    let platform = host();
    for (on, flag, attempts) in [("5xx", "URX,UT", 2), ("connect-failure,retriable-status-codes", "UT", 1)] {
        let origin = Origin::start(&platform, &[Act::Stall("")]).await;
        let mut to = retrying(on, 1);
        let mut policy = RetryPolicy::clone(to.retry_policy.as_ref().unwrap());
        policy.per_try_timeout = Some(Duration::from_millis(30));
        to.retry_policy = Some(policy.into());
        let handler = http(manager(vec![forward(to)]));
        let bench = Bench::start(&platform, snapshot(handler, vec![cluster("up", &[origin.address])])).await;
        let answer = bench.ask(GET).await;
        assert!(answer.starts_with("HTTP/1.1 504 ") && answer.ends_with("upstream request timeout"), "{answer}");
        let record = bench.record().await;
        assert_eq!((flags(&record).as_str(), &*record.details), (flag, "upstream_per_try_timeout"));
        assert_eq!(record.attempts.len(), attempts);
    }
}
