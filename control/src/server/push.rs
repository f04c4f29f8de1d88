//! A burst of changes becomes one new mesh.

use std::sync::Arc;

use wavetank_platform::Platform;

use super::Shared;
use crate::ads::Debounce;
use crate::model::Mesh;

/// Waits for changes, waits the burst out, and puts what came of it in force; for ever.
pub(super) async fn run(platform: Platform, shared: Arc<Shared>) {
    let clock = platform.clock;
    loop {
        shared.changed.notified().await;
        let mut burst = Debounce::begin(shared.config.debounce, clock.now());
        loop {
            let deadline = burst.deadline();
            // A change that comes with the deadline is part of the next burst only if the deadline is seen first.
            if clock.now() >= deadline || clock.timeout_at(deadline, shared.changed.notified()).await.is_err() {
                break;
            }
            burst.extend(clock.now());
        }
        put_in_force(&shared);
    }
}

fn put_in_force(shared: &Shared) {
    let objects = shared.store().snapshot();
    let (mesh, findings) = Mesh::resolve(&objects, shared.config.dialect, shared.config.mesh.clone());
    *shared.findings() = findings;
    let generation = *shared.generation.borrow() + 1;
    tracing::info!(generation, services = mesh.services.len(), workloads = mesh.workloads.len(), "new mesh");
    shared.source.set(generation, mesh);
    // Without a proxy there is nobody to hear it.
    shared.generation.send_replace(generation);
}
