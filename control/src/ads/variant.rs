//! State of the world and delta: the same session, spelt in two ways.

use envoy_types::pb::envoy::config::core::v3::{ControlPlane, Node};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource as DeltaResource,
};
use envoy_types::pb::google::rpc::Status as RpcStatus;

use super::exchange::{Ask, Change, Push};
use super::resource::ResourceType;
use super::session::Mode;

/// Name of this control plane in its responses.
const CONTROL_PLANE: &str = "wavetank-control";
/// Longest refusal text that is kept, in characters.
const ERROR_CHARS_MAX: usize = 4096;

/// One of xDS's two spellings.
pub trait Variant: Send + 'static {
    /// What a proxy sends.
    type Request: Send + 'static;
    /// What it is sent.
    type Response: Send + 'static;
    /// The session's mode.
    const MODE: Mode;

    /// The node, which a stream's first request must have.
    fn node(request: &Self::Request) -> Option<&Node>;
    /// The request in the session's words; `None` for a type that is not served.
    fn ask(request: Self::Request) -> Option<Ask>;
    /// The push on the wire.
    fn response(push: Push) -> Self::Response;
}

/// State of the world (`StreamAggregatedResources`).
#[derive(Debug)]
pub struct StateOfTheWorld;

/// Delta (`DeltaAggregatedResources`).
#[derive(Debug)]
pub struct Delta;

impl Variant for StateOfTheWorld {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;
    const MODE: Mode = Mode::StateOfTheWorld;

    fn node(request: &Self::Request) -> Option<&Node> {
        request.node.as_ref()
    }

    fn ask(request: Self::Request) -> Option<Ask> {
        Some(Ask {
            kind: ResourceType::from_type_url(&request.type_url)?,
            nonce: request.response_nonce,
            error: refusal(request.error_detail),
            change: Change::Exactly(request.resource_names.into_iter().collect()),
        })
    }

    fn response(push: Push) -> Self::Response {
        DiscoveryResponse {
            version_info: push.version.to_string(),
            resources: push.resources.iter().map(|resource| (*resource.body).clone()).collect(),
            type_url: push.kind.type_url().to_owned(),
            nonce: push.nonce,
            control_plane: control_plane(),
            ..Default::default()
        }
    }
}

impl Variant for Delta {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;
    const MODE: Mode = Mode::Delta;

    fn node(request: &Self::Request) -> Option<&Node> {
        request.node.as_ref()
    }

    fn ask(request: Self::Request) -> Option<Ask> {
        Some(Ask {
            kind: ResourceType::from_type_url(&request.type_url)?,
            nonce: request.response_nonce,
            error: refusal(request.error_detail),
            change: Change::By {
                subscribe: request.resource_names_subscribe.into_iter().collect(),
                unsubscribe: request.resource_names_unsubscribe.into_iter().collect(),
                holds: request.initial_resource_versions.into_iter().collect(),
            },
        })
    }

    fn response(push: Push) -> Self::Response {
        let resource = |resource: &super::Resource| DeltaResource {
            name: resource.name.to_string(),
            version: resource.version.to_string(),
            resource: Some((*resource.body).clone()),
            ..Default::default()
        };
        DeltaDiscoveryResponse {
            system_version_info: push.version.to_string(),
            resources: push.resources.iter().map(resource).collect(),
            type_url: push.kind.type_url().to_owned(),
            removed_resources: push.removed.iter().map(|name| name.to_string()).collect(),
            nonce: push.nonce,
            control_plane: control_plane(),
            ..Default::default()
        }
    }
}

fn control_plane() -> Option<ControlPlane> {
    Some(ControlPlane { identifier: CONTROL_PLANE.to_owned() })
}

fn refusal(status: Option<RpcStatus>) -> Option<String> {
    status.map(|status| status.message.chars().take(ERROR_CHARS_MAX).collect())
}
