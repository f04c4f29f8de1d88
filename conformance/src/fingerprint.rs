//! What identifies a run, as text that can be compared: between two runs, two processes, two commits.

use std::fmt::Write;

use wavetank::scenario::Scenario;
use wavetank::target::tank;

/// Both hashes of a run, and its log where they are to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// Hash of what was decided and when.
    pub decisions: String,
    /// Hash of every packet.
    pub packets: String,
    /// The log, a line for each entry.
    pub log: String,
}

/// Runs `scenario` in the tank.
///
/// # Panics
/// When the run does not come to its end.
pub fn fingerprint(scenario: &Scenario, seed: u64) -> Fingerprint {
    let outcome = tank::run(scenario, seed).unwrap_or_else(|error| panic!("{}: {error}", scenario.file));
    let mut log = String::new();
    for entry in outcome.log.entries() {
        writeln!(log, "{entry}").expect("a string takes everything");
    }
    Fingerprint { decisions: outcome.log.decisions_hash(), packets: outcome.packets_hash, log }
}

impl Fingerprint {
    /// As text that [`read`](Self::read) takes.
    pub fn write(&self) -> String {
        format!("{}\n{}\n{}", self.decisions, self.packets, self.log)
    }

    /// A fingerprint that was written; `None` for other text.
    pub fn read(text: &str) -> Option<Self> {
        let (decisions, rest) = text.split_once('\n')?;
        let (packets, log) = rest.split_once('\n')?;
        Some(Self { decisions: decisions.to_owned(), packets: packets.to_owned(), log: log.to_owned() })
    }

    /// How this run differs from `other`, by the first line of their logs that does; `None` when it does not.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        let (mut ours, mut theirs) = (self.log.lines(), other.log.lines());
        for number in 1.. {
            match (ours.next(), theirs.next()) {
                (None, None) => break,
                (one, two) if one == two => {}
                (one, two) => {
                    let shown = |line: Option<&str>| line.unwrap_or("(ended)").to_owned();
                    return Some(format!("line {number} of the log:\n  {}\n  {}", shown(one), shown(two)));
                }
            }
        }
        let hashes = |run: &Self| format!("decisions {} packets {}", run.decisions, run.packets);
        Some(format!("the hashes of one log:\n  {}\n  {}", hashes(self), hashes(other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(log: &str, packets: &str) -> Fingerprint {
        Fingerprint { decisions: "d".to_owned(), packets: packets.to_owned(), log: log.to_owned() }
    }

    #[test]
    fn a_difference_is_told_by_the_first_line_that_differs() {
        let one = run("a\nb\nc\n", "p");
        assert_eq!(Fingerprint::read(&one.write()), Some(one.clone()));
        assert_eq!(one.difference(&one), None);
        let line = one.difference(&run("a\nx\n", "p")).unwrap();
        assert_eq!(line, "line 2 of the log:\n  b\n  x");
        assert!(one.difference(&run("a\nb\n", "p")).unwrap().ends_with("  c\n  (ended)"));
        assert!(one.difference(&run("a\nb\nc\n", "q")).unwrap().contains("packets q"));
    }
}
