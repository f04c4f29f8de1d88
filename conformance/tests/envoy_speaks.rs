//! A real Envoy is the gateway: configured by our control plane, in either variant of the protocol, with a
//! certificate of our authority, it takes everything and a request passes.
//!
//! Runs when `WAVETANK_ENVOY` names an Envoy binary; says so otherwise.

use std::ffi::OsString;

use envoy_types::pb::envoy::config::core::v3::api_config_source::ApiType;
use wavetank_conformance::edge::{Edge, GATEWAY_IDENTITY, GATEWAY_NODE};
use wavetank_conformance::envoy::{self, Envoy};
use wavetank_conformance::{http1, live, secrets};
use wavetank_control::Dialect;
use wavetank_control::ads::ResourceType;
use wavetank_platform::Platform;

/// One request through an Envoy in a mesh of this dialect; its `server` header is returned.
async fn request(platform: &Platform, binary: &OsString, dialect: Dialect, api: ApiType) -> Option<String> {
    let edge = Edge::start(platform, dialect).await;
    let (sds, _agent) = secrets::start(platform, &edge.control, GATEWAY_IDENTITY).await;
    let envoy = Envoy::start(binary, &envoy::bootstrap(GATEWAY_NODE, api, edge.control.plaintext_addr(), sds));
    let status = edge.settled().await;
    for kind in ResourceType::ALL {
        let standing = status.types.get(&kind).unwrap_or_else(|| panic!("{kind} is never asked for: {status:#?}"));
        assert_eq!(standing.acked.as_ref(), Some(&standing.sent), "{kind}");
        assert_eq!(standing.nack, None, "{kind}");
    }
    // A listener is acknowledged before it listens.
    http1::listens(platform, edge.gateway).await;
    let answer = http1::get(platform, edge.gateway, "shop.example", "/shop/cart?x=1", &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}\n{}", envoy.said());
    assert!(answer.body.starts_with("web\nGET /shop/cart?x=1\n"), "{}", answer.body);
    let shows_its_identity = answer.body.ends_with(&format!("\npeer: {GATEWAY_IDENTITY}\n"));
    assert_eq!(shows_its_identity, dialect == Dialect::V1, "{}", answer.body);
    assert_eq!(edge.web.requests(), 1);
    let other = http1::get(platform, edge.gateway, "shop.example", "/other", &[]).await;
    assert_eq!((other.status, edge.web.requests()), (404, 1));
    answer.header("server").map(str::to_owned)
}

fn in_both_variants(dialect: Dialect, server: &'static str) {
    let Some(binary) = envoy::binary() else { return };
    for api in [ApiType::DeltaGrpc, ApiType::Grpc] {
        let binary = binary.clone();
        live::run(move |platform| async move {
            let told = request(&platform, &binary, dialect, api).await;
            assert_eq!(told.as_deref(), Some(server), "{api:?}");
        });
    }
}

#[test]
fn envoy_takes_todays_mesh_and_reaches_the_program_over_mutual_tls() {
    in_both_variants(Dialect::V1, "istio-envoy");
}

#[test]
fn envoy_takes_the_books_mesh_and_reaches_the_program_in_plaintext() {
    in_both_variants(Dialect::V1_0, "envoy");
}
