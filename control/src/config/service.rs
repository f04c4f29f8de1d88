//! Kubernetes `Service`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::diagnostic::{Span, Spanned};

use super::codes;
use super::decode::{Decoder, Fields};
use super::kind;
use super::table::{Row, Table};
use super::values;
use super::yaml::{Node, Value};

/// The spec of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    /// Address, where one is written; see [`ServiceSpec::headless`].
    pub cluster_ip: Option<IpAddr>,
    /// Whether it says `clusterIP: None`.
    pub headless: bool,
    /// Labels of its pods; empty means that endpoints come from elsewhere.
    pub selector: BTreeMap<String, String>,
    /// Ports in the order written.
    pub ports: Vec<ServicePortSpec>,
    /// Where the spec is written.
    pub span: Span,
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePortSpec {
    /// Name; empty where none is written.
    pub name: Spanned<String>,
    /// Number.
    pub number: Spanned<u16>,
    /// Port of the pods; `None`: the same number.
    pub target: Option<TargetPort>,
    /// `TCP`, `UDP` or `SCTP`.
    pub transport: String,
    /// `appProtocol`.
    pub app_protocol: Option<String>,
    /// Where the entry is written.
    pub span: Span,
}

/// A port of a pod, by number or by its container port's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// By number.
    Number(u16),
    /// By name.
    Name(String),
}

const KUBE_PROXY: &str = "only kube-proxy or a cloud load balancer acts on it";

/// Fields of a Service.
pub static SERVICE: Table = Table {
    name: "Service",
    rows: &[
        kind::API_VERSION,
        kind::KIND,
        kind::METADATA,
        Row::nested("spec", &SERVICE_SPEC, "ports and selector"),
        kind::STATUS,
    ],
};

static SERVICE_SPEC: Table = Table {
    name: "Service.spec",
    rows: &[
        Row::list("ports", &SERVICE_PORT, "a listener or virtual host, and a cluster, for each"),
        Row::read("selector", "which pods the world lists in its EndpointSlices"),
        Row::read("clusterIP", "address of listeners and domain of virtual hosts; `None` is headless"),
        Row::read("type", "`ClusterIP`, `NodePort`, `LoadBalancer`; `ExternalName` is not supported yet"),
        Row::read("internalTrafficPolicy", "`Cluster`; `Local` is not supported yet"),
        Row::ignored("allocateLoadBalancerNodePorts", KUBE_PROXY),
        Row::ignored("clusterIPs", "`clusterIP` is the first of them"),
        Row::ignored("externalTrafficPolicy", KUBE_PROXY),
        Row::ignored("healthCheckNodePort", KUBE_PROXY),
        Row::ignored("ipFamilies", "addresses say it themselves"),
        Row::ignored("ipFamilyPolicy", "addresses say it themselves"),
        Row::ignored("loadBalancerClass", KUBE_PROXY),
        Row::ignored("loadBalancerIP", KUBE_PROXY),
        Row::ignored("loadBalancerSourceRanges", KUBE_PROXY),
        Row::ignored("sessionAffinity", "sidecars do not read it"),
        Row::ignored("sessionAffinityConfig", "sidecars do not read it"),
        Row::not_yet("externalIPs"),
        Row::not_yet("externalName"),
        Row::not_yet("publishNotReadyAddresses"),
        Row::not_yet("trafficDistribution"),
    ],
};

static SERVICE_PORT: Table = Table {
    name: "Service.spec.ports[]",
    rows: &[
        Row::read("name", "protocol of the port: the part before the first `-`"),
        Row::read("port", "number in listeners, virtual hosts and cluster names"),
        Row::read("targetPort", "what the world puts into EndpointSlices"),
        Row::read("protocol", "`TCP`; `UDP` ports are left out"),
        Row::read("appProtocol", "protocol of the port, before its name; not read in 1.0"),
        Row::ignored("nodePort", KUBE_PROXY),
    ],
};

pub(crate) fn decode(node: &Node, decoder: &mut Decoder) -> Option<ServiceSpec> {
    let fields = Fields::open(node, &SERVICE_SPEC, decoder)?;
    let address = fields.optional("clusterIP", decoder, values::spanned_string);
    let headless = address.as_ref().is_some_and(|address| address.value == "None");
    let cluster_ip = address.filter(|address| !headless && !address.value.is_empty()).and_then(|address| {
        let parsed = address.value.parse().ok();
        if parsed.is_none() {
            decoder.error(codes::VALUE, &address.span, format!("`{}` is no IP address", address.value));
        }
        parsed
    });
    for (field, taken, later) in [
        ("type", &["ClusterIP", "NodePort", "LoadBalancer"][..], "ExternalName"),
        ("internalTrafficPolicy", &["Cluster"][..], "Local"),
    ] {
        fields.optional(field, decoder, |node, decoder| one_of(node, taken, later, decoder));
    }
    Some(ServiceSpec {
        cluster_ip,
        headless,
        selector: fields.optional("selector", decoder, values::labels).unwrap_or_default(),
        ports: fields.list("ports", decoder, port),
        span: node.span.clone(),
    })
}

/// Checks that a word is one of those that are taken; `later` is known and not supported yet.
fn one_of(node: &Node, taken: &[&str], later: &str, decoder: &mut Decoder) -> Option<()> {
    let word = values::string(node, decoder)?;
    if word == later {
        decoder.error(codes::VALUE_NOT_YET, &node.span, format!("`{word}` is not supported yet"));
    } else if !taken.contains(&word.as_str()) {
        let message = format!("`{word}` is none of {}, {later}", taken.join(", "));
        decoder.error(codes::VALUE, &node.span, message);
    }
    Some(())
}

fn port(node: &Node, decoder: &mut Decoder) -> Option<ServicePortSpec> {
    let fields = Fields::open(node, &SERVICE_PORT, decoder)?;
    let number = fields.required("port", decoder, |node, decoder| {
        values::port(node, decoder).map(|number| Spanned::new(number, node.span.clone()))
    });
    let name = fields.optional("name", decoder, values::spanned_string);
    let target = fields.optional("targetPort", decoder, target_port);
    let transport = fields.optional("protocol", decoder, |node, decoder| {
        let word = values::string(node, decoder)?;
        if !matches!(word.as_str(), "TCP" | "UDP" | "SCTP") {
            decoder.error(codes::VALUE, &node.span, format!("`{word}` is none of TCP, UDP, SCTP"));
        }
        Some(word)
    });
    let app_protocol = fields.optional("appProtocol", decoder, values::string);
    Some(ServicePortSpec {
        name: name.unwrap_or_else(|| Spanned::new(String::new(), node.span.clone())),
        number: number?,
        target,
        transport: transport.unwrap_or_else(|| "TCP".to_owned()),
        app_protocol,
        span: node.span.clone(),
    })
}

fn target_port(node: &Node, decoder: &mut Decoder) -> Option<TargetPort> {
    match &node.value {
        Value::String(name) => Some(TargetPort::Name(name.clone())),
        Value::Integer(0) => None,
        _ => values::port(node, decoder).map(TargetPort::Number),
    }
}
