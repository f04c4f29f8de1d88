//! Verdicts, those that stand among them.

use std::time::Duration;

use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls_pki_types::SignatureVerificationAlgorithm;
use wavetank_platform::Entropy;

use super::*;
use crate::bootstrap::KeyType;
use crate::identity::key::Key;

#[test]
fn host_names_match_without_case_and_by_one_label_of_wildcard() {
    let exactly = |wanted: &str, name: &str| accepts_dns(&SanMatcher::Exact(wanted.into()), name);
    assert!(exactly("a.example.com", "A.Example.com"));
    assert!(exactly("a.example.com", "*.example.com"));
    assert!(!exactly("a.b.example.com", "*.example.com"));
    assert!(!exactly("example.com", "*.example.com"));
    assert!(!exactly(".example.com", "*.example.com"));
    assert!(!exactly("a.example.com", "a*.example.com"));
    let uri = SanMatcher::Exact("spiffe://Cluster.local/a".into());
    assert!(!accepts(&uri, "spiffe://cluster.local/a"), "a URI is compared as it is");
}

/// A day from 1 to 28 of January 2026.
type Day = u8;

/// Validity of a certificate: its first and its last day.
type Days = (Day, Day);

fn days() -> impl Strategy<Value = Days> {
    (1..15_u8, 1..15_u8).prop_map(|(from, length)| (from, from + length))
}

fn params(name: &str, (from, until): Days) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, from);
    params.not_after = rcgen::date_time_ymd(2026, 1, until);
    params
}

fn key(seed: u64) -> KeyPair {
    let key = Key::generate(KeyType::Ed25519, &mut Entropy::from_seed(seed).stream()).unwrap();
    KeyPair::try_from(&key.to_der()).unwrap()
}

fn authority(
    seed: u64,
    name: &str,
    days: Days,
    by: Option<&Issuer<'_, KeyPair>>,
) -> (CertificateDer<'static>, Issuer<'static, KeyPair>) {
    let (mut params, key) = (params(name, days), key(seed));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = match by {
        Some(issuer) => params.signed_by(&key, issuer),
        None => params.self_signed(&key),
    };
    (certificate.unwrap().der().clone(), Issuer::new(params, key))
}

/// A leaf behind an intermediate, with one that nobody needs, each with its days; and the root.
fn chain(
    leaf: Days,
    middle: Days,
    other: Days,
    usage: ExtendedKeyUsagePurpose,
) -> (Vec<CertificateDer<'static>>, RootCertStore) {
    let (root_der, root) = authority(1, "root", (1, 28), None);
    let (middle_der, middle) = authority(2, "middle", middle, Some(&root));
    let (other_der, _) = authority(3, "other", other, Some(&root));
    let mut params = params("leaf", leaf);
    params.extended_key_usages = vec![usage];
    params.subject_alt_names = vec![SanType::URI("spiffe://cluster.local/ns/a/sa/b".try_into().unwrap())];
    let leaf = params.signed_by(&key(4), &middle).unwrap().der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(root_der).unwrap();
    (vec![leaf, middle_der, other_der], roots)
}

static ED25519: &[&dyn SignatureVerificationAlgorithm] = &[webpki::ring::ED25519];

const ALGORITHMS: WebPkiSupportedAlgorithms =
    WebPkiSupportedAlgorithms { all: ED25519, mapping: &[(SignatureScheme::ED25519, ED25519)] };

fn verifier(roots: &RootCertStore, name: &str) -> PeerVerifier {
    let names = vec![SanMatcher::Prefix(name.into())];
    PeerVerifier::new(Some(Arc::new(roots.clone())), names, ALGORITHMS, true)
}

/// Noon of a day of January 2026, 1 January being day 1.
fn noon(day: Day) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_767_225_600 + (u64::from(day) - 1) * 86_400 + 43_200))
}

fn verdict(verifier: &PeerVerifier, chain: &[CertificateDer<'_>], day: Day, role: Role) -> Result<(), String> {
    verifier.judge(&chain[0], &chain[1..], noon(day), role).map_err(|error| error.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// 256 chains, each shown to one verifier on twelve days in any order, as it is, shortened, broken, and
    /// in either role.
    #[test]
    fn what_is_kept_never_changes_a_verdict(
        (leaf, middle, other) in (days(), days(), days()),
        is_client in any::<bool>(),
        shown in prop::collection::vec((1..29_u8, any::<bool>(), 0..4_usize, any::<prop::sample::Index>()), 12),
        name in prop::sample::select(vec!["spiffe://cluster.local/", "spiffe://other/"]),
    ) {
        let usage = if is_client { ExtendedKeyUsagePurpose::ClientAuth } else { ExtendedKeyUsagePurpose::ServerAuth };
        let (chain, roots) = chain(leaf, middle, other, usage);
        let keeping = verifier(&roots, name);
        for (day, as_client, how, at) in shown {
            let mut sent = chain.clone();
            match how {
                0 => drop(sent.pop()),
                1 => {
                    let mut bytes = sent[0].to_vec();
                    let at = at.index(bytes.len());
                    bytes[at] ^= 1;
                    sent[0] = bytes.into();
                }
                _ => {}
            }
            let role = if as_client { Role::Client } else { Role::Server };
            let fresh = verdict(&verifier(&roots, name), &sent, day, role);
            prop_assert_eq!(verdict(&keeping, &sent, day, role), fresh, "day {}, {:?}", day, role);
        }
    }
}

#[test]
fn a_chain_that_stands_is_not_proved_again_and_one_of_other_roots_is() {
    let (sent, roots) = chain((1, 20), (1, 20), (1, 20), ExtendedKeyUsagePurpose::ClientAuth);
    let keeping = verifier(&roots, "spiffe://");
    let digest = ChainDigest::of(Role::Client, &sent[0], &sent[1..]);
    assert!(!keeping.verified.has(digest, noon(3)));
    assert_eq!(verdict(&keeping, &sent, 3, Role::Client), Ok(()));
    assert!(keeping.verified.has(digest, noon(3)) && !keeping.verified.has(digest, noon(25)));
    let mut foreign = RootCertStore::empty();
    foreign.add(authority(9, "root", (1, 28), None).0).unwrap();
    assert!(verdict(&verifier(&foreign, "spiffe://"), &sent, 3, Role::Client).is_err());
}
