//! Istio `Gateway`.

use std::collections::BTreeMap;

use crate::diagnostic::{Span, Spanned};
use crate::dialect::Dialect;

use super::codes;
use super::decode::{Decoder, Fields};
use super::kind;
use super::table::{Row, Table};
use super::values;
use super::yaml::Node;

/// The spec of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewaySpec {
    /// Labels of its proxies; empty selects every gateway proxy.
    pub selector: BTreeMap<String, String>,
    /// Where the selector is written; the spec where none is.
    pub selector_span: Span,
    /// Ports it opens.
    pub servers: Vec<ServerSpec>,
    /// Where the spec is written.
    pub span: Span,
}

/// One server of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSpec {
    /// Port number.
    pub port: Spanned<u16>,
    /// Name of the port; empty where none is written.
    pub port_name: Spanned<String>,
    /// Protocol as written: `HTTP`, `HTTP2`, `GRPC` or `GRPC-WEB` in any case.
    pub protocol: String,
    /// Hosts, each possibly as `namespace/host`.
    pub hosts: Vec<Spanned<String>>,
    /// Where the server is written.
    pub span: Span,
}

/// Fields of a Gateway.
pub static GATEWAY: Table = Table {
    name: "Gateway",
    rows: &[
        kind::API_VERSION,
        kind::KIND,
        kind::METADATA,
        Row::nested("spec", &GATEWAY_SPEC, "which proxies open which ports"),
        kind::STATUS,
    ],
};

static GATEWAY_SPEC: Table = Table {
    name: "Gateway.spec",
    rows: &[
        Row::read("selector", "labels of the gateway proxies it configures"),
        Row::list("servers", &SERVER, "a listener `0.0.0.0_<port>` for each port"),
    ],
};

static SERVER: Table = Table {
    name: "Gateway.spec.servers[]",
    rows: &[
        Row::nested("port", &SERVER_PORT, "the listener's port"),
        Row::read("hosts", "hosts that VirtualServices may route on this port, `namespace/host` or `host`"),
        Row::ignored("name", "for people").v1(),
        Row::not_yet("bind").v1(),
        Row::not_yet("defaultEndpoint").v1(),
        Row::not_yet("tls"),
    ],
};

static SERVER_PORT: Table = Table {
    name: "Gateway.spec.servers[].port",
    rows: &[
        Row::read("number", "the listener's port"),
        Row::read("protocol", "`HTTP`, `HTTP2`, `GRPC`, `GRPC-WEB`; others are not supported yet"),
        Row::read("name", "name of the port"),
        Row::not_yet("targetPort").v1(),
    ],
};

pub(crate) fn decode(node: &Node, decoder: &mut Decoder) -> Option<GatewaySpec> {
    let fields = Fields::open(node, &GATEWAY_SPEC, decoder)?;
    let selector = fields.optional("selector", decoder, values::labels);
    fields.required("servers", decoder, |_, _| Some(()));
    let servers = fields.list("servers", decoder, server);
    let selector_span = fields.entry("selector").map_or(&node.span, |entry| &entry.value.span).clone();
    Some(GatewaySpec { selector: selector.unwrap_or_default(), selector_span, servers, span: node.span.clone() })
}

fn server(node: &Node, decoder: &mut Decoder) -> Option<ServerSpec> {
    let fields = Fields::open(node, &SERVER, decoder)?;
    let port = fields.required("port", decoder, |node, decoder| {
        let fields = Fields::open(node, &SERVER_PORT, decoder)?;
        let number = fields.required("number", decoder, |node, decoder| {
            values::port(node, decoder).map(|number| Spanned::new(number, node.span.clone()))
        });
        let name = fields.optional("name", decoder, values::spanned_string);
        let name = name.unwrap_or_else(|| Spanned::new(String::new(), node.span.clone()));
        let protocol = fields.required("protocol", decoder, protocol);
        Some((number?, name, protocol?))
    });
    fields.required("hosts", decoder, |_, _| Some(()));
    let hosts = fields.list("hosts", decoder, values::spanned_string);
    let (port, port_name, protocol) = port?;
    Some(ServerSpec { port, port_name, protocol, hosts, span: node.span.clone() })
}

fn protocol(node: &Node, decoder: &mut Decoder) -> Option<String> {
    let word = values::string(node, decoder)?;
    let old = decoder.dialect == Dialect::V1_0;
    match word.to_ascii_uppercase().as_str() {
        "GRPC-WEB" | "MYSQL" if old => {
            let message = format!("Istio 1.0 has no protocol `{word}`");
            decoder.error(codes::NOT_IN_DIALECT, &node.span, message);
        }
        "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB" => return Some(word),
        "HTTPS" | "MONGO" | "MYSQL" | "REDIS" | "TCP" | "TLS" | "UDP" => {
            let message = format!("the protocol `{word}` of a Gateway server is not supported yet");
            decoder.error(codes::VALUE_NOT_YET, &node.span, message);
        }
        _ => {
            let known = match old {
                true => "HTTP, HTTPS, GRPC, HTTP2, MONGO, REDIS, TCP, TLS",
                false => "HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, MYSQL, REDIS, TCP, TLS",
            };
            decoder.error(codes::VALUE, &node.span, format!("`{word}` is none of {known}"));
        }
    }
    None
}
