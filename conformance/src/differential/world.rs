//! The configuration that both sides serve: listeners by what is special about them, clusters by what is
//! wrong with them.

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::cluster::v3 as cds;
use envoy_types::pb::envoy::config::core::v3::{CidrRange, HealthStatus};
use envoy_types::pb::envoy::config::listener::v3 as lds;
use envoy_types::pb::envoy::config::route::v3 as rds;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
use envoy_types::pb::envoy::r#type::v3::Percent;
use hcm::http_connection_manager as of;

use super::routes::{main_hosts, mutating, one};
use super::shapes::{
    Limits, behind_tls, cluster, http_chain, inspecting, limited, listener, manager, ms, router, speaking_tls, switch,
    tcp_chain, to, with_routes,
};
use super::{detection, pki};
use crate::foreign::shapes::number;

/// Where the servers behind the clusters are.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// Plaintext.
    pub up: SocketAddr,
    /// The same at another address.
    pub second: SocketAddr,
    /// Closes each connection.
    pub closing: SocketAddr,
    /// Says nothing.
    pub silent: SocketAddr,
    /// Nobody is there.
    pub gone: SocketAddr,
    /// TLS, certificate `server`.
    pub tls: SocketAddr,
    /// TLS, certificate `stranger`.
    pub tls_stranger: SocketAddr,
    /// TLS, certificate `expired`.
    pub tls_expired: SocketAddr,
    /// TLS, certificate `server`, callers of the mesh alone.
    pub tls_mutual: SocketAddr,
    /// TLS, certificate `server`, strangers alone.
    pub tls_mutual_stranger: SocketAddr,
}

/// Listeners and clusters.
#[derive(Debug, Clone)]
pub struct World {
    /// All on free ports of the loopback.
    pub listeners: Vec<lds::Listener>,
    /// All with their endpoints in them.
    pub clusters: Vec<cds::Cluster>,
}

/// The configuration.
pub fn world(places: Places) -> World {
    World { listeners: listeners(), clusters: clusters(places) }
}

#[expect(deprecated, reason = "control planes still write it")]
fn clusters(places: Places) -> Vec<cds::Cluster> {
    let at = |name: &str, addr| cluster(name, &[(addr, HealthStatus::Unknown)]);
    let up = |name: &str| at(name, places.up);
    let gone = |name: &str| at(name, places.gone);
    let unhealthy = |name: &str, panic: f64| cds::Cluster {
        common_lb_config: Some(cds::cluster::CommonLbConfig {
            healthy_panic_threshold: Some(Percent { value: panic }),
            ..Default::default()
        }),
        ..cluster(name, &[(places.up, HealthStatus::Unhealthy)])
    };
    let secure = |name: &str, addr, certificate, roots, san| speaking_tls(at(name, addr), certificate, roots, san);
    let short = |cluster: cds::Cluster| cds::Cluster { connect_timeout: ms(200), ..cluster };
    let mut all = vec![
        up("up"),
        gone("gone"),
        at("closing", places.closing),
        cluster("empty", &[]),
        unhealthy("sick", 0.0),
        unhealthy("panic", 50.0),
        cluster("draining", &[(places.up, HealthStatus::Draining)]),
        limited(up("pending0"), Limits { pending: Some(0), ..Limits::default() }),
        limited(up("requests0"), Limits { requests: Some(0), ..Limits::default() }),
        limited(up("connections0"), Limits { connections: Some(0), ..Limits::default() }),
        limited(up("retries0"), Limits { retries: Some(0), ..Limits::default() }),
        cds::Cluster { max_requests_per_connection: number(1), ..up("once") },
        secure("u-ok", places.tls, None, "mesh", Some(pki::SERVER)),
        secure("u-wrongca", places.tls_stranger, None, "mesh", None),
        secure("u-san", places.tls, None, "mesh", Some("spiffe://cluster.local/ns/foo/sa/other")),
        secure("u-exp", places.tls_expired, None, "mesh", None),
        secure("u-mtls", places.tls_mutual, Some("client"), "mesh", Some(pki::SERVER)),
        secure("u-nocert", places.tls_mutual, None, "mesh", None),
        secure("u-badcert", places.tls_mutual, Some("stranger"), "mesh", None),
        secure("u-expcert", places.tls_mutual, Some("expired"), "mesh", None),
        secure("u-otherca", places.tls_mutual_stranger, Some("client"), "mesh", None),
        short(secure("u-toplain", places.silent, None, "mesh", None)),
        at("u-plaintotls", places.tls),
    ];
    all.extend(detection::clusters(places));
    all
}

