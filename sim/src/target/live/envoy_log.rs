//! What an Envoy writes, as the records that our proxy would have made.
//!
//! A line about a request comes after the lines about its attempts, which have the same request id and the same end of
//! the caller's connection.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wavetank_control::generate::observation::{ATTEMPT, ATTEMPT_FIELDS, REQUEST, REQUEST_FIELDS, SEPARATOR};
use wavetank_platform::{Instant, UnixTime};
use wavetank_proxy::record::{Attempt, Decision, Direction, Flag, Leg, Protocol, Provenance, Record, TlsState};

use super::tail::Lines;

/// Port that captured calls of a workload arrive on.
const OUTBOUND_PORT: u16 = 15001;
/// Streams whose request has not ended yet, at most.
const OPEN_MAX: usize = 100_000;

/// The records of one process of Envoy.
#[derive(Debug)]
pub(super) struct EnvoyLog {
    lines: Lines,
    node: Arc<str>,
    is_gateway: bool,
    /// The wall-clock time at which our own clock begins.
    epoch: UnixTime,
    /// Attempts of requests whose own line has not come.
    open: BTreeMap<Key, Vec<Attempt>>,
    pub(super) records: Vec<Record>,
}

/// What the lines of one request share: its id, and the caller's end of the connection.
type Key = (String, String);

/// The fields of a line by name; those that say nothing are left out.
struct Fields<'a>(BTreeMap<&'static str, &'a str>);

