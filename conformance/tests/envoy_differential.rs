//! Our proxy and a real Envoy do the same with the same configuration and the same bytes, row by row; where
//! they do not, the ledger says why.
//!
//! Runs when `WAVETANK_ENVOY` names an Envoy binary; says so otherwise. `WAVETANK_ROWS` picks the rows whose
//! name holds it.

use std::fmt::Write;
use std::net::SocketAddr;

use wavetank_conformance::differential::ledger::Ledger;
use wavetank_conformance::differential::pki::Pki;
use wavetank_conformance::differential::rows;
use wavetank_conformance::differential::sides::Side;
use wavetank_conformance::differential::upstream::{Greeting, Upstream};
use wavetank_conformance::differential::world::{Places, world};
use wavetank_conformance::{envoy, live};
use wavetank_platform::Platform;
use wavetank_proxy::snapshot::tls::{DownstreamTls, SecretName, Validation};

#[test]
#[ignore = "takes a minute and a half; `just differential` and `.ci/run` run it"]
fn every_row_is_taken_as_envoy_takes_it_or_the_ledger_says_why() {
    let Some(binary) = envoy::binary() else { return };
    live::run(|platform| async move {
        let (pki, upstream) = (Pki::new(), Upstream::default());
        let world = world(places(&platform, &pki, &upstream).await);
        let ours = Side::ours(&platform, &world, &pki).await;
        let envoy = Side::envoy(&platform, &binary, &world, &pki).await;
        let wanted = std::env::var("WAVETANK_ROWS").unwrap_or_default();
        let ledger = Ledger::read();
        let (mut equal, mut known, mut faults) = (0, 0, String::new());
        for row in rows::all().iter().filter(|row| row.name.contains(&wanted)) {
            let theirs = envoy.run(&platform, row, &upstream, &pki).await;
            let differences = theirs.differences(&ours.run(&platform, row, &upstream, &pki).await);
            match (differences.is_empty(), ledger.reason(&row.name)) {
                (true, None) => equal += 1,
                (false, Some(_)) => known += 1,
                (true, Some(_)) => {
                    writeln!(faults, "{}: is in the ledger and does not differ", row.name).expect("text")
                }
                (false, None) => {
                    writeln!(faults, "{}: (Envoy's first)\n  {}", row.name, differences.join("\n  ")).expect("text");
                }
            }
        }
        println!("{equal} rows equal, {known} rows differ for a reason");
        assert!(faults.is_empty(), "\n{faults}");
    });
}

#[test]
fn the_ledger_lists_rows_that_exist() {
    let names: Vec<String> = rows::all().into_iter().map(|row| row.name).collect();
    // Those of records are compared where scenarios run live.
    for row in Ledger::read().rows().filter(|row| !row.starts_with("records/")) {
        assert!(names.iter().any(|name| name == row), "there is no row `{row}`");
    }
}

async fn places(platform: &Platform, pki: &Pki, upstream: &Upstream) -> Places {
    let serve = |greeting| upstream.serve(platform, greeting);
    let secure = |certificate: &str, roots: Option<&str>| {
        let config = DownstreamTls {
            certificate: SecretName(certificate.into()),
            validation: roots
                .map(|roots| Validation { roots: SecretName(roots.into()), subject_alt_names: Vec::new() }),
            require_client_certificate: roots.is_some(),
            alpn: Vec::new(),
        };
        serve(Greeting::Tls(pki.ours(platform), config))
    };
    Places {
        up: serve(Greeting::Serve).await,
        second: serve(Greeting::Serve).await,
        closing: serve(Greeting::Close).await,
        silent: serve(Greeting::Silence).await,
        gone: nobody(),
        tls: secure("server", None).await,
        tls_stranger: secure("stranger", None).await,
        tls_expired: secure("expired", None).await,
        tls_mutual: secure("server", Some("mesh")).await,
        tls_mutual_stranger: secure("server", Some("strangers")).await,
    }
}

/// A port below those that are given out, where nobody is.
fn nobody() -> SocketAddr {
    live::loopback(1)
}
