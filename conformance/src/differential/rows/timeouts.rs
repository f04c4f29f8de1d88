//! Timeouts. Real times are short, and only what comes of them is compared.

use std::time::Duration;

use crate::differential::row::{Act, OK, Row, Step, get};

/// Answers, but too late for every timeout here.
fn silent() -> Act {
    Act::Stall(String::new())
}

fn stalls() -> Act {
    Act::Stall("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789".to_owned())
}

/// The rows.
pub fn rows() -> Vec<Row> {
    let slow = |name: &str, path: &str, headers: &str| Row::get(name, "plain", path, headers).acts([silent()]);
    vec![
        slow("route timeout", "/t300/", ""),
        slow("route timeout, grpc", "/t300/", "content-type: application/grpc\r\n"),
        slow("route timeout, asked by a stranger", "/t300/", "x-envoy-upstream-rq-timeout-ms: 100\r\n"),
        slow(
            "route timeout, alternative answer asked by a stranger",
            "/t300/",
            "x-envoy-upstream-rq-timeout-alt-response: true\r\n",
        ),
        slow("route idle timeout", "/idle300/", ""),
        slow("per-try timeout, no retries", "/try/", ""),
        slow("per-try timeout, 5xx", "/try5xx/", ""),
        slow("per-try timeout, gateway-error", "/trygateway/", ""),
        slow("per-try timeout, reset", "/tryreset/", ""),
        slow("per-try timeout, Istio's policy", "/istio-try/", ""),
        slow("per-try timeout within the route's", "/try10/", ""),
        Row::get("per-try timeout, first slow", "plain", "/try5xx/", "").acts([silent(), Act::Answer(OK.to_owned())]),
        Row::get("route timeout in the body", "plain", "/t300/", "").acts([stalls()]).ends(),
        Row::get("per-try timeout is off once the head is there", "plain", "/try/", "")
            .acts([Act::After(Duration::from_millis(20), OK.to_owned())]),
        Row::get("no timeout", "plain", "/t0/", "").acts([Act::After(Duration::from_millis(100), OK.to_owned())]),
        Row::get("expected timeout from the caller", "plain", "/up/", "x-envoy-expected-rq-timeout-ms: 7\r\n"),
        Row::get(
            "expected timeout from the caller, no timeout",
            "plain",
            "/t0/",
            "x-envoy-expected-rq-timeout-ms: 7\r\n",
        ),
        Row::raw(
            "route timeout waits for the whole request",
            "plain",
            "POST /t300/ HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\n\r\nhello",
        )
        .acts([silent()]),
        Row::raw(
            "stream idle: body never comes",
            "sidle",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nabc",
        )
        .ends(),
        Row::get("stream idle: upstream silent", "sidle", "/", "").acts([silent()]),
        Row::get("stream idle: upstream stalls", "sidle", "/", "").acts([stalls()]).ends(),
        Row::raw("stream idle: half a head", "sidle", "GET / HTTP/1.1\r\nhost: a").ends(),
        Row::raw(
            "request timeout: body never comes",
            "rqt",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nabc",
        )
        .ends(),
        Row::raw("request timeout: half a head", "rqt", "GET / HTTP/1.1\r\nhost: a").ends(),
        Row::get("request timeout: upstream slow", "rqt", "/", "")
            .acts([Act::After(Duration::from_millis(400), OK.to_owned())]),
        Row::new("connection idle: no request", "cidle").ends().logs(0),
        Row::get("connection idle: after a request", "cidle", "/", "").ends(),
        Row::get("connection idle: not during a request", "cidle", "/", "")
            .acts([Act::After(Duration::from_millis(500), OK.to_owned())])
            .send(get("/", ""))
            .step(Step::Answers(1))
            .logs(2),
    ]
}
