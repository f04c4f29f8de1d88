//! Serves an Envoy on this machine its certificate and the mesh's roots, by the agent that stands beside an Envoy live.

use std::net::SocketAddr;
use std::time::Duration;

use wavetank::target::live::agent;
use wavetank_control::Control;
use wavetank_control::ca::Identity;
use wavetank_platform::Platform;
use wavetank_platform::spawn::OwnedTask;
use wavetank_proxy::bootstrap::{CaConfig, KeyType, Token};

use crate::live::loopback;

/// Starts the agent on a free port of the loopback, with a certificate of `control` for `identity`. It ends when the
/// returned task is dropped.
///
/// # Panics
/// When the authority refuses, or there is no free port.
pub async fn start(platform: &Platform, control: &Control, identity: &str) -> (SocketAddr, OwnedTask) {
    let who = Identity::parse(identity).expect("an identity of the mesh");
    let token = control.issue_token(&who.namespace, &who.service_account).expect("room for a token");
    let ca = CaConfig {
        host: "127.0.0.1".to_owned(),
        port: control.secure_addr().port(),
        server_name: "localhost".to_owned(),
        roots_pem: control.root_certificate_pem().to_owned(),
        identity: identity.to_owned(),
        token: Token(token),
        key_type: KeyType::EcdsaP256,
        lifetime: Duration::from_secs(3600),
        refresh_at: 0.8,
    };
    agent::start(platform, platform, loopback(0), ca).await.expect("a certificate, and a free port")
}
