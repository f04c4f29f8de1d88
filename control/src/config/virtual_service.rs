//! Istio `VirtualService`, as written.

use std::time::Duration;

use crate::diagnostic::{Span, Spanned};
use crate::dialect::Dialect;

use super::decode::{Decoder, Fields};
use super::http_match::{self, HTTP_MATCH, HttpMatchSpec};
use super::kind;
use super::retries::{self, RETRIES, Retries};
use super::table::{Row, Table};
use super::values;
use super::yaml::Node;

/// The spec of a VirtualService.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualServiceSpec {
    /// Hosts as written.
    pub hosts: Vec<Spanned<String>>,
    /// Gateways as written; empty means `mesh`.
    pub gateways: Vec<Spanned<String>>,
    /// Namespaces that see it, as written.
    pub export_to: Vec<Spanned<String>>,
    /// HTTP routes in order.
    pub http: Vec<HttpRouteSpec>,
    /// Where the spec is written.
    pub span: Span,
}

/// One entry of `http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRouteSpec {
    /// Name.
    pub name: Option<String>,
    /// Alternatives; empty takes every request.
    pub matches: Vec<HttpMatchSpec>,
    /// Destinations.
    pub route: Vec<RouteDestinationSpec>,
    /// `timeout`.
    pub timeout: Option<Spanned<Duration>>,
    /// `retries`.
    pub retries: Option<Retries>,
    /// Where the value of `match` is written.
    pub match_span: Option<Span>,
    /// Where the value of `route` is written.
    pub route_span: Option<Span>,
    /// Where the entry is written.
    pub span: Span,
}

/// One entry of `route`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteDestinationSpec {
    /// Host as written.
    pub host: Spanned<String>,
    /// Subset.
    pub subset: Option<Spanned<String>>,
    /// Port number.
    pub port: Option<Spanned<u16>>,
    /// Weight.
    pub weight: Option<Spanned<u32>>,
    /// Where the entry is written.
    pub span: Span,
}

/// Fields of a VirtualService.
pub static VIRTUAL_SERVICE: Table = Table {
    name: "VirtualService",
    rows: &[
        kind::API_VERSION,
        kind::KIND,
        kind::METADATA,
        Row::nested("spec", &VIRTUAL_SERVICE_SPEC, "hosts and their routes"),
        kind::STATUS,
    ],
};

static VIRTUAL_SERVICE_SPEC: Table = Table {
    name: "VirtualService.spec",
    rows: &[
        Row::read("hosts", "`VirtualHost.domains`, each with and without the port"),
        Row::read("gateways", "which route configurations it appears in; `mesh` when absent"),
        Row::read("exportTo", "namespaces whose proxies see it").v1(),
        Row::list("http", &HTTP_ROUTE, "routes in order; the first that matches decides"),
        Row::not_yet("tcp"),
        Row::not_yet("tls"),
    ],
};

static HTTP_ROUTE: Table = Table {
    name: "HTTPRoute",
    rows: &[
        Row::read("name", "`Route.name`").v1(),
        Row::list("match", &HTTP_MATCH, "one `Route` for each entry"),
        Row::list("route", &ROUTE_DESTINATION, "`cluster`, or `weighted_clusters` when there are several"),
        Row::read("timeout", "`RouteAction.timeout`, at least 1ms; absent: none"),
        Row::nested("retries", &RETRIES, "`RouteAction.retry_policy`"),
        Row::ignored("websocketUpgrade", "WebSockets are always let through").v1_0(),
        Row::not_yet("appendHeaders").v1_0(),
        Row::not_yet("corsPolicy"),
        Row::not_yet("delegate").v1(),
        Row::not_yet("directResponse").v1(),
        Row::not_yet("fault"),
        Row::not_yet("headers").v1(),
        Row::not_yet("mirror"),
        Row::not_yet("mirrorPercent").v1(),
        Row::not_yet("mirrorPercentage").v1(),
        Row::not_yet("mirror_percent").v1(),
        Row::not_yet("mirrors").v1(),
        Row::not_yet("redirect"),
        Row::not_yet("removeResponseHeaders").v1_0(),
        Row::not_yet("rewrite"),
    ],
};

