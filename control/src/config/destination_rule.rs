//! Istio `DestinationRule`, as written.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::dialect::Dialect;

use super::codes;
use super::decode::{Decoder, Fields};
use super::kind;
use super::table::{Row, Table};
use super::traffic_policy::{
    ConnectionPool, LoadBalancer, OutlierDetection, PolicyComponents, PortPolicy, TlsMode, TrafficPolicy,
};
use super::values;
use super::yaml::Node;

/// The spec of a DestinationRule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationRuleSpec {
    /// Host as written.
    pub host: Spanned<String>,
    /// What holds for the host.
    pub policy: Option<TrafficPolicy>,
    /// Its subsets.
    pub subsets: Vec<SubsetSpec>,
    /// Namespaces that see it, as written.
    pub export_to: Vec<Spanned<String>>,
    /// Where the spec is written.
    pub span: Span,
}

/// One entry of `subsets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubsetSpec {
    /// Name.
    pub name: Spanned<String>,
    /// Labels of its endpoints; empty takes all.
    pub labels: BTreeMap<String, String>,
    /// What holds for the subset.
    pub policy: Option<TrafficPolicy>,
    /// Where the entry is written.
    pub span: Span,
}

/// Fields of a DestinationRule.
pub static DESTINATION_RULE: Table = Table {
    name: "DestinationRule",
    rows: &[
        kind::API_VERSION,
        kind::KIND,
        kind::METADATA,
        Row::nested("spec", &DESTINATION_RULE_SPEC, "policy and subsets of a host"),
        kind::STATUS,
    ],
};

static DESTINATION_RULE_SPEC: Table = Table {
    name: "DestinationRule.spec",
    rows: &[
        Row::read("host", "which clusters; the most specific host wins"),
        Row::nested("trafficPolicy", &TRAFFIC_POLICY, "policy of the host's clusters"),
        Row::list("subsets", &SUBSET, "a cluster for each subset and port"),
        Row::read("exportTo", "namespaces whose proxies see it").v1(),
        Row::not_yet("workloadSelector").v1(),
    ],
};

static SUBSET: Table = Table {
    name: "Subset",
    rows: &[
        Row::read("name", "third part of the cluster's name"),
        Row::read("labels", "endpoints of the cluster: those with all these labels"),
        Row::nested("trafficPolicy", &TRAFFIC_POLICY, "overrides the host's policy, component by component"),
    ],
};

const LOAD_BALANCER_ROW: Row = Row::nested("loadBalancer", &LOAD_BALANCER, "`lb_policy`");
const CONNECTION_POOL_ROW: Row = Row::nested("connectionPool", &CONNECTION_POOL, "`circuit_breakers`, timeouts");
const TLS_ROW: Row = Row::nested("tls", &TLS, "`transport_socket`");
const OUTLIER_DETECTION_ROW: Row = Row::nested("outlierDetection", &OUTLIER_DETECTION, "`outlier_detection`");

static TRAFFIC_POLICY: Table = Table {
    name: "TrafficPolicy",
    rows: &[
        LOAD_BALANCER_ROW,
        CONNECTION_POOL_ROW,
        TLS_ROW,
        Row::list("portLevelSettings", &PORT_TRAFFIC_POLICY, "replaces all components for a port"),
        OUTLIER_DETECTION_ROW,
        Row::not_yet("proxyProtocol").v1(),
        Row::not_yet("retryBudget").v1(),
        Row::not_yet("tunnel").v1(),
    ],
};

static PORT_TRAFFIC_POLICY: Table = Table {
    name: "PortTrafficPolicy",
    rows: &[
        Row::nested("port", &PORT_SELECTOR, "the service port it holds for"),
        LOAD_BALANCER_ROW,
        CONNECTION_POOL_ROW,
        TLS_ROW,
        OUTLIER_DETECTION_ROW,
    ],
};

/// Fields of a policy of which one has to be there.
const COMPONENTS: &[&str] = &["loadBalancer", "connectionPool", "tls", "outlierDetection"];

static PORT_SELECTOR: Table = Table {
    name: "PortSelector",
    rows: &[Row::read("number", "number of the service port"), Row::not_yet("name").v1_0()],
};

static LOAD_BALANCER: Table = Table {
    name: "LoadBalancerSettings",
    rows: &[
        Row::read("simple", "`ROUND_ROBIN`, `LEAST_REQUEST` (also `LEAST_CONN`), `RANDOM`, `PASSTHROUGH`"),
        Row::not_yet("consistentHash"),
        Row::not_yet("localityLbSetting").v1(),
        Row::not_yet("warmup").v1(),
        Row::not_yet("warmupDurationSecs").v1(),
        Row::not_yet("zoneAwareLbSetting").v1(),
    ],
};

static CONNECTION_POOL: Table = Table {
    name: "ConnectionPoolSettings",
    rows: &[
        Row::nested("tcp", &POOL_TCP, "limits on connections"),
        Row::nested("http", &POOL_HTTP, "limits on requests"),
    ],
};

