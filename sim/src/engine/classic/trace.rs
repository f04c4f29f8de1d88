//! What passed over turmoil's network: counts, and a hash by which two runs are compared.
//!
//! Messages are hashed connection by connection. Which of two connections of a host speaks first within a
//! millisecond is not the same in every run: tokio wakes the waiters of a `watch` channel in an order that no
//! seed reaches. The first engine collects what sockets have to send in the order of the sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sha2::{Digest, Sha256};

use crate::engine::heap::Nanos;
use crate::engine::trace::{Stats, v4};

/// The messages so far.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// By sender and receiver.
    connections: BTreeMap<(SocketAddr, SocketAddr), Sha256>,
    packets: u64,
    bytes: u64,
}

impl Trace {
    /// A message of `len` bytes was sent at `at`.
    pub(super) fn add(&mut self, at: Nanos, from: SocketAddr, to: SocketAddr, len: usize) {
        let hash = self.connections.entry((from, to)).or_default();
        hash.update(at.to_le_bytes());
        hash.update((len as u64).to_le_bytes());
        self.packets += 1;
        self.bytes += len as u64;
    }

    /// SHA-256 over each direction of each connection: its ends, and the SHA-256 over (time, length) of its
    /// messages.
    pub(super) fn hash(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        for ((from, to), hash) in &self.connections {
            for end in [from, to] {
                all.update(v4(end.ip()).to_le_bytes());
                all.update(end.port().to_le_bytes());
            }
            all.update(hash.clone().finalize());
        }
        all.finalize().into()
    }

    pub(super) fn stats(&self) -> Stats {
        Stats { packets: self.packets, bytes: self.bytes, ..Stats::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_counts_within_a_connection_and_not_between_two() {
        let [a, b, c] = ["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"].map(|end| end.parse::<SocketAddr>().unwrap());
        let hash = |messages: &[(SocketAddr, SocketAddr, usize)]| {
            let mut trace = Trace::default();
            messages.iter().for_each(|(from, to, len)| trace.add(1, *from, *to, *len));
            trace.hash()
        };
        assert_eq!(hash(&[(a, b, 1), (a, c, 2)]), hash(&[(a, c, 2), (a, b, 1)]));
        assert_ne!(hash(&[(a, b, 1), (a, b, 2)]), hash(&[(a, b, 2), (a, b, 1)]));
        assert_ne!(hash(&[(a, b, 1)]), hash(&[(b, a, 1)]));
    }
}
