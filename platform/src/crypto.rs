//! TLS primitives of the door: a rustls provider whose randomness is the host's, and a wall clock for
//! certificate validity.

use std::sync::Arc;

use rustls::SupportedCipherSuite;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::cipher_suite as suite;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime as PkiTime;

use crate::Clock;

/// Cipher suites of every host, ring's, in the order in which Envoy's clients offer them on a processor that has
/// instructions for AES. A server, Envoy's too, takes the first that it has, and AES-128 comes with SHA-256, for
/// which processors have instructions as well.
const CIPHER_SUITES: [SupportedCipherSuite; 9] = [
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS13_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

/// What rustls needs from the host.
#[derive(Clone)]
pub struct Crypto {
    /// Cipher suites in the order of Envoy's clients, key exchange and randomness. X25519 is the only key
    /// exchange offered, so that hosts differ in nothing but where their random bytes come from.
    pub provider: Arc<CryptoProvider>,
    /// The wall clock that decides whether a certificate is valid.
    pub time: Arc<dyn TimeProvider>,
}

impl Crypto {
    /// `provider`'s key exchange, signatures and randomness, with the cipher suites of Envoy's clients; certificates are
    /// judged by `clock`.
    pub fn new(provider: Arc<CryptoProvider>, clock: Arc<dyn Clock>) -> Self {
        let suites = CIPHER_SUITES.to_vec();
        let provider = CryptoProvider { cipher_suites: suites, ..Arc::unwrap_or_clone(provider) };
        Self { provider: Arc::new(provider), time: Arc::new(ClockTime(clock)) }
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
