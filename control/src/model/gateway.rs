//! Gateways: which ports and hosts a gateway proxy opens. Istio: `Gateway`.

use crate::config::host_name;
use crate::diagnostic::Span;

use super::{Labels, Protocol};

/// A Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Labels a proxy must have to serve it; empty selects every gateway proxy.
    pub selector: Labels,
    /// Ports it opens, as written.
    pub servers: Vec<Server>,
    /// Place in the order of creation, over all kinds.
    pub created: u64,
    /// Where the manifest's metadata is written.
    pub span: Span,
}

/// One server of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Port number it listens on.
    pub port: u16,
    /// Name of the port; may be empty.
    pub port_name: String,
    /// What the port speaks.
    pub protocol: Protocol,
    /// Hosts it serves.
    pub hosts: Vec<ServerHost>,
    /// Where the server is written.
    pub span: Span,
}

/// One host of a server, possibly limited to VirtualServices of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHost {
    /// Namespace a VirtualService must be in; `None`: any.
    pub namespace: Option<String>,
    /// Host name or wildcard, in lower case.
    pub name: String,
    /// Where it is written.
    pub span: Span,
}

impl ServerHost {
    /// The hosts that both this server host and a VirtualService's `host` cover: the narrower of the two, or nothing.
    pub fn intersection(&self, virtual_service_namespace: &str, host: &str) -> Option<String> {
        if self.namespace.as_deref().is_some_and(|namespace| namespace != virtual_service_namespace) {
            return None;
        }
        if host_name::covers(&self.name, host) {
            Some(host.to_owned())
        } else if host_name::covers(host, &self.name) {
            Some(self.name.clone())
        } else {
            None
        }
    }
}
