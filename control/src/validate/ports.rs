//! Ports that routes lead to: which one a destination without `port` means, and whether it is known to speak HTTP.

use std::collections::BTreeSet;

use crate::config::gateway_ref::GatewayRef;
use crate::config::service::ServicePortSpec;
use crate::config::virtual_service::{RouteDestinationSpec, VirtualServiceSpec};
use crate::diagnostic::{Diagnostic, Span};
use crate::dialect::Dialect;
use crate::model::Protocol;

use super::known::KnownService;
use super::set::Scope;
use super::{codes, gateways};

/// Ports of Services that were told of, by their places.
pub(super) type Told<'s> = BTreeSet<&'s Span>;

pub(super) fn check<'s>(
    scope: &Scope<'s>,
    spec: &VirtualServiceSpec,
    told: &mut Told<'s>,
    found: &mut Vec<Diagnostic>,
) {
    let bound = gateways::of(scope, spec);
    for destination in spec.http.iter().flat_map(|route| &route.route) {
        let Some(service) = scope.known.services.get(&scope.full(&destination.host)) else { continue };
        if destination.port.is_none() {
            unsaid(scope, service, destination, &bound, found);
        }
        let asked = destination.port.as_ref().map(|port| port.value);
        let reached = service.tcp_ports().filter(|port| asked.is_none_or(|asked| port.number.value == asked));
        for port in reached {
            protocol(scope, service, port, &destination.host.span, told, found);
        }
    }
    for host in spec.hosts.iter().filter(|_| bound.contains(&GatewayRef::Mesh)) {
        let Some(service) = scope.known.services.get(&scope.full(host)) else { continue };
        for port in service.tcp_ports() {
            protocol(scope, service, port, &host.span, told, found);
        }
    }
}

/// At a Gateway a destination without a port means the Service's only one, else that which the Gateway listens on.
fn unsaid(
    scope: &Scope<'_>,
    service: &KnownService<'_>,
    destination: &RouteDestinationSpec,
    bound: &[GatewayRef],
    found: &mut Vec<Diagnostic>,
) {
    if service.tcp_ports().count() < 2 {
        return;
    }
    let servers = bound.iter().filter_map(|gateway| gateways::known(scope, gateway)).flat_map(|(_, of)| &of.servers);
    let Some(server) = servers.into_iter().find(|server| !service.has_port(server.port.value)) else { return };
    let message = format!(
        "Service {}/{} has several ports, and none is {}, which the Gateway listens on; requests sent there are \
         answered 503",
        service.namespace, service.name, server.port.value
    );
    let finding = Diagnostic::warning(codes::UNKNOWN_PORT, &destination.host.span, message);
    let finding = finding.with_related(&server.port.span, "the Gateway's port");
    let finding = finding.with_related(service.span, format!("the Service has {}", service.ports()));
    found.push(finding.with_help("say which `port` is meant"));
}

/// A port whose name says no protocol: TCP in 1.0, today found out from the first bytes.
fn protocol<'s>(
    scope: &Scope<'_>,
    service: &KnownService<'s>,
    port: &'s ServicePortSpec,
    routed: &Span,
    told: &mut Told<'s>,
    found: &mut Vec<Diagnostic>,
) {
    if Protocol::is_said(port.app_protocol.as_deref(), &port.name.value, scope.dialect) || !told.insert(&port.span) {
        return;
    }
    let (name, number) = (&port.name.value, port.number.value);
    let of = format!("port {number} of Service {}/{}", service.namespace, service.name);
    let named = if name.is_empty() { "without a name".to_owned() } else { format!("named `{name}`") };
    let finding = match scope.dialect {
        Dialect::V1_0 => {
            let message = format!("{of}, {named}, is taken for TCP, so sidecars do not route its requests");
            Diagnostic::warning(codes::PORT_PROTOCOL, &port.name.span, message)
        }
        Dialect::V1 => {
            let message = format!("the protocol of {of}, {named}, is found out from the first bytes of a connection");
            Diagnostic::note(codes::PORT_PROTOCOL, &port.name.span, message)
        }
    };
    found
        .push(finding.with_related(routed, "a route is for it").with_help("begin its name with the protocol: `http-`"));
}
