//! `METADATA`: where rules were written, which is the metadata `wavetank` of listeners, virtual hosts, routes and
//! clusters. Envoy keeps all metadata; what is here is kept by records too.

use super::{json, number};
use crate::access_log::entry::{Entry, Kind};
use crate::record::Provenance;

/// Rules that know where they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// The listener.
    Listener,
    /// The virtual host.
    VirtualHost,
    /// The route.
    Route,
    /// The cluster.
    Cluster,
}

/// Fields of the metadata `wavetank`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvenanceField {
    /// `file`.
    File,
    /// `line`.
    Line,
    /// `column`.
    Column,
}

impl RuleKind {
    pub(super) fn of<'a>(self, entry: &Entry<'a>) -> Option<&'a Provenance> {
        let decision = &entry.record.decision;
        match self {
            Self::Listener => entry.listener_from,
            // The stream of an attempt knows its route and not its virtual host.
            Self::VirtualHost if entry.kind == Kind::Attempt => None,
            Self::VirtualHost => decision.virtual_host_from.as_ref(),
            Self::Route => decision.route_from.as_ref(),
            Self::Cluster => entry.cluster.and_then(|cluster| cluster.provenance.as_ref()),
        }
    }
}

/// Appends a field, or the whole as JSON.
pub(super) fn write(place: &Provenance, field: Option<ProvenanceField>, out: &mut Vec<u8>) {
    match field {
        Some(ProvenanceField::File) => out.extend_from_slice(place.file.as_bytes()),
        Some(ProvenanceField::Line) => number::write(place.line.into(), out),
        Some(ProvenanceField::Column) => number::write(place.column.into(), out),
        None => {
            out.extend_from_slice(b"{\"column\":");
            number::write(place.column.into(), out);
            out.extend_from_slice(b",\"file\":\"");
            let begin = out.len();
            out.extend_from_slice(place.file.as_bytes());
            json::escape(out, begin);
            out.extend_from_slice(b"\",\"line\":");
            number::write(place.line.into(), out);
            out.push(b'}');
        }
    }
}
