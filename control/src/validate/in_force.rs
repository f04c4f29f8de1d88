//! Which DestinationRules a client uses for a host. Istio: `PushContext.destinationRule`.

use crate::config::destination_rule::DestinationRuleSpec;
use crate::config::host_name::{covers, specificity};
use crate::config::{Document, MeshConfig};
use crate::diagnostic::Span;
use crate::dialect::Dialect;

/// A DestinationRule.
pub(super) struct KnownRule<'s> {
    /// What it says.
    pub(super) spec: &'s DestinationRuleSpec,
    /// Its full host.
    pub(super) host: String,
    /// Its namespace.
    namespace: &'s str,
    /// Where its name is written.
    pub(super) span: &'s Span,
}

/// Who asks for which host.
#[derive(Clone, Copy)]
pub(super) struct Client<'a> {
    /// Namespace of the proxy.
    pub(super) namespace: &'a str,
    /// Namespace of the host's Service; empty where there is none.
    pub(super) service_namespace: &'a str,
}

impl<'s> KnownRule<'s> {
    pub(super) fn of(document: &'s Document, spec: &'s DestinationRuleSpec, host: String) -> Self {
        KnownRule { spec, host, namespace: &document.metadata.namespace, span: &document.metadata.name.span }
    }

    /// Whether it is for many hosts.
    pub(super) fn is_wildcard(&self) -> bool {
        self.host.starts_with('*')
    }

    fn is_seen_in(&self, namespace: &str) -> bool {
        let sees = |to: &str| to == "*" || to == namespace || (to == "." && namespace == self.namespace);
        self.spec.export_to.is_empty() || self.spec.export_to.iter().any(|to| sees(&to.value))
    }

    /// Whether only its own namespace sees it.
    fn is_private(&self) -> bool {
        let own = |to: &str| to == "." || to == self.namespace;
        !self.spec.export_to.is_empty() && self.spec.export_to.iter().all(|to| own(&to.value))
    }
}

/// The rules that cover a full host, by their own host from the most specific.
pub(super) fn covering<'r, 's>(rules: &'r [KnownRule<'s>], host: &str) -> Vec<&'r KnownRule<'s>> {
    let mut fitting: Vec<_> = rules.iter().filter(|rule| covers(&rule.host, host)).collect();
    fitting.sort_by(|a, b| specificity(&a.host, &b.host));
    fitting
}

/// Of the rules that cover a host those that a client uses: all of one host, and today of one namespace.
pub(super) fn used<'r, 's>(
    covering: &[&'r KnownRule<'s>],
    client: Client<'_>,
    dialect: Dialect,
    mesh: &MeshConfig,
) -> Vec<&'r KnownRule<'s>> {
    let most_specific = |fits: &dyn Fn(&KnownRule<'_>) -> bool| -> Vec<&'r KnownRule<'s>> {
        let Some(first) = covering.iter().find(|rule| fits(rule)) else { return Vec::new() };
        covering.iter().copied().filter(|rule| rule.host == first.host && fits(rule)).collect()
    };
    if dialect.rules_are_global() {
        return most_specific(&|_| true);
    }
    let (root, own) = (mesh.root_namespace.as_str(), client.namespace);
    // Of the root namespace's own rules only the private ones are its proxies': the others are defaults for all.
    let is_own =
        |rule: &KnownRule<'_>| rule.namespace == own && rule.is_seen_in(own) && (own != root || rule.is_private());
    let found = most_specific(&is_own);
    if !found.is_empty() {
        return found;
    }
    for namespace in [client.service_namespace, root] {
        let mut exported = most_specific(&|rule| rule.namespace == namespace && !rule.is_private());
        exported.retain(|rule| rule.is_seen_in(own));
        if !exported.is_empty() {
            return exported;
        }
    }
    Vec::new()
}
