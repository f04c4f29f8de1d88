//! What an Envoy writes, as the records that our proxy would have made.
//!
//! A line about a request comes after the lines about its attempts, which have the same connection and request id; but
//! where the caller left, the attempt that was under way is told behind it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use wavetank_platform::{Instant, UnixTime};
use wavetank_proxy::record::{Attempt, Decision, Direction, Flag, Leg, Protocol, Provenance, Record, TlsState};

use super::tail::Lines;

/// Streams whose request has not ended yet, at most.
const OPEN_MAX: usize = 100_000;

/// The records of one process of Envoy.
#[derive(Debug)]
pub(super) struct EnvoyLog {
    lines: Lines,
    node: Arc<str>,
    /// The wall-clock time at which our own clock begins.
    epoch: UnixTime,
    /// Attempts of requests whose own line has not come.
    open: BTreeMap<Key, Vec<Attempt>>,
    /// Positions of records that lack an attempt.
    lacking: BTreeMap<Key, usize>,
    pub(super) records: Vec<Record>,
}

/// What the lines of one request share: the caller's connection, and the request's id.
type Key = (u64, String);

/// The fields of a line by name. What is not known is null.
#[derive(Debug, Deserialize)]
struct Fields(Map<String, Value>);

impl Fields {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn str(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    fn text(&self, name: &str) -> Option<Arc<str>> {
        self.str(name).map(Into::into)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    fn address(&self, name: &str) -> Option<SocketAddr> {
        self.str(name)?.parse().ok()
    }

    fn status(&self) -> u16 {
        self.number("status").and_then(|status| u16::try_from(status).ok()).unwrap_or(0)
    }

    /// A moment written as seconds and nanoseconds.
    fn moment(&self, name: &str) -> Option<Duration> {
        let (seconds, nanos) = self.str(name)?.split_once('.')?;
        Some(Duration::new(seconds.parse().ok()?, nanos.parse().ok()?))
    }

    fn place(&self, name: &str) -> Option<Provenance> {
        let from = self.get(name)?;
        let number = |key: &str| from[key].as_f64().filter(|own| own.fract() == 0.0).map(|own| own as u32);
        Some(Provenance { file: from["file"].as_str()?.into(), line: number("line")?, column: number("column")? })
    }

    fn tls(&self, version: &str, peer: &str) -> TlsState {
        match (self.str(version), self.text(peer)) {
            (_, Some(peer)) => TlsState::Mutual { peer },
            (Some(_), None) => TlsState::Simple,
            (None, None) => TlsState::Plaintext,
        }
    }

    fn downstream(&self) -> Option<Leg> {
        let tls = self.tls("downstream_tls_version", "downstream_peer_uri_san");
        let local = self.address("downstream_direct_local")?;
        Some(Leg { local, remote: self.address("downstream_direct_remote")?, tls })
    }

    fn upstream(&self) -> Option<Leg> {
        let tls = self.tls("upstream_tls_version", "upstream_peer_uri_san");
        let remote = self.address("upstream_remote").or_else(|| self.address("upstream_host"))?;
        Some(Leg { local: self.address("upstream_local")?, remote, tls })
    }

    /// The connection and the id of a request.
    fn key(&self) -> Key {
        (self.number("connection_id").unwrap_or(0), self.str("request_id").unwrap_or_default().to_owned())
    }
}

impl EnvoyLog {
    /// The records of an Envoy named `node`, from what it writes to `path`; our clock began at `epoch`.
    pub(super) fn of(path: &Path, node: String, epoch: UnixTime) -> Self {
        let node = node.into();
        let (open, lacking, records) = Default::default();
        Self { lines: Lines::of(path), node, epoch, open, lacking, records }
    }

    /// Reads what was added.
    ///
    /// Errs when the file cannot be read or has a line that is none of ours.
    pub(super) fn update(&mut self) -> io::Result<()> {
        for line in self.lines.take()? {
            self.line(&line)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        let failed = |why: &dyn std::fmt::Display| io::Error::other(format!("{why} in `{line}`"));
        let fields: Fields = serde_json::from_str(line).map_err(|error| failed(&error))?;
        let known = match fields.str("kind") {
            Some("attempt") => self.attempt(&fields),
            Some("http") => self.request(&fields),
            Some("tcp") => self.connection(&fields),
            // Told again by whoever took it.
            Some("connection") => Some(()),
            _ => None,
        };
        known.ok_or_else(|| failed(&"something is missing"))
    }

    fn ours(&self, unix: Duration) -> Instant {
        Instant::from_start(unix.saturating_sub(self.epoch.since_epoch()))
    }

    fn attempt(&mut self, fields: &Fields) -> Option<()> {
        let attempt = self.attempt_of(fields)?;
        let record = self.lacking.remove(&fields.key()).and_then(|at| self.records.get_mut(at));
        if let Some(record) = record {
            record.attempts.push(Attempt { number: record.attempts.len() as u32 + 1, ..attempt });
            return Some(());
        }
        // One that never ends is of no use to anyone.
        if self.open.len() >= OPEN_MAX {
            self.open.pop_first();
        }
        self.open.entry(fields.key()).or_default().push(attempt);
        Some(())
    }

    fn attempt_of(&self, fields: &Fields) -> Option<Attempt> {
        let status = Some(fields.status()).filter(|status| *status != 0);
        let millis = || fields.number("duration_ms").map(Duration::from_millis);
        Some(Attempt {
            // Counted when the request's own line comes.
            number: 1,
            cluster: fields.text("cluster").unwrap_or_default(),
            endpoint: fields.address("upstream_host"),
            start: self.ours(fields.moment("start")?),
            duration: fields.number("response_head_ns").map(Duration::from_nanos).or_else(millis).unwrap_or_default(),
            status,
            upstream: fields.upstream(),
            workload: None,
            failure: fields.text("flags").filter(|_| status.is_none()),
            transport_failure: fields.text("upstream_transport_failure"),
        })
    }

    fn request(&mut self, fields: &Fields) -> Option<()> {
        let mut attempts = self.open.remove(&fields.key()).unwrap_or_default();
        attempts.sort_by_key(|attempt| attempt.start);
        for (number, attempt) in (1..).zip(&mut attempts) {
            attempt.number = number;
        }
        let made = fields.number("attempts").unwrap_or(0);
        if (attempts.len() as u64) < made && fields.get("upstream_local").is_some() {
            if self.lacking.len() >= OPEN_MAX {
                self.lacking.pop_first();
            }
            self.lacking.insert(fields.key(), self.records.len());
        }
        let protocol = if fields.str("protocol") == Some("HTTP/2") { Protocol::Http2 } else { Protocol::Http1 };
        self.record(fields, protocol, attempts)
    }

    fn connection(&mut self, fields: &Fields) -> Option<()> {
        let attempt = fields.get("upstream_host").and_then(|_| self.attempt_of(fields));
        self.record(fields, Protocol::Tcp, attempt.into_iter().collect())
    }

    fn record(&mut self, fields: &Fields, protocol: Protocol, attempts: Vec<Attempt>) -> Option<()> {
        let direction = match fields.str("direction")? {
            "outbound" => Direction::Outbound,
            "inbound" => Direction::Inbound,
            "gateway" => Direction::Gateway,
            _ => return None,
        };
        let millis = || fields.number("duration_ms").map(Duration::from_millis);
        let duration = fields.number("duration_ns").map(Duration::from_nanos).or_else(millis)?;
        let downstream = fields.downstream()?;
        let flags = fields.str("flags").unwrap_or_default().split(',').filter_map(flag).collect();
        let text = |name: &str| fields.text(name).unwrap_or_default();
        self.records.push(Record {
            node: self.node.clone(),
            direction,
            start: self.ours(fields.moment("start")?),
            duration,
            protocol,
            original_dst: fields.address("downstream_local").filter(|dst| *dst != downstream.local),
            downstream,
            sni: fields.text("sni"),
            method: text("method"),
            authority: text("authority"),
            path: text("path"),
            request_id: fields.text("request_id"),
            user_agent: fields.text("user_agent"),
            status: fields.status(),
            grpc: None,
            flags,
            details: text("details"),
            bytes_received: fields.number("bytes_received").unwrap_or(0),
            bytes_sent: fields.number("bytes_sent").unwrap_or(0),
            decision: Decision {
                listener: fields.text("listener"),
                filter_chain: fields.text("filter_chain"),
                route_config: fields.text("route_config"),
                virtual_host_from: fields.place("virtual_host_from"),
                route: fields.text("route"),
                route_from: fields.place("route_from"),
                cluster: fields.text("cluster"),
                cluster_from: fields.place("cluster_from"),
                ..Decision::default()
            },
            attempts,
        });
        Some(())
    }
}

fn flag(text: &str) -> Option<Flag> {
    serde_json::from_value(Value::String(text.to_owned())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: &str, more: &str) -> String {
        format!(
            r#"{{"kind":"{kind}","connection_id":13,"request_id":"3450","direction":"outbound","start":"7.000000001",
                "duration_ms":300,"status":0,"downstream_direct_local":"127.0.0.1:15001","cluster":"go",
                "downstream_direct_remote":"10.244.0.14:40692","upstream_host":"10.244.0.13:8000",
                "upstream_local":"10.244.0.14:42794","flags":"DC"{more}}}"#
        )
    }

    #[test]
    fn an_attempt_is_its_requests_whether_it_is_told_before_or_behind() {
        let (attempt, request) = (line("attempt", ""), line("http", r#","protocol":"HTTP/1.1","attempts":1"#));
        for lines in [[&attempt, &request], [&request, &attempt]] {
            let mut log = EnvoyLog::of(Path::new("none"), "n".to_owned(), UnixTime::from_epoch(Duration::ZERO));
            for line in lines {
                log.line(line).expect("a line of ours");
            }
            let attempts: Vec<_> = log.records.iter().flat_map(|record| &record.attempts).collect();
            assert_eq!(attempts.len(), 1, "{lines:?}");
            assert_eq!(attempts[0].upstream.as_ref().map(|leg| leg.local.port()), Some(42794));
            assert!(log.open.is_empty() && log.lacking.is_empty());
        }
    }

    #[test]
    fn a_second_attempt_is_its_requests_though_it_is_told_behind() {
        let mut log = EnvoyLog::of(Path::new("none"), "n".to_owned(), UnixTime::from_epoch(Duration::ZERO));
        let (attempt, request) = (line("attempt", ""), line("http", r#","protocol":"HTTP/1.1","attempts":2"#));
        for line in [&attempt, &request, &attempt] {
            log.line(line).expect("a line of ours");
        }
        let numbers: Vec<_> = log.records.iter().flat_map(|record| &record.attempts).map(|own| own.number).collect();
        assert_eq!(numbers, [1, 2]);
        assert!(log.open.is_empty() && log.lacking.is_empty());
    }
}
