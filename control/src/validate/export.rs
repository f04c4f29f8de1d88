//! `exportTo`: namespaces that see an object. Istio: `validateExportTo`.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Span, Spanned};

use super::{codes, names};

/// Checks the namespaces of an object that is in `namespace`.
pub(super) fn check(written: &[Spanned<String>], namespace: &str, found: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<&str, &Span> = BTreeMap::new();
    for Spanned { value: to, span } in written {
        if !matches!(to.as_str(), "." | "*") && !names::is_dns_label(to) {
            let message = format!("`{to}` in `exportTo` is no namespace, `.` or `*`");
            found.push(Diagnostic::error(codes::EXPORT_TO, span, message));
            continue;
        }
        let full = if to == "." { namespace } else { to };
        if let Some(first) = seen.insert(full, span) {
            let twice = Diagnostic::error(codes::EXPORT_TO, span, format!("`exportTo` names `{full}` twice"));
            found.push(twice.with_related(first, "the first is here"));
        }
    }
    if let (Some(all), true) = (seen.get("*"), written.len() > 1) {
        let message = "`*` in `exportTo` is every namespace; nothing else may stand beside it";
        found.push(Diagnostic::error(codes::EXPORT_TO, all, message));
    }
}
