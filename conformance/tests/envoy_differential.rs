//! Our proxy and a real Envoy do the same with the same configuration and the same bytes, row by row; where
//! they do not, the ledger says why.
//!
//! Runs when `WAVETANK_ENVOY` names an Envoy binary; says so otherwise. `WAVETANK_ROWS` picks the rows whose
//! name holds it.

use std::ffi::OsString;
use std::fmt::Write;
use std::net::SocketAddr;

use wavetank_conformance::differential::ledger::Ledger;
use wavetank_conformance::differential::logged::{LogLine, logged};
use wavetank_conformance::differential::pki::Pki;
use wavetank_conformance::differential::row::Row;
use wavetank_conformance::differential::rows;
use wavetank_conformance::differential::sides::Side;
use wavetank_conformance::differential::upstream::{Greeting, Upstream};
use wavetank_conformance::differential::world::{Places, World, world};
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
        let (ours, envoy) = sides(&platform, &binary, &world, &pki).await;
        let mut tally = Tally::default();
        for row in &wanted() {
            let theirs = envoy.run(&platform, row, &upstream, &pki).await;
            let differences = theirs.differences(&ours.run(&platform, row, &upstream, &pki).await);
            tally.add(&row.name, &differences);
        }
        tally.judge();
    });
}

#[test]
#[ignore = "takes a minute and a half; `just differential` and `.ci/run` run it"]
fn every_operator_of_access_logs_says_what_envoys_says_or_the_ledger_says_why() {
    let Some(binary) = envoy::binary() else { return };
    live::run(|platform| async move {
        let (pki, upstream) = (Pki::new(), Upstream::default());
        let world = logged(world(places(&platform, &pki, &upstream).await));
        let (ours, envoy) = sides(&platform, &binary, &world, &pki).await;
        let mut tally = Tally::default();
        for row in wanted().iter().filter(|row| row.has_fixed_log()) {
            let theirs = envoy.log_of(&platform, row, &upstream, &pki).await;
            let differences = LogLine::differences(&theirs, &ours.log_of(&platform, row, &upstream, &pki).await);
            tally.add(&format!("log/{}", row.name), &differences);
        }
        tally.judge();
    });
}

/// Both proxies with the same configuration, ours first.
async fn sides(platform: &Platform, binary: &OsString, world: &World, pki: &Pki) -> (Side, Side) {
    (Side::ours(platform, world, pki).await, Side::envoy(platform, binary, world, pki).await)
}

/// The rows that `WAVETANK_ROWS` picks.
fn wanted() -> Vec<Row> {
    let part = std::env::var("WAVETANK_ROWS").unwrap_or_default();
    rows::all().into_iter().filter(|row| row.name.contains(&part)).collect()
}

/// Rows compared, and what the ledger says of them.
struct Tally {
    ledger: Ledger,
    equal: usize,
    known: usize,
    faults: String,
}

impl Default for Tally {
    fn default() -> Self {
        Self { ledger: Ledger::read(), equal: 0, known: 0, faults: String::new() }
    }
}

impl Tally {
    fn add(&mut self, row: &str, differences: &[String]) {
        match (differences.is_empty(), self.ledger.reason(row)) {
            (true, None) => self.equal += 1,
            (false, Some(_)) => self.known += 1,
            (true, Some(_)) => {
                writeln!(self.faults, "{row}: is in the ledger and does not differ").expect("text");
            }
            (false, None) => {
                writeln!(self.faults, "{row}: (Envoy's first)\n  {}", differences.join("\n  ")).expect("text");
            }
        }
    }

    fn judge(self) {
        let Self { equal, known, faults, .. } = self;
        println!("{equal} rows equal, {known} rows differ for a reason");
        assert!(faults.is_empty(), "\n{faults}");
    }
}

#[test]
fn the_ledger_lists_rows_that_exist() {
    let rows = rows::all();
    // Those of records are compared where scenarios run live.
    for row in Ledger::read().rows().filter(|row| !row.starts_with("records/")) {
        // Lines are compared of rows that have them in a fixed order alone.
        let (name, lines) = row.strip_prefix("log/").map_or((row, false), |name| (name, true));
        let is_compared = rows.iter().any(|row| row.name == name && (!lines || row.has_fixed_log()));
        assert!(is_compared, "there is no row `{row}`");
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
