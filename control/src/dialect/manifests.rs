//! How manifests are read: the points where the two dialects part before any xDS is made.

use super::Dialect;

impl Dialect {
    /// Whether a port's protocol comes from its name alone; otherwise `appProtocol` goes before it.
    pub const fn protocols_by_name_only(self) -> bool {
        self.pick(true, false)
    }

    /// Whether DestinationRules hold for clients of every namespace; otherwise a client looks in its own namespace,
    /// the service's, and the root's.
    pub const fn rules_are_global(self) -> bool {
        self.pick(true, false)
    }

    /// Whether a port entry of a subset's policy also clears what the host's policy says; otherwise only what the
    /// entry has is replaced.
    pub const fn subset_ports_replace_all(self) -> bool {
        self.pick(false, true)
    }

    /// Whether a subset's connection pool keeps the host's `connectTimeout` and `maxRequestsPerConnection` where it has
    /// none; otherwise it replaces the host's pool.
    pub const fn subsets_inherit_parts_of_pools(self) -> bool {
        self.pick(true, false)
    }

    /// Whether `portLevelSettings` hold for connections from a sidecar to its own workload.
    pub const fn inbound_reads_port_entries(self) -> bool {
        self.pick(false, true)
    }

    /// Whether a later DestinationRule for a host gives its policy where the first has none, even if it has no
    /// subsets.
    pub const fn merges_policies_without_subsets(self) -> bool {
        self.pick(false, true)
    }

    /// Whether `namespace/name` names a Gateway, and `namespace/host` a host of one; otherwise only a full name
    /// reaches another namespace.
    pub const fn namespaces_before_slash(self) -> bool {
        self.pick(false, true)
    }

    /// Whether a field may be written by its protobuf name, `sni_hosts` for `sniHosts`.
    pub const fn takes_protobuf_names(self) -> bool {
        self.pick(true, false)
    }

    /// Whether the regular expression `*` of a header in `withoutHeaders` means that the header is there.
    pub const fn star_is_presence(self) -> bool {
        self.pick(false, true)
    }

    /// Whether `retries` with 0 attempts is taken, and turns retrying off.
    pub const fn allows_zero_attempts(self) -> bool {
        self.pick(false, true)
    }

    /// Whether Gateways may share a port among all kinds of HTTP; otherwise a port speaks what its first server says.
    pub const fn shares_port_among_http(self) -> bool {
        self.pick(false, true)
    }
}
