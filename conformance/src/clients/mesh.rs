//! One listener in either version of HTTP, with a cluster behind it for each way to speak upstream.

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::bootstrap::v3::Bootstrap;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::{RouteAction, VirtualHost};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

use prost::Name;

use crate::differential::shapes::{http_chain, listener, manager, ms};
use crate::envoy;
use crate::foreign::shapes::{address, any, prefix, route, speaking_http2, static_cluster, to_cluster, virtual_host};
use crate::script::Page;

/// Name of the only listener.
pub const LISTENER: &str = "clients";

/// A place behind the proxy: the authority that leads there, where it is, and whether it speaks HTTP/2.
#[derive(Debug, Clone, Copy)]
pub struct Behind {
    /// `*`: any other.
    pub authority: &'static str,
    /// Address.
    pub at: SocketAddr,
    /// With prior knowledge; HTTP/1.1 otherwise.
    pub http2: bool,
}

/// What the proxy is configured with.
#[derive(Debug, Clone)]
pub struct Mesh {
    listener: Listener,
    clusters: Vec<Cluster>,
}

impl Mesh {
    /// A listener at `at`, with these behind it. No request is ended for its length or its time.
    pub fn new(at: SocketAddr, behind: &[Behind]) -> Self {
        Self::tuned(at, behind, |_| {})
    }

    /// The same, with a connection manager that `tune` has changed.
    pub fn tuned(at: SocketAddr, behind: &[Behind], tune: impl FnOnce(&mut HttpConnectionManager)) -> Self {
        let name = |number: usize| format!("behind-{number}");
        let host = |(number, behind): (usize, &Behind)| -> VirtualHost {
            let action = RouteAction { timeout: ms(0), ..to_cluster(&name(number)) };
            virtual_host(&name(number), &[behind.authority], vec![route("all", prefix("/"), Action::Route(action))])
        };
        let mut manager = manager(behind.iter().enumerate().map(host).collect());
        // Thousands of requests pass, and nobody reads their lines.
        manager.access_log.clear();
        tune(&mut manager);
        let listener = Listener { address: address(at), ..listener(LISTENER, vec![http_chain("clients", &manager)]) };
        let clusters = behind.iter().enumerate().map(|(number, behind)| {
            let cluster = static_cluster(&name(number), behind.at);
            if behind.http2 { speaking_http2(cluster) } else { cluster }
        });
        Self { listener, clusters: clusters.collect() }
    }

    /// The same, with clusters that `change` has changed.
    pub fn with_clusters(mut self, change: impl FnMut(&mut Cluster)) -> Self {
        self.clusters.iter_mut().for_each(change);
        self
    }

    /// As an xDS server says it.
    pub fn pages(&self) -> Vec<Page> {
        let clusters = self.clusters.iter().map(|own| (own.name.clone(), "1".to_owned(), Some(any(own))));
        let listener = (self.listener.name.clone(), "1".to_owned(), Some(any(&self.listener)));
        let page = |type_url: String, resources| Page {
            nonce: type_url.clone(),
            type_url,
            version: "1".to_owned(),
            resources,
            ..Page::default()
        };
        vec![page(Cluster::type_url(), clusters.collect()), page(Listener::type_url(), vec![listener])]
    }

    /// As Envoy's bootstrap has it.
    pub fn bootstrap(&self, admin: SocketAddr) -> Bootstrap {
        envoy::with_static(vec![self.listener.clone()], self.clusters.clone(), Vec::new(), admin)
    }
}
