//! A `RouteConfiguration` read virtual host by virtual host: what its bytes say of a host is looked at only
//! where the last version said something else, and one host's message is in memory at a time.
//!
//! What is wrong with a message is not for here to say. Whoever gets `None` decodes it as a whole, so a fault
//! is found, and worded, in one place.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, VirtualHost as ProtoVirtualHost};
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use sha2::{Digest as _, Sha256};

use super::route_config;
use crate::snapshot::RouteConfig;
use crate::snapshot::virtual_host::{Digest, VirtualHost};

/// Number of `RouteConfiguration.virtual_hosts`.
const VIRTUAL_HOSTS: u32 = 2;

/// The configuration that `bytes` are. Hosts whose bytes `before` was read from are those of `before`.
/// `None`: something is wrong.
pub(super) fn decode(bytes: &[u8], before: Option<&RouteConfig>) -> Option<RouteConfig> {
    let parts = Parts::of(bytes)?;
    let message = RouteConfiguration::decode(&*parts.rest).ok()?;
    let known = before.map(RouteConfig::virtual_hosts).unwrap_or_default();
    let mut elsewhere = None;
    let mut hosts = Vec::with_capacity(parts.hosts.len());
    for (position, bytes) in parts.hosts.into_iter().enumerate() {
        let source: Digest = Sha256::digest(bytes).into();
        let is_it = |host: &&Arc<VirtualHost>| host.source == Some(source);
        let found = known.get(position).filter(is_it);
        // A host that came or went moves those after it.
        let found = found.or_else(|| elsewhere.get_or_insert_with(|| by_source(known)).get(&source).copied());
        hosts.push(match found {
            Some(host) => host.clone(),
            None => Arc::new(read(bytes, source)?),
        });
    }
    route_config::of_hosts(&message, hosts, before).ok()
}

fn by_source(hosts: &[Arc<VirtualHost>]) -> BTreeMap<Digest, &Arc<VirtualHost>> {
    hosts.iter().filter_map(|host| Some((host.source?, host))).collect()
}

fn read(bytes: &[u8], source: Digest) -> Option<VirtualHost> {
    let message = ProtoVirtualHost::decode(bytes).ok()?;
    let mut host = route_config::virtual_host(&message).ok()?;
    host.source = Some(source);
    Some(host)
}

/// The bytes of a `RouteConfiguration`.
struct Parts<'a> {
    /// Of each virtual host.
    hosts: Vec<&'a [u8]>,
    /// Of all other fields, a message by themselves.
    rest: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let mut parts = Self { hosts: Vec::new(), rest: Vec::new() };
        let mut left = bytes;
        while !left.is_empty() {
            let field = left;
            let (number, wire) = decode_key(&mut left).ok()?;
            if (number, wire) == (VIRTUAL_HOSTS, WireType::LengthDelimited) {
                let length = usize::try_from(decode_varint(&mut left).ok()?).ok()?;
                parts.hosts.push(left.split_off(..length)?);
            } else {
                skip_field(wire, number, &mut left, DecodeContext::default()).ok()?;
                parts.rest.extend_from_slice(&field[..field.len() - left.len()]);
            }
        }
        Some(parts)
    }
}
