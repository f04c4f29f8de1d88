//! One object of the configuration: from a YAML document to a kind's typed spec.

use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::dialect::Dialect;

use super::codes;
use super::decode::{Decoder, Fields};
use super::destination_rule::{self, DestinationRuleSpec};
use super::endpoint_slice::{self, EndpointSlice};
use super::gateway::{self, GatewaySpec};
use super::kind::{self, Kind};
use super::metadata::{self, Metadata};
use super::pod::{self, DeploymentSpec, Pod};
use super::service::{self, ServiceSpec};
use super::source::SourceFile;
use super::suggest;
use super::values;
use super::virtual_service::{self, VirtualServiceSpec};
use super::yaml::{self, Limits, Node};

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its kind.
    pub kind: Kind,
    /// Its apiVersion as written.
    pub api_version: Spanned<String>,
    /// Its metadata.
    pub metadata: Metadata,
    /// What it says.
    pub spec: Spec,
    /// Where the whole object is written.
    pub span: Span,
}

/// What an object of each kind says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// A Namespace has only its name.
    Namespace,
    /// A ServiceAccount has only its name.
    ServiceAccount,
    /// A Service.
    Service(ServiceSpec),
    /// A Deployment.
    Deployment(DeploymentSpec),
    /// A Pod.
    Pod(Pod),
    /// An EndpointSlice.
    EndpointSlice(EndpointSlice),
    /// A Gateway.
    Gateway(GatewaySpec),
    /// A VirtualService.
    VirtualService(VirtualServiceSpec),
    /// A DestinationRule.
    DestinationRule(DestinationRuleSpec),
}

/// What a text holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Its sound objects in order.
    pub documents: Vec<Document>,
    /// Its refused objects as far as they could be read, in order. They are for further checks only.
    pub refused: Vec<Document>,
    /// Every finding, of sound and refused objects, by place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Decoded {
    /// Whether any object was refused.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads every object of a text; each that has an error is left out. Empty documents count for nothing, and a `List`
/// for its items.
pub fn decode(source: &SourceFile, dialect: Dialect) -> Decoded {
    let parsed = yaml::parse(source, Limits::default());
    let mut decoded = Decoded { diagnostics: parsed.diagnostics, ..Decoded::default() };
    for node in &parsed.documents {
        decode_node(node, dialect, &mut decoded);
    }
    decoded.diagnostics.sort_by(|a, b| a.span.cmp(&b.span));
    decoded
}

fn decode_node(node: &Node, dialect: Dialect, into: &mut Decoded) {
    if node.is_null() {
        return;
    }
    if node.get("kind").and_then(Node::as_str) == Some("List") {
        let items = node.get("items").and_then(Node::as_sequence).unwrap_or_default();
        items.iter().for_each(|item| decode_node(item, dialect, into));
        return;
    }
    let mut decoder = Decoder::new(dialect);
    let document = document(node, &mut decoder);
    if decoder.has_errors() {
        into.refused.extend(document)
    } else {
        into.documents.extend(document)
    }
    into.diagnostics.append(&mut decoder.diagnostics);
}

fn document(node: &Node, decoder: &mut Decoder) -> Option<Document> {
    if node.as_mapping().is_none() {
        decoder.wrong_type(node, "an object with `apiVersion`, `kind` and `metadata`");
        return None;
    }
    let (kind, api_version) = identify(node, decoder)?;
    let fields = Fields::open(node, kind.table(), decoder)?;
    let metadata = fields.required("metadata", decoder, metadata::decode);
    let spec = spec(kind, &fields, decoder);
    let mut metadata = metadata?;
    if kind.is_cluster_scoped() {
        metadata.namespace.clear();
    }
    Some(Document { kind, api_version, metadata, spec: spec?, span: node.span.clone() })
}

