//! The small values of xDS: durations, addresses, wrappers, `Any`.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address, CidrRange, ConfigSource, DataSource, SocketAddress};
use envoy_types::pb::google::protobuf::{Any, BoolValue, Duration as ProtoDuration, UInt32Value};
use prost::Message;

use super::fault::{Fault, Within, fields};
use crate::snapshot::listener::Cidr;

const TYPE_URL_PREFIX: &str = "type.googleapis.com/";

/// The message type inside an `Any`, e.g. `envoy.config.cluster.v3.Cluster`.
pub fn type_name(any: &Any) -> &str {
    any.type_url.strip_prefix(TYPE_URL_PREFIX).unwrap_or(&any.type_url)
}

/// The message inside an `Any` of this type.
pub fn parse<M: Message + Default>(any: &Any, type_wanted: &str) -> Result<M, Fault> {
    if type_name(any) != type_wanted {
        return Err(Fault::new("type_url", format_args!("{TYPE_URL_PREFIX}{type_wanted}"), &any.type_url));
    }
    M::decode(&*any.value).map_err(|error| Fault::new("value", format_args!("a {type_wanted}"), error))
}

/// The longest duration of protobuf, about 10,000 years.
const SECONDS_MAX: i64 = 315_576_000_000;

/// A duration that is not negative.
pub fn duration(value: &ProtoDuration) -> Result<Duration, Fault> {
    let wanted = format_args!("a duration from 0 to {SECONDS_MAX} s");
    let fault = || Fault::new("", wanted, format_args!("{} s {} ns", value.seconds, value.nanos));
    let seconds = u64::try_from(value.seconds).ok().filter(|_| value.seconds <= SECONDS_MAX).ok_or_else(fault)?;
    let nanos = u32::try_from(value.nanos).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or_else(fault)?;
    Ok(Duration::new(seconds, nanos))
}

/// A duration field that may be missing.
pub fn optional_duration(field: &str, value: Option<&ProtoDuration>) -> Result<Option<Duration>, Fault> {
    value.map(duration).transpose().within(field)
}

/// Whether a switch is on; `unset` when it is missing.
pub fn switch(value: Option<&BoolValue>, unset: bool) -> bool {
    value.map_or(unset, |value| value.value)
}

/// A number; `unset` when it is missing.
pub fn number(value: Option<&UInt32Value>, unset: u32) -> u32 {
    value.map_or(unset, |value| value.value)
}

/// A number that Envoy bounds.
pub fn within(field: &str, value: u32, bounds: RangeInclusive<u32>) -> Result<u32, Fault> {
    if bounds.contains(&value) {
        return Ok(value);
    }
    Err(Fault::new(field, format_args!("{} to {}", bounds.start(), bounds.end()), value))
}

/// A field that must be there.
pub fn required<'a, T>(field: &str, value: Option<&'a T>) -> Result<&'a T, Fault> {
    value.ok_or_else(|| Fault::new(field, "a value", "nothing"))
}

/// An IP address.
pub fn ip(text: &str) -> Result<IpAddr, Fault> {
    text.parse().map_err(|_| Fault::new("address", "an IP address", format_args!("`{text}`")))
}

/// The host and TCP port of a socket address; the host may be a name.
pub fn host_and_port(address: &Address) -> Result<(&str, u16), Fault> {
    match &address.address {
        Some(AddressKind::SocketAddress(socket)) => socket_host_and_port(socket).within("socket_address"),
        Some(_) => Err(Fault::new("", "a socket address", "a pipe or an internal address")),
        None => Err(Fault::new("", "a socket address", "nothing")),
    }
}

/// The address and port of a socket address.
pub fn socket_address(address: &Address) -> Result<SocketAddr, Fault> {
    let (host, port) = host_and_port(address)?;
    Ok(SocketAddr::new(ip(host).within("socket_address")?, port))
}

fn socket_host_and_port(socket: &SocketAddress) -> Result<(&str, u16), Fault> {
    fields!(socket => SocketAddress {
        used: [protocol, address, port_specifier],
        harmless: [ipv4_compat],
        refused: [resolver_name, network_namespace_filepath],
        refused_on: [],
    });
    if socket.protocol != 0 {
        return Err(Fault::new("protocol", "TCP", socket.protocol));
    }
    let port = match &socket.port_specifier {
        Some(PortSpecifier::PortValue(port)) => *port,
        Some(PortSpecifier::NamedPort(name)) => return Err(Fault::new("named_port", "a port number", name)),
        None => 0,
    };
    let port = u16::try_from(port).map_err(|_| Fault::new("port_value", "0 to 65535", port))?;
    Ok((&socket.address, port))
}

/// The bare IP of a socket address whose port is left to the host.
pub fn source_ip(socket: &SocketAddress) -> Result<IpAddr, Fault> {
    match socket_host_and_port(socket)? {
        (host, 0) => ip(host),
        (_, port) => Err(Fault::new("port_value", "0", port)),
    }
}

/// An address prefix.
pub fn cidr(range: &CidrRange) -> Result<Cidr, Fault> {
    let address = ip(&range.address_prefix).map_err(|fault| Fault { field: "address_prefix".to_owned(), ..fault })?;
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    let bits = number(range.prefix_len.as_ref(), 0);
    match u8::try_from(bits) {
        Ok(prefix_len) if bits <= bits_max => Ok(Cidr { address, prefix_len }),
        _ => Err(Fault::new("prefix_len", format_args!("0 to {bits_max}"), bits)),
    }
}

/// Faults a source of configuration that is not the stream itself.
pub fn require_ads(source: Option<&ConfigSource>) -> Result<(), Fault> {
    match source.and_then(|source| source.config_source_specifier.as_ref()) {
        Some(ConfigSourceSpecifier::Ads(_) | ConfigSourceSpecifier::Self_(_)) => Ok(()),
        Some(_) => Err(Fault::new("config_source_specifier", "ads", "another source")),
        None => Err(Fault::new("config_source_specifier", "ads", "nothing")),
    }
}

/// Bytes written in the configuration.
pub fn inline_bytes(source: &DataSource) -> Result<Vec<u8>, Fault> {
    match &source.specifier {
        Some(Specifier::InlineBytes(bytes)) => Ok(bytes.clone()),
        Some(Specifier::InlineString(text)) => Ok(text.clone().into_bytes()),
        Some(_) => Err(Fault::new("specifier", "inline bytes or an inline string", "another source")),
        None => Ok(Vec::new()),
    }
}
