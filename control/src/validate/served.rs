//! Gateways and the proxies that serve them: whether there are any, and whether their Service opens the ports.
//! Istio: the analyzer's IST0101 and IST0162.

use crate::config::gateway::GatewaySpec;
use crate::config::suggest;
use crate::diagnostic::Diagnostic;

use super::codes;
use super::known::{KnownService, meant, shown};
use super::set::{Extent, Scope};

/// Checks a Gateway against the pods and Services there are.
pub(super) fn check(scope: &Scope<'_>, spec: &GatewaySpec, found: &mut Vec<Diagnostic>) {
    if spec.selector.is_empty() || !scope.known.has_pods() {
        return;
    }
    if scope.known.namespaces_of_pods(&spec.selector).is_empty() {
        if scope.extent == Extent::Whole {
            found.push(without_proxy(scope, spec));
        }
        return;
    }
    let services = scope.known.services_before(&spec.selector);
    for server in spec.servers.iter().filter(|_| !services.is_empty()) {
        let number = server.port.value;
        if services.iter().any(|service| opens(service, number, scope)) {
            continue;
        }
        let message = format!("no Service of the Gateway's proxies has a port {number}; nobody outside reaches it");
        let mut finding = Diagnostic::warning(codes::UNKNOWN_PORT, &server.port.span, message);
        for service in services.iter().take(3) {
            finding = finding.with_related(service.span, format!("the Service has {}", service.ports()));
        }
        found.push(scope.missing(finding));
    }
}

/// Whether what comes to a Service can reach the listener of a server's port: today it listens where the Service's port
/// of that number leads, in 1.0 on the port itself.
fn opens(service: &KnownService<'_>, number: u16, scope: &Scope<'_>) -> bool {
    use crate::config::service::TargetPort;
    if scope.dialect.translates_gateway_ports() {
        return service.has_port(number);
    }
    service.tcp_ports().any(|port| match &port.target {
        Some(TargetPort::Number(target)) => *target == number,
        Some(TargetPort::Name(_)) => true,
        None => port.number.value == number,
    })
}

fn without_proxy(scope: &Scope<'_>, spec: &GatewaySpec) -> Diagnostic {
    let message = format!("no pod has the labels {} of {}; it is served nowhere", shown(&spec.selector), scope.name());
    let finding = Diagnostic::warning(codes::UNSERVED_GATEWAY, &spec.selector_span, message);
    // The label whose value no pod has.
    let wrong = spec.selector.iter().find(|(key, value)| !scope.known.values_of(key).contains(&value.as_str()));
    let near = wrong.and_then(|(key, value)| {
        let near = suggest::nearest_name(value, scope.known.values_of(key))?;
        Some(format!("{key}: {near}"))
    });
    meant(finding, near.as_deref())
}
