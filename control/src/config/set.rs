//! All objects in force, as one immutable value.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::document::Document;
use super::kind::Kind;

/// What tells one object from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigKey {
    /// Kind.
    pub kind: Kind,
    /// Namespace; empty for a kind that has none.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ConfigKey {
    /// The key of an object. The namespace of a cluster-scoped kind is dropped.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        let namespace = if kind.is_cluster_scoped() { String::new() } else { namespace.into() };
        Self { kind, namespace, name: name.into() }
    }

    /// The key of a document.
    pub fn of(document: &Document) -> Self {
        let metadata = &document.metadata;
        Self::new(document.kind, metadata.namespace.clone(), metadata.name.value.clone())
    }
}

impl fmt::Display for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// An object in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Place in the order of creation, over all kinds; a new version keeps it.
    pub created: u64,
    /// The object.
    pub document: Arc<Document>,
}

/// All objects in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigSet {
    entries: BTreeMap<ConfigKey, Stored>,
    cluster_ips: BTreeMap<(String, String), IpAddr>,
}

impl ConfigSet {
    /// A set of these documents, created in this order; of two with one key the later counts.
    pub fn of(documents: impl IntoIterator<Item = Document>) -> Self {
        let mut set = Self::default();
        for (created, document) in documents.into_iter().enumerate() {
            set.insert(Arc::new(document), created as u64);
        }
        set
    }

    /// The object of a key.
    pub fn get(&self, key: &ConfigKey) -> Option<&Stored> {
        self.entries.get(key)
    }

    /// The objects of a kind, the oldest first.
    pub fn of_kind(&self, kind: Kind) -> Vec<&Stored> {
        let mut found: Vec<_> = self.iter().filter(|(key, _)| key.kind == kind).map(|(_, stored)| stored).collect();
        found.sort_by_key(|stored| stored.created);
        found
    }

    /// All objects by key.
    pub fn iter(&self) -> impl Iterator<Item = (&ConfigKey, &Stored)> {
        self.entries.iter()
    }

    /// The keys of all objects.
    pub fn keys(&self) -> impl Iterator<Item = &ConfigKey> {
        self.entries.keys()
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The address that a Service was given beside its manifest.
    pub fn cluster_ip(&self, namespace: &str, name: &str) -> Option<IpAddr> {
        self.cluster_ips.get(&(namespace.to_owned(), name.to_owned())).copied()
    }

    /// Puts an object in force; a version that is there keeps its place in the order. Says whether anything changed.
    pub(crate) fn insert(&mut self, document: Arc<Document>, created: u64) -> bool {
        let key = ConfigKey::of(&document);
        let previous = self.entries.get(&key);
        if previous.is_some_and(|previous| previous.document == document) {
            return false;
        }
        let created = previous.map_or(created, |previous| previous.created);
        self.entries.insert(key, Stored { created, document });
        true
    }

    pub(crate) fn remove(&mut self, key: &ConfigKey) -> bool {
        self.entries.remove(key).is_some()
    }

    pub(crate) fn assign_cluster_ip(&mut self, namespace: &str, name: &str, address: IpAddr) {
        self.cluster_ips.insert((namespace.to_owned(), name.to_owned()), address);
    }
}
