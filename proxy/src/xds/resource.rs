//! Bytes to resource with its name, by the decoder. `before` is the version in force, of which a route
//! configuration takes over what did not change.

use envoy_types::pb::google::protobuf::Any;
use prost::Message;

use super::decode::{self, DecodeError};
use super::shelf::{Decoded, Undecodable};
use crate::snapshot::{Assignment, Cluster, Listener, RouteConfig};

/// The first field of each of the four resource messages is its name.
#[derive(Clone, PartialEq, prost::Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

/// The name that the message gives itself; `None` when it has none, or cannot be read that far.
pub(super) fn own_name(any: &Any) -> Option<String> {
    Named::decode(any.value.as_slice()).ok().map(|named| named.name).filter(|name| !name.is_empty())
}

pub(super) fn cluster(any: &Any, _before: Option<&Cluster>) -> Result<Decoded<Cluster>, Undecodable> {
    decode::cluster(any).map(|cluster| (cluster.name.clone(), cluster)).map_err(|error| undecodable(any, error))
}

pub(super) fn assignment(any: &Any, _before: Option<&Assignment>) -> Result<Decoded<Assignment>, Undecodable> {
    decode::assignment(any).map_err(|error| undecodable(any, error))
}

pub(super) fn listener(any: &Any, _before: Option<&Listener>) -> Result<Decoded<Listener>, Undecodable> {
    decode::listener(any).map(|listener| (listener.name.clone(), listener)).map_err(|error| undecodable(any, error))
}

pub(super) fn route(any: &Any, before: Option<&RouteConfig>) -> Result<Decoded<RouteConfig>, Undecodable> {
    let routes = decode::route_config_after(any, before).map_err(|error| undecodable(any, error))?;
    Ok((routes.name.clone(), routes))
}

fn undecodable(any: &Any, error: DecodeError) -> Undecodable {
    Undecodable { name: own_name(any), reason: error.fault.to_string() }
}
