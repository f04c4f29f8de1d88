//! Route configurations.

use envoy_types::pb::envoy::config::route::v3::route::Action as ProtoAction;
use envoy_types::pb::envoy::config::route::v3::route_action::{ClusterSpecifier, HostRewriteSpecifier};
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::config::route::v3::{
    CorsPolicy, DirectResponseAction, HeaderMatcher as ProtoHeaderMatcher, RedirectAction, RetryPolicy, Route,
    RouteAction, RouteConfiguration, RouteMatch, VirtualHost, WeightedCluster, header_matcher::HeaderMatchSpecifier,
    redirect_action::SchemeRewriteSpecifier, retry_policy::RetryBackOff, retry_policy::RetryHostPredicate,
};
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher, string_matcher::MatchPattern};

use super::super::route_config;
use super::*;
use crate::snapshot::RouteConfig;
use crate::snapshot::mutation::HeaderChangeMode;
use crate::snapshot::route::{Action, ClusterChoice, Forward, HeaderKey, PathMatcher, ValueMatcher};

fn to(cluster: &str) -> RouteAction {
    RouteAction { cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_owned())), ..Default::default() }
}

fn route(action: ProtoAction) -> Route {
    let all = RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".to_owned())), ..Default::default() };
    Route { name: "r".to_owned(), r#match: Some(all), action: Some(action), ..Default::default() }
}

fn config(route: Route) -> RouteConfiguration {
    let host = VirtualHost {
        name: "v".to_owned(),
        domains: vec!["A.test".to_owned(), "*".to_owned()],
        routes: vec![route],
        metadata: from_line_7(),
        ..Default::default()
    };
    RouteConfiguration { name: "80".to_owned(), virtual_hosts: vec![host], ..Default::default() }
}

fn decoded(route: Route) -> RouteConfig {
    route_config(&packed(&config(route))).unwrap()
}

fn forward(action: RouteAction) -> Forward {
    let config = decoded(route(ProtoAction::Route(action)));
    match &config.virtual_hosts()[0].routes()[0].action {
        Action::Forward(forward) => (**forward).clone(),
        other => panic!("{other:?}"),
    }
}

fn fault(message: &RouteConfiguration) -> String {
    route_config(&packed(message)).map(|_| "accepted".to_owned()).unwrap_or_else(|error| error.to_string())
}

fn route_fault(change: impl FnOnce(&mut Route)) -> String {
    let mut route = route(ProtoAction::Route(to("c")));
    change(&mut route);
    fault(&config(route))
}

fn action_fault(change: impl FnOnce(&mut RouteAction)) -> String {
    let mut action = to("c");
    change(&mut action);
    fault(&config(route(ProtoAction::Route(action))))
}

#[test]
fn hosts_have_lower_case_domains_and_know_their_line() {
    let config = decoded(route(ProtoAction::Route(to("c"))));
    let host = &config.virtual_hosts()[0];
    assert_eq!(host.domains.iter().map(|domain| &**domain).collect::<Vec<_>>(), ["a.test", "*"]);
    assert_eq!(host.provenance.as_ref().unwrap().to_string(), "mesh.yaml:7:3");
    assert_eq!(&*host.routes()[0].name, "r");
}

#[test]
fn a_split_keeps_weights_names_and_lines() {
    let arm = |name: &str, weight| ClusterWeight {
        name: name.to_owned(),
        weight: number(weight),
        metadata_match: from_line_7(),
        ..Default::default()
    };
    let split = |arms| WeightedCluster { clusters: arms, ..Default::default() };
    let action = |split| RouteAction {
        cluster_specifier: Some(ClusterSpecifier::WeightedClusters(split)),
        ..Default::default()
    };
    let ClusterChoice::Weighted(arms) = forward(action(split(vec![arm("a", 70), arm("b", 0)]))).cluster else {
        panic!("a split")
    };
    assert_eq!(arms.iter().map(|arm| (&*arm.name, arm.weight)).collect::<Vec<_>>(), [("a", 70), ("b", 0)]);
    assert!(arms.iter().all(|arm| arm.provenance.is_some()));
    let field = "route configuration `80`: virtual_hosts[0].routes[0].route.weighted_clusters";
    assert_eq!(
        fault(&config(route(ProtoAction::Route(action(split(vec![arm("a", 0)])))))),
        format!("{field}.clusters: wanted weights with a sum from 1 to 4294967295, got 0")
    );
}

#[test]
fn an_action_says_all_it_means() {
    let decoded = forward(RouteAction {
        timeout: millis(0),
        cluster_not_found_response_code: 1,
        prefix_rewrite: "/x".to_owned(),
        host_rewrite_specifier: Some(HostRewriteSpecifier::HostRewriteLiteral("c.test".to_owned())),
        retry_policy: Some(RetryPolicy {
            retry_on: "5xx, connect-failure,http3-post-connect-failure".to_owned(),
            num_retries: number(4),
            retriable_status_codes: vec![503],
            retry_host_predicate: vec![RetryHostPredicate {
                name: "envoy.retry_host_predicates.previous_hosts".to_owned(),
                ..Default::default()
            }],
            host_selection_retry_max_attempts: 5,
            retry_back_off: Some(RetryBackOff { base_interval: millis(100), max_interval: None }),
            ..Default::default()
        }),
        ..to("c")
    });
    assert_eq!((decoded.timeout, decoded.cluster_not_found_status), (Some(std::time::Duration::ZERO), 404));
    assert_eq!((decoded.prefix_rewrite.as_deref(), decoded.host_rewrite.as_deref()), (Some("/x"), Some("c.test")));
    let retry = decoded.retry_policy.unwrap();
    assert!(retry.on.server_error && retry.on.connect_failure && !retry.on.reset);
    assert_eq!((retry.retries_max, retry.host_selection_attempts_max, retry.avoid_previous_hosts), (4, 6, true));
    assert_eq!((retry.backoff_base.as_millis(), retry.backoff_max.as_millis()), (100, 1000));
}

#[test]
fn rules_keep_their_kind_and_regexes_match_the_whole() {
    let header = |name: &str, value| ProtoHeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(value),
        ..Default::default()
    };
    let regex = |regex: &str| RegexMatcher { regex: regex.to_owned(), ..Default::default() };
    let string = StringMatcher { ignore_case: true, match_pattern: Some(MatchPattern::SafeRegex(regex(".*Chrome.*"))) };
    let mut message = route(ProtoAction::Route(to("c")));
    message.r#match = Some(RouteMatch {
        path_specifier: Some(PathSpecifier::SafeRegex(regex("/a|/b"))),
        headers: vec![
            header("User-Agent", HeaderMatchSpecifier::StringMatch(string)),
            header("Host", HeaderMatchSpecifier::ExactMatch("a.test".to_owned())),
            ProtoHeaderMatcher { name: ":method".to_owned(), ..Default::default() },
        ],
        ..Default::default()
    });
    let config = decoded(message);
    let rules = &config.virtual_hosts()[0].routes()[0].matches;
    let PathMatcher::Regex(path) = &rules.path else { panic!("a regex") };
    assert!(path.is_match("/a") && !path.is_match("/ab") && !path.is_match("x/b"));
    assert_eq!(rules.headers[0].name, HeaderKey::Header(http::header::USER_AGENT));
    assert_eq!((&rules.headers[1].name, &rules.headers[2].name), (&HeaderKey::Authority, &HeaderKey::Method));
    assert!(matches!(rules.headers[2].value, ValueMatcher::Present(true)));
}

