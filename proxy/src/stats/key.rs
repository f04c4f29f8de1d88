//! What tells one request from another in the metrics, read from its record without copying; and a fast hash.

use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use indexmap::Equivalent;

use crate::record::{Direction, Flag, Grpc, Protocol, Record, TlsState};

/// Every flag, in the order in which they are printed.
const FLAGS: [Flag; 19] = [
    Flag::UH,
    Flag::UF,
    Flag::UO,
    Flag::NR,
    Flag::URX,
    Flag::NC,
    Flag::UT,
    Flag::UC,
    Flag::UPE,
    Flag::UR,
    Flag::LR,
    Flag::DC,
    Flag::DPE,
    Flag::DR,
    Flag::SI,
    Flag::DI,
    Flag::FI,
    Flag::RL,
    Flag::UAEX,
];

/// A set of response flags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct FlagSet(u32);

impl FlagSet {
    fn of(flags: &[Flag]) -> Self {
        Self(flags.iter().fold(0, |set, flag| set | 1 << (*flag as u32)))
    }

    /// Whether `flag` is in it.
    pub(crate) fn has(self, flag: Flag) -> bool {
        self.0 & 1 << (flag as u32) != 0
    }
}

impl std::fmt::Display for FlagSet {
    /// As access logs print them: `UF,URX`, or `-` for none.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == 0 {
            return f.write_str("-");
        }
        let set: Vec<String> =
            FLAGS.iter().filter(|flag| self.has(**flag)).map(std::string::ToString::to_string).collect();
        f.write_str(&set.join(","))
    }
}

/// What tells requests and connections apart, as it stands in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Seen<'a> {
    pub(crate) direction: Direction,
    pub(crate) protocol: Protocol,
    pub(crate) status: u16,
    pub(crate) flags: FlagSet,
    /// Cluster; empty for none.
    pub(crate) cluster: &'a str,
    /// Whether the caller's connection was mutual TLS, and by whom.
    pub(crate) downstream: Option<&'a str>,
    /// Whether the endpoint's connection was mutual TLS, and to whom.
    pub(crate) upstream: Option<&'a str>,
    /// Whose endpoint it was, as its metadata says.
    pub(crate) workload: Option<&'a str>,
    /// Of a gRPC call: how it ended.
    pub(crate) grpc: Option<Grpc>,
}

/// Stands for a cluster where there are too many sets of labels.
const OVERFLOW: &str = "overflow";

impl<'a> Seen<'a> {
    /// What is left of it where there are too many.
    pub(crate) fn overflow(&self) -> Seen<'static> {
        Seen {
            direction: self.direction,
            protocol: self.protocol,
            status: 0,
            flags: FlagSet::default(),
            cluster: OVERFLOW,
            downstream: None,
            upstream: None,
            workload: None,
            grpc: None,
        }
    }

    /// What `record` says.
    pub(crate) fn of(record: &'a Record) -> Self {
        Self {
            direction: record.direction,
            protocol: record.protocol,
            status: record.status,
            flags: FlagSet::of(&record.flags),
            cluster: record.decision.cluster.as_deref().unwrap_or_default(),
            downstream: mutual(&record.downstream.tls),
            upstream: record.upstream().and_then(|leg| mutual(&leg.tls)),
            workload: record.workload(),
            grpc: record.grpc,
        }
    }
}

fn mutual(tls: &TlsState) -> Option<&str> {
    match tls {
        TlsState::Mutual { peer } => Some(peer),
        TlsState::Plaintext | TlsState::Simple => None,
    }
}

/// The same, kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    direction: Direction,
    protocol: Protocol,
    status: u16,
    flags: FlagSet,
    cluster: Arc<str>,
    downstream: Option<Arc<str>>,
    upstream: Option<Arc<str>>,
    workload: Option<Arc<str>>,
    grpc: Option<Grpc>,
}

impl Key {
    /// Keeps what was seen.
    pub(crate) fn keep(seen: &Seen<'_>) -> Self {
        Self {
            direction: seen.direction,
            protocol: seen.protocol,
            status: seen.status,
            flags: seen.flags,
            cluster: seen.cluster.into(),
            downstream: seen.downstream.map(Into::into),
            upstream: seen.upstream.map(Into::into),
            workload: seen.workload.map(Into::into),
            grpc: seen.grpc,
        }
    }

    /// As it was seen.
    pub(crate) fn seen(&self) -> Seen<'_> {
        Seen {
            direction: self.direction,
            protocol: self.protocol,
            status: self.status,
            flags: self.flags,
            cluster: &self.cluster,
            downstream: self.downstream.as_deref(),
            upstream: self.upstream.as_deref(),
            workload: self.workload.as_deref(),
            grpc: self.grpc,
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.seen().hash(state);
    }
}

impl Equivalent<Key> for Seen<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.seen()
    }
}

/// Builds [`Folding`].
pub(crate) type Fold = BuildHasherDefault<Folding>;

/// A hash for small tables of bounded size: each eight bytes are multiplied in, and the two halves of the
/// product folded together. Whoever finds keys that collide makes look-ups in a full table slower, no more.
#[derive(Debug, Default)]
pub(crate) struct Folding(u64);

impl Folding {
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.fold(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        self.fold(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }

    fn write_u8(&mut self, value: u8) {
        self.fold(value.into());
    }

    fn write_u16(&mut self, value: u16) {
        self.fold(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.fold(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.fold(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.fold(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    #[test]
    fn flags_are_printed_as_access_logs_do() {
        assert_eq!(FlagSet::of(&[]).to_string(), "-");
        assert_eq!(FlagSet::of(&[Flag::URX, Flag::UF]).to_string(), "UF,URX");
        for flag in FLAGS {
            assert_eq!(FlagSet::of(&[flag]).to_string(), flag.to_string());
        }
    }

    #[test]
    fn a_kept_key_is_found_by_what_was_seen_and_by_nothing_else() {
        let seen = Seen {
            direction: Direction::Outbound,
            protocol: Protocol::Http1,
            status: 200,
            flags: FlagSet::default(),
            cluster: "outbound|80||a.b.svc.cluster.local",
            downstream: None,
            upstream: Some("spiffe://cluster.local/ns/b/sa/a"),
            workload: Some("a;b;a;v1;Kubernetes"),
            grpc: None,
        };
        let (key, build) = (Key::keep(&seen), Fold::default());
        assert!(seen.equivalent(&key));
        assert_eq!(build.hash_one(seen), build.hash_one(&key));
        let others = [
            Seen { status: 201, ..seen },
            Seen { cluster: "outbound|80||a.b.svc.cluster.loca", ..seen },
            Seen { upstream: None, ..seen },
            Seen { workload: Some("a;b;a;v2;Kubernetes"), ..seen },
            Seen { grpc: Some(Grpc { status: Some(0) }), ..seen },
            Seen { flags: FlagSet::of(&[Flag::UF]), ..seen },
        ];
        for other in others {
            assert!(!other.equivalent(&key));
            assert_ne!(build.hash_one(other), build.hash_one(&key), "{other:?}");
        }
    }
}
