//! Who proved who they are to whom.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::model::{GraphEdge, TlsCounts};
use super::page::section;
use crate::escape::markup;

/// Callers and callees of the census at most, each.
const CENSUS_MAX: usize = 30;

/// How every pair of workloads talked to each other.
pub(super) fn render(out: &mut String, edges: &[GraphEdge]) {
    if edges.is_empty() {
        return;
    }
    let names = |of: fn(&GraphEdge) -> &str| -> Vec<&str> {
        edges.iter().map(of).collect::<BTreeSet<_>>().into_iter().take(CENSUS_MAX).collect()
    };
    let (callers, callees) = (names(|edge| &edge.from), names(|edge| &edge.to));
    section(
        out,
        "Mutual TLS",
        "How many requests went over which kind of connection, from callers in rows to callees in columns: as the TLS sessions show it, \
         not as configuration says. A dash was not tried.",
    );
    out.push_str("<div class=\"wide\"><table class=\"census\"><thead><tr><td></td>");
    callees.iter().for_each(|callee| {
        let _ = write!(out, "<th scope=\"col\">{}</th>", markup(callee));
    });
    out.push_str("</tr></thead>\n<tbody>\n");
    for caller in callers {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", markup(caller));
        for callee in &callees {
            let tls = edges.iter().find(|edge| edge.from == caller && edge.to == *callee).map(|edge| edge.tls);
            let (class, text) = tls.map_or(("none", "–".to_owned()), cell);
            let _ = write!(out, "<td class=\"{class}\">{text}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    let all = |of: fn(&GraphEdge) -> &str| edges.iter().map(of).collect::<BTreeSet<_>>().len();
    if all(|edge| &edge.from) > CENSUS_MAX || all(|edge| &edge.to) > CENSUS_MAX {
        let _ = writeln!(out, "<p class=\"lead\">Only the first {CENSUS_MAX} callers and callees are shown.</p>");
    }
    out.push_str("</section>\n");
}

fn cell(tls: TlsCounts) -> (&'static str, String) {
    let parts = [(tls.mutual, "mTLS"), (tls.simple, "TLS"), (tls.plaintext, "plaintext"), (tls.none, "no connection")];
    let text: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{word} {count}")).collect();
    let class = match tls {
        TlsCounts { mutual: 1.., simple: 0, plaintext: 0, .. } => "mutual",
        TlsCounts { mutual: 0, simple: 0, plaintext: 1.., .. } => "plaintext",
        TlsCounts { mutual: 0, simple: 0, plaintext: 0, .. } => "none",
        _ => "mixed",
    };
    (class, text.join(", "))
}
