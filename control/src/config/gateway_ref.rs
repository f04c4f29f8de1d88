//! Where a VirtualService applies: the names in its `gateways`. Istio: `resolveGatewayName`.

use crate::dialect::Dialect;

/// Where a VirtualService or one of its matches applies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GatewayRef {
    /// All sidecars; written `mesh`.
    Mesh,
    /// The proxies of one Gateway.
    Gateway {
        /// Namespace of the Gateway.
        namespace: String,
        /// Name of the Gateway.
        name: String,
    },
}

impl GatewayRef {
    /// What `written` means in a manifest of `namespace`: `mesh`, `name`, or a name with its namespace.
    ///
    /// Today a namespace is given as `namespace/name` (`./name` is the own one), or as the second label of a dotted
    /// name. Istio 1.0 takes only the full `name.namespace.svc.<domain>`; another dotted name is no Gateway.
    pub fn resolve(written: &str, namespace: &str, domain: &str, dialect: Dialect) -> Self {
        if written == "mesh" {
            return GatewayRef::Mesh;
        }
        let (of, name) = if dialect.namespaces_before_slash() {
            match (written.split_once('/'), written.split_once('.')) {
                (Some((".", name)), _) => (namespace, name),
                (Some((of, name)), _) => (of, name),
                (None, Some((name, rest))) => (rest.split('.').next().unwrap_or(rest), name),
                (None, None) => (namespace, written),
            }
        } else {
            let full = written.strip_suffix(domain).and_then(|rest| rest.strip_suffix(".svc."));
            full.and_then(|rest| rest.split_once('.')).map_or((namespace, written), |(name, of)| (of, name))
        };
        GatewayRef::Gateway { namespace: of.to_owned(), name: name.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_named_with_or_without_its_namespace() {
        let resolve = |written, dialect| match GatewayRef::resolve(written, "here", "cluster.local", dialect) {
            GatewayRef::Mesh => "mesh".to_owned(),
            GatewayRef::Gateway { namespace, name } => format!("{namespace}:{name}"),
        };
        for (written, in_1_0, in_v1) in [
            ("mesh", "mesh", "mesh"),
            ("gw", "here:gw", "here:gw"),
            ("there/gw", "here:there/gw", "there:gw"),
            ("./gw", "here:./gw", "here:gw"),
            ("gw.there", "here:gw.there", "there:gw"),
            ("gw.there.svc.cluster.local", "there:gw", "there:gw"),
        ] {
            assert_eq!(resolve(written, Dialect::V1_0), in_1_0, "{written}");
            assert_eq!(resolve(written, Dialect::V1), in_v1, "{written}");
        }
    }
}
