//! A real Envoy accepts what is generated for the proxies of every scenario in this repository.
//!
//! Runs when `WAVETANK_ENVOY` names an Envoy binary; says so otherwise.

use std::sync::Mutex;
use std::thread;

use envoy_types::pb::envoy::config::bootstrap::v3::Bootstrap;
use wavetank_conformance::{envoy, shipped};
use wavetank_control::generate::{ProxyKind, generate, static_bootstrap};

/// Sidecars that every scenario of the book's app is tried on: one that only calls, and one that calls and is
/// called. Others differ from them in names alone, and are tried on the canary. A scenario without that app is
/// tried on all it has.
const SIDECARS: [&str; 2] = ["sleep-0", "service-node-v1-0"];

/// A bootstrap for each proxy worth trying, each told by scenario and pod.
fn bootstraps() -> Vec<(String, Bootstrap)> {
    let mut bootstraps = Vec::new();
    for shipped in shipped::all() {
        let is_canary = shipped.file.ends_with("scenarios/canary.yaml");
        let proxies = shipped.proxies();
        let has_lab = SIDECARS.iter().all(|pod| proxies.iter().any(|proxy| proxy.pod == *pod));
        for proxy in proxies {
            let is_chosen = proxy.kind == ProxyKind::Gateway || SIDECARS.contains(&proxy.pod.as_str());
            if is_canary || !has_lab || is_chosen {
                let bootstrap = static_bootstrap(&generate(&shipped.mesh, &proxy), &proxy.node_id);
                bootstraps.push((format!("{}: {}", shipped.file, proxy.pod), bootstrap));
            }
        }
    }
    bootstraps
}

#[test]
fn every_scenario_has_a_gateway_and_sidecars_to_try() {
    let bootstraps = bootstraps();
    let of = |pod: &str| bootstraps.iter().filter(|(name, _)| name.ends_with(pod)).count();
    assert!(of(": istio-ingressgateway-0") >= 30);
    for pod in SIDECARS {
        assert!(of(&format!(": {pod}")) >= 25, "{pod}");
    }
    for shipped in shipped::all() {
        let own = |name: &&str| name.starts_with(&format!("{}: ", shipped.file));
        let tried = bootstraps.iter().map(|(name, _)| name.as_str()).filter(own).count();
        assert!(tried > 0, "{} has no proxies", shipped.file);
    }
    for (name, bootstrap) in &bootstraps {
        let resources = bootstrap.static_resources.as_ref().expect("resources");
        assert!(resources.clusters.len() > 5, "{name}: {} clusters", resources.clusters.len());
    }
}

#[test]
fn envoy_accepts_the_proxies_of_every_scenario() {
    let Some(binary) = envoy::binary() else { return };
    let queue = bootstraps();
    let (tried, queue, refused) = (queue.len(), Mutex::new(queue), Mutex::new(Vec::new()));
    let next = || queue.lock().expect("no other thread has failed").pop();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, bootstrap)) = next() {
                    if let Err(said) = envoy::validate(&binary, &bootstrap) {
                        refused.lock().expect("no other thread has failed").push(format!("{name}\n{said}"));
                    }
                }
            });
        }
    });
    let refused = refused.into_inner().expect("no thread has failed");
    assert!(refused.is_empty(), "{} of {tried} are refused\n{}", refused.len(), refused.join("\n"));
    println!("{tried} bootstraps are accepted");
}

#[test]
fn envoy_refuses_what_is_wrong() {
    let Some(binary) = envoy::binary() else { return };
    let (name, mut bootstrap) = bootstraps().swap_remove(0);
    let resources = bootstrap.static_resources.as_mut().expect("resources");
    resources.clusters[0].name = String::new();
    let said = envoy::validate(&binary, &bootstrap).expect_err(&name);
    assert!(said.contains("Name"), "{said}");
}