fn listeners() -> Vec<lds::Listener> {
    let mut all = vec![
        plain("plain", |_| {}),
        lds::Listener {
            traffic_direction: envoy_types::pb::envoy::config::core::v3::TrafficDirection::Outbound as i32,
            ..plain("sidecar", |_| {})
        },
        listener("hdr", vec![http_chain("hdr", &with_routes(mutating(false)))]),
        listener("hdrms", vec![http_chain("hdrms", &with_routes(mutating(true)))]),
        one_route("nohosts", |manager| {
            manager.route_specifier = Some(of::RouteSpecifier::RouteConfig(rds::RouteConfiguration::default()));
        }),
        plain("suppress", |manager| {
            manager.http_filters = vec![router(&Router { suppress_envoy_headers: true, ..Default::default() })];
        }),
    ];
    all.extend(timeouts());
    all.extend(protocol());
    all.extend(origins());
    all.extend(servers());
    all.extend(tcp());
    all.extend(tls());
    all
}

/// A listener with all routes.
fn plain(name: &str, change: impl FnOnce(&mut hcm::HttpConnectionManager)) -> lds::Listener {
    let mut manager = manager(main_hosts());
    change(&mut manager);
    listener(name, vec![http_chain(name, &manager)])
}

/// A listener with one route, to the cluster `up`.
fn one_route(name: &str, change: impl FnOnce(&mut hcm::HttpConnectionManager)) -> lds::Listener {
    let mut manager = manager(vec![one(to("up"))]);
    change(&mut manager);
    listener(name, vec![http_chain(name, &manager)])
}

fn timeouts() -> Vec<lds::Listener> {
    vec![
        one_route("sidle", |manager| manager.stream_idle_timeout = ms(300)),
        one_route("rqt", |manager| manager.request_timeout = ms(300)),
        one_route("cidle", |manager| {
            manager.common_http_protocol_options =
                Some(envoy_types::pb::envoy::config::core::v3::HttpProtocolOptions {
                    idle_timeout: ms(300),
                    ..Default::default()
                });
        }),
    ]
}

fn protocol() -> Vec<lds::Listener> {
    let upgrade = |kind: &str| of::UpgradeConfig { upgrade_type: kind.to_owned(), ..Default::default() };
    let normal = |manager: &mut hcm::HttpConnectionManager, slashes: of::PathWithEscapedSlashesAction| {
        manager.normalize_path = switch(true);
        manager.merge_slashes = true;
        manager.path_with_escaped_slashes_action = slashes as i32;
    };
    vec![
        plain("exp", |manager| manager.proxy_100_continue = true),
        plain("ws", |manager| manager.upgrade_configs = vec![upgrade("websocket")]),
        one_route("norm", |manager| normal(manager, of::PathWithEscapedSlashesAction::UnescapeAndRedirect)),
        one_route("rejes", |manager| normal(manager, of::PathWithEscapedSlashesAction::RejectRequest)),
        one_route("unesc", |manager| normal(manager, of::PathWithEscapedSlashesAction::UnescapeAndForward)),
        one_route("stripany", |manager| manager.strip_port_mode = Some(of::StripPortMode::StripAnyHostPort(true))),
        plain("h1only", |manager| manager.codec_type = of::CodecType::Http1 as i32),
        plain("h2only", |manager| manager.codec_type = of::CodecType::Http2 as i32),
    ]
}

fn origins() -> Vec<lds::Listener> {
    let remote = |manager: &mut hcm::HttpConnectionManager| manager.use_remote_address = switch(true);
    let internal = |manager: &mut hcm::HttpConnectionManager| {
        let range = CidrRange { address_prefix: "127.0.0.0".to_owned(), prefix_len: number(8) };
        let config = of::InternalAddressConfig { cidr_ranges: vec![range], ..Default::default() };
        manager.internal_address_config = Some(config);
    };
    vec![
        plain("xf_f", |manager| manager.generate_request_id = switch(true)),
        plain("xf_t", |manager| {
            remote(manager);
            manager.generate_request_id = switch(true);
        }),
        plain("xf_fi", internal),
        plain("xf_ti", |manager| {
            remote(manager);
            internal(manager);
        }),
        plain("xf_h1", |manager| {
            remote(manager);
            manager.xff_num_trusted_hops = 1;
        }),
        plain("xf_fh1", |manager| manager.xff_num_trusted_hops = 1),
        plain("xf_skip", |manager| {
            remote(manager);
            manager.skip_xff_append = true;
        }),
        plain("rid_pres", |manager| {
            remote(manager);
            manager.generate_request_id = switch(true);
            manager.preserve_external_request_id = true;
            manager.always_set_request_id_in_response = true;
        }),
    ]
}

