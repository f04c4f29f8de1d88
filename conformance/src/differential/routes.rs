//! Route configurations: one route for each thing that a row is about.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::route::v3 as rds;
use rds::route::Action;

use super::shapes::{istio_retry, ms, retry, retrying, split, to};
use crate::foreign::shapes::{direct, prefix, route, virtual_host};

/// A virtual host of every domain, with one route.
pub fn one(action: rds::RouteAction) -> rds::VirtualHost {
    virtual_host("any", &["*"], vec![route("one", prefix("/"), Action::Route(action))])
}

/// The virtual hosts `a.test` and `b.test`, `*.wild.test`, with a route for each cluster and policy, and
/// `counted.test`, where attempts are counted. Nothing else.
pub fn main_hosts() -> Vec<rds::VirtualHost> {
    let mut routes: Vec<rds::Route> = actions()
        .into_iter()
        .map(|(name, action)| route(name, prefix(&format!("/{name}/")), Action::Route(action)))
        .collect();
    routes.push(route("direct", exact("/direct"), direct(200, "hi")));
    routes.push(route("direct-empty", exact("/direct-empty"), direct(403, "")));
    routes.extend(redirects());
    let mut counted = virtual_host(
        "counted",
        &["counted.test"],
        vec![route("counted", prefix("/"), Action::Route(retrying(to("up"), retry("5xx", 3))))],
    );
    counted.include_request_attempt_count = true;
    counted.include_attempt_count_in_response = true;
    let up = || vec![route("up", prefix("/up/"), Action::Route(to("up")))];
    let star = vec![route("any", prefix("/"), Action::Route(to("up")))];
    vec![
        virtual_host("a", &["a.test"], routes),
        virtual_host("b", &["b.test", "*.wild.test"], up()),
        // What comes by raw bytes names itself `a`, and lists and lacks of hosts come here.
        virtual_host("raw", &["a", "a,b", "b.test:81", "[::1]", "1.2.3.4"], star),
        counted,
    ]
}

fn exact(path: &str) -> rds::RouteMatch {
    crate::foreign::shapes::path(rds::route_match::PathSpecifier::Path(path.to_owned()))
}