impl<'a> Fields<'a> {
    fn of(names: &[(&'static str, &str)], values: &[&'a str]) -> Option<Self> {
        let pairs = names.iter().map(|(name, _)| *name).zip(values.iter().copied());
        (names.len() == values.len()).then(|| Self(pairs.filter(|(_, value)| !matches!(*value, "" | "-")).collect()))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    fn text(&self, name: &str) -> Option<Arc<str>> {
        self.get(name).map(Into::into)
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// A moment written as seconds and nanoseconds.
    fn moment(&self, name: &str) -> Option<Duration> {
        let (seconds, nanos) = self.get(name)?.split_once('.')?;
        Some(Duration::new(seconds.parse().ok()?, nanos.parse().ok()?))
    }

    fn tls(&self, version: &str, peer: &str) -> TlsState {
        match (self.get(version), self.text(peer)) {
            (_, Some(peer)) => TlsState::Mutual { peer },
            (Some(_), None) => TlsState::Simple,
            (None, None) => TlsState::Plaintext,
        }
    }

    fn leg(&self, local: &str, remote: &str, version: &str, peer: &str) -> Option<Leg> {
        Some(Leg { local: self.parsed(local)?, remote: self.parsed(remote)?, tls: self.tls(version, peer) })
    }
}

impl EnvoyLog {
    /// The records of an Envoy named `node`, from what it writes to `path`; our clock began at `epoch`.
    pub(super) fn of(path: &Path, node: String, is_gateway: bool, epoch: UnixTime) -> Self {
        let node = node.into();
        Self { lines: Lines::of(path), node, is_gateway, epoch, open: BTreeMap::new(), records: Vec::new() }
    }

    /// Reads what was added.
    ///
    /// Errs when the file cannot be read or has a line that is none of ours.
    pub(super) fn update(&mut self) -> io::Result<()> {
        for line in self.lines.take()? {
            let values: Vec<&str> = line.split(SEPARATOR).collect();
            let known = match values.split_first() {
                Some((&ATTEMPT, values)) => {
                    Fields::of(&ATTEMPT_FIELDS, values).and_then(|fields| self.attempt(&fields))
                }
                Some((&REQUEST, values)) => {
                    Fields::of(&REQUEST_FIELDS, values).and_then(|fields| self.request(&fields))
                }
                _ => None,
            };
            known.ok_or_else(|| io::Error::other(format!("not a line of an access log: `{line}`")))?;
        }
        Ok(())
    }

    fn ours(&self, unix: Duration) -> Instant {
        Instant::from_start(unix.saturating_sub(self.epoch.since_epoch()))
    }

    fn attempt(&mut self, fields: &Fields<'_>) -> Option<()> {
        let key = key(fields);
        let attempt = self.attempt_of(fields)?;
        // One that never ends is of no use to anyone.
        if self.open.len() >= OPEN_MAX {
            self.open.pop_first();
        }
        self.open.entry(key).or_default().push(attempt);
        Some(())
    }

    fn attempt_of(&self, fields: &Fields<'_>) -> Option<Attempt> {
        let status = fields.parsed("status").filter(|status| *status != 0);
        let failure = fields.text("flags").filter(|_| status.is_none());
        Some(Attempt {
            // Counted when the request's own line comes.
            number: 1,
            cluster: fields.text("cluster").unwrap_or_default(),
            endpoint: fields.parsed("endpoint"),
            start: self.ours(fields.moment("start")?),
            duration: Duration::from_millis(fields.parsed("duration_ms").unwrap_or(0)),
            status,
            upstream: fields.leg("upstream_local", "endpoint", "upstream_tls", "upstream_peer"),
            failure,
            transport_failure: fields.text("transport_failure"),
        })
    }

    fn request(&mut self, fields: &Fields<'_>) -> Option<()> {
        let protocol = match fields.get("protocol") {
            Some("HTTP/2") => Protocol::Http2,
            Some(_) => Protocol::Http1,
            None => Protocol::Tcp,
        };
        let mut attempts = self.open.remove(&key(fields)).unwrap_or_default();
        attempts.sort_by_key(|attempt| attempt.start);
        for (number, attempt) in (1..).zip(&mut attempts) {
            attempt.number = number;
        }
        if protocol == Protocol::Tcp && fields.get("endpoint").is_some() {
            attempts.extend(self.attempt_of(fields));
        }
        let local: SocketAddr = fields.parsed("downstream_local")?;
        let direction = match local.port() {
            _ if self.is_gateway => Direction::Gateway,
            OUTBOUND_PORT => Direction::Outbound,
            _ => Direction::Inbound,
        };
        let millis = || fields.parsed("duration_ms").map(Duration::from_millis);
        let duration = fields.parsed("duration_ns").map(Duration::from_nanos).or_else(millis)?;
        let flags = fields.get("flags").unwrap_or_default().split(',').filter_map(flag).collect();
        self.records.push(Record {
            node: self.node.clone(),
            direction,
            start: self.ours(fields.moment("start")?),
            duration,
            protocol,
            downstream: fields.leg("downstream_local", "downstream_remote", "downstream_tls", "downstream_peer")?,
            original_dst: fields.parsed("downstream_original").filter(|dst| *dst != local),
            sni: fields.text("sni"),
            method: fields.text("method").unwrap_or_default(),
            authority: fields.text("authority").unwrap_or_default(),
            path: fields.text("path").unwrap_or_default(),
            request_id: fields.text("request_id"),
            user_agent: fields.text("user_agent"),
            status: fields.parsed("status").unwrap_or(0),
            flags,
            details: fields.text("details").unwrap_or_default(),
            bytes_received: fields.parsed("bytes_received").unwrap_or(0),
            bytes_sent: fields.parsed("bytes_sent").unwrap_or(0),
            decision: decision(fields),
            attempts,
        });
        Some(())
    }
}

fn key(fields: &Fields<'_>) -> Key {
    let text = |name| fields.get(name).unwrap_or_default().to_owned();
    (text("request_id"), text("downstream_remote"))
}

fn decision(fields: &Fields<'_>) -> Decision {
    let route_from = || {
        Some(Provenance {
            file: fields.text("route_file")?,
            line: whole(fields.get("route_line")?)?,
            column: whole(fields.get("route_column")?)?,
        })
    };
    let cluster_from = || {
        let from: serde_json::Value = serde_json::from_str(fields.get("cluster_from")?).ok()?;
        let number = |key: &str| u32::try_from(from[key].as_f64()? as i64).ok();
        Some(Provenance { file: from["file"].as_str()?.into(), line: number("line")?, column: number("column")? })
    };
    Decision {
        filter_chain: fields.text("filter_chain"),
        route: fields.text("route"),
        route_from: route_from(),
        cluster: fields.text("cluster"),
        cluster_from: cluster_from(),
        ..Decision::default()
    }
}

/// A whole number that metadata carries as a floating one.
fn whole(text: &str) -> Option<u32> {
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
}

fn flag(text: &str) -> Option<Flag> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}
