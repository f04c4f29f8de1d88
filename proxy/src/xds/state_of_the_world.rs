//! The state-of-the-world variant: a request names everything wanted of a type, a response about clusters
//! or listeners carries all there are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
use wavetank_platform::Instant;

use super::inventory::Inventory;
use super::kind::Kind;
use super::shelf::{Incoming, Update};
use super::variant::{Received, Variant};
use super::wire::{Node, StateRequest, Status};

/// One state-of-the-world stream.
#[derive(Debug)]
pub(super) struct StateOfTheWorld {
    /// Taken by the first request.
    node: Option<Node>,
    /// Types asked for on this stream.
    subscribed: BTreeMap<Kind, Subscription>,
}

#[derive(Debug, Default)]
struct Subscription {
    names: Arc<BTreeSet<Arc<str>>>,
    /// Of the last response accepted on this stream.
    version: String,
    /// Of the last response.
    nonce: String,
}

impl Variant for StateOfTheWorld {
    const METHOD: &'static str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
    type Request = StateRequest;
    type Response = DiscoveryResponse;

    fn new(node: Node) -> Self {
        Self { node: Some(node), subscribed: BTreeMap::new() }
    }

    fn ask(&mut self, inventory: &mut Inventory, now: Instant) -> Vec<StateRequest> {
        let kinds = inventory.open_kinds(now);
        kinds.iter().filter_map(|kind| self.ask_for(*kind, inventory)).collect()
    }

    fn receive(
        &mut self,
        inventory: &mut Inventory,
        response: DiscoveryResponse,
        now: Instant,
    ) -> Option<Received<StateRequest>> {
        let kind = Kind::of(&response.type_url).filter(|kind| self.subscribed.contains_key(kind))?;
        let version = response.version_info;
        let resources = response.resources.into_iter();
        let resources = resources.map(|resource| Incoming { name: None, version: version.clone(), resource });
        let update = Update { kind, resources: resources.collect(), removed: Vec::new(), complete: kind.is_wildcard() };
        let rejections = inventory.apply(update, now);
        let subscription = self.subscribed.entry(kind).or_default();
        subscription.nonce = response.nonce;
        if rejections.is_empty() {
            subscription.version = version;
        }
        let answer = StateRequest {
            error_detail: (!rejections.is_empty()).then(|| Status::rejection(&rejections)),
            ..self.request(kind)
        };
        Some(Received { answer, rejections })
    }
}

impl StateOfTheWorld {
    fn ask_for(&mut self, kind: Kind, inventory: &Inventory) -> Option<StateRequest> {
        let names = inventory.wanted(kind);
        match self.subscribed.get_mut(&kind) {
            // Asking for no name means asking for all.
            None if names.is_empty() && !kind.is_wildcard() => return None,
            None => {
                self.subscribed.insert(kind, Subscription { names, ..Subscription::default() });
            }
            Some(subscription) if Arc::ptr_eq(&subscription.names, &names) || subscription.names == names => {
                return None;
            }
            Some(subscription) => subscription.names = names,
        }
        Some(self.request(kind))
    }

    fn request(&mut self, kind: Kind) -> StateRequest {
        let subscription = self.subscribed.entry(kind).or_default();
        StateRequest {
            version_info: subscription.version.clone(),
            node: self.node.take(),
            resource_names: subscription.names.iter().map(|name| name.to_string()).collect(),
            type_url: kind.type_url().to_owned(),
            response_nonce: subscription.nonce.clone(),
            error_detail: None,
        }
    }
}
