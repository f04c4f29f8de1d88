//! Filter chain choice, by tables and against a naive reading of Envoy.

use crate::access_log::AccessLogs;
use std::cmp::Reverse;

use proptest::prelude::*;

use super::*;
use crate::snapshot::listener::{Handler, TcpProxy};

fn chain(name: &str, matches: FilterChainMatch) -> FilterChain {
    let proxy = TcpProxy {
        stat_prefix: "t".into(),
        clusters: Vec::new(),
        idle_timeout: None,
        connect_attempts_max: 1,
        access_logs: AccessLogs::default(),
    };
    FilterChain { name: name.into(), matches, tls: None, handler: Handler::Tcp(Arc::new(proxy)) }
}

fn listener(chains: Vec<FilterChain>) -> Listener {
    Listener { filter_chains: chains, ..Listener::new("l", "0.0.0.0:15006".parse().unwrap()) }
}

fn names(list: &[&str]) -> Vec<Arc<str>> {
    list.iter().map(|name| Arc::from(*name)).collect()
}

fn cidr(text: &str) -> Cidr {
    let (address, bits) = text.split_once('/').unwrap();
    Cidr { address: address.parse().unwrap(), prefix_len: bits.parse().unwrap() }
}

/// A TLS connection to 10.0.0.5:80 with this SNI and ALPN.
fn chosen(listener: &Listener, sni: Option<&str>, alpn: &[&str]) -> Option<Arc<str>> {
    let alpn = names(alpn);
    let facts = ConnectionFacts {
        destination: "10.0.0.5:80".parse().unwrap(),
        source: "10.0.0.9:4000".parse().unwrap(),
        transport: TransportProtocol::Tls,
        sni,
        alpn: &alpn,
    };
    select(listener, &facts).map(|chain| chain.name.clone())
}

fn by_sni(list: &[&str]) -> FilterChainMatch {
    FilterChainMatch { server_names: names(list), ..Default::default() }
}

#[test]
fn exact_server_name_wins_over_wildcards_and_longer_wildcards_over_shorter() {
    let listener = listener(vec![
        chain("any", FilterChainMatch::default()),
        chain("com", by_sni(&["*.test"])),
        chain("b", by_sni(&["*.b.test"])),
        chain("www", by_sni(&["www.b.test"])),
    ]);
    for (sni, wanted) in [
        (Some("www.b.test"), "www"),
        (Some("WWW.b.Test"), "www"),
        (Some("x.b.test"), "b"),
        (Some("y.x.b.test"), "b"),
        (Some("b.test"), "com"),
        (Some("test"), "any"),
        (Some(".b.test"), "com"),
        (Some(""), "any"),
        (None, "any"),
    ] {
        assert_eq!(chosen(&listener, sni, &[]).as_deref(), Some(wanted), "{sni:?}");
    }
}

#[test]
fn a_wildcard_does_not_serve_its_bare_domain() {
    let listener = listener(vec![chain("b", by_sni(&["*.b.test"]))]);
    assert_eq!(chosen(&listener, Some("b.test"), &[]), None);
}

#[test]
fn a_choice_once_made_is_never_taken_back() {
    let port = FilterChainMatch { destination_port: Some(80), ..by_sni(&["only.test"]) };
    let listener = listener(vec![chain("any", FilterChainMatch::default()), chain("port", port)]);
    // The chain of port 80 shadows the one for any port, though its server name does not fit.
    assert_eq!(chosen(&listener, Some("other.test"), &[]), None);
}

#[test]
fn the_default_chain_takes_what_no_chain_does() {
    let mut listener = listener(vec![chain("a", by_sni(&["a.test"]))]);
    listener.default_filter_chain = Some(chain("default", FilterChainMatch::default()));
    assert_eq!(chosen(&listener, Some("b.test"), &[]).as_deref(), Some("default"));
}

#[test]
fn permissive_mtls_tells_mesh_tls_from_plaintext_by_transport_and_alpn() {
    let mesh = FilterChainMatch {
        destination_port: Some(80),
        transport_protocol: Some(TransportProtocol::Tls),
        application_protocols: names(&["istio-http/1.1", "istio"]),
        ..Default::default()
    };
    let plain = FilterChainMatch {
        destination_port: Some(80),
        transport_protocol: Some(TransportProtocol::RawBuffer),
        ..Default::default()
    };
    let listener = listener(vec![chain("mtls", mesh), chain("plain", plain)]);
    assert_eq!(chosen(&listener, None, &["istio"]).as_deref(), Some("mtls"));
    assert_eq!(chosen(&listener, None, &["h2"]), None);
    let facts = ConnectionFacts {
        destination: "10.0.0.5:80".parse().unwrap(),
        source: "10.0.0.9:4000".parse().unwrap(),
        transport: TransportProtocol::RawBuffer,
        sni: None,
        alpn: &[],
    };
    assert_eq!(select(&listener, &facts).map(|chain| &*chain.name), Some("plain"));
}

