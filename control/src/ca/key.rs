//! Private keys of the authority and of the control plane's server.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use rustls_pki_types::PrivatePkcs8KeyDer;
use wavetank_platform::Entropy;

/// What keys are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyType {
    /// Ed25519, wholly from the door's randomness; signatures have one length, so packets do too. For the
    /// tank: Envoy offers no Ed25519.
    #[default]
    Ed25519,
    /// ECDSA on P-256, understood by every proxy. ring makes such keys from the operating system's random
    /// source alone, so runs are not repeatable.
    EcdsaP256,
}

/// PKCS#8 (RFC 8410 §7) up to the 32 bytes of an Ed25519 private key.
const ED25519_PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A new private key of type `key_type`, drawn from `entropy`.
///
/// Errs when the crypto library refuses to make one.
pub fn generate(key_type: KeyType, entropy: &Entropy) -> Result<KeyPair, rcgen::Error> {
    match key_type {
        KeyType::Ed25519 => {
            let mut der = ED25519_PKCS8_PREFIX.to_vec();
            let mut secret = [0; 32];
            entropy.stream().fill(&mut secret);
            der.extend_from_slice(&secret);
            KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &PKCS_ED25519)
        }
        KeyType::EcdsaP256 => generate_p256(),
    }
}

#[expect(clippy::disallowed_methods, reason = "ring derives no P-256 key from given bytes; live hosts only")]
fn generate_p256() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_entropy_gives_the_same_ed25519_key() {
        let [a, b, c] = [1, 1, 2].map(|seed| {
            let key = generate(KeyType::Ed25519, &Entropy::from_seed(seed)).expect("a key");
            key.serialize_der()
        });
        assert_eq!(a, b);
        assert_ne!(a, c);
    }
}
