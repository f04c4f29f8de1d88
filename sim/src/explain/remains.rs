//! What a run leaves in its world, looked at when nobody talks any more. The log ends before; nothing here
//! is part of it.

use std::net::IpAddr;

use crate::engine::{Container, Holdings};

/// The world after the end of a run.
#[derive(Debug, Clone, Default)]
pub struct Remains {
    /// What each process held when traffic began.
    pub at_start: Vec<Holdings>,
    /// What each holds minutes after the last answer, when no request can be under way any more. Streams
    /// that came or went while it was looked at are left out.
    pub quiet: Vec<Holdings>,
    /// As `quiet`, when every idle timeout has passed as well; `None` where one is unlimited.
    pub idle: Option<Vec<Holdings>>,
    /// Addresses of the control plane's pods.
    pub control_plane: Vec<IpAddr>,
    /// Living proxies that reach the control plane and do not have the newest configuration, by node id,
    /// with how it shows.
    pub behind: Vec<(String, String)>,
}

impl Remains {
    /// Whether one process was the proxy of a pod from the start of traffic to the end.
    pub fn kept_its_proxy(&self, ip: IpAddr) -> bool {
        let life = |all: &[Holdings]| {
            let proxy = all.iter().find(|own| own.ip == ip && own.container == Container::Sidecar);
            proxy.map(|own| own.restarts)
        };
        life(&self.at_start).is_some_and(|first| life(&self.quiet) == Some(first))
    }
}
