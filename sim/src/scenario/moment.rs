//! Times of a scenario, by the clock or by name: `30s`, `step/50%`, `fault/1`, `fault/1.end`, each with
//! `+5s`; and what happens when the run makes it so: `converged`, `aborted`, `{config: service-go}`.

use std::sync::Arc;
use std::time::Duration;

use wavetank_control::config::duration;
use wavetank_control::config::yaml::Node;

use super::fields::{Findings, Keys};
use crate::check::{After, Event};
use crate::fault::Fault;

const AFTER: Keys = Keys { of: "after", known: &["config", "plus"], later: &[] };

/// What is known of the times of steps and faults.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// Name, start and end of each step.
    pub(super) steps: Vec<(Arc<str>, Duration, Duration)>,
    /// Start and end of each fault that was read; `None` where it was wrong or has no end.
    faults: Vec<(Option<Duration>, Option<Duration>)>,
}

impl Times {
    /// Adds the next fault.
    pub(super) fn add_fault(&mut self, fault: Option<&Fault>) {
        let end = fault.and_then(|fault| Some(fault.at + fault.duration?));
        self.faults.push((fault.map(|fault| fault.at), end));
    }

    /// When the steps end; `None` when there are none.
    pub(super) fn end(&self) -> Option<Duration> {
        self.steps.last().map(|(_, _, end)| *end)
    }

    /// The step of that name.
    ///
    /// Errs with the names there are.
    pub(super) fn step(&self, name: &str) -> Result<Arc<str>, String> {
        let found = self.steps.iter().find(|(own, _, _)| **own == *name).map(|(own, _, _)| own.clone());
        found.ok_or_else(|| {
            let known: Vec<_> = self.steps.iter().map(|(own, _, _)| format!("`{own}`")).collect();
            let known =
                if known.is_empty() { "there are none".to_owned() } else { format!("steps are {}", known.join(", ")) };
            format!("there is no step `{name}`; {known}")
        })
    }

    /// A time that is known before the run.
    pub(super) fn fixed(&self, node: &Node, what: &str, findings: &mut Findings) -> Option<Duration> {
        findings.read(node, what, |text| self.named(text))
    }

    /// `step/50%+5s`.
    fn named(&self, text: &str) -> Result<Duration, String> {
        let (name, plus) = parted(text);
        let start = if let Some(step) = name.strip_prefix("step/") {
            let named = self.step(step)?;
            self.steps.iter().find(|(own, _, _)| *own == named).map(|(_, start, _)| *start).unwrap_or_default()
        } else if let Some(fault) = name.strip_prefix("fault/") {
            let (number, at_end) = fault.strip_suffix(".end").map_or((fault, false), |number| (number, true));
            let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            let found = index.and_then(|index| self.faults.get(index));
            let (start, end) = found.ok_or_else(|| format!("there is no fault number `{number}` before this"))?;
            let wanted = if at_end { end } else { start };
            wanted.ok_or_else(|| format!("`{name}` has no fixed time"))?
        } else if name == "start" {
            Duration::ZERO
        } else {
            return duration::parse(text);
        };
        Ok(start.saturating_add(plus))
    }

    /// What `after` says: a fixed time or an event of the run. `step` is the step it stands in.
    pub(super) fn after(&self, node: &Node, step: Option<&Arc<str>>, findings: &mut Findings) -> Option<After> {
        if node.as_mapping().is_some() {
            let mapping = findings.mapping(node, &AFTER)?;
            let Some(config) = mapping.get("config") else {
                findings.missing(&node.span, "after needs the key `config`, like {config: service-go}");
                return None;
            };
            let of = findings.party(config, "config")?;
            let plus = mapping.get("plus").map_or(Some(Duration::ZERO), |node| findings.duration(node, "plus"))?;
            return Some(After { event: Event::InSync(of), plus });
        }
        findings.read(node, "after", |text| {
            let (name, plus) = parted(text);
            let event = match (name, step) {
                ("converged", Some(step)) => Event::Converged(step.clone()),
                ("converged", None) => return Err("`converged` is of a step; outside say step/NAME".to_owned()),
                ("aborted", _) => Event::Aborted,
                _ => return Ok(After { event: Event::At(self.named(text)?), plus: Duration::ZERO }),
            };
            Ok(After { event, plus })
        })
    }
}

/// A name and what is added to it.
fn parted(text: &str) -> (&str, Duration) {
    let text = text.trim();
    let added = text.rsplit_once('+').and_then(|(name, plus)| Some((name.trim(), duration::parse(plus.trim()).ok()?)));
    added.unwrap_or((text, Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_named_by_steps_and_faults() {
        let second = Duration::from_secs;
        let times = Times {
            steps: vec![("base".into(), second(0), second(10)), ("50%".into(), second(10), second(30))],
            faults: vec![(Some(second(5)), Some(second(9))), (Some(second(6)), None)],
        };
        let rows = [
            ("30s", 30),
            ("step/50%", 10),
            ("step/50%+5s", 15),
            ("fault/1", 5),
            ("fault/1.end + 2s", 11),
            ("start", 0),
        ];
        for (text, wanted) in rows {
            assert_eq!(times.named(text), Ok(second(wanted)), "{text}");
        }
        for text in ["step/x", "fault/3", "fault/0", "fault/2.end", "fault/x", "soon", "5"] {
            assert!(times.named(text).is_err(), "{text}");
        }
    }
}
