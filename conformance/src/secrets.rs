//! Serves an Envoy on this machine its certificate and the mesh's roots, by the agent that stands beside an Envoy live.

use std::net::SocketAddr;

use wavetank::target::live::agent;
use wavetank_control::Control;
use wavetank_control::ca::Identity;
use wavetank_platform::Platform;
use wavetank_platform::spawn::OwnedTask;

use crate::edge::ca_config;
use crate::live::loopback;

/// Starts the agent on a free port of the loopback, with a certificate of `control` for `identity`. It ends when the
/// returned task is dropped.
///
/// # Panics
/// When the authority refuses, or there is no free port.
pub async fn start(platform: &Platform, control: &Control, identity: &str) -> (SocketAddr, OwnedTask) {
    let who = Identity::parse(identity).expect("an identity of the mesh");
    let ca = ca_config(control, &who.namespace, &who.service_account);
    agent::start(platform, platform, loopback(0), ca).await.expect("a certificate, and a free port")
}
