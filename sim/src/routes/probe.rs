//! The cases of a decision table as traffic: one request each, one after the other from the start of the run.

use std::time::Duration;

use bytes::Bytes;

use super::row::{Case, Row};
use crate::observe::Selector;
use crate::scenario::{Request, Traffic};
use crate::traffic::Load;

/// How the traffic of decision tables is named; no stream of a scenario's own may begin so.
pub const PREFIX: &str = "routes/";
/// Time between two probes.
const GAP: Duration = Duration::from_millis(5);
/// When the caller gives up: beyond what a route waits by itself.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Where callers in the mesh connect to, whatever they ask for: no Service has it, so that the Host alone
/// decides.
const NOWHERE: &str = "240.240.0.1";

/// Whether traffic of this name belongs to a decision table.
pub fn is_probe(traffic: &str) -> bool {
    traffic.starts_with(PREFIX)
}

/// One stream of one request for each case of `rows`.
pub fn probes(rows: &[Row]) -> Vec<Traffic> {
    let cases = rows.iter().flat_map(|row| &row.cases);
    cases.zip(0u32..).map(|(case, position)| probe(case, GAP * position)).collect()
}

fn probe(case: &Case, at: Duration) -> Traffic {
    let (from, host) = match case.is_from_outside() {
        true => ("client".parse().unwrap_or(Selector::ANY), "ingress"),
        false => (case.from.clone(), NOWHERE),
    };
    let mut headers = vec![("host".to_owned(), case.authority())];
    headers.extend(case.headers.clone());
    Traffic {
        name: case.traffic.clone(),
        from,
        request: Request {
            method: case.method.clone(),
            host: host.to_owned(),
            port: case.port,
            path: case.path.clone(),
        },
        headers,
        body: Bytes::new(),
        load: Load::Closed { clients: 1, think: Duration::ZERO },
        count: Some(1),
        duration: None,
        at,
        timeout: TIMEOUT,
    }
}