static POOL_TCP: Table = Table {
    name: "ConnectionPoolSettings.tcp",
    rows: &[
        Row::read("maxConnections", "`max_connections`; 0 is unset"),
        Row::read("connectTimeout", "`connect_timeout`"),
        Row::not_yet("idleTimeout").v1(),
        Row::not_yet("maxConnectionDuration").v1(),
        Row::not_yet("tcpKeepalive").v1(),
    ],
};

static POOL_HTTP: Table = Table {
    name: "ConnectionPoolSettings.http",
    rows: &[
        Row::read("http1MaxPendingRequests", "`max_pending_requests`; 0 is unset"),
        Row::read("http2MaxRequests", "`max_requests`, of HTTP/1.1 too; 0 is unset"),
        Row::read("maxRequestsPerConnection", "`max_requests_per_connection`; 0 is unset"),
        Row::read("maxRetries", "`max_retries`; 0 is unset"),
        Row::not_yet("h2UpgradePolicy").v1(),
        Row::not_yet("http2KeepAlive").v1(),
        Row::not_yet("idleTimeout").v1(),
        Row::not_yet("maxConcurrentStreams").v1(),
        Row::not_yet("useClientProtocol").v1(),
    ],
};

static OUTLIER_DETECTION: Table = Table {
    name: "OutlierDetection",
    rows: &[
        Row::read(
            "consecutiveErrors",
            "1.0: `consecutive_gateway_failure`, and other 5xx do not count; v1: no effect; 0 is unset",
        ),
        Row::read("interval", "`interval`"),
        Row::read("baseEjectionTime", "`base_ejection_time`"),
        Row::read("maxEjectionPercent", "`max_ejection_percent`; 0 is unset"),
        Row::read("consecutive5xxErrors", "`consecutive_5xx`; 0 is off").v1(),
        Row::read("consecutiveGatewayErrors", "`consecutive_gateway_failure`; 0 is off").v1(),
        Row::read("splitExternalLocalOriginErrors", "`split_external_local_origin_errors`").v1(),
        Row::read("consecutiveLocalOriginFailures", "`consecutive_local_origin_failure`; 0 is unset").v1(),
        Row::read("minHealthPercent", "`healthy_panic_threshold`").v1(),
        Row::not_yet("outlierDetectionHttpErrorCodes").v1(),
    ],
};

static TLS: Table = Table {
    name: "ClientTLSSettings",
    rows: &[
        Row::read("mode", "`DISABLE` or `ISTIO_MUTUAL`; `SIMPLE` and `MUTUAL` are not supported yet"),
        Row::not_yet("caCertificates"),
        Row::not_yet("caCrl").v1(),
        Row::not_yet("clientCertificate"),
        Row::not_yet("credentialName").v1(),
        Row::not_yet("insecureSkipVerify").v1(),
        Row::not_yet("privateKey"),
        Row::not_yet("sni"),
        Row::not_yet("subjectAltNames"),
    ],
};

/// The words of `loadBalancer.simple`.
#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Simple {
    Unspecified,
    RoundRobin,
    LeastConn,
    LeastRequest,
    Random,
    Passthrough,
}

/// The words of `tls.mode`.
#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Mode {
    Disable,
    Simple,
    Mutual,
    IstioMutual,
}

pub(crate) fn decode(node: &Node, decoder: &mut Decoder) -> Option<DestinationRuleSpec> {
    let fields = Fields::open(node, &DESTINATION_RULE_SPEC, decoder)?;
    let host = fields.required("host", decoder, values::spanned_string);
    let policy = fields.optional("trafficPolicy", decoder, traffic_policy);
    let subsets = fields.list("subsets", decoder, subset);
    let export_to = fields.list("exportTo", decoder, values::spanned_string);
    Some(DestinationRuleSpec { host: host?, policy, subsets, export_to, span: node.span.clone() })
}

fn subset(node: &Node, decoder: &mut Decoder) -> Option<SubsetSpec> {
    let fields = Fields::open(node, &SUBSET, decoder)?;
    let name = fields.required("name", decoder, values::spanned_string);
    let labels = fields.optional("labels", decoder, values::istio_labels).unwrap_or_default();
    let policy = fields.optional("trafficPolicy", decoder, traffic_policy);
    Some(SubsetSpec { name: name?, labels, policy, span: node.span.clone() })
}

fn traffic_policy(node: &Node, decoder: &mut Decoder) -> Option<TrafficPolicy> {
    let fields = Fields::open(node, &TRAFFIC_POLICY, decoder)?;
    fields.at_least_one(&[COMPONENTS, &["portLevelSettings"]].concat(), decoder);
    Some(TrafficPolicy {
        components: components(&fields, decoder),
        port_level: fields.list("portLevelSettings", decoder, port_policy),
        span: node.span.clone(),
    })
}

fn port_policy(node: &Node, decoder: &mut Decoder) -> Option<PortPolicy> {
    let fields = Fields::open(node, &PORT_TRAFFIC_POLICY, decoder)?;
    let port = fields.required("port", decoder, |node, decoder| {
        let fields = Fields::open(node, &PORT_SELECTOR, decoder)?;
        fields.required("number", decoder, values::spanned_port)
    });
    fields.at_least_one(COMPONENTS, decoder);
    let components = components(&fields, decoder);
    Some(PortPolicy { port: port?, components, span: node.span.clone() })
}

