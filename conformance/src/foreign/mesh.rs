//! The pages of the recording: a shop behind three listeners, and four changes to it.

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::HealthStatus;
use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3 as rds;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher, string_matcher};
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::google::protobuf::Any;
use prost::Name;
use rds::route_match::PathSpecifier;

use super::shapes::{
    Routes, any, assignment, direct, eds_cluster, listener, number, path, prefix, route, set_header, static_cluster,
    tcp_listener, to_cluster, virtual_host,
};
use crate::script::Page;

/// The listener whose routes come by name.
pub const SHOP_LISTENER: &str = "listener_http_0";
/// The listener that holds its routes.
pub const ADMIN_LISTENER: &str = "envoy-admin/[::]:9443";
/// The listener that passes bytes to [`LEGACY_CLUSTER`] or, once that is gone, nowhere.
pub const TCP_LISTENER: &str = "tcp|orders|5432";
/// The route configuration of the shop.
pub const SHOP_ROUTES: &str = "local_route_7";
/// The cluster whose endpoints come under another name.
pub const SHOP_CLUSTER: &str = "svc-a/prod/8080";
/// That other name.
pub const SHOP_ENDPOINTS: &str = "prod/svc-a/http";
/// The cluster whose endpoints come under its own name.
pub const PETS_CLUSTER: &str = "default-petstore-8080_gloo-system";
/// The cluster with its endpoints in it.
pub const LEGACY_CLUSTER: &str = "legacy.static";

/// The programs that the recording's endpoints stand for, and where its listeners are.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// Behind the shop's cluster at first.
    pub first: SocketAddr,
    /// Behind all others.
    pub second: SocketAddr,
    /// Where nobody listens; such endpoints are never healthy.
    pub nowhere: SocketAddr,
    /// Where [`SHOP_LISTENER`] is.
    pub shop: SocketAddr,
    /// Where [`ADMIN_LISTENER`] is.
    pub admin: SocketAddr,
    /// Where [`TCP_LISTENER`] is.
    pub bytes: SocketAddr,
}

/// Everything, from the start: clusters in two responses, endpoints one by one, an empty response, things
/// nobody asked for, the same again.
pub fn opening(places: Places) -> Vec<Page> {
    let shop = eds_cluster(SHOP_CLUSTER, SHOP_ENDPOINTS);
    let pets = eds_cluster(PETS_CLUSTER, "");
    let legacy = static_cluster(LEGACY_CLUSTER, places.second);
    let pets_endpoints = assignment(PETS_CLUSTER, &[(places.second, HealthStatus::Unknown)]);
    let unasked = assignment("nobody/asked/1", &[(places.nowhere, HealthStatus::Healthy)]);
    let is_cluster = |pages: Page| Page { asked: Vec::new(), ..pages };
    vec![
        is_cluster(page::<Cluster>("cds-α", vec![(SHOP_CLUSTER, any(&shop))])),
        is_cluster(page::<Cluster>("cds-β", vec![(LEGACY_CLUSTER, any(&legacy)), (PETS_CLUSTER, any(&pets))])),
        Page { asked: vec![SHOP_ENDPOINTS.to_owned()], ..page::<ClusterLoadAssignment>("eds/0", Vec::new()) },
        page::<ClusterLoadAssignment>("eds/1", vec![(SHOP_ENDPOINTS, any(&shop_endpoints(places, places.first)))]),
        Page {
            asked: vec![PETS_CLUSTER.to_owned()],
            removed: vec!["never/was/there".to_owned()],
            ..page::<ClusterLoadAssignment>(
                "eds/2",
                vec![("nobody/asked/1", any(&unasked)), (PETS_CLUSTER, any(&pets_endpoints))],
            )
        },
        is_cluster(page::<Listener>(
            "9f2c-lds",
            vec![
                (
                    ADMIN_LISTENER,
                    any(&listener(ADMIN_LISTENER, places.admin, Routes::Inline(Box::new(admin_routes())))),
                ),
                (SHOP_LISTENER, any(&listener(SHOP_LISTENER, places.shop, Routes::Named(SHOP_ROUTES)))),
                (TCP_LISTENER, any(&tcp_listener(TCP_LISTENER, places.bytes, LEGACY_CLUSTER))),
            ],
        )),
        page::<rds::RouteConfiguration>("rds;first", vec![(SHOP_ROUTES, any(&shop_routes(false)))]),
        is_cluster(page::<Cluster>("cds-β-again", vec![(LEGACY_CLUSTER, any(&legacy)), (PETS_CLUSTER, any(&pets))])),
    ]
}

/// The shop's endpoints move to the second program, and a route comes.
pub fn moved(places: Places) -> Vec<Page> {
    vec![
        page::<ClusterLoadAssignment>("eds/3", vec![(SHOP_ENDPOINTS, any(&shop_endpoints(places, places.second)))]),
        page::<rds::RouteConfiguration>("rds;second", vec![(SHOP_ROUTES, any(&shop_routes(true)))]),
    ]
}

/// A cluster that asks for what we do not do, beside a change that we do.
pub fn refused(places: Places) -> Vec<Page> {
    let mut checked = static_cluster(LEGACY_CLUSTER, places.nowhere);
    checked.health_checks = vec![Default::default()];
    let other = static_cluster("new.static", places.second);
    let page = page::<Cluster>("cds-γ", vec![(LEGACY_CLUSTER, any(&checked)), ("new.static", any(&other))]);
    vec![Page { asked: Vec::new(), ..page }]
}

/// The listener with its own routes goes, then its cluster.
pub fn removed() -> Vec<Page> {
    let gone = |name: &str| vec![name.to_owned()];
    vec![
        Page { removed: gone(ADMIN_LISTENER), ..page::<Listener>("a001-lds", Vec::new()) },
        Page { removed: gone(LEGACY_CLUSTER), ..page::<Cluster>("cds-δ", Vec::new()) },
    ]
}

