//! A request's headers on their way in: what is hop-by-hop goes, what the client may not claim goes, what
//! the proxy knows better is added. Envoy: `ConnectionManagerUtility::mutateRequestHeaders`.
//!
//! Order of what is added: `x-forwarded-for`, `x-forwarded-proto`, `x-envoy-internal` or
//! `x-envoy-external-address`, `x-request-id`, `x-forwarded-client-cert`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::header::{CONNECTION, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue};
use wavetank_platform::RandomStream;

use super::list::{HeaderList, text};
use super::{client_cert, request_id};
use crate::http::names;
use crate::snapshot::listener::HttpManager;
use crate::tls::session::TlsSession;

/// What is known of the connection a request came on.
#[derive(Debug, Clone, Copy)]
pub struct DownstreamFacts<'a> {
    /// The peer.
    pub peer: SocketAddr,
    /// The address of this proxy's node, which stands for a loopback peer in `x-forwarded-for`.
    pub node: IpAddr,
    /// The TLS session; `None`: plaintext.
    pub tls: Option<&'a TlsSession>,
}

/// What a request's origin means for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// It came from an internal address, alone in `x-forwarded-for`: its `x-envoy-*` headers are believed.
    pub internal: bool,
    /// It came from outside to an edge proxy.
    pub edge: bool,
    /// The client: the peer, or what trusted hops say.
    pub client: IpAddr,
    /// A header says who the client is.
    pub named: bool,
}

/// Prepares the headers of a request for routing and filters. `keep_upgrade` leaves `connection` and
/// `upgrade` as they are, for an upgrade that is let through.
pub fn prepare_request(
    headers: &mut HeaderList,
    manager: &HttpManager,
    facts: &DownstreamFacts<'_>,
    keep_upgrade: bool,
    random: &mut RandomStream,
) -> Trust {
    remove_hop_by_hop(headers, keep_upgrade);
    let scheme = HeaderValue::from_static(if facts.tls.is_some() { "https" } else { "http" });
    let (named, single) = if manager.use_remote_address {
        from_peer(headers, manager, facts, &scheme)
    } else {
        from_header(headers, manager)
    };
    let client = named.unwrap_or(facts.peer.ip().to_canonical());
    if !headers.contains_key(&names::X_FORWARDED_PROTO) {
        headers.insert(names::X_FORWARDED_PROTO, scheme);
    }
    let internal = single && manager.internal_addresses.iter().any(|range| range.contains(client));
    let edge = !internal && manager.use_remote_address;
    sanitise(headers, internal, edge);
    if internal {
        headers.insert(names::ENVOY_INTERNAL, HeaderValue::from_static("true"));
    }
    if edge {
        headers.insert(names::ENVOY_EXTERNAL_ADDRESS, text(&client.to_string()));
    }
    request_id::set(headers, manager, edge, random);
    client_cert::set(headers, manager, facts.tls);
    Trust { internal, edge, client, named: named.is_some() }
}