fn components(fields: &Fields<'_>, decoder: &mut Decoder) -> PolicyComponents {
    PolicyComponents {
        load_balancer: fields.optional("loadBalancer", decoder, load_balancer),
        connection_pool: fields.optional("connectionPool", decoder, connection_pool),
        tls: fields.optional("tls", decoder, tls),
        outlier_detection: fields.optional("outlierDetection", decoder, outlier_detection),
    }
}

fn load_balancer(node: &Node, decoder: &mut Decoder) -> Option<LoadBalancer> {
    let fields = Fields::open(node, &LOAD_BALANCER, decoder)?;
    let simple = fields.optional("simple", decoder, Decoder::serde)?;
    if let (Dialect::V1_0, Simple::Unspecified | Simple::LeastRequest, Some(entry)) =
        (decoder.dialect, &simple, fields.entry("simple"))
    {
        let word = entry.value.as_str().unwrap_or_default();
        let message = format!("Istio 1.0 has no load balancer `{word}`");
        let finding = Diagnostic::error(codes::NOT_IN_DIALECT, &entry.value.span, message);
        decoder.report(finding.with_help("write `LEAST_CONN`, `ROUND_ROBIN`, `RANDOM` or `PASSTHROUGH`"));
        return None;
    }
    match simple {
        Simple::Unspecified => None,
        Simple::RoundRobin => Some(LoadBalancer::RoundRobin),
        Simple::LeastConn | Simple::LeastRequest => Some(LoadBalancer::LeastRequest),
        Simple::Random => Some(LoadBalancer::Random),
        Simple::Passthrough => Some(LoadBalancer::Passthrough),
    }
}

fn connection_pool(node: &Node, decoder: &mut Decoder) -> Option<ConnectionPool> {
    let fields = Fields::open(node, &CONNECTION_POOL, decoder)?;
    fields.at_least_one(&["tcp", "http"], decoder);
    let mut pool = ConnectionPool::default();
    let limit = |fields: &Fields<'_>, field, decoder: &mut Decoder| {
        fields.optional(field, decoder, values::count).filter(|limit| *limit > 0)
    };
    fields.optional("tcp", decoder, |node, decoder| {
        let tcp = Fields::open(node, &POOL_TCP, decoder)?;
        pool.connections_max = limit(&tcp, "maxConnections", decoder);
        pool.connect_timeout = tcp.optional("connectTimeout", decoder, values::spanned_duration);
        Some(())
    });
    fields.optional("http", decoder, |node, decoder| {
        let http = Fields::open(node, &POOL_HTTP, decoder)?;
        pool.pending_requests_max = limit(&http, "http1MaxPendingRequests", decoder);
        pool.requests_max = limit(&http, "http2MaxRequests", decoder);
        pool.requests_per_connection_max = limit(&http, "maxRequestsPerConnection", decoder);
        pool.retries_max = limit(&http, "maxRetries", decoder);
        Some(())
    });
    Some(pool)
}

fn outlier_detection(node: &Node, decoder: &mut Decoder) -> Option<OutlierDetection> {
    let fields = Fields::open(node, &OUTLIER_DETECTION, decoder)?;
    let positive = |field, decoder: &mut Decoder| {
        fields.optional(field, decoder, values::spanned_count).filter(|count| count.value > 0)
    };
    Some(OutlierDetection {
        consecutive_errors: positive("consecutiveErrors", decoder),
        interval: fields.optional("interval", decoder, values::spanned_duration),
        base_ejection_time: fields.optional("baseEjectionTime", decoder, values::spanned_duration),
        max_ejection_percent: fields
            .optional("maxEjectionPercent", decoder, values::percent)
            .filter(|percent| *percent > 0),
        consecutive_5xx_errors: fields.optional("consecutive5xxErrors", decoder, values::count),
        consecutive_gateway_errors: fields.optional("consecutiveGatewayErrors", decoder, values::count),
        split_external_local_origin_errors: fields
            .optional("splitExternalLocalOriginErrors", decoder, values::boolean)
            .unwrap_or(false),
        consecutive_local_origin_failures: positive("consecutiveLocalOriginFailures", decoder),
        min_health_percent: fields.optional("minHealthPercent", decoder, values::percent),
    })
}

fn tls(node: &Node, decoder: &mut Decoder) -> Option<TlsMode> {
    let fields = Fields::open(node, &TLS, decoder)?;
    let Some(entry) = fields.entry("mode") else { return Some(TlsMode::Disable) };
    let word = match Decoder::serde(&entry.value, decoder)? {
        Mode::Disable => return Some(TlsMode::Disable),
        Mode::IstioMutual => return Some(TlsMode::IstioMutual),
        Mode::Simple => "SIMPLE",
        Mode::Mutual => "MUTUAL",
    };
    let message = format!("the TLS mode `{word}` is not supported yet");
    decoder.error(codes::VALUE_NOT_YET, &entry.value.span, message);
    None
}
