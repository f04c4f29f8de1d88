//! TLS primitives of the door: a rustls provider whose randomness is the host's, and a wall clock for
//! certificate validity.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime as PkiTime;

use crate::Clock;

/// What rustls needs from the host.
#[derive(Clone)]
pub struct Crypto {
    /// Cipher suites, key exchange and randomness. X25519 is the only key exchange offered, so that hosts
    /// differ in nothing but where their random bytes come from.
    pub provider: Arc<CryptoProvider>,
    /// The wall clock that decides whether a certificate is valid.
    pub time: Arc<dyn TimeProvider>,
}

impl Crypto {
    /// A provider that judges certificates by `clock`.
    pub fn new(provider: Arc<CryptoProvider>, clock: Arc<dyn Clock>) -> Self {
        Self { provider, time: Arc::new(ClockTime(clock)) }
    }
}

impl std::fmt::Debug for Crypto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Crypto(..)")
    }
}

#[derive(Debug)]
struct ClockTime(Arc<dyn Clock>);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<PkiTime> {
        Some(PkiTime::since_unix_epoch(self.0.unix().since_epoch()))
    }
}
