//! Kubernetes `EndpointSlice`.

use std::net::IpAddr;

use serde::Deserialize;

use crate::diagnostic::Span;

use super::codes;
use super::decode::{Decoder, Fields};
use super::kind;
use super::pod::address_of;
use super::table::{Row, Table};
use super::values;
use super::yaml::Node;

/// The label that names the Service a slice belongs to.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// Endpoints of one Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Addresses, each with its readiness.
    pub endpoints: Vec<SliceEndpoint>,
    /// Ports that every address has.
    pub ports: Vec<SlicePort>,
}

/// One endpoint of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceEndpoint {
    /// Addresses; each takes traffic.
    pub addresses: Vec<IpAddr>,
    /// Whether it takes new traffic; true when not said.
    pub ready: bool,
    /// Node; empty where none is written.
    pub node: String,
    /// Namespace (empty: the slice's) and name of its pod, from `targetRef`.
    pub pod: Option<(String, String)>,
    /// Where the entry is written.
    pub span: Span,
}

/// One port of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlicePort {
    /// Name of the Service's port; empty where that has none.
    pub name: String,
    /// Number at the address.
    pub number: u16,
}

/// Fields of an EndpointSlice.
pub static ENDPOINT_SLICE: Table = Table {
    name: "EndpointSlice",
    rows: &[
        kind::API_VERSION,
        kind::KIND,
        kind::METADATA,
        Row::read("addressType", "`IPv4` or `IPv6`; `FQDN` is not supported yet"),
        Row::list("endpoints", &ENDPOINT, "addresses, joined with Pods by address"),
        Row::list("ports", &PORT, "port numbers, by the name of the Service's port"),
    ],
};

static ENDPOINT: Table = Table {
    name: "EndpointSlice.endpoints[]",
    rows: &[
        Row::read("addresses", "addresses of the endpoint"),
        Row::read("conditions", "`ready`: whether it takes traffic; `serving` and `terminating` are accepted"),
        Row::read("nodeName", "the endpoint's node"),
        Row::nested("targetRef", &TARGET_REF, "its Pod, where the address does not tell"),
        Row::ignored("deprecatedTopology", "localities are not read yet"),
        Row::ignored("hints", "localities are not read yet"),
        Row::ignored("hostname", "names of single pods are not served"),
        Row::ignored("topology", "localities are not read yet"),
        Row::ignored("zone", "localities are not read yet"),
    ],
};

static TARGET_REF: Table = Table {
    name: "EndpointSlice.endpoints[].targetRef",
    rows: &[
        Row::read("kind", "only a `Pod` counts"),
        Row::read("name", "name of the Pod"),
        Row::read("namespace", "namespace of the Pod; the slice's when absent"),
        Row::ignored("apiVersion", "the kind is enough"),
        Row::ignored("fieldPath", "the Pod as a whole is meant"),
        Row::ignored("resourceVersion", "set by the API server"),
        Row::ignored("uid", "set by the API server"),
    ],
};

static PORT: Table = Table {
    name: "EndpointSlice.ports[]",
    rows: &[
        Row::read("name", "name of the Service's port"),
        Row::read("port", "number at the address"),
        Row::ignored("appProtocol", "the Service's port says it"),
        Row::ignored("protocol", "the Service's port says it"),
    ],
};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Conditions {
    ready: Option<bool>,
    #[serde(rename = "serving")]
    _serving: Option<bool>,
    #[serde(rename = "terminating")]
    _terminating: Option<bool>,
}

pub(crate) fn decode(fields: &Fields<'_>, decoder: &mut Decoder) -> EndpointSlice {
    fields.optional("addressType", decoder, |node, decoder| {
        match values::string(node, decoder)?.as_str() {
            "IPv4" | "IPv6" => {}
            "FQDN" => decoder.error(codes::VALUE_NOT_YET, &node.span, "`FQDN` is not supported yet"),
            other => decoder.error(codes::VALUE, &node.span, format!("`{other}` is none of IPv4, IPv6, FQDN")),
        }
        Some(())
    });
    EndpointSlice {
        endpoints: fields.list("endpoints", decoder, endpoint),
        ports: fields.list("ports", decoder, |node, decoder| {
            let fields = Fields::open(node, &PORT, decoder)?;
            let name = fields.optional("name", decoder, values::string).unwrap_or_default();
            let number = fields.required("port", decoder, values::port)?;
            Some(SlicePort { name, number })
        }),
    }
}

fn endpoint(node: &Node, decoder: &mut Decoder) -> Option<SliceEndpoint> {
    let fields = Fields::open(node, &ENDPOINT, decoder)?;
    let conditions: Option<Conditions> = fields.optional("conditions", decoder, Decoder::serde);
    let pod = fields.optional("targetRef", decoder, target_pod);
    let addresses = fields.list("addresses", decoder, |node, decoder| {
        let text = values::spanned_string(node, decoder)?;
        address_of(&text, decoder)
    });
    Some(SliceEndpoint {
        addresses,
        ready: conditions.unwrap_or_default().ready.unwrap_or(true),
        node: fields.optional("nodeName", decoder, values::string).unwrap_or_default(),
        pod,
        span: node.span.clone(),
    })
}

fn target_pod(node: &Node, decoder: &mut Decoder) -> Option<(String, String)> {
    let fields = Fields::open(node, &TARGET_REF, decoder)?;
    let kind = fields.optional("kind", decoder, values::string);
    let namespace = fields.optional("namespace", decoder, values::string);
    let name = fields.optional("name", decoder, values::string);
    kind.is_none_or(|kind| kind == "Pod").then_some((namespace.unwrap_or_default(), name?))
}