static ROUTE_DESTINATION: Table = Table {
    name: "HTTPRouteDestination",
    rows: &[
        Row::nested("destination", &DESTINATION, "the cluster `outbound|<port>|<subset>|<host>`"),
        Row::read("weight", "share of the requests; 1.0: percent, today: relative"),
        Row::not_yet("headers").v1(),
    ],
};

static DESTINATION: Table = Table {
    name: "Destination",
    rows: &[
        Row::read("host", "full name of the cluster; a name without a dot is one of the own namespace"),
        Row::read("subset", "subset of the cluster; one that no DestinationRule defines answers 503"),
        Row::nested(
            "port",
            &DESTINATION_PORT,
            "port of the cluster; else the listener's, or at gateways the host's only one",
        ),
    ],
};

static DESTINATION_PORT: Table = Table {
    name: "Destination.port",
    rows: &[Row::read("number", "port of the cluster"), Row::not_yet("name").v1_0()],
};

pub(crate) fn decode(node: &Node, decoder: &mut Decoder) -> Option<VirtualServiceSpec> {
    let fields = Fields::open(node, &VIRTUAL_SERVICE_SPEC, decoder)?;
    // Today it may be left out, and validation says what that means.
    if decoder.dialect == Dialect::V1_0 {
        fields.required("hosts", decoder, |_, _| Some(()));
    }
    Some(VirtualServiceSpec {
        hosts: fields.list("hosts", decoder, values::spanned_string),
        gateways: fields.list("gateways", decoder, values::spanned_string),
        export_to: fields.list("exportTo", decoder, values::spanned_string),
        http: fields.list("http", decoder, http_route),
        span: node.span.clone(),
    })
}

fn http_route(node: &Node, decoder: &mut Decoder) -> Option<HttpRouteSpec> {
    let fields = Fields::open(node, &HTTP_ROUTE, decoder)?;
    Some(HttpRouteSpec {
        name: fields.optional("name", decoder, values::string).filter(|name| !name.is_empty()),
        matches: fields.list("match", decoder, http_match::decode),
        route: fields.list("route", decoder, route_destination),
        timeout: fields.optional("timeout", decoder, values::spanned_duration),
        match_span: fields.entry("match").map(|entry| entry.value.span.clone()),
        route_span: fields.entry("route").map(|entry| entry.value.span.clone()),
        retries: fields.optional("retries", decoder, retries::decode),
        span: node.span.clone(),
    })
}

fn route_destination(node: &Node, decoder: &mut Decoder) -> Option<RouteDestinationSpec> {
    let fields = Fields::open(node, &ROUTE_DESTINATION, decoder)?;
    let weight = fields.optional("weight", decoder, |node, decoder| {
        values::count(node, decoder).map(|weight| Spanned::new(weight, node.span.clone()))
    });
    let (host, subset, port) = fields.required("destination", decoder, destination)?;
    Some(RouteDestinationSpec { host, subset, port, weight, span: node.span.clone() })
}

type DestinationParts = (Spanned<String>, Option<Spanned<String>>, Option<Spanned<u16>>);

fn destination(node: &Node, decoder: &mut Decoder) -> Option<DestinationParts> {
    let fields = Fields::open(node, &DESTINATION, decoder)?;
    let host = fields.required("host", decoder, values::spanned_string);
    let subset = fields.optional("subset", decoder, values::spanned_string);
    let port = fields.optional("port", decoder, |node, decoder| {
        let fields = Fields::open(node, &DESTINATION_PORT, decoder)?;
        fields.required("number", decoder, |node, decoder| {
            values::port(node, decoder).map(|number| Spanned::new(number, node.span.clone()))
        })
    });
    Some((host?, subset.filter(|subset| !subset.value.is_empty()), port))
}
