//! The delta variant: names are subscribed and unsubscribed, responses carry changes and removals, and a
//! new stream begins with the versions held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryResponse, Resource};
use wavetank_platform::Instant;

use super::inventory::Inventory;
use super::kind::Kind;
use super::shelf::{Incoming, Update};
use super::variant::{Received, Variant};
use super::wire::{DeltaRequest, Node, Status};

/// One delta stream.
#[derive(Debug)]
pub(super) struct Delta {
    /// Taken by the first request.
    node: Option<Node>,
    /// Types asked for on this stream, and the names of those asked for by name.
    subscribed: BTreeMap<Kind, Arc<BTreeSet<Arc<str>>>>,
}

impl Variant for Delta {
    const METHOD: &'static str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
    type Request = DeltaRequest;
    type Response = DeltaDiscoveryResponse;

    fn new(node: Node) -> Self {
        Self { node: Some(node), subscribed: BTreeMap::new() }
    }

    fn ask(&mut self, inventory: &mut Inventory, now: Instant) -> Vec<DeltaRequest> {
        let kinds = inventory.open_kinds(now);
        kinds.iter().filter_map(|kind| self.ask_for(*kind, inventory)).collect()
    }

    fn receive(
        &mut self,
        inventory: &mut Inventory,
        response: DeltaDiscoveryResponse,
        now: Instant,
    ) -> Option<Received<DeltaRequest>> {
        let kind = Kind::of(&response.type_url).filter(|kind| self.subscribed.contains_key(kind))?;
        let resources = response.resources.into_iter().filter_map(incoming).collect();
        let update = Update { kind, resources, removed: response.removed_resources, complete: false };
        let rejections = inventory.apply(update, now);
        let answer = DeltaRequest {
            response_nonce: response.nonce,
            error_detail: (!rejections.is_empty()).then(|| Status::rejection(&rejections)),
            ..self.request(kind)
        };
        Some(Received { answer, rejections })
    }
}

impl Delta {
    fn ask_for(&mut self, kind: Kind, inventory: &Inventory) -> Option<DeltaRequest> {
        let wanted = inventory.wanted(kind);
        let names = |names: Vec<&Arc<str>>| names.into_iter().map(|name| name.to_string()).collect::<Vec<_>>();
        let Some(subscribed) = self.subscribed.get(&kind) else {
            // Asking for no name means asking for all.
            if wanted.is_empty() && !kind.is_wildcard() {
                return None;
            }
            let request = DeltaRequest {
                resource_names_subscribe: names(wanted.iter().collect()),
                initial_resource_versions: inventory.versions(kind),
                ..self.request(kind)
            };
            self.subscribed.insert(kind, wanted);
            return Some(request);
        };
        if Arc::ptr_eq(&wanted, subscribed) {
            return None;
        }
        let added = names(wanted.difference(subscribed).collect());
        let dropped = names(subscribed.difference(&wanted).collect());
        if added.is_empty() && dropped.is_empty() {
            return None;
        }
        self.subscribed.insert(kind, wanted);
        Some(DeltaRequest {
            resource_names_subscribe: added,
            resource_names_unsubscribe: dropped,
            ..self.request(kind)
        })
    }

    fn request(&mut self, kind: Kind) -> DeltaRequest {
        DeltaRequest { node: self.node.take(), type_url: kind.type_url().to_owned(), ..DeltaRequest::default() }
    }
}

/// A resource without a body only renews a time to live, which we do not keep.
fn incoming(resource: Resource) -> Option<Incoming> {
    let body = resource.resource?;
    Some(Incoming { name: Some(resource.name), version: resource.version, resource: body })
}
