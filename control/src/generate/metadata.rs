//! Metadata of resources: where the rule came from, and what an endpoint is.
//!
//! Protobuf maps are `HashMap`s whose order differs between processes, and with it the bytes and the
//! version of a resource. The maps made here iterate in the order of their keys: their hasher is chosen so.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::RandomState;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::google::protobuf::{Any, ListValue, Struct, Value, value::Kind};

use crate::diagnostic::Span;
use crate::model::Service;

/// Key below which provenance stands in `filter_metadata`.
pub const PROVENANCE: &str = "wavetank";
/// Key that transport socket matches look at.
pub const TRANSPORT_SOCKET_MATCH: &str = "envoy.transport_socket_match";

#[expect(clippy::disallowed_types, reason = "prost's type of protobuf maps; made to iterate in key order")]
type PbMap<V> = std::collections::HashMap<String, V>;

/// Where a rule is written, as `file`, `line`, `column`, and what it is, as `origin`
/// (`VirtualService default/service-go http[0]`).
pub fn provenance(span: &Span, origin: &str) -> Option<Metadata> {
    Some(metadata([(PROVENANCE, provenance_fields(span, origin))]))
}

fn provenance_fields(span: &Span, origin: &str) -> Struct {
    fields([
        ("column", number(span.column)),
        ("file", text(&span.file)),
        ("line", number(span.line)),
        ("origin", text(origin)),
    ])
}

/// Metadata of a cluster: where it is written, as [`provenance`] has it, and the Service that it leads to, as istiod
/// writes it.
pub fn cluster(span: &Span, origin: &str, service: &Service) -> Option<Metadata> {
    let one = fields([
        ("host", text(&service.hostname)),
        ("name", text(&service.name)),
        ("namespace", text(&service.namespace)),
    ]);
    let one = Value { kind: Some(Kind::StructValue(one)) };
    let services = Value { kind: Some(Kind::ListValue(ListValue { values: vec![one] })) };
    let istio = ("istio", fields([("services", services)]));
    Some(metadata([istio, (PROVENANCE, provenance_fields(span, origin))]))
}

/// Metadata of an endpoint: its workload as istiod writes it, and whether it takes mutual TLS.
pub fn endpoint(workload: &str, takes_mtls: bool) -> Option<Metadata> {
    let istio = ("istio", fields([("workload", text(workload))]));
    Some(if takes_mtls { metadata([(TRANSPORT_SOCKET_MATCH, tls_mode_istio()), istio]) } else { metadata([istio]) })
}

/// The match of endpoints that take mutual TLS.
pub fn tls_mode_istio() -> Struct {
    fields([("tlsMode", text("istio"))])
}

/// A one-entry map of typed configuration.
pub fn typed(name: &'static str, config: Any) -> PbMap<Any> {
    in_key_order([(name, config)])
}

fn metadata<const N: usize>(filters: [(&'static str, Struct); N]) -> Metadata {
    Metadata { filter_metadata: in_key_order(filters), ..Default::default() }
}

fn fields<const N: usize>(entries: [(&'static str, Value); N]) -> Struct {
    Struct { fields: in_key_order(entries) }
}

fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.to_owned())) }
}

fn number(value: u32) -> Value {
    Value { kind: Some(Kind::NumberValue(value.into())) }
}

thread_local! {
    /// Hashers found so far, by the keys that they order. The key sets are those of this file.
    static HASHERS: RefCell<BTreeMap<Vec<&'static str>, RandomState>> = const { RefCell::new(BTreeMap::new()) };
}

/// A map of `entries`, which are in key order, that iterates in key order.
///
/// Each hasher puts the few keys in an order of its own; the first that suits is kept for its key set.
fn in_key_order<V, const N: usize>(entries: [(&'static str, V); N]) -> PbMap<V> {
    let keys: Vec<&'static str> = entries.iter().map(|(key, _)| *key).collect();
    debug_assert!(keys.is_sorted());
    let hasher = HASHERS.with_borrow_mut(|hashers| hashers.entry(keys.clone()).or_insert_with(|| suit(&keys)).clone());
    let mut map = PbMap::with_capacity_and_hasher(N, hasher);
    map.extend(entries.map(|(key, value)| (key.to_owned(), value)));
    map
}

fn suit(keys: &[&'static str]) -> RandomState {
    loop {
        let hasher = RandomState::new();
        let mut map: PbMap<()> = PbMap::with_capacity_and_hasher(keys.len(), hasher.clone());
        map.extend(keys.iter().map(|key| ((*key).to_owned(), ())));
        if map.keys().is_sorted() {
            return hasher;
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn equal_provenance_has_equal_bytes_in_key_order() {
        let span = Span::at("mesh.yaml", 7, 3);
        let once = provenance(&span, "Service default/a").expect("some").encode_to_vec();
        for _ in 0..20 {
            HASHERS.with_borrow_mut(BTreeMap::clear);
            assert_eq!(provenance(&span, "Service default/a").expect("some").encode_to_vec(), once);
        }
    }

    #[test]
    fn a_clone_keeps_the_order() {
        let metadata = endpoint("a;default;a;v1;Kubernetes", true).expect("some");
        let keys: Vec<_> = metadata.clone().filter_metadata.into_keys().collect();
        assert_eq!(keys, [TRANSPORT_SOCKET_MATCH, "istio"]);
    }
}
