//! Names of the cluster, found as a pod's resolver finds them.
//!
//! A pod's `/etc/resolv.conf` has `ndots:5` and the search list `NS.svc.cluster.local svc.cluster.local
//! cluster.local` (Kubernetes: DNS for Services and Pods), so a name with fewer than five dots is tried
//! with each suffix before it is tried as it stands. No name server stands behind it: an answer takes no
//! time and never fails.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Dots from which a name is tried as it stands first.
const NDOTS: usize = 5;

/// Addresses by full name.
#[derive(Debug, Default)]
pub(super) struct Dns {
    names: BTreeMap<String, Vec<IpAddr>>,
}

impl Dns {
    /// Gives `name` (full, any case, with or without the final dot) these addresses; none removes it.
    pub(super) fn set(&mut self, name: &str, addrs: Vec<IpAddr>) {
        let name = canonical(name);
        if addrs.is_empty() {
            self.names.remove(&name);
        } else {
            self.names.insert(name, addrs);
        }
    }

    /// The addresses of `name` for a pod of `namespace`; `None` when it has none.
    pub(super) fn resolve(&self, name: &str, namespace: &str) -> Option<&[IpAddr]> {
        let lower = canonical(name);
        let find = |full: &str| self.names.get(full).map(Vec::as_slice);
        if name.ends_with('.') {
            return find(&lower);
        }
        let searched = || {
            [format!("{lower}.{namespace}.svc.cluster.local"), format!("{lower}.svc.cluster.local")]
                .into_iter()
                .chain([format!("{lower}.cluster.local")])
                .find_map(|full| find(&full))
        };
        if lower.matches('.').count() >= NDOTS {
            find(&lower).or_else(searched)
        } else {
            searched().or_else(|| find(&lower))
        }
    }
}

fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_namespaced_and_full_names_resolve_by_the_pods_namespace() {
        let mut dns = Dns::default();
        let ip = |n: u8| IpAddr::from([10, 96, 0, n]);
        dns.set("reviews.default.svc.cluster.local", vec![ip(1)]);
        dns.set("reviews.staging.svc.cluster.local", vec![ip(2)]);
        dns.set("Example.com.", vec![ip(3)]);
        for (name, namespace, want) in [
            ("reviews", "default", Some(ip(1))),
            ("reviews", "staging", Some(ip(2))),
            ("reviews", "other", None),
            ("reviews.staging", "default", Some(ip(2))),
            ("reviews.staging.svc", "default", Some(ip(2))),
            ("REVIEWS.staging.svc.cluster.local", "default", Some(ip(2))),
            ("reviews.default.svc.cluster.local.", "staging", Some(ip(1))),
            ("reviews.", "default", None),
            ("example.com", "default", Some(ip(3))),
            ("nowhere.com", "default", None),
        ] {
            assert_eq!(dns.resolve(name, namespace).map(|a| a[0]), want, "{name} in {namespace}");
        }
        dns.set("example.com", vec![]);
        assert_eq!(dns.resolve("example.com", "default"), None);
    }
}
