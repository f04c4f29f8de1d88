//! What an Envoy's outlier detection writes (`envoy.data.cluster.v3.OutlierDetectionEvent` as JSON), as ejections.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wavetank_platform::{Instant, UnixTime};
use wavetank_proxy::ejection::{Ejection, EjectionAction, EjectionKind, Rates};

use super::tail::Lines;

/// The ejections of one process of Envoy.
#[derive(Debug)]
pub(super) struct EnvoyEvents {
    lines: Lines,
    node: Arc<str>,
    /// The wall-clock time at which our own clock begins.
    epoch: UnixTime,
    pub(super) ejections: Vec<Ejection>,
}

/// A line. What is 0 or false is left out of it.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(default = "first_kind", rename = "type", deserialize_with = "kind")]
    kind: EjectionKind,
    timestamp: String,
    cluster_name: Arc<str>,
    upstream_url: SocketAddr,
    #[serde(default)]
    action: Action,
    #[serde(default)]
    num_ejections: u32,
    #[serde(default)]
    enforced: bool,
    /// A count of seconds, as text.
    secs_since_last_action: Option<String>,
    eject_success_rate_event: Option<SuccessRate>,
    eject_failure_percentage_event: Option<FailurePercentage>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Action {
    #[default]
    Eject,
    Uneject,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct SuccessRate {
    host_success_rate: u32,
    cluster_average_success_rate: u32,
    cluster_success_rate_ejection_threshold: u32,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct FailurePercentage {
    host_success_rate: u32,
}

impl EnvoyEvents {
    /// The ejections by an Envoy named `node`, from what it writes to `path`; our clock began at `epoch`.
    pub(super) fn of(path: &Path, node: String, epoch: UnixTime) -> Self {
        Self { lines: Lines::of(path), node: node.into(), epoch, ejections: Vec::new() }
    }

    /// Reads what was added.
    ///
    /// Errs when the file cannot be read or has a line that is no event.
    pub(super) fn update(&mut self) -> io::Result<()> {
        for line in self.lines.take()? {
            let failed = |error: &dyn std::fmt::Display| io::Error::other(format!("{error} in `{line}`"));
            let event: Event = serde_json::from_str(&line).map_err(|error| failed(&error))?;
            let at = OffsetDateTime::parse(&event.timestamp, &Rfc3339).map_err(|error| failed(&error))?;
            let at = u64::try_from(at.unix_timestamp_nanos()).map_err(|error| failed(&error))?;
            let at = Duration::from_nanos(at).saturating_sub(self.epoch.since_epoch());
            self.ejections.push(event.ejection(&self.node, Instant::from_start(at)));
        }
        Ok(())
    }
}

impl Event {
    fn ejection(&self, node: &Arc<str>, at: Instant) -> Ejection {
        let action = match self.action {
            Action::Uneject => EjectionAction::Uneject,
            Action::Eject => EjectionAction::Eject { kind: self.kind, enforced: self.enforced, rates: self.rates() },
        };
        let since = self.secs_since_last_action.as_ref().and_then(|seconds| seconds.parse().ok());
        Ejection {
            node: node.clone(),
            at,
            cluster: self.cluster_name.clone(),
            endpoint: self.upstream_url,
            action,
            ejections: self.num_ejections,
            since_last_action: since.map(Duration::from_secs),
        }
    }

    fn rates(&self) -> Option<Rates> {
        let by_success = self.eject_success_rate_event.map(|own| Rates {
            host: own.host_success_rate,
            cluster: Some((own.cluster_average_success_rate, own.cluster_success_rate_ejection_threshold)),
        });
        let by_failure = || {
            let own = self.eject_failure_percentage_event?;
            Some(Rates { host: own.host_success_rate, cluster: None })
        };
        by_success.or_else(by_failure)
    }
}

/// A kind by Envoy's name, which is ours in capitals; the first of them is left out.
fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EjectionKind, D::Error> {
    let name = String::deserialize(deserializer)?.to_ascii_lowercase();
    EjectionKind::deserialize(name.into_deserializer())
}

fn first_kind() -> EjectionKind {
    EjectionKind::Consecutive5xx
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_an_ejection_by_its_kind() {
        let event = |kind: &str| {
            let line = format!(
                r#"{{{kind}"timestamp":"2026-11-29T02:47:01.5Z","cluster_name":"c","upstream_url":"10.244.0.12:80","num_ejections":1,"enforced":true}}"#
            );
            let event: Event = serde_json::from_str(&line).unwrap();
            event.ejection(&"node".into(), Instant::START)
        };
        let ejected = |kind| EjectionAction::Eject { kind, enforced: true, rates: None };
        assert_eq!(event("").action, ejected(EjectionKind::Consecutive5xx));
        let named = r#""type":"CONSECUTIVE_GATEWAY_FAILURE","#;
        assert_eq!(event(named).action, ejected(EjectionKind::ConsecutiveGatewayFailure));
        assert_eq!(event(r#""action":"UNEJECT","#).action, EjectionAction::Uneject);
    }
}
