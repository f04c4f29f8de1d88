//! The ends of an edge: who called, what was asked for, which pod was chosen.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Who opened a connection, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Party {
    /// Name as scenarios write it: the `app` of a workload, or `client`, `ingress`, `control-plane`.
    pub name: Arc<str>,
    /// Namespace; empty for what is in none (`client`) or is named without one (`ingress`).
    pub namespace: Arc<str>,
    /// Deployment or pod; equals `name` where there is none.
    pub workload: Arc<str>,
    /// The pod's label `version`.
    pub version: Option<Arc<str>>,
    /// The pod's index in its workload, from 0.
    pub pod: Option<u32>,
}

impl Party {
    /// A caller outside the mesh.
    pub fn client() -> Self {
        Self::named("client")
    }

    /// The ingress gateway.
    pub fn ingress() -> Self {
        Self::named("ingress")
    }

    /// A party that is known by one word.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        Self { workload: name.clone(), name, namespace: "".into(), version: None, pod: None }
    }
}

/// `service-node@v1#0`, `sleep.other`, `client`.
impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(f, &self.name, &self.namespace)?;
        write_choice(f, self.version.as_deref(), self.pod)
    }
}

/// The Service that was asked for, or the bare host when no Service has that name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Service {
    /// Short name, or the whole host when it is not a Service of the mesh.
    pub name: Arc<str>,
    /// Namespace; empty when it is not a Service of the mesh, and for `ingress`.
    pub namespace: Arc<str>,
}

impl Service {
    /// Service `name` of `namespace`.
    pub fn new(name: impl Into<Arc<str>>, namespace: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), namespace: namespace.into() }
    }

    /// A host that is no Service of the mesh, or `ingress`.
    pub fn host(name: impl Into<Arc<str>>) -> Self {
        Self::new(name, "")
    }

    /// `service-go.default.svc.cluster.local`; the bare host where there is no namespace.
    pub fn fqdn(&self) -> String {
        if self.namespace.is_empty() {
            self.name.to_string()
        } else {
            format!("{}.{}.svc.cluster.local", self.name, self.namespace)
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(f, &self.name, &self.namespace)
    }
}

/// The pod that was chosen for a request, from the socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Deployment or pod.
    pub workload: Arc<str>,
    /// The pod's label `version`.
    pub version: Option<Arc<str>>,
    /// The pod's index in its workload, from 0.
    pub pod: Option<u32>,
    /// Address that was connected to.
    pub address: SocketAddr,
}

fn write_name(f: &mut fmt::Formatter<'_>, name: &str, namespace: &str) -> fmt::Result {
    f.write_str(name)?;
    match namespace {
        "" | "default" => Ok(()),
        other => write!(f, ".{other}"),
    }
}

/// Writes `@version#pod`.
pub(super) fn write_choice(f: &mut fmt::Formatter<'_>, version: Option<&str>, pod: Option<u32>) -> fmt::Result {
    if let Some(version) = version {
        write!(f, "@{version}")?;
    }
    match pod {
        Some(pod) => write!(f, "#{pod}"),
        None => Ok(()),
    }
}
