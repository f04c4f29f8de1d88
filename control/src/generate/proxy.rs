//! Whom resources are made for: a sidecar or a gateway, as its xDS node says.
//!
//! The node id is istiod's: `<sidecar|router>~<ip>~<pod>.<namespace>~<namespace>.svc.<domain>`. Metadata
//! `NAMESPACE`, `SERVICE_ACCOUNT` and `LABELS` override what the mesh knows of the pod.

use std::net::IpAddr;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::google::protobuf::{Struct, Value, value::Kind};

use crate::model::{Labels, Mesh};

/// What a proxy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProxyKind {
    /// Beside a workload.
    Sidecar,
    /// At the edge.
    Gateway,
}

/// One proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyIdentity {
    /// The whole node id.
    pub node_id: String,
    /// What it is for.
    pub kind: ProxyKind,
    /// Address of its pod.
    pub address: IpAddr,
    /// Name of its pod.
    pub pod: String,
    /// Namespace of its pod.
    pub namespace: String,
    /// Labels of its pod.
    pub labels: Labels,
    /// Service account of its pod.
    pub service_account: String,
}

/// A node that is not one of the mesh's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// The id has another shape.
    #[error("node id {0:?} is not <sidecar|router>~<ip>~<pod>.<namespace>~<domain>")]
    BadId(String),
}

impl ProxyIdentity {
    /// The proxy of a pod, with the node id that [`ProxyIdentity::from_node`] reads.
    pub fn new(kind: ProxyKind, address: IpAddr, pod: &str, namespace: &str, domain: &str) -> Self {
        let role = match kind {
            ProxyKind::Sidecar => "sidecar",
            ProxyKind::Gateway => "router",
        };
        Self {
            node_id: format!("{role}~{address}~{pod}.{namespace}~{namespace}.svc.{domain}"),
            kind,
            address,
            pod: pod.to_owned(),
            namespace: namespace.to_owned(),
            labels: Labels::new(),
            service_account: "default".to_owned(),
        }
    }

    /// Reads a node; labels and service account that it does not say come from the mesh's pod of its address.
    ///
    /// Errs when the id has another shape.
    pub fn from_node(node: &Node, mesh: &Mesh) -> Result<Self, NodeError> {
        let bad = || NodeError::BadId(node.id.chars().take(200).collect());
        let mut parts = node.id.split('~');
        let (Some(role), Some(address), Some(name), Some(_domain), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        let kind = match role {
            "sidecar" => ProxyKind::Sidecar,
            "router" => ProxyKind::Gateway,
            _ => return Err(bad()),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let (pod, namespace) = name.rsplit_once('.').ok_or_else(bad)?;
        let metadata = node.metadata.as_ref();
        let known = mesh.workload(address);
        let said = |key: &str| metadata.and_then(|metadata| string(metadata, key));
        let labels = metadata.and_then(labels).or_else(|| known.map(|workload| workload.labels.clone()));
        let account = said("SERVICE_ACCOUNT").or_else(|| known.map(|workload| workload.service_account.clone()));
        Ok(Self {
            node_id: node.id.clone(),
            kind,
            address,
            pod: pod.to_owned(),
            namespace: said("NAMESPACE").unwrap_or_else(|| namespace.to_owned()),
            labels: labels.unwrap_or_default(),
            service_account: account.unwrap_or_else(|| "default".to_owned()),
        })
    }
}

fn string(fields: &Struct, key: &str) -> Option<String> {
    match fields.fields.get(key)?.kind.as_ref()? {
        Kind::StringValue(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

fn labels(metadata: &Struct) -> Option<Labels> {
    let Some(Value { kind: Some(Kind::StructValue(labels)) }) = metadata.fields.get("LABELS") else { return None };
    let mut read = Labels::new();
    for key in labels.fields.keys() {
        if let Some(value) = string(labels, key) {
            read.insert(key.clone(), value);
        }
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_back_from_its_node_id() {
        let address = "10.0.0.7".parse().expect("an address");
        let proxy = ProxyIdentity::new(ProxyKind::Sidecar, address, "go-v1", "default", "cluster.local");
        assert_eq!(proxy.node_id, "sidecar~10.0.0.7~go-v1.default~default.svc.cluster.local");
        let node = Node { id: proxy.node_id.clone(), ..Default::default() };
        assert_eq!(ProxyIdentity::from_node(&node, &Mesh::default()), Ok(proxy));
    }

    #[test]
    fn another_node_is_refused() {
        for id in ["", "x", "sidecar~a~b.c~d", "sidecar~10.0.0.1~b~d", "app~10.0.0.1~b.c~d", "sidecar~10.0.0.1~b.c~d~e"]
        {
            let node = Node { id: id.to_owned(), ..Default::default() };
            assert!(ProxyIdentity::from_node(&node, &Mesh::default()).is_err(), "{id}");
        }
    }
}
