//! What the authority signs, for whom and for how long.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair, SanType};
use wavetank_control::ca::{CaConfig, CaError, CertificateAuthority, Identity, KeyType, RootPem, key};
use wavetank_platform::clock::Sleep;
use wavetank_platform::{Clock, Entropy, Instant, UnixTime};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

/// A wall clock that stands still.
#[derive(Debug)]
struct Stopped(UnixTime);

impl Clock for Stopped {
    fn now(&self) -> Instant {
        Instant::START
    }

    fn unix(&self) -> UnixTime {
        self.0
    }

    fn sleep_until(&self, _: Instant) -> Sleep {
        unreachable!("the authority does not sleep")
    }
}

const NOW: u64 = 1_800_000_000;

fn authority(seed: u64, config: CaConfig) -> CertificateAuthority {
    let clock = Arc::new(Stopped(UnixTime::from_epoch(Duration::from_secs(NOW))));
    CertificateAuthority::new(config, clock, &Entropy::from_seed(seed)).expect("an authority")
}

fn request(key: &KeyPair, names: &[&str]) -> String {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names.iter().map(|name| SanType::URI((*name).try_into().expect("a URI"))).collect();
    params.serialize_request(key).expect("a request").pem().expect("PEM")
}

fn sleep_token(ca: &CertificateAuthority) -> String {
    ca.tokens().issue(&Identity::new("cluster.local", "default", "sleep")).expect("a token")
}

fn own_key() -> KeyPair {
    key::generate(KeyType::Ed25519, &Entropy::from_seed(9)).expect("a key")
}

#[test]
fn a_leaf_says_the_callers_identity_and_is_signed_by_the_root() {
    for key_type in [KeyType::Ed25519, KeyType::EcdsaP256] {
        let ca = authority(1, CaConfig { key_type, ..CaConfig::default() });
        let chain = ca.sign(&sleep_token(&ca), &request(&own_key(), &[]), Duration::ZERO).expect("a chain");
        let [leaf, root] = chain.as_slice() else { panic!("leaf and root") };
        assert_eq!(root, ca.root_pem());
        let (_, leaf) = parse_x509_pem(leaf.as_bytes()).expect("PEM");
        let (_, root) = parse_x509_pem(root.as_bytes()).expect("PEM");
        let (leaf, root) = (leaf.parse_x509().expect("a leaf"), root.parse_x509().expect("a root"));
        leaf.verify_signature(Some(root.public_key())).expect("signed by the root");
        root.verify_signature(None).expect("signed by itself");
        assert!(root.is_ca() && !leaf.is_ca());
        let names = &leaf.subject_alternative_name().expect("readable").expect("there").value.general_names;
        assert_eq!(names.as_slice(), [GeneralName::URI("spiffe://cluster.local/ns/default/sa/sleep")]);
        let usage = leaf.extended_key_usage().expect("readable").expect("there").value;
        assert!(usage.server_auth && usage.client_auth);
    }
}

#[test]
fn validity_is_asked_for_within_bounds_and_starts_a_little_early() {
    const DAY: i64 = 24 * 60 * 60;
    let ca = authority(1, CaConfig { root_validity: Duration::from_secs(100 * DAY as u64), ..CaConfig::default() });
    for (asked, given) in [(0, DAY), (60, 60), (80 * DAY, 80 * DAY), (95 * DAY, 90 * DAY)] {
        let asked = Duration::from_secs(asked as u64);
        let chain = ca.sign(&sleep_token(&ca), &request(&own_key(), &[]), asked).expect("a chain");
        let (_, leaf) = parse_x509_pem(chain[0].as_bytes()).expect("PEM");
        let validity = leaf.parse_x509().expect("a leaf").validity().clone();
        assert_eq!(validity.not_before.timestamp(), NOW as i64 - 120);
        assert_eq!(validity.not_after.timestamp(), NOW as i64 + given);
    }
}

#[test]
fn nobody_is_signed_as_somebody_else() {
    let ca = authority(1, CaConfig::default());
    let key = own_key();
    let own = "spiffe://cluster.local/ns/default/sa/sleep";
    let other = "spiffe://cluster.local/ns/default/sa/admin";
    let sign = |token: &str, names: &[&str]| ca.sign(token, &request(&key, names), Duration::ZERO);
    let token = sleep_token(&ca);
    assert!(sign(&token, &[own]).is_ok());
    assert!(matches!(sign(&token, &[other]), Err(CaError::Impersonation { .. })));
    assert!(matches!(sign(&token, &[own, other]), Err(CaError::Impersonation { .. })));
    assert_eq!(sign("", &[own]), Err(CaError::UnknownToken));
    assert_eq!(sign(&format!("{token}0"), &[own]), Err(CaError::UnknownToken));
}

#[test]
fn a_request_that_its_key_did_not_sign_is_refused() {
    let ca = authority(1, CaConfig::default());
    let pem = request(&own_key(), &[]);
    let (_, parsed) = parse_x509_pem(pem.as_bytes()).expect("PEM");
    let mut der = parsed.contents;
    *der.last_mut().expect("a signature") ^= 1;
    let forged = pem_of(&der);
    assert!(matches!(ca.sign(&sleep_token(&ca), &forged, Duration::ZERO), Err(CaError::BadRequest(_))));
}

fn pem_of(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in der.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
}

#[test]
fn equal_seeds_sign_equal_bytes_and_serials_never_repeat() {
    let sign = |ca: &CertificateAuthority| ca.sign(&sleep_token(ca), &request(&own_key(), &[]), Duration::ZERO);
    let [a, b, c] = [1, 1, 2].map(|seed| authority(seed, CaConfig::default()));
    let first = sign(&a);
    assert_eq!(first, sign(&b));
    assert_ne!(first, sign(&c));
    assert_ne!(first, sign(&a));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_authority_panic(text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let ca = authority(1, CaConfig::default());
        let token = sleep_token(&ca);
        prop_assert!(ca.sign(&token, &text, Duration::ZERO).is_err());
        prop_assert!(ca.sign(&token, &pem_of(&bytes), Duration::MAX).is_err());
    }
}

#[test]
fn an_authority_that_comes_back_signs_as_before() {
    for key_type in [KeyType::Ed25519, KeyType::EcdsaP256] {
        let config = CaConfig { key_type, ..CaConfig::default() };
        let before = authority(1, config.clone());
        let kept = before.root_to_keep();
        let clock = || Arc::new(Stopped(UnixTime::from_epoch(Duration::from_secs(NOW))));
        let back = CertificateAuthority::with_root(config.clone(), clock(), &Entropy::from_seed(2), &kept);
        let back = back.expect("the root that was kept");
        assert_eq!((back.root_pem(), back.root()), (before.root_pem(), before.root()));
        let chain = back.sign(&sleep_token(&back), &request(&own_key(), &[]), Duration::ZERO).expect("a chain");
        let (_, leaf) = parse_x509_pem(chain[0].as_bytes()).expect("PEM");
        let (_, root) = parse_x509_pem(before.root_pem().as_bytes()).expect("PEM");
        let (leaf, root) = (leaf.parse_x509().expect("a leaf"), root.parse_x509().expect("a root"));
        assert_eq!(leaf.verify_signature(Some(root.public_key())), Ok(()));
        let other = authority(3, config.clone()).root_to_keep();
        let mixed = RootPem { key: other.key, ..kept };
        let refused = CertificateAuthority::with_root(config, clock(), &Entropy::from_seed(2), &mixed);
        assert!(matches!(refused, Err(CaError::Root(why)) if why.contains("key")), "{key_type:?}");
    }
}
