//! What the faults touched, and what identifies the run.

use std::fmt::Write;

use super::page::section;
use super::svg::duration;
use crate::escape::markup;
use crate::{FaultResult, ScenarioResult};

/// What the faults touched; one that touched nothing shows nothing.
pub(super) fn faults(out: &mut String, faults: &[FaultResult]) {
    if faults.is_empty() {
        return;
    }
    section(out, "Faults", "How much of the run each touched. A fault that touched nothing has tested nothing.");
    out.push_str("<div class=\"wide\"><table class=\"faults\"><thead><tr><th>fault</th><th>on</th><th>from</th><th>to</th><th>touched</th></tr></thead>\n<tbody>\n");
    for fault in faults {
        let class = if fault.touched == 0 { " class=\"bad\"" } else { "" };
        let _ = writeln!(
            out,
            "<tr{class}><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{} {}</td></tr>",
            markup(&fault.kind),
            markup(&fault.on),
            duration(fault.from_ms as f64),
            duration(fault.to_ms as f64),
            fault.touched,
            unit(&fault.kind)
        );
    }
    out.push_str("</tbody></table></div></section>\n");
}

/// What a fault of this kind counts.
fn unit(kind: &str) -> &'static str {
    match kind {
        "partition" | "delay" | "loss" | "bandwidth" | "power_off" => "packets",
        "kill" | "delete" | "restart" => "connections",
        "slow" | "fail" => "requests",
        _ => "",
    }
}

/// The command that makes this run again.
pub(super) fn again(scenario: &ScenarioResult) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    let file = match scenario.file.as_str() {
        file if !file.is_empty() && file.chars().all(is_plain) => file.to_owned(),
        file => format!("'{}'", file.replace('\'', "'\\''")),
    };
    let engine = if scenario.target == "tank" { String::new() } else { format!(" --engine {}", scenario.target) };
    format!("wavetank run {file} --seed {}{engine}", scenario.seed)
}

/// What makes this run this run.
pub(super) fn identity(out: &mut String, scenario: &ScenarioResult) {
    section(
        out,
        "The same again",
        "The same scenario, seed and build give the same two hashes, everywhere and always.",
    );
    out.push_str("<dl>\n");
    let hash = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "-".to_owned());
    for (term, text) in [
        ("run it", again(scenario)),
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