/// A page that needs its resources asked for by name. Versions are hashes, as another server makes them.
fn page<M: Name>(nonce: &str, resources: Vec<(&str, Any)>) -> Page {
    let version = |body: &Any| format!("sha256:{:08x}", body.value.iter().fold(7_u32, |sum, byte| mixed(sum, *byte)));
    let asked = resources.iter().map(|(name, _)| (*name).to_owned()).collect();
    let resource = |(name, body): (&str, Any)| (name.to_owned(), version(&body), Some(body));
    Page {
        type_url: M::type_url(),
        nonce: nonce.to_owned(),
        version: format!("2031-02-30T25:61Z/{nonce}"),
        resources: resources.into_iter().map(resource).collect(),
        removed: Vec::new(),
        asked,
    }
}

fn mixed(sum: u32, byte: u8) -> u32 {
    sum.wrapping_mul(16_777_619) ^ u32::from(byte)
}

/// One healthy endpoint; a draining and an unhealthy one at which nobody listens.
fn shop_endpoints(places: Places, healthy: SocketAddr) -> ClusterLoadAssignment {
    let endpoints = [
        (places.nowhere, HealthStatus::Unhealthy),
        (healthy, HealthStatus::Healthy),
        (places.nowhere, HealthStatus::Draining),
    ];
    assignment(SHOP_ENDPOINTS, &endpoints)
}

fn admin_routes() -> rds::RouteConfiguration {
    let mut action = to_cluster(LEGACY_CLUSTER);
    action.host_rewrite_specifier =
        Some(rds::route_action::HostRewriteSpecifier::HostRewriteLiteral("legacy.internal".to_owned()));
    let mut all = route("", prefix("/"), rds::route::Action::Route(action));
    all.request_headers_to_add = vec![set_header("x-admin", "100%% yes")];
    rds::RouteConfiguration {
        name: "inline".to_owned(),
        virtual_hosts: vec![virtual_host("admin", &["*"], vec![all])],
        ..Default::default()
    }
}

/// With `sale`, one path more.
fn shop_routes(sale: bool) -> rds::RouteConfiguration {
    let mut routes = vec![
        route("health", path(PathSpecifier::Path("/healthz".to_owned())), direct(200, "fine\n")),
        route("api", path(PathSpecifier::PathSeparatedPrefix("/api".to_owned())), api()),
        route("old", prefix("/old/"), redirected()),
        route("pets", pets(), rds::route::Action::Route(to_cluster(PETS_CLUSTER))),
        route("never", nobodys_share(), direct(500, "never")),
        route("", prefix("/"), rds::route::Action::Route(to_cluster(SHOP_CLUSTER))),
    ];
    if sale {
        routes.insert(0, route("sale", path(PathSpecifier::Path("/sale".to_owned())), direct(418, "sold out\n")));
    }
    rds::RouteConfiguration {
        name: SHOP_ROUTES.to_owned(),
        virtual_hosts: vec![
            virtual_host("shop|*.shop.example", &["shop.example", "*.shop.example"], routes),
            virtual_host("default", &["*"], vec![route("", prefix("/"), direct(404, "no such site\n"))]),
        ],
        ..Default::default()
    }
}

/// All to one of two clusters by weight, the path without what was matched.
fn api() -> rds::route::Action {
    let arm = |name: &str, weight| rds::weighted_cluster::ClusterWeight {
        name: name.to_owned(),
        weight: number(weight),
        request_headers_to_add: vec![set_header("x-arm", name)],
        ..Default::default()
    };
    let weighted = rds::WeightedCluster {
        clusters: vec![arm(SHOP_CLUSTER, 0), arm(PETS_CLUSTER, 1000)],
        runtime_key_prefix: "routing.traffic_split.api".to_owned(),
        ..Default::default()
    };
    rds::route::Action::Route(rds::RouteAction {
        cluster_specifier: Some(rds::route_action::ClusterSpecifier::WeightedClusters(weighted)),
        prefix_rewrite: "/v2".to_owned(),
        ..Default::default()
    })
}

fn redirected() -> rds::route::Action {
    rds::route::Action::Redirect(rds::RedirectAction {
        host_redirect: "archive.example".to_owned(),
        response_code: rds::redirect_action::RedirectResponseCode::PermanentRedirect as i32,
        path_rewrite_specifier: Some(rds::redirect_action::PathRewriteSpecifier::PrefixRewrite("/".to_owned())),
        ..Default::default()
    })
}

/// A path by regex, and a header of one of two values.
fn pets() -> rds::RouteMatch {
    let regex = |text: &str| RegexMatcher { regex: text.to_owned(), ..Default::default() };
    let value = StringMatcher {
        match_pattern: Some(string_matcher::MatchPattern::SafeRegex(regex("cat|dog"))),
        ..Default::default()
    };
    rds::RouteMatch {
        headers: vec![rds::HeaderMatcher {
            name: "X-Pet".to_owned(),
            header_match_specifier: Some(rds::header_matcher::HeaderMatchSpecifier::StringMatch(value)),
            ..Default::default()
        }],
        ..path(PathSpecifier::SafeRegex(regex("/[a-z]+/[0-9]+")))
    }
}

/// Everything, of a share of 0 in 10,000.
fn nobodys_share() -> rds::RouteMatch {
    let share = FractionalPercent { numerator: 0, denominator: 1 };
    rds::RouteMatch {
        runtime_fraction: Some(RuntimeFractionalPercent {
            default_value: Some(share),
            runtime_key: "routing.never".to_owned(),
        }),
        ..prefix("/")
    }
}
