//! Resources as they are sent: a name, bytes, a version made from the bytes, and what they refer to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};
use sha2::{Digest, Sha256};

/// The four types a mesh is made of, in the order in which a proxy is given them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceType {
    /// CDS.
    Cluster,
    /// EDS.
    Endpoint,
    /// LDS.
    Listener,
    /// RDS.
    Route,
}

impl ResourceType {
    /// All of them, in push order.
    pub const ALL: [Self; 4] = [Self::Cluster, Self::Endpoint, Self::Listener, Self::Route];

    /// The type URL on the wire.
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoint => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    /// The type with this URL; `None` for one that is not served.
    pub fn from_type_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == url)
    }

    /// Whether a first request without names asks for everything (xDS: the legacy wildcard of LDS and CDS).
    pub const fn has_implicit_wildcard(self) -> bool {
        matches!(self, Self::Cluster | Self::Listener)
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for ResourceType {
    /// The field's short name: CDS, EDS, LDS, RDS.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "CDS",
            Self::Endpoint => "EDS",
            Self::Listener => "LDS",
            Self::Route => "RDS",
        })
    }
}

/// One resource. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Unique within its type.
    pub name: Arc<str>,
    /// Made from the bytes: equal bytes have equal versions, in every process.
    pub version: Arc<str>,
    /// The packed message.
    pub body: Arc<Any>,
    /// Names it leads to: of a cluster its load assignment, of a listener its route configurations, of a
    /// route configuration the clusters its routes name.
    pub refs: Arc<[String]>,
}

impl Resource {
    /// Packs `message`.
    pub fn pack<M: Message + Name>(name: &str, message: &M, refs: Vec<String>) -> Self {
        let value = message.encode_to_vec();
        let version = version_of([value.as_slice()]);
        let body = Arc::new(Any { type_url: M::type_url(), value });
        Self { name: name.into(), version, body, refs: refs.into() }
    }

    /// What is known of a resource that a proxy says it holds from an earlier stream.
    pub(super) fn remembered(name: &str, version: &str) -> Self {
        Self { name: name.into(), version: version.into(), body: Arc::default(), refs: Arc::new([]) }
    }
}

/// A version from content: 16 hexadecimal digits of SHA-256.
pub fn version_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Arc<str> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// All resources of one proxy, made from one mesh.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Which state of the mesh it was made from; grows with every change.
    pub generation: u64,
    by_type: [BTreeMap<Arc<str>, Resource>; 4],
}

impl Snapshot {
    /// An empty snapshot.
    pub fn new(generation: u64) -> Self {
        Self { generation, ..Self::default() }
    }

    /// Adds a resource; the last one of a name counts.
    pub fn insert(&mut self, kind: ResourceType, resource: Resource) {
        self.by_type[kind.index()].insert(resource.name.clone(), resource);
    }

    /// The resources of a type, by name.
    pub fn of(&self, kind: ResourceType) -> &BTreeMap<Arc<str>, Resource> {
        &self.by_type[kind.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_found_by_its_url() {
        for kind in ResourceType::ALL {
            assert_eq!(ResourceType::from_type_url(kind.type_url()), Some(kind));
        }
        assert_eq!(ResourceType::from_type_url(""), None);
    }

    #[test]
    fn a_version_is_made_from_content_alone() {
        assert_eq!(version_of([b"a".as_slice()]), version_of([b"a".as_slice()]));
        assert_ne!(version_of([b"ab".as_slice()]), version_of([b"a".as_slice(), b"b"]));
    }
}
