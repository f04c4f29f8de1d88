//! Identities: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>` (SPIFFE-ID §2; the path is
//! Istio's).

use std::fmt;

/// Who a workload is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// Usually the cluster's domain, `cluster.local`.
    pub trust_domain: String,
    /// The workload's namespace.
    pub namespace: String,
    /// The workload's service account.
    pub service_account: String,
}

impl Identity {
    /// The identity with these parts.
    pub fn new(trust_domain: &str, namespace: &str, service_account: &str) -> Self {
        Self {
            trust_domain: trust_domain.to_owned(),
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
        }
    }

    /// Reads a SPIFFE URI; `None` when it is not one of a workload of a mesh.
    pub fn parse(uri: &str) -> Option<Self> {
        let (trust_domain, path) = uri.strip_prefix("spiffe://")?.split_once('/')?;
        let (namespace, service_account) = path.strip_prefix("ns/")?.split_once("/sa/")?;
        let whole = |part: &str| !part.is_empty() && !part.contains('/');
        (whole(trust_domain) && whole(namespace) && whole(service_account))
            .then(|| Self::new(trust_domain, namespace, service_account))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/ns/{}/sa/{}", self.trust_domain, self.namespace, self.service_account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_back_as_it_was_written() {
        let identity = Identity::new("cluster.local", "default", "service-go");
        assert_eq!(identity.to_string(), "spiffe://cluster.local/ns/default/sa/service-go");
        assert_eq!(Identity::parse(&identity.to_string()), Some(identity));
    }

    #[test]
    fn anything_else_is_not_an_identity() {
        for uri in ["", "spiffe://", "spiffe://a", "spiffe://a/ns/b", "spiffe://a/ns/b/sa/", "spiffe:///ns/b/sa/c"] {
            assert_eq!(Identity::parse(uri), None, "{uri}");
        }
        assert_eq!(Identity::parse("spiffe://a/ns/b/sa/c/d"), None);
        assert_eq!(Identity::parse("http://a/ns/b/sa/c"), None);
    }
}
