//! What is captured and what is not. The defaults are those of Istio's sidecar injection.

use super::network::Network;

/// All, or what is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capture<T> {
    /// All (`*`).
    All,
    /// These; empty: none.
    Only(Vec<T>),
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Where outbound connections are led.
    pub outbound_port: u16,
    /// Where inbound connections are led.
    pub inbound_port: u16,
    /// Port of mTLS tunnels (HBONE), which are never led anywhere.
    pub tunnel_port: u16,
    /// Users whose connections are the proxy's own.
    pub proxy_uids: Vec<u32>,
    /// Groups whose connections are the proxy's own.
    pub proxy_gids: Vec<u32>,
    /// Destinations whose connections are captured.
    pub outbound_networks: Capture<Network>,
    /// Destinations that are left alone.
    pub outbound_networks_except: Vec<Network>,
    /// Destination ports that are captured also where the address is not.
    pub outbound_ports: Vec<u16>,
    /// Destination ports that are left alone.
    pub outbound_ports_except: Vec<u16>,
    /// The workload's ports whose connections are captured.
    pub inbound_ports: Capture<u16>,
    /// The workload's ports that are left alone where all are captured, beside the proxy's own.
    pub inbound_ports_except: Vec<u16>,
}

impl Default for Redirect {
    /// Everything outbound to 15001 and inbound to 15006, but what belongs to the proxy with user and group 1337.
    fn default() -> Self {
        Self {
            outbound_port: 15001,
            inbound_port: 15006,
            tunnel_port: 15008,
            proxy_uids: vec![1337],
            proxy_gids: vec![1337],
            outbound_networks: Capture::All,
            outbound_networks_except: Vec::new(),
            outbound_ports: Vec::new(),
            outbound_ports_except: Vec::new(),
            inbound_ports: Capture::All,
            inbound_ports_except: Vec::new(),
        }
    }
}
