//! `/config_dump` and `/certs`: the configuration in force and the certificates, as JSON. Keys are never in
//! it: a configuration names its secrets, and of those only what a peer is shown anyway is told.

use serde::Serialize;
use wavetank_platform::UnixTime;

use super::view::View;
use crate::bootstrap::Bootstrap;
use crate::snapshot::Snapshot;

#[derive(Serialize)]
struct Dump<'a> {
    bootstrap: &'a Bootstrap,
    snapshot: &'a Snapshot,
}

/// What the process was started with and what xDS has told it since.
pub(super) fn dump(view: &View) -> serde_json::Result<Vec<u8>> {
    let snapshot = view.process.store.current();
    serde_json::to_vec_pretty(&Dump { bootstrap: &view.bootstrap, snapshot: &snapshot })
}

#[derive(Serialize)]
struct Certificates {
    certificates: Vec<Certificate>,
    /// Names of the roots that are there.
    roots: Vec<String>,
}

#[derive(Serialize)]
struct Certificate {
    name: String,
    subject_alt_names: Vec<String>,
    valid_from: String,
    expiration_time: String,
    days_until_expiration: u64,
}

/// The certificates in force, without their keys.
pub(super) fn certificates(view: &View) -> serde_json::Result<Vec<u8>> {
    let now = view.clock.unix();
    let (certificates, roots) = view.secrets().names();
    let certificate = |name: &crate::snapshot::tls::SecretName| {
        let found = view.secrets().certificate(name)?;
        let left = found.not_after().as_secs().saturating_sub(now.as_secs());
        Some(Certificate {
            name: name.0.to_string(),
            subject_alt_names: found.uri().map(ToString::to_string).into_iter().collect(),
            valid_from: date(found.not_before()),
            expiration_time: date(found.not_after()),
            days_until_expiration: left / 86_400,
        })
    };
    serde_json::to_vec_pretty(&Certificates {
        certificates: certificates.iter().filter_map(certificate).collect(),
        roots: roots.iter().map(|name| name.0.to_string()).collect(),
    })
}

fn date(time: UnixTime) -> String {
    httpdate::fmt_http_date(time.to_system_time())
}
