//! A peer's bytes never panic.

use envoy_types::pb::envoy::config::cluster::v3::Cluster as ProtoCluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, Listener as ProtoListener, filter};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use proptest::prelude::*;

use super::super::{assignment, cluster, listener, route_config, route_config_after};
use super::*;

/// Decodes these bytes as every kind of resource.
fn decode_all(bytes: &[u8]) {
    let resource = |name: String| Any { type_url: format!("type.googleapis.com/{name}"), value: bytes.to_vec() };
    let _ = cluster(&resource(ProtoCluster::full_name()));
    let _ = assignment(&resource(ClusterLoadAssignment::full_name()));
    let _ = listener(&resource(ProtoListener::full_name()));
    let _ = route_config(&resource(RouteConfiguration::full_name()));
    let _ = route_config_after(&resource(RouteConfiguration::full_name()), None);
    let manager = filter::ConfigType::TypedConfig(resource(HttpConnectionManager::full_name()));
    let chain = FilterChain {
        filters: vec![Filter { config_type: Some(manager), ..Default::default() }],
        ..Default::default()
    };
    let whole = ProtoListener {
        name: "l".to_owned(),
        address: address("0.0.0.0", 1),
        filter_chains: vec![chain],
        ..Default::default()
    };
    let _ = listener(&packed(&whole));
}

/// Bytes that look like protobuf: fields of small numbers, with varints and nested fields.
pub(super) fn protobuf() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        (1u8..16, 0u8..128).prop_map(|(field, value)| vec![field << 3, value]),
        (1u8..16, "[a-z*/.:%]{0,6}").prop_map(|(field, text)| delimited(field, text.as_bytes())),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|fields| fields.concat()),
            (1u8..16, inner).prop_map(|(field, message)| delimited(field, &message)),
        ]
    })
}

pub(super) fn delimited(field: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![field << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decode_all(&bytes);
    }

    #[test]
    fn no_well_formed_message_panics(bytes in protobuf()) {
        decode_all(&bytes);
    }

    #[test]
    fn another_type_is_an_error(type_url in ".{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        let resource = Any { type_url, value: bytes };
        prop_assert!(cluster(&resource).is_err() && listener(&resource).is_err());
        prop_assert!(assignment(&resource).is_err() && route_config(&resource).is_err());
    }
}
