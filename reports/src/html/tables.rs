//! Who proved who they are to whom, what the faults touched, and what identifies the run.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::model::{GraphEdge, TlsCounts};
use super::page::section;
use super::svg::duration;
use crate::escape::markup;
use crate::{FaultResult, ScenarioResult};

/// Callers and callees of the census at most, each.
const CENSUS_MAX: usize = 30;

/// How every pair of workloads talked to each other.
pub(super) fn census(out: &mut String, edges: &[GraphEdge]) {
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
        "Callers in rows, callees in columns, as the TLS sessions show it, not as configuration says.",
    );
    out.push_str("<div class=\"wide\"><table class=\"census\"><thead><tr><th></th>");
    callees.iter().for_each(|callee| {
        let _ = write!(out, "<th>{}</th>", markup(callee));
    });
    out.push_str("</tr></thead>\n<tbody>\n");
    for caller in callers {
        let _ = write!(out, "<tr><th>{}</th>", markup(caller));
        for callee in &callees {
            let tls = edges.iter().find(|edge| edge.from == caller && edge.to == *callee).map(|edge| edge.tls);
            let (class, text) = tls.map_or(("none", "·".to_owned()), cell);
            let _ = write!(out, "<td class=\"{class}\">{text}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div></section>\n");
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

/// What the faults touched; one that touched nothing shows nothing.
pub(super) fn faults(out: &mut String, faults: &[FaultResult]) {
    if faults.is_empty() {
        return;
    }
    section(out, "Faults", "A fault that touched nothing has tested nothing.");
    out.push_str("<table class=\"numbers\"><thead><tr><th>fault</th><th>on</th><th>from</th><th>to</th><th>touched</th></tr></thead>\n<tbody>\n");
    for fault in faults {
        let class = if fault.touched == 0 { " class=\"bad\"" } else { "" };
        let _ = writeln!(
            out,
            "<tr{class}><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            markup(&fault.kind),
            markup(&fault.on),
            duration(fault.from_ms as f64),
            duration(fault.to_ms as f64),
            fault.touched
        );
    }
    out.push_str("</tbody></table></section>\n");
}

/// What makes this run this run.
pub(super) fn identity(out: &mut String, scenario: &ScenarioResult) {
    section(
        out,
        "The same again",
        "The same scenario, seed and build give the same two hashes, everywhere and always.",
    );
    out.push_str("<dl>\n");
    let again = format!("wavetank run {} --seed {}", scenario.file, scenario.seed);
    let hash = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "-".to_owned());
    for (term, text) in [
        ("run it", again),
        ("seed", scenario.seed.to_string()),
        ("decisions", hash(&scenario.decisions_hash)),
        ("packets", hash(&scenario.packets_hash)),
        ("Istio", scenario.compat.clone()),
        ("target", scenario.target.clone()),
        ("simulated", duration(scenario.simulated_ms as f64)),
    ] {
        let _ = writeln!(out, "<dt>{term}</dt><dd><code>{}</code></dd>", markup(&text));
    }
    out.push_str("</dl></section>\n");
}
