//! Ejections stay within their percentage: no endpoint is taken out where more of the cluster's endpoints than
//! `max_ejection_percent` would be out then, but for the one that `always_eject_one_host` allows; and none is
//! taken out twice, or let back without having been out.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_proxy::ejection::{Ejection, EjectionAction};
use wavetank_proxy::snapshot::Snapshot;

use super::Found;
use crate::explain::{Book, ejected, words};
use crate::observe::ObservationLog;

pub(super) fn broken(_log: &ObservationLog, book: &Book) -> Found {
    let mut reports: BTreeMap<(&str, &str), Vec<&Ejection>> = BTreeMap::new();
    for report in &book.ejections {
        reports.entry((&report.node, &report.cluster)).or_default().push(report);
    }
    let mut found = Found::new();
    for ((node, cluster), reports) in reports {
        for (index, report) in reports.iter().enumerate() {
            let before = ejected::after(book, node, cluster, reports[..index].iter().copied(), report.at);
            let (endpoint, was_out) = (report.endpoint, before.contains_key(&report.endpoint));
            match report.action {
                EjectionAction::Eject { enforced: false, .. } => {}
                EjectionAction::Eject { .. } if was_out => {
                    found.push(format!("{node} ejected {endpoint} of {cluster}, which was out"));
                }
                EjectionAction::Uneject if !was_out => {
                    found.push(format!("{node} let {endpoint} of {cluster} back, which was not out"));
                }
                EjectionAction::Uneject => {}
                EjectionAction::Eject { .. } => found.extend(too_many(book, report, before.len())),
            }
        }
    }
    found
}

/// What is wrong with an ejection where `out` endpoints were out before.
fn too_many(book: &Book, report: &Ejection, out: usize) -> Option<String> {
    let known = known(book, report);
    let allowed = |snapshot: &Arc<Snapshot>| {
        let cluster = snapshot.clusters.get(&report.cluster)?;
        let detection = cluster.outlier_detection.as_ref()?;
        // Host names are looked up by the proxy, so what they stood for is not known here.
        let Some(endpoints) = words::assignment(snapshot, cluster) else { return Some(true) };
        let all = endpoints.endpoints().len();
        let within = (out + 1) * 100 <= detection.max_ejection_percent as usize * all;
        Some(within || (detection.always_eject_one_host && out == 0))
    };
    if known.iter().any(|snapshot| allowed(snapshot) == Some(true)) {
        return None;
    }
    let Ejection { node, endpoint, cluster, .. } = report;
    Some(format!("{node} ejected {endpoint} of {cluster}, with {out} out before, more than may be"))
}

/// The configurations it may have been decided by: the last one, and what came before where that came at the
/// same moment.
fn known<'b>(book: &'b Book, report: &Ejection) -> Vec<&'b Arc<Snapshot>> {
    let history = book.histories.get(&*report.node).map(Vec::as_slice).unwrap_or_default();
    let mut known = Vec::new();
    for (since, snapshot) in history.iter().rev().filter(|(since, _)| *since <= report.at) {
        known.push(snapshot);
        if *since < report.at {
            break;
        }
    }
    known
}
