//! From what is there to what is wanted, in one transaction: input of `iptables-restore --noflush`, which takes
//! all of it or nothing.
//!
//! What is there is read from `iptables-save -t nat`. In a restore that does not flush, naming one of our
//! chains makes it, or empties it; so a second install leaves what the first one left.

use std::collections::BTreeSet;

use super::rules::{CHAINS, Family, jumps, rules};
use super::wanted::Redirect;

/// What is given to `iptables-restore --noflush`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan(Vec<String>);

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "*nat")?;
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "COMMIT")
    }
}

/// Puts `wanted` in place of what `saved`, the table as it is, has of ours.
pub fn install(wanted: &Redirect, family: Family, saved: &str) -> Plan {
    let there = Saved::read(saved);
    let wanted_jumps = jumps(wanted);
    let mut lines: Vec<String> = CHAINS.map(|chain| format!(":{chain} - [0:0]")).into();
    let (mut kept, mut stale) = (BTreeSet::new(), Vec::new());
    for jump in &there.jumps {
        // A jump that is right stays where it is; the same once more is one too many.
        if !(wanted_jumps.contains(jump) && kept.insert(jump.clone())) {
            stale.push(deletion(jump));
        }
    }
    lines.extend(stale);
    lines.extend(rules(wanted, family));
    lines.extend(wanted_jumps.into_iter().filter(|jump| !kept.contains(jump)));
    Plan(lines)
}

/// Takes away what `saved`, the table as it is, has of ours; `None` when it has nothing.
pub fn remove(saved: &str) -> Option<Plan> {
    let there = Saved::read(saved);
    if there.chains.is_empty() && there.jumps.is_empty() {
        return None;
    }
    let mut lines: Vec<String> = there.jumps.iter().map(|jump| deletion(jump)).collect();
    lines.extend(there.chains.iter().map(|chain| format!("-F {chain}")));
    lines.extend(there.chains.iter().map(|chain| format!("-X {chain}")));
    Some(Plan(lines))
}

/// The rule that takes `rule` away.
fn deletion(rule: &str) -> String {
    rule.replacen("-A ", "-D ", 1)
}

/// What a saved table has of ours.
#[derive(Debug, Default)]
struct Saved {
    /// Those of our chains that are there.
    chains: Vec<&'static str>,
    /// Rules elsewhere that lead into them.
    jumps: Vec<String>,
}

impl Saved {
    /// Reads the output of `iptables-save`; only table `nat` counts.
    fn read(text: &str) -> Self {
        let mut found = Self::default();
        let mut table = "";
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('*') {
                table = name;
            } else if table == "nat" {
                found.line(line);
            }
        }
        found
    }

    fn line(&mut self, line: &str) {
        if let Some(declared) = line.strip_prefix(':') {
            let name = declared.split_whitespace().next().unwrap_or_default();
            self.chains.extend(CHAINS.iter().filter(|chain| **chain == name));
            return;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["-A", chain, ..] = words[..] else { return };
        let leads_to = |pair: &[&str]| matches!(pair, ["-j" | "-g", target] if CHAINS.contains(target));
        if !CHAINS.contains(&chain) && words.windows(2).any(leads_to) {
            self.jumps.push(line.to_owned());
        }
    }
}
