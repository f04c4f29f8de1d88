//! Route configurations: virtual hosts and the index that finds them.
//!
//! A configuration that follows another shares with it what stayed: virtual hosts, and the index where no
//! host's domains changed.

use std::sync::Arc;

use serde::Serialize;

use super::domains::DomainIndex;
use super::mutation::HeaderMutations;
use super::virtual_host::VirtualHost;

/// `RouteConfiguration`.
#[derive(Debug, Clone, Serialize)]
pub struct RouteConfig {
    /// Name as asked for in RDS.
    pub name: Arc<str>,
    virtual_hosts: Vec<Arc<VirtualHost>>,
    #[serde(skip)]
    domains: Arc<DomainIndex>,
    /// Ignores the port of the authority when matching domains.
    pub ignore_port_in_host_matching: bool,
    /// The most specific level of header changes is applied last and wins; else the least specific.
    pub most_specific_header_mutations_wins: bool,
    /// Header changes for every route.
    pub headers: HeaderMutations,
}

impl RouteConfig {
    /// A configuration of these virtual hosts, in the order given, with Envoy's defaults for the rest.
    ///
    /// Errs with the domain that two hosts claim.
    pub fn new(name: impl Into<Arc<str>>, virtual_hosts: Vec<Arc<VirtualHost>>) -> Result<Self, Arc<str>> {
        Self::after(None, name, virtual_hosts)
    }

    /// The same, with the index of `before` where every host has the domains of the one in its place there.
    pub fn after(
        before: Option<&Self>,
        name: impl Into<Arc<str>>,
        virtual_hosts: Vec<Arc<VirtualHost>>,
    ) -> Result<Self, Arc<str>> {
        let domains = match before.filter(|before| have_same_domains(&before.virtual_hosts, &virtual_hosts)) {
            Some(before) => before.domains.clone(),
            None => Arc::new(index(&virtual_hosts)?),
        };
        Ok(Self {
            name: name.into(),
            virtual_hosts,
            domains,
            ignore_port_in_host_matching: false,
            most_specific_header_mutations_wins: false,
            headers: HeaderMutations::default(),
        })
    }

    /// In the order given.
    pub fn virtual_hosts(&self) -> &[Arc<VirtualHost>] {
        &self.virtual_hosts
    }

    /// Domains to positions in [`Self::virtual_hosts`].
    pub fn domains(&self) -> &DomainIndex {
        &self.domains
    }
}

fn index(hosts: &[Arc<VirtualHost>]) -> Result<DomainIndex, Arc<str>> {
    let mut domains = DomainIndex::default();
    for (position, host) in (0u32..).zip(hosts) {
        for domain in &host.domains {
            domains.insert(domain, position).map_err(|_| domain.clone())?;
        }
    }
    Ok(domains)
}

fn have_same_domains(before: &[Arc<VirtualHost>], now: &[Arc<VirtualHost>]) -> bool {
    let same = |(before, now): (&Arc<VirtualHost>, &Arc<VirtualHost>)| {
        Arc::ptr_eq(before, now) || before.domains == now.domains
    };
    before.len() == now.len() && before.iter().zip(now).all(same)
}

/// By what it says: the index follows from it.
impl PartialEq for RouteConfig {
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&Arc<VirtualHost>, &Arc<VirtualHost>)| Arc::ptr_eq(a, b) || a == b;
        let Self {
            name,
            virtual_hosts,
            domains: _,
            ignore_port_in_host_matching,
            most_specific_header_mutations_wins,
            headers,
        } = self;
        *name == other.name
            && *ignore_port_in_host_matching == other.ignore_port_in_host_matching
            && *most_specific_header_mutations_wins == other.most_specific_header_mutations_wins
            && *headers == other.headers
            && virtual_hosts.len() == other.virtual_hosts.len()
            && virtual_hosts.iter().zip(&other.virtual_hosts).all(same)
    }
}