fn actions() -> Vec<(&'static str, rds::RouteAction)> {
    let mut all: Vec<(&'static str, rds::RouteAction)> = CLUSTERS.iter().map(|name| (*name, to(name))).collect();
    let missing = rds::route_action::ClusterNotFoundResponseCode::NotFound as i32;
    all.extend([
        ("nc", to("missing")),
        ("nc404", rds::RouteAction { cluster_not_found_response_code: missing, ..to("missing") }),
        ("t300", rds::RouteAction { timeout: ms(300), ..to("up") }),
        ("t0", rds::RouteAction { timeout: ms(0), ..to("up") }),
        ("idle300", rds::RouteAction { idle_timeout: ms(300), ..to("up") }),
        ("half-missing", split(&[("up", 1), ("missing", 0)])),
        ("none-but-missing", split(&[("up", 0), ("missing", 1)])),
        (
            "cluster-header",
            rds::RouteAction {
                cluster_specifier: Some(rds::route_action::ClusterSpecifier::ClusterHeader("x-cluster".to_owned())),
                ..Default::default()
            },
        ),
        ("rewrite", rds::RouteAction { prefix_rewrite: "/new/".to_owned(), ..to("up") }),
        (
            "host",
            rds::RouteAction {
                host_rewrite_specifier: Some(rds::route_action::HostRewriteSpecifier::HostRewriteLiteral(
                    "other.test".to_owned(),
                )),
                append_x_forwarded_host: true,
                ..to("up")
            },
        ),
    ]);
    all.extend(retries());
    all.extend(super::detection::actions());
    all
}

/// Clusters that have a route of their name.
const CLUSTERS: &[&str] = &[
    "up",
    "gone",
    "closing",
    "empty",
    "sick",
    "panic",
    "draining",
    "pending0",
    "requests0",
    "connections0",
    "once",
    "u-ok",
    "u-wrongca",
    "u-san",
    "u-exp",
    "u-mtls",
    "u-nocert",
    "u-badcert",
    "u-expcert",
    "u-otherca",
    "u-toplain",
    "u-plaintotls",
];

fn retries() -> Vec<(&'static str, rds::RouteAction)> {
    let per_try = |policy: rds::RetryPolicy| rds::RetryPolicy { per_try_timeout: ms(200), ..policy };
    let within = |timeout, action| rds::RouteAction { timeout: ms(timeout), ..action };
    vec![
        ("r5xx", retrying(to("up"), retry("5xx", 2))),
        ("r5xx-gone", retrying(to("gone"), retry("5xx", 2))),
        ("r5xx-empty", retrying(to("empty"), retry("5xx", 2))),
        ("r5xx-pending0", retrying(to("pending0"), retry("5xx", 2))),
        ("r5xx-retries0", retrying(to("retries0"), retry("5xx", 2))),
        ("rreset", retrying(to("up"), retry("reset", 2))),
        ("rreset-before", retrying(to("up"), retry("reset-before-request", 2))),
        ("rgateway", retrying(to("up"), retry("gateway-error", 2))),
        ("r4xx", retrying(to("up"), retry("retriable-4xx", 1))),
        ("rgrpc", retrying(to("up"), retry("unavailable", 2))),
        ("rconnect-nocert", retrying(to("u-nocert"), retry("connect-failure", 1))),
        ("istio", retrying(to("up"), istio_retry())),
        ("istio-gone", retrying(to("gone"), istio_retry())),
        ("istio-empty", retrying(to("empty"), istio_retry())),
        ("istio-closing", retrying(to("closing"), istio_retry())),
        ("istio-toplain", retrying(to("u-toplain"), istio_retry())),
        ("istio-mtls", retrying(to("u-mtls"), istio_retry())),
        ("istio-try", retrying(to("up"), per_try(istio_retry()))),
        ("try", retrying(to("up"), per_try(retry("", 2)))),
        ("try5xx", retrying(to("up"), per_try(retry("5xx", 2)))),
        ("trygateway", retrying(to("up"), per_try(retry("gateway-error", 2)))),
        ("tryreset", retrying(to("up"), per_try(retry("reset", 2)))),
        ("try10", within(500, retrying(to("up"), per_try(retry("5xx", 10))))),
    ]
}

fn redirects() -> Vec<rds::Route> {
    use rds::redirect_action::{PathRewriteSpecifier, SchemeRewriteSpecifier};
    let none = rds::RedirectAction::default;
    [
        ("rd-host", rds::RedirectAction { host_redirect: "new.test".to_owned(), ..none() }),
        (
            "rd-path",
            rds::RedirectAction {
                path_rewrite_specifier: Some(PathRewriteSpecifier::PathRedirect("/there".to_owned())),
                ..none()
            },
        ),
        (
            "rd-prefix",
            rds::RedirectAction {
                path_rewrite_specifier: Some(PathRewriteSpecifier::PrefixRewrite("/p/".to_owned())),
                ..none()
            },
        ),
        (
            "rd-https",
            rds::RedirectAction {
                scheme_rewrite_specifier: Some(SchemeRewriteSpecifier::HttpsRedirect(true)),
                ..none()
            },
        ),
        ("rd-port", rds::RedirectAction { port_redirect: 8443, response_code: 1, ..none() }),
        (
            "rd-strip",
            rds::RedirectAction { strip_query: true, response_code: 4, host_redirect: "n.test".to_owned(), ..none() },
        ),
    ]
    .into_iter()
    .map(|(name, action)| route(name, prefix(&format!("/{name}/")), Action::Redirect(action)))
    .collect()
}

fn change(name: &str, value: &str, action: core::header_value_option::HeaderAppendAction) -> core::HeaderValueOption {
    core::HeaderValueOption {
        header: Some(core::HeaderValue { key: name.to_owned(), value: value.to_owned(), ..Default::default() }),
        append_action: action as i32,
        ..Default::default()
    }
}

/// Header changes on every level, in the mode and order that field tables name.
pub fn mutating(most_specific_wins: bool) -> rds::RouteConfiguration {
    use core::header_value_option::HeaderAppendAction::{
        AddIfAbsent, AppendIfExistsOrAdd, OverwriteIfExists, OverwriteIfExistsOrAdd,
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let level = |level: &str| {
        vec![change("x-level", level, OverwriteIfExistsOrAdd), change("x-add", level, AppendIfExistsOrAdd)]
    };
    let mut route = route("hr", prefix("/"), Action::Route(to("up")));
    route.request_headers_to_add = level("route");
    route.request_headers_to_add.extend([
        change("x-abs", "route", AddIfAbsent),
        change("x-owe", "route", OverwriteIfExists),
        change("X-Case", "V", AppendIfExistsOrAdd),
        change("x-percent", "100%%", AppendIfExistsOrAdd),
    ]);
    route.request_headers_to_remove = names(&["x-rm", "x-add2"]);
    route.response_headers_to_add = level("route");
    route.response_headers_to_add.push(change("x-rabs", "route", AddIfAbsent));
    route.response_headers_to_remove = names(&["x-rrm", "server"]);
    let mut host = virtual_host("vh", &["*"], vec![route]);
    host.request_headers_to_add = level("vhost");
    host.request_headers_to_remove = names(&["x-rm2"]);
    host.response_headers_to_add = level("vhost");
    let mut add = level("rc");
    add.push(change("x-add2", "rc", AppendIfExistsOrAdd));
    rds::RouteConfiguration {
        name: "rc".to_owned(),
        virtual_hosts: vec![host],
        request_headers_to_add: add,
        response_headers_to_add: level("rc"),
        most_specific_header_mutations_wins: most_specific_wins,
        ..Default::default()
    }
}
