//! Our requests on the xDS stream, as messages whose bytes depend on their content alone.
//!
//! The generated requests hold unordered maps, which encode in another order in each process; these hold
//! ordered ones under the same field numbers (`envoy.service.discovery.v3`, `envoy.config.core.v3.Node`,
//! `google.rpc.Status`).

use std::collections::BTreeMap;

use prost_types::value::Kind as ValueKind;
use prost_types::{ListValue, Struct, Value};
use serde_json::Value as Json;

use crate::bootstrap::NodeIdentity;

/// `google.rpc.Code.INTERNAL`, which Envoy gives for a rejected resource.
const CODE_INTERNAL: i32 = 13;

/// Longest text of a rejection.
const REJECTION_BYTES_MAX: usize = 8192;

/// `DeltaDiscoveryRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DeltaRequest {
    /// On the first request of a stream only.
    #[prost(message, optional, tag = "1")]
    pub(super) node: Option<Node>,
    /// Resource type.
    #[prost(string, tag = "2")]
    pub(super) type_url: String,
    /// Names wanted from now on.
    #[prost(string, repeated, tag = "3")]
    pub(super) resource_names_subscribe: Vec<String>,
    /// Names no longer wanted.
    #[prost(string, repeated, tag = "4")]
    pub(super) resource_names_unsubscribe: Vec<String>,
    /// What we hold; on the first request of a type only.
    #[prost(btree_map = "string, string", tag = "5")]
    pub(super) initial_resource_versions: BTreeMap<String, String>,
    /// Nonce of the response that this acknowledges; empty when it answers none.
    #[prost(string, tag = "6")]
    pub(super) response_nonce: String,
    /// Present: the response is rejected.
    #[prost(message, optional, tag = "7")]
    pub(super) error_detail: Option<Status>,
}

/// `DiscoveryRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StateRequest {
    /// Version of the last response accepted.
    #[prost(string, tag = "1")]
    pub(super) version_info: String,
    /// On the first request of a stream only.
    #[prost(message, optional, tag = "2")]
    pub(super) node: Option<Node>,
    /// Names wanted; empty for a wildcard type.
    #[prost(string, repeated, tag = "3")]
    pub(super) resource_names: Vec<String>,
    /// Resource type.
    #[prost(string, tag = "4")]
    pub(super) type_url: String,
    /// Nonce of the last response; empty when there was none on this stream.
    #[prost(string, tag = "5")]
    pub(super) response_nonce: String,
    /// Present: that response is rejected.
    #[prost(message, optional, tag = "6")]
    pub(super) error_detail: Option<Status>,
}

/// `envoy.config.core.v3.Node`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Node {
    /// Node id.
    #[prost(string, tag = "1")]
    pub(super) id: String,
    /// Service cluster.
    #[prost(string, tag = "2")]
    pub(super) cluster: String,
    /// What the server may want to know.
    #[prost(message, optional, tag = "3")]
    pub(super) metadata: Option<Struct>,
    /// Where the node runs.
    #[prost(message, optional, tag = "4")]
    pub(super) locality: Option<Locality>,
    /// `wavetank`.
    #[prost(string, tag = "6")]
    pub(super) user_agent_name: String,
    /// Our version.
    #[prost(string, tag = "7")]
    pub(super) user_agent_version: String,
}

