//! Retries, Istio's default policy among them. Back-offs are short; how long they were is not compared.

use crate::differential::row::{Act, OK, Row};
use crate::differential::rows::router::post;

fn status(status: &str) -> Act {
    Act::Answer(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nno"))
}

fn unavailable() -> Act {
    status("503 Service Unavailable")
}

fn internal() -> Act {
    status("500 Internal Server Error")
}

fn ok() -> Act {
    Act::Answer(OK.to_owned())
}

fn closes() -> Act {
    Act::Last(String::new())
}

/// The rows.
pub fn rows() -> Vec<Row> {
    let at = |name: &str, path: &str| Row::get(format!("retry: {name}"), "plain", &format!("/{path}/"), "");
    let counted = "GET / HTTP/1.1\r\nhost: counted.test\r\n";
    vec![
        at("5xx, always 503", "r5xx").acts([unavailable()]),
        at("5xx, 503 once", "r5xx").acts([unavailable(), ok()]),
        at("5xx, always 500", "r5xx").acts([internal()]),
        at("5xx, 404", "r5xx").acts([status("404 Not Found")]),
        at("5xx, closes", "r5xx").acts([closes()]),
        at("5xx, closes once", "r5xx").acts([closes(), ok()]),
        at("5xx, garbage", "r5xx").acts([Act::Last("garbage\r\n\r\n".to_owned())]),
        at("5xx, closes, then 503", "r5xx").acts([closes(), unavailable()]),
        at("5xx, 503, then closes", "r5xx").acts([unavailable(), closes()]),
        at("5xx, refused", "r5xx-gone"),
        at("5xx, empty cluster", "r5xx-empty"),
        at("5xx, overflow", "r5xx-pending0"),
        at("5xx, retries overflow", "r5xx-retries0").acts([unavailable()]),
        at("reset, closes", "rreset").acts([closes()]),
        at("reset, 503", "rreset").acts([unavailable()]),
        at("reset-before-request, closes", "rreset-before").acts([closes()]),
        at("gateway-error, 500", "rgateway").acts([internal()]),
        at("gateway-error, 503", "rgateway").acts([unavailable()]),
        at("retriable-4xx, 409", "r4xx").acts([status("409 Conflict")]),
        at("retriable-4xx, 404", "r4xx").acts([status("404 Not Found")]),
        at("unavailable, grpc-status 14", "rgrpc").acts([Act::Answer(
            "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\ncontent-length: 2\r\n\r\nok"
                .to_owned(),
        )]),
        at("Istio, always 503", "istio").acts([unavailable()]),
        at("Istio, 503 once", "istio").acts([unavailable(), ok()]),
        at("Istio, 500", "istio").acts([internal()]),
        at("Istio, closes", "istio").acts([closes()]),
        at("Istio, resets", "istio").acts([Act::Reset(String::new())]),
        at("Istio, refused", "istio-gone"),
        at("Istio, empty", "istio-empty"),
        at("Istio, closes on accept", "istio-closing"),
        at("Istio, connect timeout", "istio-toplain"),
        at("Istio, 503 over mutual TLS", "istio-mtls").acts([unavailable(), ok()]),
        at("no certificate, connect-failure", "rconnect-nocert"),
        Row::get("retry: asked by a stranger", "plain", "/up/", "x-envoy-retry-on: 5xx\r\nx-envoy-max-retries: 2\r\n")
            .acts([unavailable()]),
        Row::get("retry: fewer asked by a stranger", "plain", "/r5xx/", "x-envoy-max-retries: 0\r\n")
            .acts([unavailable()]),
        Row::raw("retry: POST", "plain", &post("/r5xx/", "hello")).acts([unavailable(), ok()]),
        Row::raw(
            "retry: POST, chunked",
            "plain",
            "POST /r5xx/ HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        )
        .acts([unavailable(), ok()]),
        Row::raw("retry: attempts are counted", "plain", &format!("{counted}\r\n")).acts([
            unavailable(),
            unavailable(),
            ok(),
        ]),
        Row::raw("retry: a forged count", "plain", &format!("{counted}x-envoy-attempt-count: 9\r\nx-b: 1\r\n\r\n")),
        Row::raw("retry: counted, exhausted", "plain", &format!("{counted}\r\n")).acts([unavailable()]),
        Row::get("retry: grpc refused", "plain", "/istio-gone/", "content-type: application/grpc\r\n"),
        Row::raw("retry: HEAD", "plain", "HEAD /r5xx/ HTTP/1.1\r\nhost: a.test\r\n\r\n")
            .acts([Act::Answer("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n".to_owned())]),
    ]
}
