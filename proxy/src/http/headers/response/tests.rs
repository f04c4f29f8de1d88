//! Response headers, by the rows of the Envoy tables.

use std::sync::Arc;

use http::HeaderName;

use super::*;
use crate::snapshot::listener::RouteSource;

fn manager(server_header: ServerHeader, name: &str) -> HttpManager {
    let routes = RouteSource::Rds(Arc::from("r"));
    HttpManager { server_header, server_name: name.into(), ..HttpManager::new("h", routes) }
}

fn answered(
    manager: &HttpManager,
    upstream: &[(&'static str, &'static str)],
    attempts: Option<u32>,
    close: bool,
) -> String {
    let mut headers = HeaderList::new();
    for (name, value) in upstream {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    prepare_response(&mut headers, manager, Duration::from_micros(7900), attempts, &[]);
    let id = HeaderValue::from_static("abc");
    let facts = ResponseFacts {
        manager,
        protocol: Protocol::Http1,
        now: UnixTime::from_epoch(Duration::from_secs(784_111_777)),
        dates: &Dates::new(),
        request_id: Some(&id),
        close,
        keep_upgrade: false,
    };
    finish_response(&mut headers, &facts);
    let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    let text = headers.iter().map(line).collect::<Vec<_>>().join(" · ");
    text.replace("date: Sun, 06 Nov 1994 08:49:37 GMT", "[D]").replace("x-envoy-upstream-service-time: 7", "[UST]")
}

#[test]
fn server_headers_follow_their_transformation_and_keep_their_place() {
    use ServerHeader::{AppendIfAbsent, Overwrite, PassThrough};
    let upstream: &[_] = &[("server", "up"), ("content-length", "2")];
    let none: &[_] = &[("content-length", "2")];
    for (mode, name, sent, wanted) in [
        (Overwrite, "envoy", upstream, "server: envoy · content-length: 2 · [UST] · [D]"),
        (Overwrite, "envoy", none, "content-length: 2 · [UST] · [D] · server: envoy"),
        (AppendIfAbsent, "envoy", upstream, "server: up · content-length: 2 · [UST] · [D]"),
        (AppendIfAbsent, "envoy", none, "content-length: 2 · [UST] · [D] · server: envoy"),
        (PassThrough, "envoy", upstream, "server: up · content-length: 2 · [UST] · [D]"),
        (PassThrough, "envoy", none, "content-length: 2 · [UST] · [D]"),
        (Overwrite, "istio-envoy", upstream, "server: istio-envoy · content-length: 2 · [UST] · [D]"),
    ] {
        assert_eq!(answered(&manager(mode, name), sent, None, false), wanted);
    }
}

#[test]
fn an_upstreams_date_stays_and_its_hop_by_hop_headers_go() {
    let upstream = [
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("date", "Mon, 01 Jan 2001 00:00:00 GMT"),
        ("server", "nginx"),
        ("keep-alive", "timeout=5"),
        ("connection", "close"),
        ("x-up", "1"),
    ];
    assert_eq!(
        answered(&manager(ServerHeader::Overwrite, "envoy"), &upstream, None, false),
        "set-cookie: a=1 · set-cookie: b=2 · date: Mon, 01 Jan 2001 00:00:00 GMT · server: envoy · x-up: 1 · [UST]"
    );
}

#[test]
fn the_attempt_count_follows_the_service_time_and_close_comes_last() {
    let mut manager = manager(ServerHeader::Overwrite, "envoy");
    assert_eq!(
        answered(&manager, &[], Some(3), true),
        "[UST] · x-envoy-attempt-count: 3 · [D] · server: envoy · connection: close"
    );
    manager.always_set_request_id_in_response = true;
    manager.suppress_envoy_headers = true;
    assert_eq!(answered(&manager, &[], None, false), "[D] · server: envoy · x-request-id: abc");
}
