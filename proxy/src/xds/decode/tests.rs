//! Decoding, by tables, and of arbitrary bytes.
//!
//! A row takes a message that decodes, changes one field, and says what comes of it.

mod access_logs;
mod arbitrary;
mod clusters;
mod host_by_host;
mod listeners;
mod routes;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Any, BoolValue, Duration, Struct, UInt32Value, Value};
use prost::{Message, Name};

fn packed<M: Message + Name>(message: &M) -> Any {
    Any { type_url: format!("type.googleapis.com/{}", M::full_name()), value: message.encode_to_vec() }
}

fn on(value: bool) -> Option<BoolValue> {
    Some(BoolValue { value })
}

fn number(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

fn millis(ms: i32) -> Option<Duration> {
    Some(Duration { seconds: i64::from(ms / 1000), nanos: ms % 1000 * 1_000_000 })
}

fn address(host: &str, port: u32) -> Option<core::Address> {
    let socket = core::SocketAddress {
        address: host.to_owned(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port)),
        ..Default::default()
    };
    Some(core::Address { address: Some(core::address::Address::SocketAddress(socket)) })
}

fn ads() -> Option<core::ConfigSource> {
    Some(core::ConfigSource {
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(Default::default())),
        ..Default::default()
    })
}

fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.to_owned())) }
}

fn strings(entries: &[(&str, &str)]) -> Struct {
    Struct { fields: entries.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect() }
}

fn metadata(filter: &str, fields: Struct) -> Option<core::Metadata> {
    Some(core::Metadata { filter_metadata: [(filter.to_owned(), fields)].into_iter().collect(), ..Default::default() })
}

/// Metadata that says `mesh.yaml:7:3`.
fn from_line_7() -> Option<core::Metadata> {
    let number = |value| Value { kind: Some(Kind::NumberValue(value)) };
    let fields = [("file", text("mesh.yaml")), ("line", number(7.0)), ("column", number(3.0))];
    metadata("wavetank", Struct { fields: fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect() })
}

fn socket<M: Message + Name>(context: &M) -> Option<core::TransportSocket> {
    Some(core::TransportSocket {
        name: "tls".to_owned(),
        config_type: Some(core::transport_socket::ConfigType::TypedConfig(packed(context))),
    })
}
