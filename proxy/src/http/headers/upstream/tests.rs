//! Upstream request headers, by the rows of the Envoy tables.

use std::sync::Arc;

use http::HeaderName;

use super::*;
use crate::snapshot::RouteConfig;
use crate::snapshot::listener::RouteSource;
use crate::snapshot::route::{Action, ClusterChoice, HeaderChange, HeaderChangeMode, Route, RouteMatch};

/// The headers as they are sent.
fn show(headers: HeaderList) -> String {
    let headers = http::HeaderMap::from(headers);
    let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    headers.iter().map(line).collect::<Vec<_>>().join(" · ")
}

fn change(name: &'static str, value: &'static str, mode: HeaderChangeMode) -> HeaderChange {
    HeaderChange { name: HeaderName::from_static(name), value: HeaderValue::from_static(value), mode }
}

/// A request of a client with these headers, through this route and virtual host.
fn sent(
    lines: &[(&'static str, &'static str)],
    forward: &Forward,
    host: &VirtualHost,
    levels: &[&HeaderMutations],
    path: &str,
) -> (String, Target) {
    let manager = HttpManager::new("h", RouteSource::Rds(Arc::from("r")));
    let mut headers = HeaderList::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let timeouts = Timeouts { global: Some(Duration::from_secs(15)), per_try: None };
    let matched = PathMatcher::Prefix("/pre".into());
    let request = UpstreamRequest { manager: &manager, host, matched: &matched, forward, levels, timeouts };
    let target = Target { authority: "a.test".into(), path_and_query: path.into() };
    let target = prepare_upstream_request(&mut headers, &request, target);
    (show(headers), target)
}

fn forward() -> Forward {
    Forward::to(ClusterChoice::Single("c".into()))
}

fn host() -> VirtualHost {
    VirtualHost::new("v", &["*"], Vec::new())
}

#[test]
fn rewrites_keep_what_was_asked_for() {
    let mut forward = forward();
    forward.host_rewrite = Some("c.test".into());
    forward.append_x_forwarded_host = true;
    forward.prefix_rewrite = Some("/".into());
    let (headers, target) = sent(&[("x-envoy-original-path", "/forged")], &forward, &host(), &[], "/pre/a?b=1");
    assert_eq!(
        headers,
        "x-envoy-original-path: /pre/a?b=1 · x-envoy-expected-rq-timeout-ms: 15000 · \
         x-envoy-original-host: a.test · x-forwarded-host: a.test"
    );
    assert_eq!((&*target.authority, &*target.path_and_query), ("c.test", "//a?b=1"));
}

#[test]
fn the_attempt_count_follows_the_timeout_and_replaces_a_forged_one_in_place() {
    let mut host = host();
    host.include_request_attempt_count = true;
    let (headers, _) = sent(&[], &forward(), &host, &[], "/");
    assert_eq!(headers, "x-envoy-expected-rq-timeout-ms: 15000 · x-envoy-attempt-count: 1");
    let (headers, _) = sent(&[("x-envoy-attempt-count", "9"), ("x-b", "1")], &forward(), &host, &[], "/");
    assert_eq!(headers, "x-envoy-attempt-count: 1 · x-b: 1 · x-envoy-expected-rq-timeout-ms: 15000");
}

/// The three levels of §13.
fn levels() -> [HeaderMutations; 3] {
    use HeaderChangeMode::{AddIfAbsent, Append, Overwrite, OverwriteIfExists};
    let names = |list: &[&'static str]| list.iter().map(|name| HeaderName::from_static(name)).collect();
    let route = HeaderMutations {
        request_add: vec![
            change("x-add", "route", Append),
            change("x-ow", "route", Overwrite),
            change("x-abs", "route", AddIfAbsent),
            change("x-owe", "route", OverwriteIfExists),
        ],
        request_remove: names(&["x-rm", "x-add2"]),
        ..Default::default()
    };
    let host = HeaderMutations {
        request_add: vec![change("x-add", "vhost", Append)],
        request_remove: names(&["x-rm2"]),
        ..Default::default()
    };
    let config = HeaderMutations {
        request_add: vec![change("x-add", "rc", Append), change("x-add2", "rc", Append)],
        ..Default::default()
    };
    [route, host, config]
}

#[test]
fn changes_run_from_the_route_outwards_overwrites_before_appends() {
    let [route, vhost, config] = levels();
    let levels = [&route, &vhost, &config];
    let (headers, _) = sent(&[], &forward(), &host(), &levels, "/");
    assert_eq!(
        headers,
        "x-envoy-expected-rq-timeout-ms: 15000 · x-ow: route · x-add: route · x-add: vhost · x-add: rc · \
         x-abs: route · x-add2: rc"
    );
    let client = [("x-abs", "c"), ("x-owe", "c"), ("x-rm", "c"), ("x-rm2", "c"), ("x-add2", "c"), ("x-ow", "c")];
    let (headers, _) = sent(&client, &forward(), &host(), &levels, "/");
    assert_eq!(
        headers,
        "x-abs: c · x-envoy-expected-rq-timeout-ms: 15000 · x-ow: route · x-owe: route · x-add: route · \
         x-add: vhost · x-add: rc · x-add2: rc"
    );
}

#[test]
fn the_route_configuration_has_the_last_word_unless_the_most_specific_wins() {
    let level = |value| HeaderMutations {
        request_add: vec![change("x-add", value, HeaderChangeMode::Overwrite)],
        ..Default::default()
    };
    let direct = Action::Direct { status: 200, body: bytes::Bytes::new() };
    let mut route = Route::new(RouteMatch::prefix("/"), direct);
    route.headers = level("route");
    let mut config = RouteConfig::new("r", Vec::new()).unwrap();
    config.headers = level("rc");
    let host = host();
    for (specific, wanted) in [(false, "x-add: rc"), (true, "x-add: route")] {
        config.most_specific_header_mutations_wins = specific;
        let mut headers = HeaderList::new();
        mutate::request(&mut headers, &mutate::levels(&config, &host, &route, None));
        assert_eq!(show(headers), wanted);
    }
}