/// Removes `connection`, what it names, and the other hop-by-hop headers of RFC 9110 §7.6.1. `te: trailers`
/// is kept.
pub fn remove_hop_by_hop(headers: &mut HeaderList, keep_upgrade: bool) {
    let named: Vec<HeaderName> = headers
        .tokens(&CONNECTION)
        .filter_map(|token| HeaderName::try_from(token).ok())
        .filter(|name| !(keep_upgrade && *name == UPGRADE))
        .collect();
    let trailers = headers.get(&TE).is_some_and(|te| {
        te.to_str().is_ok_and(|te| te.split(',').any(|token| token.trim().eq_ignore_ascii_case("trailers")))
    });
    headers.retain(|name| match name {
        _ if *name == CONNECTION || *name == UPGRADE => keep_upgrade,
        _ if *name == TE => trailers,
        _ if *name == TRANSFER_ENCODING || *name == names::KEEP_ALIVE || *name == names::PROXY_CONNECTION => false,
        _ => !named.contains(name),
    });
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// At the edge: the peer is the client (`None`), or trusted hops before it say who is; the peer is added to
/// `x-forwarded-for`. Also says whether that header was missing before.
fn from_peer(
    headers: &mut HeaderList,
    manager: &HttpManager,
    facts: &DownstreamFacts<'_>,
    scheme: &HeaderValue,
) -> (Option<IpAddr>, bool) {
    let single = !headers.contains_key(&names::X_FORWARDED_FOR);
    let peer = facts.peer.ip().to_canonical();
    let hops = usize::try_from(manager.xff_trusted_hops).unwrap_or(usize::MAX);
    let client = hops.checked_sub(1).and_then(|skip| forwarded_for(headers, skip)).map(|(client, _)| client);
    if !manager.skip_xff_append {
        // Envoy takes these two addresses for the machine itself, and no other of the loopback.
        let itself = peer == IpAddr::V4(Ipv4Addr::LOCALHOST) || peer == IpAddr::V6(Ipv6Addr::LOCALHOST);
        let shown = if itself { facts.node } else { peer };
        append_forwarded_for(headers, shown);
    }
    if hops == 0 || !headers.contains_key(&names::X_FORWARDED_PROTO) {
        headers.insert(names::X_FORWARDED_PROTO, scheme.clone());
    }
    (client, single)
}

/// Inside the mesh: the client is what `x-forwarded-for` says, if it says anything.
fn from_header(headers: &HeaderList, manager: &HttpManager) -> (Option<IpAddr>, bool) {
    let skip = usize::try_from(manager.xff_trusted_hops).unwrap_or(usize::MAX);
    forwarded_for(headers, skip).map_or((None, false), |(client, single)| (Some(client), single))
}

/// The address in `x-forwarded-for` that stands `skip` places from the right, and whether it is the only
/// one there.
fn forwarded_for(headers: &HeaderList, skip: usize) -> Option<(IpAddr, bool)> {
    let values: Vec<_> = headers.get_all(&names::X_FORWARDED_FOR).filter_map(|value| value.to_str().ok()).collect();
    let mut from_right = values.iter().rev().flat_map(|value| value.rsplit(','));
    let client = from_right.nth(skip)?.trim().parse().ok()?;
    Some((client, skip == 0 && from_right.next().is_none()))
}

/// Joins with `,` and no space, as Envoy does, in one header where the first one stood.
fn append_forwarded_for(headers: &mut HeaderList, address: IpAddr) {
    let mut joined = String::new();
    for value in headers.get_all(&names::X_FORWARDED_FOR) {
        joined.push_str(&String::from_utf8_lossy(value.as_bytes()));
        joined.push(',');
    }
    joined.push_str(&address.to_string());
    headers.insert(names::X_FORWARDED_FOR, text(&joined));
}

/// Removes what only an internal caller may say, and at the edge all that is named as the mesh's own. Envoy
/// removes the names it knows. The external address is replaced where it stands.
fn sanitise(headers: &mut HeaderList, internal: bool, edge: bool) {
    const FROM_INTERNAL: [HeaderName; 14] = [
        names::RETRIABLE_STATUS_CODES,
        names::RETRIABLE_HEADER_NAMES,
        names::RETRY_ON,
        names::RETRY_GRPC_ON,
        names::MAX_RETRIES,
        names::UPSTREAM_ALT_STAT_NAME,
        names::UPSTREAM_RQ_TIMEOUT,
        names::UPSTREAM_RQ_PER_TRY_TIMEOUT,
        names::UPSTREAM_RQ_TIMEOUT_ALT_RESPONSE,
        names::EXPECTED_RQ_TIMEOUT,
        names::FORCE_TRACE,
        names::IP_TAGS,
        names::ORIGINAL_URL,
        names::HEDGE_ON_PER_TRY_TIMEOUT,
    ];
    headers.retain(|name| {
        !names::is_envoys(name)
            || (*name != names::ENVOY_INTERNAL
                && (internal || !FROM_INTERNAL.contains(name))
                && (!edge || *name == names::ENVOY_EXTERNAL_ADDRESS))
    });
}

#[cfg(test)]
mod tests;
