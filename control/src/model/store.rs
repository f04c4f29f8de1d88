//! The objects in force while a mesh runs: texts come in, objects go, and each change gives a new value.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::{self, ConfigKey, ConfigSet, Kind, SourceFile};
use crate::diagnostic::{self, Diagnostic, Span};
use crate::dialect::Dialect;
use crate::validate::{self, codes};

/// Keeps every object by kind, namespace and name.
///
/// What is applied is read and checked one object at a time: one with an error is refused, and a version of it that
/// is in force stays.
#[derive(Clone, Debug)]
pub struct ConfigStore {
    dialect: Dialect,
    set: ConfigSet,
    next: u64,
}

/// What became of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Objects that are new or changed, in the order of the text.
    pub changed: Vec<ConfigKey>,
    /// Every finding, by place. Those that are errors refused their object.
    pub diagnostics: Vec<Diagnostic>,
}

impl Applied {
    /// Whether any object was refused.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// The changed objects.
    ///
    /// # Errors
    /// All findings, when any object was refused; the sound ones are in force all the same.
    pub fn into_result(self) -> Result<Vec<ConfigKey>, Vec<Diagnostic>> {
        if self.has_errors() { Err(self.diagnostics) } else { Ok(self.changed) }
    }
}

impl ConfigStore {
    /// An empty store that reads manifests as `dialect`.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, set: ConfigSet::default(), next: 0 }
    }

    /// Which Istio the manifests are read as.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Reads a text and puts its sound objects in force. An object written twice in one text is refused the second
    /// time.
    pub fn apply(&mut self, source: &SourceFile) -> Applied {
        let decoded = config::decode(source, self.dialect);
        let unread = decoded.diagnostics.clone();
        let mut applied = Applied { changed: Vec::new(), diagnostics: decoded.diagnostics };
        let mut written: BTreeMap<ConfigKey, Span> = BTreeMap::new();
        for document in decoded.documents {
            let key = ConfigKey::of(&document);
            let name = document.metadata.name.span.clone();
            if let Some(first) = written.get(&key) {
                let twice = Diagnostic::error(codes::DUPLICATE_OBJECT, &name, format!("{key} is written twice"));
                applied.diagnostics.push(twice.with_related(first, "first written here"));
                continue;
            }
            let findings = validate::document(&document, self.dialect);
            let sound = !findings.iter().any(Diagnostic::is_error);
            applied.diagnostics.extend(findings);
            written.insert(key.clone(), name);
            if sound && self.set.insert(Arc::new(document), self.next) {
                self.next += 1;
                applied.changed.push(key);
            }
        }
        for document in decoded.refused {
            let own = within(&unread, &document.span);
            applied.diagnostics.extend(validate::refused(&document, own, self.dialect));
        }
        applied.diagnostics.sort_by(|a, b| a.span.cmp(&b.span));
        applied.diagnostics = diagnostic::at_most(applied.diagnostics);
        applied
    }

    /// Takes an object out of force; says whether it was there.
    pub fn delete(&mut self, kind: Kind, namespace: &str, name: &str) -> bool {
        self.set.remove(&ConfigKey::new(kind, namespace, name))
    }

    /// Gives a Service an address beside its manifest, as an API server does. One in the manifest counts more.
    pub fn assign_cluster_ip(&mut self, namespace: &str, name: &str, address: IpAddr) {
        self.set.assign_cluster_ip(namespace, name, address);
    }

    /// All objects in force.
    pub fn objects(&self) -> &ConfigSet {
        &self.set
    }

    /// All objects in force, as a value of its own.
    pub fn snapshot(&self) -> ConfigSet {
        self.set.clone()
    }
}

/// The findings of one text, which are in order, that lie within `span`.
fn within<'f>(found: &'f [Diagnostic], span: &Span) -> &'f [Diagnostic] {
    let starts = |found: &Diagnostic| (found.span.line, found.span.column);
    let first = found.partition_point(|found| starts(found) < (span.line, span.column));
    let behind = found.partition_point(|found| starts(found) < (span.end_line, span.end_column));
    &found[first..behind.max(first)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_findings_of_an_object_are_those_between_its_ends() {
        let at = |line| Diagnostic::error(codes::DUPLICATE_OBJECT, &Span::at("x.yaml", line, 3), "m");
        let found = [at(1), at(4), at(5), at(9)];
        let span = |line, end_line| Span { end_line, ..Span::at("x.yaml", line, 1) };
        assert_eq!(within(&found, &span(2, 9)), &found[1..3]);
        assert_eq!(within(&found, &span(1, 2)), &found[..1]);
        assert_eq!(within(&found, &span(6, 8)), &[]);
        assert_eq!(within(&found, &Span::at("x.yaml", 4, 3)), &[]);
    }
}