fn servers() -> Vec<lds::Listener> {
    let with = |name, transformation: of::ServerHeaderTransformation| {
        plain(name, |manager| manager.server_header_transformation = transformation as i32)
    };
    vec![
        with("srv_append", of::ServerHeaderTransformation::AppendIfAbsent),
        with("srv_pass", of::ServerHeaderTransformation::PassThrough),
        plain("srvname", |manager| manager.server_name = "istio-envoy".to_owned()),
    ]
}

fn tcp() -> Vec<lds::Listener> {
    let to = |name: &str, cluster: &str| {
        listener(name, vec![tcp_chain(name, ClusterSpecifier::Cluster(cluster.to_owned()))])
    };
    vec![
        to("tcpok", "up"),
        to("tcpempty", "empty"),
        to("tcpref", "gone"),
        to("tcpmiss", "missing"),
        to("tcpcb", "connections0"),
        to("tcptls", "u-mtls"),
        to("tcpbadtls", "u-san"),
        to("od-tcp", "od-tcp"),
    ]
}

fn tls() -> Vec<lds::Listener> {
    let cert = |name: &str, mode: of::ForwardClientCertDetails| {
        let mut manager = manager(vec![one(to("up"))]);
        manager.forward_client_cert_details = mode as i32;
        manager.set_current_client_cert_details =
            Some(of::SetCurrentClientCertDetails { subject: switch(true), uri: true, dns: true, ..Default::default() });
        let chain = |name| http_chain(name, &manager);
        let secure = behind_tls(matching(chain("tls"), "tls", &[]), true, None);
        inspecting(name, vec![secure, matching(chain("raw"), "raw_buffer", &[])], false)
    };
    let secure = |name: &str, require, san| behind_tls(http_chain(name, &manager(main_hosts())), require, san);
    let named = |name: &str, hosts: &[&str]| matching(secure(name, false, None), "", hosts);
    let mut uri = manager(vec![one(to("up"))]);
    uri.forward_client_cert_details = of::ForwardClientCertDetails::AppendForward as i32;
    uri.set_current_client_cert_details = Some(of::SetCurrentClientCertDetails { uri: true, ..Default::default() });
    vec![
        cert("xfcc_sanitize", of::ForwardClientCertDetails::Sanitize),
        cert("xfcc_forward", of::ForwardClientCertDetails::ForwardOnly),
        cert("xfcc_append", of::ForwardClientCertDetails::AppendForward),
        cert("xfcc_set", of::ForwardClientCertDetails::SanitizeSet),
        cert("xfcc_always", of::ForwardClientCertDetails::AlwaysForwardOnly),
        inspecting("xfcc_uri", vec![behind_tls(http_chain("uri", &uri), true, None)], false),
        inspecting("tls", vec![secure("tls", false, None)], false),
        inspecting("mtlsl", vec![secure("mtls", true, None)], true),
        inspecting("mtlssanl", vec![secure("san", true, Some("spiffe://cluster.local/ns/foo/sa/zzz"))], true),
        inspecting("mtls", vec![secure("mtls", true, None)], false),
        inspecting("sni", vec![named("a", &["a.test"]), named("b", &["*.b.test"])], false),
        inspecting("snil", vec![named("a", &["a.test"]), named("b", &["*.b.test"])], true),
    ]
}

fn matching(chain: lds::FilterChain, transport: &str, hosts: &[&str]) -> lds::FilterChain {
    let matches = lds::FilterChainMatch {
        transport_protocol: transport.to_owned(),
        server_names: hosts.iter().map(|host| (*host).to_owned()).collect(),
        ..Default::default()
    };
    lds::FilterChain { filter_chain_match: Some(matches), ..chain }
}