#[test]
fn headers_are_changed_as_their_append_action_says() {
    let option = |value: &str, append_action, append| core::HeaderValueOption {
        header: Some(core::HeaderValue { key: "X-A".to_owned(), value: value.to_owned(), ..Default::default() }),
        append_action,
        append,
        ..Default::default()
    };
    let mut message = route(ProtoAction::Route(to("c")));
    message.request_headers_to_add = vec![
        option("1", 0, None),
        option("2", 1, None),
        option("100%%", 2, None),
        option("4", 3, None),
        option("5", 0, on(false)),
        option("", 0, None),
    ];
    let config = decoded(message);
    let changes = &config.virtual_hosts()[0].routes()[0].headers.request_add;
    use HeaderChangeMode::{AddIfAbsent, Append, Overwrite, OverwriteIfExists};
    let modes: Vec<_> = changes.iter().map(|change| change.mode).collect();
    assert_eq!(modes, [Append, AddIfAbsent, Overwrite, OverwriteIfExists, Overwrite]);
    assert_eq!(changes[2].value, "100%");
    assert_eq!(changes[0].name, "x-a");
    assert_eq!(
        route_fault(|message| message.request_headers_to_add = vec![option("%REQ(x)%", 0, None)]),
        "route configuration `80`: virtual_hosts[0].routes[0].request_headers_to_add[0].header.value: wanted a \
         literal (command operators are not supported), got %REQ(x)%"
    );
}

