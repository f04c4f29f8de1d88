//! What a host chooses about its control plane.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::ads::{AdsLimits, DebounceConfig};
use crate::ca::{CaConfig, RootPem};
use crate::dialect::Dialect;
use crate::model::MeshConfig;

/// Configuration of a control plane.
#[derive(Debug, Clone)]
pub struct ControlConfig {
    /// Which Istio the manifests are read as.
    pub dialect: Dialect,
    /// Mesh-wide names.
    pub mesh: MeshConfig,
    /// How long a burst of changes is waited out before it is pushed.
    pub debounce: DebounceConfig,
    /// The certificate authority.
    pub ca: CaConfig,
    /// The root of trust of an earlier process; `None` makes a new one.
    pub root: Option<RootPem>,
    /// Address that both ports listen on.
    pub listen: IpAddr,
    /// Port of plaintext xDS; 0 picks a free one.
    pub plaintext_port: u16,
    /// Port of xDS and certificates over TLS; 0 picks a free one.
    pub secure_port: u16,
    /// Name of the control plane's own Service.
    pub service_name: String,
    /// Bounds.
    pub limits: ServerLimits,
}

/// Bounds of the server.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Open connections per port; a further one is closed at once.
    pub connections_max: usize,
    /// Streams of one connection at a time.
    pub streams_per_connection_max: u32,
    /// Time for a TLS handshake.
    pub handshake_max: Duration,
    /// A connection is asked this often whether it is there; `None`: never.
    pub keepalive_interval: Option<Duration>,
    /// One that does not answer within this time is closed.
    pub keepalive_timeout: Duration,
    /// Bounds of the discovery service.
    pub ads: AdsLimits,
}

impl Default for ServerLimits {
    /// 8192 connections of 64 streams; handshakes within 10 s; istiod's keepalive of 30 s and 10 s.
    fn default() -> Self {
        Self {
            connections_max: 8192,
            streams_per_connection_max: 64,
            handshake_max: Duration::from_secs(10),
            keepalive_interval: Some(Duration::from_secs(30)),
            keepalive_timeout: Duration::from_secs(10),
            ads: AdsLimits::default(),
        }
    }
}

impl Default for ControlConfig {
    /// istiod's ports 15010 and 15012 on all addresses, as Service `istiod`.
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            mesh: MeshConfig::default(),
            debounce: DebounceConfig::default(),
            ca: CaConfig::default(),
            root: None,
            listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            plaintext_port: 15_010,
            secure_port: 15_012,
            service_name: "istiod".to_owned(),
            limits: ServerLimits::default(),
        }
    }
}

impl ControlConfig {
    /// The DNS names of the control plane's certificate, `istiod.istio-system.svc` first.
    pub fn server_names(&self) -> Vec<String> {
        let short = format!("{}.{}", self.service_name, self.mesh.root_namespace);
        vec![format!("{short}.svc"), format!("{short}.svc.{}", self.mesh.domain), short, "localhost".to_owned()]
    }
}
