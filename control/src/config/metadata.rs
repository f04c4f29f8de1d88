//! `metadata`: an object's name, namespace, labels and owner.

use std::collections::BTreeMap;

use crate::diagnostic::{Span, Spanned};

use super::decode::{Decoder, Fields};
use super::table::{Row, Table};
use super::values;
use super::yaml::Node;

/// The metadata of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Name; empty in a pod template that has none.
    pub name: Spanned<String>,
    /// Namespace; `default` where none is written, empty for a kind that has none.
    pub namespace: String,
    /// Where the namespace is written; the metadata where none is.
    pub namespace_span: Span,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The object it was made for: the first of `ownerReferences`.
    pub owner: Option<Owner>,
    /// Where the metadata is written.
    pub span: Span,
}

/// An object that another was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its kind, `ReplicaSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

const SERVER_SIDE: &str = "set by the API server";

/// Fields of `metadata`.
pub static METADATA: Table = Table {
    name: "metadata",
    rows: &[
        Row::read("name", "the object's name"),
        Row::read("namespace", "the object's namespace; `default` when absent"),
        Row::read("labels", "labels of the object"),
        Row::read("annotations", "annotations of the object"),
        Row::list("ownerReferences", &OWNER, "the first one's name becomes the workload's name"),
        Row::ignored("clusterName", SERVER_SIDE),
        Row::ignored("creationTimestamp", "the order in which documents arrive counts"),
        Row::ignored("deletionGracePeriodSeconds", SERVER_SIDE),
        Row::ignored("deletionTimestamp", SERVER_SIDE),
        Row::ignored("finalizers", SERVER_SIDE),
        Row::ignored("generateName", "names are given"),
        Row::ignored("generation", SERVER_SIDE),
        Row::ignored("managedFields", SERVER_SIDE),
        Row::ignored("resourceVersion", SERVER_SIDE),
        Row::ignored("selfLink", SERVER_SIDE),
        Row::ignored("uid", SERVER_SIDE),
    ],
};

static OWNER: Table = Table {
    name: "ownerReference",
    rows: &[
        Row::read("kind", "kind of the owner"),
        Row::read("name", "name of the owner; a ReplicaSet's is its Deployment's with a hash"),
        Row::ignored("apiVersion", "the kind is enough"),
        Row::ignored("blockOwnerDeletion", SERVER_SIDE),
        Row::ignored("controller", SERVER_SIDE),
        Row::ignored("uid", SERVER_SIDE),
    ],
};

/// Reads `metadata` of an object, which must have a name.
pub(crate) fn decode(node: &Node, decoder: &mut Decoder) -> Option<Metadata> {
    let fields = Fields::open(node, &METADATA, decoder)?;
    let name = fields.required("name", decoder, values::spanned_string);
    let metadata = finish(&fields, name.clone().unwrap_or_else(|| nameless(node)), decoder);
    name.map(|_| metadata)
}

fn nameless(node: &Node) -> Spanned<String> {
    Spanned::new(String::new(), node.span.clone())
}

/// Reads `metadata` of a pod template, where a name is not needed.
pub(crate) fn decode_template(node: &Node, decoder: &mut Decoder) -> Option<Metadata> {
    let fields = Fields::open(node, &METADATA, decoder)?;
    let name = fields.optional("name", decoder, values::spanned_string);
    Some(finish(&fields, name.unwrap_or_else(|| nameless(node)), decoder))
}

fn finish(fields: &Fields<'_>, name: Spanned<String>, decoder: &mut Decoder) -> Metadata {
    let namespace = fields.optional("namespace", decoder, values::spanned_string);
    let namespace_span = namespace.as_ref().map_or_else(|| fields.span(), |written| &written.span).clone();
    let owners = fields.list("ownerReferences", decoder, owner);
    Metadata {
        name,
        namespace: namespace
            .map(|written| written.value)
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "default".to_owned()),
        namespace_span,
        labels: fields.optional("labels", decoder, values::labels).unwrap_or_default(),
        annotations: fields.optional("annotations", decoder, values::texts).unwrap_or_default(),
        owner: owners.into_iter().next(),
        span: fields.span().clone(),
    }
}

fn owner(node: &Node, decoder: &mut Decoder) -> Option<Owner> {
    let fields = Fields::open(node, &OWNER, decoder)?;
    let kind = fields.required("kind", decoder, values::string);
    let name = fields.required("name", decoder, values::string);
    Some(Owner { kind: kind?, name: name? })
}
