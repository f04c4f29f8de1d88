//! Domains to virtual hosts, built once when a route configuration arrives. A look-up costs one hash for
//! an exact domain, whatever the number of hosts, then one per length of wildcard.
//!
//! Order (Envoy, `VirtualHost.domains`): exact, longest `*suffix`, longest `prefix*`, then `*`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

/// Which virtual host serves a domain. Domains are lower case.
#[derive(Debug, Clone, Default)]
pub struct DomainIndex {
    exact: IndexMap<Arc<str>, u32>,
    suffixes: BTreeMap<Reverse<usize>, IndexMap<Arc<str>, u32>>,
    prefixes: BTreeMap<Reverse<usize>, IndexMap<Arc<str>, u32>>,
    any: Option<u32>,
}

impl DomainIndex {
    /// Adds a domain of the host at position `host`. Errs when another entry has the same domain.
    pub fn insert(&mut self, domain: &Arc<str>, host: u32) -> Result<(), DuplicateDomain> {
        let previous = if &**domain == "*" {
            self.any.replace(host)
        } else if let Some(suffix) = domain.strip_prefix('*') {
            self.suffixes.entry(Reverse(suffix.len())).or_default().insert(suffix.into(), host)
        } else if let Some(prefix) = domain.strip_suffix('*') {
            self.prefixes.entry(Reverse(prefix.len())).or_default().insert(prefix.into(), host)
        } else {
            self.exact.insert(domain.clone(), host)
        };
        match previous {
            Some(_) => Err(DuplicateDomain),
            None => Ok(()),
        }
    }

    /// The position of the host that serves `host`, which is lower case.
    pub fn find(&self, host: &str) -> Option<u32> {
        if let Some(found) = self.exact.get(host) {
            return Some(*found);
        }
        self.find_suffix(host).or_else(|| self.find_prefix(host)).or(self.any)
    }

    fn find_suffix(&self, host: &str) -> Option<u32> {
        self.suffixes.iter().find_map(|(Reverse(length), suffixes)| {
            // A wildcard stands for at least one character: `*.foo` does not serve `.foo`.
            let tail = host.len().checked_sub(*length).filter(|cut| *cut > 0)?;
            suffixes.get(host.get(tail..)?).copied()
        })
    }

    fn find_prefix(&self, host: &str) -> Option<u32> {
        self.prefixes.iter().find_map(|(Reverse(length), prefixes)| {
            let head = (host.len() > *length).then(|| host.get(..*length))??;
            prefixes.get(head).copied()
        })
    }
}

/// Two virtual hosts (or one, twice) claim the same domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DuplicateDomain;
