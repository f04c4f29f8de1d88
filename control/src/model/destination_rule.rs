//! DestinationRules, merged as the dialect merges them. Istio: `DestinationRule`, `SetDestinationRules`.

use crate::diagnostic::Span;
use crate::dialect::Dialect;

use super::{ConnectionPool, Host, Labels, PolicyComponents, TrafficPolicy};

/// What the DestinationRules of one host say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationRule {
    /// Name of the first rule for the host.
    pub name: String,
    /// Namespace of that rule.
    pub namespace: String,
    /// Host, or wildcard, as a full name.
    pub host: Host,
    /// What holds for the host; a subset may override it.
    pub policy: Option<TrafficPolicy>,
    /// Subsets of all merged rules, in order; the first of a name counts.
    pub subsets: Vec<Subset>,
    /// Namespaces that see it: `.` is resolved to the own one, `*` is all; empty means all.
    pub export_to: Vec<String>,
    /// Place of the first rule in the order of creation, over all kinds.
    pub created: u64,
    /// Where the first rule's metadata is written.
    pub span: Span,
}

/// A named part of a host's endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subset {
    /// Name.
    pub name: String,
    /// Labels an endpoint must have; empty takes all.
    pub labels: Labels,
    /// What holds for the subset instead of the host's policy.
    pub policy: Option<TrafficPolicy>,
    /// Where the subset is written.
    pub span: Span,
}

impl DestinationRule {
    /// The subset of that name.
    pub fn subset(&self, name: &str) -> Option<&Subset> {
        self.subsets.iter().find(|subset| subset.name == name)
    }

    /// The policy that holds for a service port, of a subset or (`None`) of the whole host.
    ///
    /// A port's own entry replaces every component of the policy it stands in. A subset's components override the
    /// host's one by one; a subset's port entry replaces them all today, and in dialect 1.0 those it has.
    pub fn components(&self, subset: Option<&Subset>, port: u16, dialect: Dialect) -> PolicyComponents {
        let base = self.policy.as_ref().map(|policy| policy.for_port(port).clone()).unwrap_or_default();
        let Some(over) = subset.and_then(|subset| subset.policy.as_ref()) else { return base };
        let mut components = match over.port_entry(port) {
            Some(entry) if dialect.subset_ports_replace_all() => return entry.components.clone(),
            Some(entry) => base.overridden_by(&entry.components),
            None => base.overridden_by(&over.components),
        };
        if dialect.subsets_inherit_parts_of_pools()
            && let (Some(pool), Some(base)) = (&mut components.connection_pool, &base.connection_pool)
        {
            pool.connect_timeout = pool.connect_timeout.take().or_else(|| base.connect_timeout.clone());
            pool.requests_per_connection_max = pool.requests_per_connection_max.or(base.requests_per_connection_max);
        }
        components
    }

    /// The limits on connections from a sidecar to its own workload's service port.
    pub fn inbound_pool(&self, port: u16, dialect: Dialect) -> Option<ConnectionPool> {
        let policy = self.policy.as_ref()?;
        let components = if dialect.inbound_reads_port_entries() { policy.for_port(port) } else { &policy.components };
        components.connection_pool.clone()
    }

    /// Whether only proxies of its own namespace see it.
    pub fn is_private(&self) -> bool {
        matches!(self.export_to.as_slice(), [only] if *only == self.namespace)
    }

    /// Whether proxies in `namespace` see it.
    pub fn is_visible_in(&self, namespace: &str) -> bool {
        super::mesh::exported(&self.export_to, namespace)
    }
}
