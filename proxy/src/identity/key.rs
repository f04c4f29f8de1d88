//! A private key and the certificate signing request (PKCS #10) for it.

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use wavetank_platform::RandomStream;

use crate::bootstrap::KeyType;

/// PKCS #8 (RFC 5958, RFC 8410) of an Ed25519 key up to its 32 bytes: version 0, algorithm 1.3.101.112,
/// an octet string within an octet string.
const ED25519_PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A private key. Never shown by `Debug`.
pub struct Key {
    pair: KeyPair,
}

impl Key {
    /// Makes a new key; an Ed25519 key is the next 32 bytes of `random`.
    ///
    /// Errs when ring gives no randomness for a P-256 key.
    pub fn generate(kind: KeyType, random: &mut RandomStream) -> Result<Self, rcgen::Error> {
        let pair = match kind {
            KeyType::Ed25519 => {
                let mut pkcs8 = [0; 48];
                pkcs8[..16].copy_from_slice(&ED25519_PKCS8);
                random.fill(&mut pkcs8[16..]);
                KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(&pkcs8[..]), &PKCS_ED25519)?
            }
            KeyType::EcdsaP256 => ring_p256()?,
        };
        Ok(Self { pair })
    }

    /// The request, PEM, for a certificate with `identity` as its URI name and an empty subject.
    ///
    /// Errs when `identity` is not ASCII.
    pub fn signing_request(&self, identity: &str) -> Result<String, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![SanType::URI(identity.try_into()?)];
        params.serialize_request(&self.pair)?.pem()
    }

    /// For signing with rcgen.
    pub fn pair(&self) -> &KeyPair {
        &self.pair
    }

    /// PKCS #8.
    pub fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.pair.serialize_der()).into()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "ring makes P-256 keys, and later each signature, with its own randomness"
)]
fn ring_p256() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_platform::Entropy;

    #[test]
    fn equal_entropy_gives_equal_requests_and_the_next_key_is_another() {
        let mut random = Entropy::from_seed(7).stream();
        let first = Key::generate(KeyType::Ed25519, &mut random).unwrap();
        let second = Key::generate(KeyType::Ed25519, &mut random).unwrap();
        let again = Key::generate(KeyType::Ed25519, &mut Entropy::from_seed(7).stream()).unwrap();
        let request = |key: &Key| key.signing_request("spiffe://cluster.local/ns/a/sa/b").unwrap();
        assert_eq!(request(&first), request(&again));
        assert_ne!(request(&first), request(&second));
        assert_eq!(request(&first).len(), request(&second).len());
    }

    #[test]
    fn a_p256_key_signs_a_request_too() {
        let key = Key::generate(KeyType::EcdsaP256, &mut Entropy::from_seed(1).stream()).unwrap();
        let request = key.signing_request("spiffe://cluster.local/ns/a/sa/b").unwrap();
        assert!(request.starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
    }
}
