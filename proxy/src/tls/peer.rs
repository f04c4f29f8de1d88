//! What a certificate says about its holder: names, validity, hash.
//!
//! Only read from certificates; whether to believe them is judged elsewhere. Subject text follows
//! RFC 2253: last attribute first, `,` between them.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use wavetank_platform::UnixTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The fields of a certificate that routing, records and `x-forwarded-client-cert` use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// SHA-256 of the DER form, 64 lower-case hex digits.
    pub hash_sha256: Arc<str>,
    /// Subject as RFC 2253 text; may be empty.
    pub subject: Arc<str>,
    /// Issuer as RFC 2253 text; may be empty.
    pub issuer: Arc<str>,
    /// Serial number: lower-case hex digits, two for each byte.
    pub serial: Arc<str>,
    /// URI subject alternative names, in order.
    pub uri_sans: Vec<Arc<str>>,
    /// DNS subject alternative names, in order.
    pub dns_sans: Vec<Arc<str>>,
    /// When it begins to be valid.
    pub not_before: UnixTime,
    /// When it ends to be valid.
    pub not_after: UnixTime,
}

impl PeerCertificate {
    /// Reads a certificate; `None` when it does not parse.
    pub fn parse(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let mut peer = Self {
            hash_sha256: hex(&Sha256::digest(der)).into(),
            subject: rfc2253(certificate.subject()).into(),
            issuer: rfc2253(certificate.issuer()).into(),
            serial: serial(certificate.tbs_certificate.raw_serial()).into(),
            uri_sans: Vec::new(),
            dns_sans: Vec::new(),
            not_before: unix(validity.not_before.timestamp()),
            not_after: unix(validity.not_after.timestamp()),
        };
        let names = certificate.subject_alternative_name().ok()?;
        for name in names.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::URI(uri) => peer.uri_sans.push((*uri).into()),
                GeneralName::DNSName(dns) => peer.dns_sans.push((*dns).into()),
                _ => {}
            }
        }
        Some(peer)
    }

    /// URI names, then DNS names.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.uri_sans.iter().chain(&self.dns_sans)
    }

    /// The name it goes by in records: its first URI name, else its first DNS name, else its subject.
    pub fn principal(&self) -> &Arc<str> {
        self.names().next().unwrap_or(&self.subject)
    }
}

/// Times before the epoch count as the epoch.
fn unix(timestamp: i64) -> UnixTime {
    UnixTime::from_epoch(Duration::from_secs(u64::try_from(timestamp).unwrap_or(0)))
}

/// Without the zeros that DER puts before a number whose first bit is set.
fn serial(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    hex(bytes.get(zeros..).filter(|rest| !rest.is_empty()).unwrap_or(b"\0"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn rfc2253(name: &X509Name<'_>) -> String {
    let sets: Vec<_> = name.iter_rdn().collect();
    let sets = sets.iter().rev().map(|set| set.iter().map(attribute).collect::<Vec<_>>().join("+"));
    sets.collect::<Vec<_>>().join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let name = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        _ => return format!("{oid}=#{}", hex(attribute.as_slice())),
    };
    match attribute.as_str() {
        Ok(value) => format!("{name}={}", escaped(value)),
        Err(_) => format!("{name}=#{}", hex(attribute.as_slice())),
    }
}

/// RFC 2253 §2.4.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (at, c) in value.chars().enumerate() {
        let edge = (c == ' ' && (at == 0 || at == last)) || (c == '#' && at == 0);
        if edge || matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::KeyType;
    use crate::identity::key::Key;
    use rcgen::{CertificateParams, DnType, SanType};
    use wavetank_platform::Entropy;

    #[test]
    fn reads_names_and_subject_as_envoy_shows_them() {
        let mut params = CertificateParams::new(vec!["cli.test".to_string()]).unwrap();
        params.subject_alt_names.push(SanType::URI("spiffe://cluster.local/ns/foo/sa/cli".try_into().unwrap()));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "client, inc");
        params.distinguished_name.push(DnType::OrganizationName, "Org");
        let key = Key::generate(KeyType::Ed25519, &mut Entropy::from_seed(1).stream()).unwrap();
        let der = params.self_signed(key.pair()).unwrap();
        let peer = PeerCertificate::parse(der.der()).unwrap();
        assert_eq!(&*peer.subject, r"O=Org,CN=client\, inc");
        assert_eq!(&*peer.uri_sans[0], "spiffe://cluster.local/ns/foo/sa/cli");
        assert_eq!(&*peer.dns_sans[0], "cli.test");
        assert_eq!(peer.hash_sha256.len(), 64);
        assert_eq!(&**peer.principal(), "spiffe://cluster.local/ns/foo/sa/cli");
    }

    proptest::proptest! {
        #[test]
        fn noise_is_no_certificate(bytes: Vec<u8>) {
            proptest::prop_assert_eq!(PeerCertificate::parse(&CertificateDer::from(bytes)), None);
        }
    }
}
