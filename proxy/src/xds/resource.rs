//! Bytes to resource with its name, by the decoder.

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

pub(super) fn cluster(any: &Any) -> Result<Decoded<Cluster>, Undecodable> {
    decode::cluster(any).map(|cluster| (cluster.name.clone(), cluster)).map_err(|error| undecodable(any, error))
}

pub(super) fn assignment(any: &Any) -> Result<Decoded<Assignment>, Undecodable> {
    decode::assignment(any).map_err(|error| undecodable(any, error))
}

pub(super) fn listener(any: &Any) -> Result<Decoded<Listener>, Undecodable> {
    decode::listener(any).map(|listener| (listener.name.clone(), listener)).map_err(|error| undecodable(any, error))
}

pub(super) fn route(any: &Any) -> Result<Decoded<RouteConfig>, Undecodable> {
    decode::route_config(any).map(|routes| (routes.name.clone(), routes)).map_err(|error| undecodable(any, error))
}

fn undecodable(any: &Any, error: DecodeError) -> Undecodable {
    let name = Named::decode(any.value.as_slice()).ok().map(|named| named.name).filter(|name| !name.is_empty());
    Undecodable { name, reason: error.fault.to_string() }
}