/// `envoy.config.core.v3.Locality`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Locality {
    /// Region.
    #[prost(string, tag = "1")]
    pub(super) region: String,
    /// Zone.
    #[prost(string, tag = "2")]
    pub(super) zone: String,
    /// Sub-zone.
    #[prost(string, tag = "3")]
    pub(super) sub_zone: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Status {
    /// `google.rpc.Code`.
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    /// For a person.
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

impl Status {
    /// The rejection of a response for these reasons; at most 8 KiB of them.
    pub(super) fn rejection(reasons: &[String]) -> Self {
        let mut message = reasons.join("\n");
        if message.len() > REJECTION_BYTES_MAX {
            let mut end = REJECTION_BYTES_MAX;
            while !message.is_char_boundary(end) {
                end -= 1;
            }
            message.truncate(end);
        }
        Self { code: CODE_INTERNAL, message }
    }
}

impl From<&NodeIdentity> for Node {
    fn from(node: &NodeIdentity) -> Self {
        let fields = node.metadata.iter().map(|(name, value)| (name.clone(), proto(value))).collect();
        Self {
            id: node.id.clone(),
            cluster: node.cluster.clone(),
            metadata: Some(Struct { fields }),
            locality: Some(Locality {
                region: node.locality.region.clone(),
                zone: node.locality.zone.clone(),
                sub_zone: node.locality.sub_zone.clone(),
            }),
            user_agent_name: "wavetank".to_owned(),
            user_agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

fn proto(json: &Json) -> Value {
    let kind = match json {
        Json::Null => ValueKind::NullValue(0),
        Json::Bool(value) => ValueKind::BoolValue(*value),
        Json::Number(value) => ValueKind::NumberValue(value.as_f64().unwrap_or_default()),
        Json::String(value) => ValueKind::StringValue(value.clone()),
        Json::Array(values) => ValueKind::ListValue(ListValue { values: values.iter().map(proto).collect() }),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), proto(value))).collect();
            ValueKind::StructValue(Struct { fields })
        }
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use envoy_types::pb::envoy::service::discovery::v3 as generated;
    use prost::Message;

    fn node() -> NodeIdentity {
        let metadata = serde_json::json!({"LABELS": {"app": "go", "n": 1}, "FLAGS": [true, null]});
        NodeIdentity {
            id: "sidecar~10.0.0.3~go.default~default.svc.cluster.local".into(),
            metadata: serde_json::from_value(metadata).unwrap(),
            ..NodeIdentity::default()
        }
    }

    #[test]
    fn delta_requests_read_as_the_generated_message() {
        let ours = DeltaRequest {
            node: Some(Node::from(&node())),
            type_url: "t".into(),
            resource_names_subscribe: vec!["a".into()],
            resource_names_unsubscribe: vec!["b".into()],
            initial_resource_versions: [("c".to_owned(), "1".to_owned()), ("d".to_owned(), "2".to_owned())].into(),
            response_nonce: "n".into(),
            error_detail: Some(Status::rejection(&["why".into()])),
        };
        let theirs = generated::DeltaDiscoveryRequest::decode(&*ours.encode_to_vec()).unwrap();
        assert_eq!(theirs.type_url, "t");
        assert_eq!(theirs.resource_names_subscribe, ["a"]);
        assert_eq!(theirs.resource_names_unsubscribe, ["b"]);
        assert_eq!(theirs.initial_resource_versions["d"], "2");
        assert_eq!(theirs.response_nonce, "n");
        assert_eq!(theirs.error_detail.unwrap().message, "why");
        let node = theirs.node.unwrap();
        assert_eq!(node.user_agent_name, "wavetank");
        assert!(node.metadata.unwrap().fields.contains_key("LABELS"));
    }

    #[test]
    fn state_requests_read_as_the_generated_message() {
        let ours = StateRequest {
            version_info: "7".into(),
            node: None,
            resource_names: vec!["a".into()],
            type_url: "t".into(),
            response_nonce: "n".into(),
            error_detail: None,
        };
        let theirs = generated::DiscoveryRequest::decode(&*ours.encode_to_vec()).unwrap();
        assert_eq!((&*theirs.version_info, &*theirs.type_url, &*theirs.response_nonce), ("7", "t", "n"));
        assert_eq!(theirs.resource_names, ["a"]);
    }

    #[test]
    fn a_rejection_is_cut_between_characters() {
        let status = Status::rejection(&["é".repeat(REJECTION_BYTES_MAX)]);
        assert!(status.message.len() <= REJECTION_BYTES_MAX);
    }
}
