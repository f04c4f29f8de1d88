//! Chains that were found good, so that a peer who comes again costs no second proof of the same signatures,
//! which is a quarter of what a handshake computes.
//!
//! Why this never accepts what a fresh look would refuse: a verdict depends on the bytes of the chain, on the
//! role of the peer, on the roots, the accepted names and the algorithms, and on the time. The first two are
//! in the digest that a chain is kept by. The next three are one verifier's for its whole life, and what is
//! kept is beside it: new roots make a new verifier, which knows nothing. Of the time it matters only which
//! certificates are in their period of validity. So a verdict is kept when all of the chain are, whether the
//! path to a root needs them or not, and stands as long as all still are; at any other time, later or
//! earlier, the chain is looked at afresh. What was refused is never kept.
//!
//! That the peer holds the key of its leaf is proved in each handshake; nothing of that is kept. A peer with
//! a good certificate may fill this up, by sending it with ever other certificates behind it, which costs
//! others the time of a fresh look.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256};

use super::peer::PeerCertificate;

/// Chains kept for one verifier; when full, all are dropped.
const CHAINS_MAX: usize = 1024;

/// What a peer is judged as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It accepted the connection.
    Server,
    /// It opened the connection.
    Client,
}

/// A chain in a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChainDigest([u8; 32]);

impl ChainDigest {
    pub(super) fn of(role: Role, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Self {
        let mut digest = Sha256::new();
        digest.update([role as u8]);
        for certificate in std::iter::once(leaf).chain(intermediates) {
            digest.update((certificate.len() as u64).to_be_bytes());
            digest.update(certificate);
        }
        Self(digest.finalize().into())
    }
}

/// When every certificate of a chain is valid; both ends are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    from: u64,
    until: u64,
}

impl Validity {
    /// `None` when one does not parse.
    pub(super) fn of(leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Option<Self> {
        std::iter::once(leaf).chain(intermediates).try_fold(Self { from: 0, until: u64::MAX }, |all, certificate| {
            let one = PeerCertificate::parse(certificate)?;
            let (from, until) = (one.not_before.as_secs(), one.not_after.as_secs());
            Some(Self { from: all.from.max(from), until: all.until.min(until) })
        })
    }

    fn contains(self, now: UnixTime) -> bool {
        (self.from..=self.until).contains(&now.as_secs())
    }
}

/// The chains that one verifier has found good.
#[derive(Debug, Default)]
pub(super) struct VerifiedChains {
    by_digest: Mutex<BTreeMap<ChainDigest, Validity>>,
}

impl VerifiedChains {
    /// Whether a fresh look at this chain would find it good again.
    pub(super) fn has(&self, chain: ChainDigest, now: UnixTime) -> bool {
        self.by_digest().get(&chain).is_some_and(|validity| validity.contains(now))
    }

    /// This chain was found good at `now`. It is kept when all of it is valid then.
    pub(super) fn keep(&self, chain: ChainDigest, validity: Option<Validity>, now: UnixTime) {
        let Some(validity) = validity.filter(|validity| validity.contains(now)) else { return };
        let mut by_digest = self.by_digest();
        if by_digest.len() >= CHAINS_MAX {
            by_digest.clear();
        }
        by_digest.insert(chain, validity);
    }

    fn by_digest(&self) -> MutexGuard<'_, BTreeMap<ChainDigest, Validity>> {
        self.by_digest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn chain(number: u64) -> ChainDigest {
        ChainDigest::of(Role::Client, &number.to_be_bytes().to_vec().into(), &[])
    }

    #[test]
    fn a_verdict_stands_from_the_first_to_the_last_second_of_validity() {
        let chains = VerifiedChains::default();
        chains.keep(chain(1), Some(Validity { from: 10, until: 20 }), at(15));
        for (now, stands) in [(9, false), (10, true), (20, true), (21, false), (15, true)] {
            assert_eq!(chains.has(chain(1), at(now)), stands, "{now}");
        }
        assert!(!chains.has(chain(2), at(15)));
        chains.keep(chain(2), Some(Validity { from: 10, until: 20 }), at(21));
        chains.keep(chain(3), None, at(15));
        assert!(!chains.has(chain(2), at(15)) && !chains.has(chain(3), at(15)));
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let chains = VerifiedChains::default();
        let validity = Some(Validity { from: 0, until: 20 });
        for number in 0..=CHAINS_MAX as u64 {
            chains.keep(chain(number), validity, at(1));
            assert!(chains.by_digest().len() <= CHAINS_MAX);
        }
        assert!(chains.has(chain(CHAINS_MAX as u64), at(1)));
    }

    #[test]
    fn the_digest_tells_roles_orders_and_borders_apart() {
        let der = |bytes: &[u8]| CertificateDer::from(bytes.to_vec());
        let (a, b, ab, none) = (der(b"a"), der(b"b"), der(b"ab"), der(b""));
        let all = [
            ChainDigest::of(Role::Client, &a, &[]),
            ChainDigest::of(Role::Server, &a, &[]),
            ChainDigest::of(Role::Client, &a, std::slice::from_ref(&b)),
            ChainDigest::of(Role::Client, &b, std::slice::from_ref(&a)),
            ChainDigest::of(Role::Client, &ab, &[]),
            ChainDigest::of(Role::Client, &ab, std::slice::from_ref(&none)),
            ChainDigest::of(Role::Client, &a, &[b.clone(), none]),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    }
}
