//! Metadata: where a rule came from, and what endpoints are labelled with.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::google::protobuf::Struct;
use envoy_types::pb::google::protobuf::value::Kind;

use super::fault::Fault;
use crate::record::Provenance;
use crate::snapshot::cluster::ServiceName;

/// What Istio writes is below this key of `filter_metadata`.
const ISTIO: &str = "istio";
/// Bytes of what becomes labels of a metric, at most.
const LABEL_MAX: usize = 1024;

/// `filter_metadata["wavetank"]`: `file`, `line`, `column`. `None` when it is missing or says something
/// else; nothing depends on it but what a record shows.
pub fn provenance(metadata: Option<&Metadata>) -> Option<Provenance> {
    let fields = &metadata?.filter_metadata.get("wavetank")?.fields;
    let number = |name: &str| match fields.get(name)?.kind {
        Some(Kind::NumberValue(number)) if (1.0..=f64::from(u32::MAX)).contains(&number) => Some(number as u32),
        _ => None,
    };
    let file = match &fields.get("file")?.kind {
        Some(Kind::StringValue(file)) => Arc::from(file.as_str()),
        _ => return None,
    };
    Some(Provenance { file, line: number("line")?, column: number("column").unwrap_or(1) })
}

/// `filter_metadata["istio"]["workload"]` of an endpoint. `None` when it is missing or too long to count by; nothing
/// depends on it but what metrics are labelled with.
pub fn workload(metadata: Option<&Metadata>) -> Option<Arc<str>> {
    match &metadata?.filter_metadata.get(ISTIO)?.fields.get("workload")?.kind {
        Some(Kind::StringValue(text)) if text.len() <= LABEL_MAX => Some(text.as_str().into()),
        _ => None,
    }
}

/// The first of `filter_metadata["istio"]["services"]` of a cluster, as for [`workload`].
pub fn service(metadata: Option<&Metadata>) -> Option<ServiceName> {
    let Some(Kind::ListValue(services)) = &metadata?.filter_metadata.get(ISTIO)?.fields.get("services")?.kind else {
        return None;
    };
    let Some(Kind::StructValue(first)) = &services.values.first()?.kind else { return None };
    let text = |name: &str| match &first.fields.get(name)?.kind {
        Some(Kind::StringValue(text)) if text.len() <= LABEL_MAX => Some(text.as_str()),
        _ => None,
    };
    let host = text("host")?;
    let name = text("name").or_else(|| host.split('.').next()).unwrap_or_default();
    Some(ServiceName { host: host.into(), name: name.into(), namespace: text("namespace").unwrap_or_default().into() })
}

/// Faults a `metadata_match` that asks for a subset of endpoints (`envoy.lb`); anything else in it is for
/// readers.
pub fn refuse_subset(metadata_match: Option<&Metadata>) -> Result<(), Fault> {
    match metadata_match {
        Some(of) if of.filter_metadata.contains_key("envoy.lb") => {
            Err(Fault::new("metadata_match", "no envoy.lb metadata (subsets are not supported)", "some"))
        }
        _ => Ok(()),
    }
}

/// `filter_metadata["envoy.transport_socket_match"]` of an endpoint.
pub fn transport_socket_match(metadata: Option<&Metadata>) -> Result<BTreeMap<Arc<str>, Arc<str>>, Fault> {
    match metadata.and_then(|metadata| metadata.filter_metadata.get("envoy.transport_socket_match")) {
        Some(found) => strings(found),
        None => Ok(BTreeMap::new()),
    }
}

/// A struct whose values are all strings. A fault names the first key that has another, in the order of keys.
pub fn strings(of: &Struct) -> Result<BTreeMap<Arc<str>, Arc<str>>, Fault> {
    let mut strings = BTreeMap::new();
    let fields: BTreeMap<_, _> = of.fields.iter().collect();
    for (key, value) in fields {
        match &value.kind {
            Some(Kind::StringValue(text)) => strings.insert(Arc::from(key.as_str()), Arc::from(text.as_str())),
            _ => return Err(Fault::new(key, "a string", "another kind of value")),
        };
    }
    Ok(strings)
}
