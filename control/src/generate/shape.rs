//! Small protobuf values that every generated resource is built of.

use std::net::IpAddr;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ApiConfigSource, ApiVersion, ConfigSource, GrpcService, SocketAddress, address,
    api_config_source, config_source, grpc_service, socket_address,
};
use envoy_types::pb::google::protobuf::{Any, BoolValue, Duration as PbDuration, UInt32Value};
use prost::{Message, Name};

/// A wrapped number.
pub fn number(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

/// A wrapped truth value.
pub fn flag(value: bool) -> Option<BoolValue> {
    Some(BoolValue { value })
}

/// A duration; beyond what protobuf can say it is cut.
pub fn duration(value: Duration) -> Option<PbDuration> {
    let seconds = i64::try_from(value.as_secs()).unwrap_or(i64::MAX);
    // Below a thousand million, so it fits.
    Some(PbDuration { seconds, nanos: value.subsec_nanos().cast_signed() })
}

/// A message with its type.
pub fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// A TCP address.
pub fn address(host: &str, port: u16) -> Option<Address> {
    let socket = SocketAddress {
        address: host.to_owned(),
        port_specifier: Some(socket_address::PortSpecifier::PortValue(port.into())),
        ..Default::default()
    };
    Some(Address { address: Some(address::Address::SocketAddress(socket)) })
}

/// A TCP address from an IP address.
pub fn ip_address(ip: IpAddr, port: u16) -> Option<Address> {
    address(&ip.to_string(), port)
}

/// From the stream that everything else comes from.
pub fn ads() -> Option<ConfigSource> {
    Some(ConfigSource {
        resource_api_version: ApiVersion::V3 as i32,
        initial_fetch_timeout: duration(Duration::ZERO),
        config_source_specifier: Some(config_source::ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        ..Default::default()
    })
}

/// Name of the cluster behind which a proxy finds its own secrets.
pub const SDS_CLUSTER: &str = "sds-grpc";

/// From the proxy's own secret server.
pub fn sds() -> Option<ConfigSource> {
    let envoy_grpc = grpc_service::EnvoyGrpc { cluster_name: SDS_CLUSTER.to_owned(), ..Default::default() };
    let service = GrpcService {
        target_specifier: Some(grpc_service::TargetSpecifier::EnvoyGrpc(envoy_grpc)),
        ..Default::default()
    };
    let api = ApiConfigSource {
        api_type: api_config_source::ApiType::Grpc as i32,
        transport_api_version: ApiVersion::V3 as i32,
        grpc_services: vec![service],
        set_node_on_first_message_only: true,
        ..Default::default()
    };
    Some(ConfigSource {
        resource_api_version: ApiVersion::V3 as i32,
        initial_fetch_timeout: duration(Duration::ZERO),
        config_source_specifier: Some(config_source::ConfigSourceSpecifier::ApiConfigSource(api)),
        ..Default::default()
    })
}
