//! Request headers, by the rows of the Envoy tables.

use std::sync::Arc;

use proptest::prelude::*;
use wavetank_platform::{Entropy, UnixTime};

use super::*;
use crate::record::TlsState;
use crate::snapshot::listener::{Cidr, ClientCertDetails, ForwardClientCert, RouteSource};
use crate::tls::peer::PeerCertificate;

const NODE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));

fn manager(use_remote_address: bool) -> HttpManager {
    let routes = RouteSource::Rds(Arc::from("r"));
    HttpManager { use_remote_address, generate_request_id: false, ..HttpManager::new("h", routes) }
}

/// The manager that takes loopback peers for internal.
fn internal(use_remote_address: bool) -> HttpManager {
    let loopback = Cidr { address: "127.0.0.0".parse().unwrap(), prefix_len: 8 };
    HttpManager { internal_addresses: vec![loopback], ..manager(use_remote_address) }
}

fn parse(lines: &[(&'static str, &str)]) -> HeaderList {
    let mut headers = HeaderList::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn show(headers: &HeaderList) -> String {
    let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    headers.iter().map(line).collect::<Vec<_>>().join(" · ")
}

fn prepared(manager: &HttpManager, tls: Option<&TlsSession>, lines: &[(&'static str, &str)]) -> String {
    let mut headers = parse(lines);
    let facts = DownstreamFacts { peer: "127.0.0.1:4000".parse().unwrap(), node: NODE, tls };
    prepare_request(&mut headers, manager, &facts, false, &mut Entropy::from_seed(1).stream());
    show(&headers)
}

/// The client of §17: a chain of addresses, an id, forged headers of ours.
const CLIENT: &[(&str, &str)] = &[
    ("x-forwarded-for", "1.1.1.1, 2.2.2.2"),
    ("x-forwarded-proto", "https"),
    ("x-request-id", "11111111-1111-4111-8111-111111111111"),
    ("x-envoy-external-address", "9.9.9.9"),
    ("x-envoy-internal", "true"),
    ("x-envoy-retry-on", "5xx"),
    ("x-envoy-upstream-rq-timeout-ms", "1"),
    ("x-forwarded-host", "z"),
    ("x-envoy-decorator-operation", "dd"),
    ("x-forwarded-port", "1"),
    ("x-forwarded-client-cert", "By=forged"),
];

#[test]
fn a_sidecar_believes_the_mesh_but_not_envoys_own_headers() {
    assert_eq!(prepared(&manager(false), None, &[]), "x-forwarded-proto: http");
    assert_eq!(
        prepared(&manager(false), None, CLIENT),
        "x-forwarded-for: 1.1.1.1, 2.2.2.2 · x-forwarded-proto: https · \
         x-request-id: 11111111-1111-4111-8111-111111111111 · x-envoy-external-address: 9.9.9.9 · \
         x-forwarded-host: z · x-envoy-decorator-operation: dd · x-forwarded-port: 1"
    );
}

#[test]
fn the_edge_writes_who_the_client_is() {
    assert_eq!(
        prepared(&manager(true), None, &[]),
        "x-forwarded-for: 10.0.0.7 · x-forwarded-proto: http · x-envoy-external-address: 127.0.0.1"
    );
    assert_eq!(
        prepared(&manager(true), None, CLIENT),
        "x-forwarded-for: 1.1.1.1, 2.2.2.2,10.0.0.7 · x-forwarded-proto: http · \
         x-request-id: 11111111-1111-4111-8111-111111111111 · x-envoy-external-address: 127.0.0.1 · \
         x-forwarded-host: z · x-forwarded-port: 1"
    );
}

#[test]
fn only_a_lone_internal_address_makes_a_request_internal() {
    let lone = [("x-forwarded-for", "127.0.0.9")];
    assert_eq!(
        prepared(&internal(false), None, &lone),
        "x-forwarded-for: 127.0.0.9 · x-forwarded-proto: http · x-envoy-internal: true"
    );
    assert_eq!(prepared(&internal(false), None, &[]), "x-forwarded-proto: http");
    assert_eq!(
        prepared(&internal(true), None, &[("x-envoy-retry-on", "5xx")]),
        "x-envoy-retry-on: 5xx · x-forwarded-for: 10.0.0.7 · x-forwarded-proto: http · x-envoy-internal: true"
    );
    assert!(prepared(&internal(true), None, CLIENT).contains("x-envoy-external-address: 127.0.0.1"));
}

#[test]
fn at_the_edge_no_stranger_says_what_the_mesh_says() {
    let forged = [
        ("x-envoy-attempt-count", "7"),
        ("x-envoy-peer-metadata", "AA"),
        ("x-envoy-decorator-operation", "a"),
        ("x-envoy-original-path", "/"),
        ("x-envoy-of-tomorrow", "1"),
        ("x-envoy-external-address", "9.9.9.9"),
        ("x-forwarded-client-cert", "By=x"),
        ("x-envoi", "1"),
    ];
    assert_eq!(
        prepared(&manager(true), None, &forged),
        "x-envoy-external-address: 127.0.0.1 · x-envoi: 1 · x-forwarded-for: 10.0.0.7 · x-forwarded-proto: http"
    );
    let kept = prepared(&manager(false), None, &forged);
    assert!(kept.contains("x-envoy-attempt-count: 7") && !kept.contains("x-forwarded-client-cert"), "{kept}");
}

#[test]
fn a_trusted_hop_tells_the_client_and_its_scheme() {
    let trusting = HttpManager { xff_trusted_hops: 1, ..manager(true) };
    let shown = prepared(&trusting, None, CLIENT);
    assert!(shown.contains("x-forwarded-for: 1.1.1.1, 2.2.2.2,10.0.0.7 · x-forwarded-proto: https"));
    assert!(shown.contains("x-envoy-external-address: 2.2.2.2"));
}

#[test]
fn xff_stays_where_appending_is_skipped() {
    let skipping = HttpManager { skip_xff_append: true, ..manager(true) };
    let shown = prepared(&skipping, None, CLIENT);
    assert!(shown.starts_with("x-forwarded-for: 1.1.1.1, 2.2.2.2 · x-forwarded-proto: http"));
}

#[test]
fn the_edge_replaces_request_ids_in_place_and_a_sidecar_keeps_any() {
    let with_ids = |manager: HttpManager| HttpManager { generate_request_id: true, ..manager };
    let forged = [("x-request-id", "abc"), ("x-b", "1")];
    let edge = prepared(&with_ids(manager(true)), None, &forged);
    assert!(edge.starts_with("x-request-id: ") && !edge.contains("abc"), "{edge}");
    assert!(prepared(&with_ids(manager(false)), None, &forged).starts_with("x-request-id: abc"));
    let preserving = HttpManager { preserve_external_request_id: true, ..with_ids(manager(true)) };
    assert!(prepared(&preserving, None, &forged).starts_with("x-request-id: abc"));
    let made = prepared(&with_ids(manager(true)), None, &[]);
    assert!(made.contains("x-envoy-external-address: 127.0.0.1 · x-request-id: "), "{made}");
}

#[test]
fn hop_by_hop_headers_go_and_te_trailers_stays() {
    let lines = [
        ("connection", "keep-alive, x-hop, upgrade"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("upgrade", "h2c"),
        ("transfer-encoding", "chunked"),
        ("te", "gzip, Trailers"),
        ("x-empty", ""),
    ];
    assert_eq!(prepared(&manager(false), None, &lines), "te: trailers · x-empty:  · x-forwarded-proto: http");
    assert_eq!(prepared(&manager(false), None, &[("te", "gzip")]), "x-forwarded-proto: http");
}

#[test]
fn an_upgrade_that_is_let_through_keeps_its_headers() {
    let mut headers = parse(&[("connection", "Upgrade"), ("upgrade", "websocket")]);
    remove_hop_by_hop(&mut headers, true);
    assert_eq!(show(&headers), "connection: Upgrade · upgrade: websocket");
}

/// The session of §19.
fn session() -> TlsSession {
    let client: Arc<str> = "spiffe://cluster.local/ns/foo/sa/cli".into();
    let moment = UnixTime::from_epoch(std::time::Duration::ZERO);
    TlsSession {
        state: TlsState::Mutual { peer: client.clone() },
        sni: None,
        alpn: None,
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384",
        peer: Some(PeerCertificate {
            hash_sha256: "add7".into(),
            subject: "O=Org,CN=client".into(),
            issuer: "CN=mesh".into(),
            serial: "7".into(),
            uri_sans: vec![client],
            dns_sans: vec!["cli.test".into(), "cli2.test".into()],
            not_before: moment,
            not_after: moment,
        }),
        local_uri: Some("spiffe://cluster.local/ns/foo/sa/srv".into()),
    }
}

#[test]
fn client_certificates_are_forwarded_in_every_mode_as_envoy_does() {
    use ForwardClientCert::*;
    let sent = [("x-forwarded-client-cert", "By=spiffe://a;URI=spiffe://forged")];
    let forged = "x-forwarded-client-cert: By=spiffe://a;URI=spiffe://forged";
    let ours = "By=spiffe://cluster.local/ns/foo/sa/srv;Hash=add7;Subject=\"O=Org,CN=client\";\
                URI=spiffe://cluster.local/ns/foo/sa/cli;DNS=cli.test;DNS=cli2.test";
    let session = session();
    let https = "x-forwarded-proto: https";
    for (mode, none_sent, sent_mutual, sent_plaintext) in [
        (Sanitize, https.to_owned(), https.to_owned(), "x-forwarded-proto: http".to_owned()),
        (ForwardOnly, https.to_owned(), format!("{forged} · {https}"), "x-forwarded-proto: http".to_owned()),
        (
            AppendForward,
            format!("{https} · x-forwarded-client-cert: {ours}"),
            format!("{forged},{ours} · {https}"),
            "x-forwarded-proto: http".to_owned(),
        ),
        (
            SanitizeSet,
            format!("{https} · x-forwarded-client-cert: {ours}"),
            format!("x-forwarded-client-cert: {ours} · {https}"),
            "x-forwarded-proto: http".to_owned(),
        ),
        (
            AlwaysForwardOnly,
            https.to_owned(),
            format!("{forged} · {https}"),
            format!("{forged} · x-forwarded-proto: http"),
        ),
    ] {
        let all = ClientCertDetails { subject: true, uri: true, dns: true };
        let manager = HttpManager { forward_client_cert: mode, client_cert_details: all, ..manager(false) };
        assert_eq!(prepared(&manager, Some(&session), &[]), none_sent, "{mode:?}");
        assert_eq!(prepared(&manager, Some(&session), &sent), sent_mutual, "{mode:?}");
        assert_eq!(prepared(&manager, None, &sent), sent_plaintext, "{mode:?}");
    }
}

#[test]
fn by_and_hash_come_always_and_the_rest_when_asked_for() {
    let manager = HttpManager { forward_client_cert: ForwardClientCert::SanitizeSet, ..manager(false) };
    assert_eq!(
        prepared(&manager, Some(&session()), &[]),
        "x-forwarded-proto: https · x-forwarded-client-cert: By=spiffe://cluster.local/ns/foo/sa/srv;Hash=add7"
    );
    let anonymous = TlsSession { peer: None, ..session() };
    assert_eq!(prepared(&manager, Some(&anonymous), &[]), "x-forwarded-proto: https");
}

proptest! {
    #[test]
    fn generated_ids_are_uuids_of_version_4(seed: u64) {
        let id = request_id::uuid(&mut Entropy::from_seed(seed).stream());
        let shape = regex::Regex::new("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").unwrap();
        prop_assert!(shape.is_match(id.to_str().unwrap()));
    }

    #[test]
    fn no_header_value_panics(value in prop::collection::vec(prop_oneof![32u8..127, 128u8..=255], 0..40), edge: bool) {
        let mut headers = HeaderList::new();
        let value = HeaderValue::from_bytes(&value).unwrap();
        for name in [names::X_FORWARDED_FOR, CONNECTION, TE, names::X_REQUEST_ID, names::X_FORWARDED_CLIENT_CERT] {
            headers.append(name, value.clone());
        }
        let session = session();
        let facts = DownstreamFacts { peer: "10.1.1.1:1".parse().unwrap(), node: NODE, tls: Some(&session) };
        let manager = HttpManager { forward_client_cert: ForwardClientCert::AppendForward, ..internal(edge) };
        prepare_request(&mut headers, &manager, &facts, false, &mut Entropy::from_seed(1).stream());
    }
}
