//! The root of trust: made once, or read from where it was kept.
//!
//! A control plane that comes back must sign as the one before did, or every proxy that has not heard of the
//! new root refuses its peers.

use std::fmt;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use wavetank_platform::{Entropy, UnixTime};

use super::authority::{CaConfig, CaError, date, signing};
use super::key;

/// A root as a host keeps it. `Debug` does not show the key.
#[derive(Clone, PartialEq, Eq)]
pub struct RootPem {
    /// The certificate, PEM.
    pub certificate: String,
    /// Its private key, PKCS#8 in PEM.
    pub key: String,
}

impl fmt::Debug for RootPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootPem").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// The root in use.
pub(super) struct Root {
    pub(super) issuer: Issuer<'static, KeyPair>,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) pem: String,
    pub(super) not_after: UnixTime,
}

impl Root {
    /// A root that [`make`] made.
    pub(super) fn of(certificate: Certificate, key: KeyPair) -> Result<Self, CaError> {
        Self::read_parts(certificate.pem(), certificate.der().clone(), key)
    }

    /// A root that was kept.
    pub(super) fn read(kept: &RootPem) -> Result<Self, CaError> {
        let key = KeyPair::from_pem(&kept.key).map_err(|error| CaError::Root(format!("its key: {error}")))?;
        let certificate = CertificateDer::from_pem_slice(kept.certificate.as_bytes());
        let certificate = certificate.map_err(|error| CaError::Root(format!("no certificate in PEM: {error}")))?;
        Self::read_parts(kept.certificate.clone(), certificate, key)
    }

    fn read_parts(pem: String, certificate: CertificateDer<'static>, key: KeyPair) -> Result<Self, CaError> {
        let not_after = not_after(&certificate, &key)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(signing)?;
        Ok(Self { issuer, certificate, pem, not_after })
    }

    pub(super) fn to_keep(&self) -> RootPem {
        RootPem { certificate: self.pem.clone(), key: self.issuer.key().serialize_pem() }
    }
}

/// When the certificate ends.
///
/// Errs when it is not an authority's, or `key` is another's.
fn not_after(certificate: &CertificateDer<'_>, key: &KeyPair) -> Result<UnixTime, CaError> {
    let wrong = |why: &str| CaError::Root(why.to_owned());
    let (_, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|error| CaError::Root(error.to_string()))?;
    if !parsed.is_ca() {
        return Err(wrong("the certificate is not an authority's"));
    }
    if *parsed.public_key().subject_public_key.data != *rcgen::PublicKeyData::der_bytes(key) {
        return Err(wrong("the key is not the certificate's"));
    }
    let ends = u64::try_from(parsed.validity().not_after.timestamp()).map_err(|_| wrong("it ended before 1970"))?;
    Ok(UnixTime::from_epoch(std::time::Duration::from_secs(ends)))
}

/// A new root, valid from `now`.
///
/// Errs when the crypto library refuses the key.
pub(super) fn make(
    config: &CaConfig,
    now: UnixTime,
    serial: SerialNumber,
    entropy: &Entropy,
) -> Result<(Certificate, KeyPair), CaError> {
    let key = key::generate(config.key_type, &entropy.fork("root-key")).map_err(signing)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, config.trust_domain.as_str());
    params.not_before = date(now)?;
    params.not_after = date(now + config.root_validity)?;
    params.serial_number = Some(serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(signing)?;
    Ok((certificate, key))
}
