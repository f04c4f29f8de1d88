//! `/clusters`: breakers and endpoints of every cluster, in the text form of Envoy's.

use std::fmt::Write;

use crate::process::Process;
use crate::snapshot::{Cluster, Snapshot};
use crate::stats::envoy::{assignment, endpoint_now};

/// The whole text.
pub(super) fn text(process: &Process) -> String {
    let snapshot = process.store.current();
    let mut text = String::new();
    for cluster in snapshot.clusters.values() {
        // Writing to a string does not fail.
        let _written = one(&mut text, process, &snapshot, cluster);
    }
    text
}

fn one(text: &mut String, process: &Process, snapshot: &Snapshot, cluster: &Cluster) -> std::fmt::Result {
    let (name, limits) = (&cluster.name, cluster.breakers);
    for (what, limit) in [
        ("max_connections", limits.connections_max),
        ("max_pending_requests", limits.pending_requests_max),
        ("max_requests", limits.requests_max),
        ("max_retries", limits.retries_max),
    ] {
        writeln!(text, "{name}::default_priority::{what}::{limit}")?;
    }
    for endpoint in assignment(snapshot, cluster).map_or(&[][..], |assignment| assignment.endpoints()) {
        let (address, (active, ejected)) = (endpoint.address, endpoint_now(process, cluster, endpoint));
        let flags = match (endpoint.healthy, ejected) {
            (true, false) => "healthy",
            (true, true) => "/failed_outlier_check",
            (false, false) => "/failed_eds_health",
            (false, true) => "/failed_outlier_check/failed_eds_health",
        };
        writeln!(text, "{name}::{address}::rq_active::{active}")?;
        writeln!(text, "{name}::{address}::health_flags::{flags}")?;
        writeln!(text, "{name}::{address}::weight::{}", endpoint.weight)?;
    }
    Ok(())
}