#[test]
fn redirects_and_direct_responses_decode() {
    let redirect = RedirectAction {
        response_code: 4,
        port_redirect: 8443,
        scheme_rewrite_specifier: Some(SchemeRewriteSpecifier::HttpsRedirect(true)),
        ..Default::default()
    };
    let config = decoded(route(ProtoAction::Redirect(redirect)));
    let Action::Redirect(to) = &config.virtual_hosts()[0].routes()[0].action else { panic!("a redirect") };
    assert_eq!((to.status, to.port, to.scheme.as_deref()), (308, Some(8443), Some("https")));
    let direct = DirectResponseAction {
        status: 503,
        body: Some(core::DataSource {
            specifier: Some(core::data_source::Specifier::InlineString("x".to_owned())),
            ..Default::default()
        }),
        ..Default::default()
    };
    let config = decoded(route(ProtoAction::DirectResponse(direct)));
    let Action::Direct { status, body } = &config.virtual_hosts()[0].routes()[0].action else { panic!("direct") };
    assert_eq!((*status, &body[..]), (503, &b"x"[..]));
}

#[test]
fn what_would_change_traffic_is_refused_by_field() {
    let regex = |regex: &str| RegexMatcher { regex: regex.to_owned(), ..Default::default() };
    let path = |regex: RegexMatcher| {
        Some(RouteMatch { path_specifier: Some(PathSpecifier::SafeRegex(regex)), ..Default::default() })
    };
    let config_of = |host: VirtualHost| RouteConfiguration { virtual_hosts: vec![host], ..Default::default() };
    let host = |domains: &[&str]| VirtualHost {
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        ..Default::default()
    };
    for (got, wanted) in [
        (action_fault(|action| action.cors = Some(CorsPolicy::default())), "route.cors: wanted nothing"),
        (
            action_fault(|action| action.request_mirror_policies.push(Default::default())),
            "route.request_mirror_policies",
        ),
        (
            action_fault(|action| action.priority = 1),
            "route.priority: wanted nothing (the field is not supported), got 1",
        ),
        (
            action_fault(|action| action.metadata_match = metadata("envoy.lb", strings(&[("a", "b")]))),
            "route.metadata_match: wanted no envoy.lb",
        ),
        (
            action_fault(|action| {
                action.retry_policy = Some(RetryPolicy { retry_on: "reset,nope".to_owned(), ..Default::default() });
            }),
            "route.retry_policy.retry_on: wanted known conditions, got `nope`",
        ),
        (
            route_fault(|route| {
                route.typed_per_filter_config.insert("envoy.filters.http.fault".to_owned(), Any::default());
            }),
            "typed_per_filter_config: wanted nothing",
        ),
        (route_fault(|route| route.r#match = None), "match: wanted a value"),
        (route_fault(|route| route.action = None), "action: wanted an action"),
        (route_fault(|route| route.r#match = path(regex("("))), "match.safe_regex.regex: wanted a regular"),
        (route_fault(|route| route.r#match = path(regex("a)|(b"))), "match.safe_regex.regex: wanted a regular"),
        (
            route_fault(|route| route.r#match = path(regex("(\\w{200}){200}"))),
            "match.safe_regex.regex: wanted a regular",
        ),
    ] {
        assert!(got.starts_with(&format!("route configuration `80`: virtual_hosts[0].routes[0].{wanted}")), "{got}");
    }
    for (message, wanted) in [
        (config_of(host(&[])), "virtual_hosts[0].domains: wanted at least one, got none"),
        (config_of(host(&["a*b"])), "virtual_hosts[0].domains[0]: wanted an exact domain"),
        (config_of(host(&["a", "A"])), "virtual_hosts: wanted each domain once, got `a` twice"),
        (RouteConfiguration { validate_clusters: on(true), ..Default::default() }, "validate_clusters: wanted false"),
    ] {
        let got = fault(&message);
        assert!(got.starts_with(&format!("route configuration ``: {wanted}")), "{got}");
    }
}