/// The kind and apiVersion of an object.
fn identify(node: &Node, decoder: &mut Decoder) -> Option<(Kind, Spanned<String>)> {
    let mut word = |field: &str| match node.get(field).filter(|value| !value.is_null()) {
        Some(value) => values::spanned_string(value, decoder),
        None => {
            let message = format!("`{field}` is missing; every object has `apiVersion`, `kind` and `metadata`");
            decoder.error(codes::MISSING_FIELD, &node.span, message);
            None
        }
    };
    let (api_version, name) = (word("apiVersion"), word("kind"));
    let (api_version, name) = (api_version?, name?);
    let group = |version: &str| version.split_once('/').map_or(String::new(), |(group, _)| group.to_owned());
    let known = Kind::of_name(&name.value);
    let Some(kind) = known.filter(|kind| kind.api_versions().iter().any(|v| group(v) == group(&api_version.value)))
    else {
        unknown_kind(&name, &api_version, decoder);
        return None;
    };
    if !kind.api_versions().contains(&api_version.value.as_str()) {
        let message = format!("{kind} has no apiVersion `{}`", api_version.value);
        let finding = Diagnostic::error(codes::UNKNOWN_KIND, &api_version.span, message);
        decoder.report(finding.with_help(format!("it is read in {}", kind.api_versions().join(", "))));
        return None;
    }
    let oldest = kind.api_versions().last().copied().unwrap_or_default();
    if kind.is_of_istio() && decoder.dialect == Dialect::V1_0 && api_version.value != oldest {
        let message = format!("Istio 1.0 has no {kind} in `{}`", api_version.value);
        let finding = Diagnostic::error(codes::NOT_IN_DIALECT, &api_version.span, message);
        decoder.report(finding.with_help(format!("write `{oldest}`")));
    }
    Some((kind, api_version))
}

fn unknown_kind(name: &Spanned<String>, api_version: &Spanned<String>, decoder: &mut Decoder) {
    // A kind of the same name in another group, like the Gateway API's Gateway, is known and not read.
    let elsewhere = Kind::of_name(&name.value).is_some() && api_version.value.contains("k8s.io/");
    if kind::NOT_YET.contains(&name.value.as_str()) || elsewhere {
        let message = format!("the kind {} ({}) is not supported yet", name.value, api_version.value);
        decoder.error(codes::KIND_NOT_YET, &name.span, message);
        return;
    }
    let message = format!("unknown kind `{}` in `{}`", name.value, api_version.value);
    let finding = Diagnostic::error(codes::UNKNOWN_KIND, &name.span, message);
    let known = Kind::ALL.into_iter().map(Kind::name).chain(kind::NOT_YET.iter().copied());
    decoder.report(match suggest::nearest(&name.value, known) {
        Some(meant) if meant == name.value => {
            let versions = Kind::of_name(meant).map(|kind| kind.api_versions().join(", ")).unwrap_or_default();
            finding.with_help(format!("{meant} is read in {versions}"))
        }
        Some(meant) => finding.with_help(format!("did you mean `{meant}`?")),
        None => finding,
    });
}

fn spec(kind: Kind, fields: &Fields<'_>, decoder: &mut Decoder) -> Option<Spec> {
    match kind {
        Kind::Namespace => Some(Spec::Namespace),
        Kind::ServiceAccount => Some(Spec::ServiceAccount),
        Kind::Service => fields.required("spec", decoder, service::decode).map(Spec::Service),
        Kind::Deployment => fields.required("spec", decoder, pod::decode_deployment).map(Spec::Deployment),
        Kind::Pod => {
            let spec = fields.required("spec", decoder, pod::decode_spec);
            let address = fields.optional("status", decoder, pod::decode_status);
            Some(Spec::Pod(Pod { spec: spec?, address }))
        }
        Kind::EndpointSlice => Some(Spec::EndpointSlice(endpoint_slice::decode(fields, decoder))),
        Kind::Gateway => fields.required("spec", decoder, gateway::decode).map(Spec::Gateway),
        Kind::VirtualService => fields.required("spec", decoder, virtual_service::decode).map(Spec::VirtualService),
        Kind::DestinationRule => fields.required("spec", decoder, destination_rule::decode).map(Spec::DestinationRule),
    }
}
