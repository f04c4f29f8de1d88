//! Configuration converges: a proxy that lives takes what it is sent. The last push of each kind is accepted,
//! or the proxy showed no sign of life long enough after it; and when all is over, every living proxy that
//! reaches the control plane has the newest configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use wavetank_platform::Instant;

use super::Found;
use crate::explain::Book;
use crate::observe::{Observation, ObservationLog, Party};

/// How long a proxy that lives may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
enum Last<'a> {
    Pushed(Instant),
    Refused(&'a str),
    Accepted,
}

pub(super) fn broken(log: &ObservationLog, book: &Book) -> Found {
    let mut found = unanswered(log);
    found.extend(book.remains.behind.iter().map(|(node, how)| format!("{node} is behind for good: {how}")));
    found
}

fn unanswered(log: &ObservationLog) -> Found {
    let mut last: BTreeMap<(&Party, &str), Last<'_>> = BTreeMap::new();
    let mut alive: BTreeMap<&Party, Instant> = BTreeMap::new();
    for entry in log.entries() {
        match entry {
            Observation::Push(push) => {
                last.insert((&push.proxy, &push.kind), Last::Pushed(push.at));
            }
            Observation::Ack(ack) => {
                let answer = ack.refused.as_deref().map_or(Last::Accepted, Last::Refused);
                last.insert((&ack.proxy, &ack.kind), answer);
                alive.insert(&ack.proxy, ack.at);
            }
            _ => {}
        }
    }
    let judge = |((proxy, kind), last): ((&Party, &str), Last<'_>)| match last {
        Last::Refused(why) => Some(format!("{proxy} refused the last {kind} it was sent: {why}")),
        Last::Pushed(at) if alive.get(proxy).is_some_and(|sign| *sign > at + PATIENCE) => {
            Some(format!("{proxy} never answered the last {kind} it was sent, and answered others long after"))
        }
        Last::Pushed(_) | Last::Accepted => None,
    };
    last.into_iter().filter_map(judge).collect()
}