#[test]
fn the_longest_address_prefix_wins() {
    let range = |text: &str| FilterChainMatch { prefix_ranges: vec![cidr(text)], ..Default::default() };
    let listener = listener(vec![
        chain("8", range("10.0.0.0/8")),
        chain("32", range("10.0.0.5/32")),
        chain("24", range("10.0.0.0/24")),
        chain("six", range("::/0")),
    ]);
    assert_eq!(chosen(&listener, None, &[]).as_deref(), Some("32"));
}

/// How well a chain fits at each level, in order; `None` does not fit.
fn levels(of: &FilterChainMatch, facts: &ConnectionFacts<'_>) -> Vec<Option<usize>> {
    let prefix = |ranges: &[Cidr], address: IpAddr| match ranges {
        [] => Some(0),
        ranges => (0..=32)
            .rev()
            .find(|bits| ranges.iter().any(|range| usize::from(range.prefix_len) == *bits && range.contains(address))),
    };
    let sni = facts.sni.unwrap_or("");
    // The names Envoy looks up, best first: the whole, then each suffix, then none.
    let mut wanted = vec![sni.to_owned()];
    wanted.extend(sni.match_indices('.').filter(|(at, _)| *at > 0).map(|(at, _)| format!("*{}", &sni[at..])));
    let server_name = match of.server_names.as_slice() {
        [] => Some(0),
        names => wanted
            .iter()
            .position(|name| !sni.is_empty() && names.iter().any(|own| **own == **name))
            .map(|at| usize::MAX - at),
    };
    let alpn = match of.application_protocols.as_slice() {
        [] => Some(0),
        own => facts.alpn.iter().position(|name| own.contains(name)).map(|at| usize::MAX - at),
    };
    vec![
        of.destination_port.map_or(Some(0), |port| (port == facts.destination.port()).then_some(1)),
        prefix(&of.prefix_ranges, facts.destination.ip()),
        server_name,
        of.transport_protocol.map_or(Some(0), |kind| (kind == facts.transport).then_some(1)),
        alpn,
        prefix(&of.source_prefix_ranges, facts.source.ip()),
    ]
}

fn matches_strategy() -> impl Strategy<Value = FilterChainMatch> {
    let range = || prop::collection::vec(prop::sample::select(vec!["10.0.0.0/8", "10.0.0.0/24", "10.0.1.0/24"]), 0..2);
    let name = prop::sample::select(vec!["a.test", "x.a.test", "*.a.test", "*.test"]);
    let alpn = prop::sample::select(vec!["h2", "istio"]);
    let transport = prop::sample::select(vec![TransportProtocol::Tls, TransportProtocol::RawBuffer]);
    (
        prop::option::of(prop::sample::select(vec![80u16, 443])),
        range(),
        prop::collection::vec(name, 0..2),
        prop::option::of(transport),
        prop::collection::vec(alpn, 0..2),
        range(),
    )
        .prop_map(|(destination_port, to, sni, transport_protocol, alpn, from)| FilterChainMatch {
            destination_port,
            prefix_ranges: to.into_iter().map(cidr).collect(),
            server_names: names(&sni),
            transport_protocol,
            application_protocols: names(&alpn),
            source_prefix_ranges: from.into_iter().map(cidr).collect(),
        })
}

proptest! {
    #[test]
    fn the_choice_is_the_greatest_fit_in_order_of_levels(
        matches in prop::collection::vec(matches_strategy(), 0..6),
        port in prop::sample::select(vec![80u16, 443, 8080]),
        last in 0u8..3,
        sni in prop::option::of(prop::sample::select(vec!["a.test", "x.a.test", "y.x.a.test", "z.test", ""])),
        alpn in prop::collection::vec(prop::sample::select(vec!["h2", "istio", "other"]), 0..3),
        tls: bool,
    ) {
        let chains = matches.iter().enumerate().map(|(at, of)| chain(&at.to_string(), of.clone())).collect();
        let listener = listener(chains);
        let alpn = names(&alpn);
        let facts = ConnectionFacts {
            destination: SocketAddr::new(IpAddr::from([10, 0, last, 1]), port),
            source: SocketAddr::new(IpAddr::from([10, 0, 1 - last.min(1), 1]), 999),
            transport: if tls { TransportProtocol::Tls } else { TransportProtocol::RawBuffer },
            sni,
            alpn: &alpn,
        };
        let best = matches.iter().enumerate().max_by_key(|(at, of)| (levels(of, &facts), Reverse(*at)));
        let wanted = best.filter(|(_, of)| levels(of, &facts).iter().all(Option::is_some)).map(|(at, _)| at.to_string());
        prop_assert_eq!(select(&listener, &facts).map(|chain| chain.name.to_string()), wanted);
    }
}
