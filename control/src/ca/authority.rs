//! The root of the mesh's trust, and what it signs.
//!
//! A leaf says one SPIFFE identity as its URI SAN and has no subject, as istiod's have. Serial numbers come
//! from the door's randomness and validity from its wall clock, so a run of the tank repeats to the byte.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use wavetank_platform::{Clock, Entropy, RandomStream, UnixTime};

use super::key::{self, KeyType};
use super::root::{self, Root, RootPem};
use super::{Identity, TokenTable};

/// How the authority works.
#[derive(Debug, Clone)]
pub struct CaConfig {
    /// Trust domain of the identities it knows.
    pub trust_domain: String,
    /// Keys of the root and of the control plane's server.
    pub key_type: KeyType,
    /// Validity of the root.
    pub root_validity: Duration,
    /// Validity of a leaf that asks for none.
    pub leaf_validity: Duration,
    /// Most validity that a leaf gets.
    pub leaf_validity_max: Duration,
    /// How far before its making a leaf is valid, for clocks that lag.
    pub back_dating: Duration,
}

impl Default for CaConfig {
    /// istiod's: `cluster.local`, root 10 years, leaf 24 hours and at most 90 days, back-dated 2 minutes.
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            trust_domain: "cluster.local".to_owned(),
            key_type: KeyType::default(),
            root_validity: Duration::from_secs(3650 * DAY),
            leaf_validity: Duration::from_secs(DAY),
            leaf_validity_max: Duration::from_secs(90 * DAY),
            back_dating: Duration::from_secs(120),
        }
    }
}

/// Why a certificate was not issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// The token is nobody's.
    #[error("the token proves no identity")]
    UnknownToken,
    /// The request names an identity other than the caller's.
    #[error("the request names {asked}, but the caller is {caller}")]
    Impersonation {
        /// The name in the request.
        asked: String,
        /// The identity that the token proves.
        caller: String,
    },
    /// The request is no PKCS#10 request, or its signature is not by its key.
    #[error("bad certificate signing request: {0}")]
    BadRequest(String),
    /// What was kept of the root does not fit together.
    #[error("the root that was kept cannot be used: {0}")]
    Root(String),
    /// The crypto library refused.
    #[error("certificate could not be made: {0}")]
    Signing(String),
}

/// The authority of one mesh.
pub struct CertificateAuthority {
    config: CaConfig,
    clock: Arc<dyn Clock>,
    root: Root,
    serials: Mutex<RandomStream>,
    entropy: Entropy,
    tokens: TokenTable,
}

impl std::fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateAuthority").field("config", &self.config).finish_non_exhaustive()
    }
}

impl CertificateAuthority {
    /// A new authority with a new root key and a root certificate valid from now.
    ///
    /// Errs when the crypto library refuses the key.
    pub fn new(config: CaConfig, clock: Arc<dyn Clock>, entropy: &Entropy) -> Result<Self, CaError> {
        let mut serials = entropy.stream_named("serials");
        let (root, key) = root::make(&config, clock.unix(), serial(&mut serials), entropy)?;
        Ok(Self::of(config, clock, entropy, Root::of(root, key)?, serials))
    }

    /// The authority that made `root`, which signs as it did before.
    ///
    /// Errs when `root` is no certificate of an authority with its key.
    pub fn with_root(
        config: CaConfig,
        clock: Arc<dyn Clock>,
        entropy: &Entropy,
        root: &RootPem,
    ) -> Result<Self, CaError> {
        Ok(Self::of(config, clock, entropy, Root::read(root)?, entropy.stream_named("serials")))
    }

    fn of(config: CaConfig, clock: Arc<dyn Clock>, entropy: &Entropy, root: Root, serials: RandomStream) -> Self {
        let tokens = TokenTable::new(&entropy.fork("tokens"));
        Self { clock, root, serials: Mutex::new(serials), tokens, entropy: entropy.clone(), config }
    }

    /// The root certificate in PEM.
    pub fn root_pem(&self) -> &str {
        &self.root.pem
    }

    /// The root's certificate and key, to be kept for the authority's next process.
    pub fn root_to_keep(&self) -> RootPem {
        self.root.to_keep()
    }

    /// The root certificate in DER.
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root.certificate
    }

    /// The tokens that prove identities to this authority.
    pub fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    /// The configuration.
    pub fn config(&self) -> &CaConfig {
        &self.config
    }

    /// Answers a signing request: a chain in PEM, leaf first, root last.
    ///
    /// `token` proves the caller's identity, which becomes the leaf's only name. A request may name that
    /// identity or none. `validity` of zero means the default; it is cut to the configured most and to the
    /// root's own end.
    pub fn sign(&self, token: &str, csr_pem: &str, validity: Duration) -> Result<Vec<String>, CaError> {
        let caller = self.tokens.authenticate(token).ok_or(CaError::UnknownToken)?;
        let request = CertificateSigningRequestParams::from_pem(csr_pem)
            .map_err(|error| CaError::BadRequest(error.to_string()))?;
        refuse_impersonation(&request.params, &caller)?;
        let validity = if validity.is_zero() { self.config.leaf_validity } else { validity };
        let san = uri_san(&caller)?;
        let (leaf, _) = self.issue(vec![san], &request.public_key, validity)?;
        Ok(vec![leaf.pem(), self.root.pem.clone()])
    }

    /// A new key and a certificate for a server with these DNS names, and when the certificate ends.
    ///
    /// `generation` names the key: equal generations have equal keys.
    pub(super) fn issue_server(
        &self,
        dns_names: &[String],
        generation: u64,
    ) -> Result<(KeyPair, CertificateDer<'static>, UnixTime), CaError> {
        let entropy = self.entropy.fork(&format!("server-key/{generation}"));
        let key = key::generate(self.config.key_type, &entropy).map_err(signing)?;
        let names = dns_names
            .iter()
            .map(|name| name.as_str().try_into().map(SanType::DnsName).map_err(signing))
            .collect::<Result<_, _>>()?;
        let (leaf, not_after) = self.issue(names, &key, self.config.leaf_validity)?;
        Ok((key, leaf.der().clone(), not_after))
    }

    fn issue(
        &self,
        names: Vec<SanType>,
        public_key: &impl PublicKeyData,
        validity: Duration,
    ) -> Result<(rcgen::Certificate, UnixTime), CaError> {
        let now = self.clock.unix();
        let not_before = now.since_epoch().saturating_sub(self.config.back_dating);
        let not_after = (now + validity.min(self.config.leaf_validity_max)).min(self.root.not_after);
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = names;
        params.not_before = date(UnixTime::from_epoch(not_before))?;
        params.not_after = date(not_after)?;
        params.serial_number = Some(serial(&mut self.serials.lock().unwrap_or_else(PoisonError::into_inner)));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(public_key, &self.root.issuer).map_err(signing)?;
        Ok((leaf, not_after))
    }
}

fn refuse_impersonation(request: &CertificateParams, caller: &Identity) -> Result<(), CaError> {
    let caller = caller.to_string();
    for name in &request.subject_alt_names {
        let asked = match name {
            SanType::URI(uri) => uri.as_str().to_owned(),
            other => format!("{other:?}"),
        };
        if asked != caller {
            return Err(CaError::Impersonation { asked, caller });
        }
    }
    Ok(())
}

fn uri_san(identity: &Identity) -> Result<SanType, CaError> {
    identity.to_string().try_into().map(SanType::URI).map_err(signing)
}

/// 16 random bytes, the first of them in `0x40..0x80` so that every serial has the same length in DER.
fn serial(random: &mut RandomStream) -> SerialNumber {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    bytes[0] = (bytes[0] & 0x3f) | 0x40;
    SerialNumber::from_slice(&bytes)
}

pub(super) fn date(time: UnixTime) -> Result<OffsetDateTime, CaError> {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|secs| OffsetDateTime::from_unix_timestamp(secs).ok())
        .ok_or_else(|| CaError::Signing(format!("{time} is beyond the calendar")))
}

pub(super) fn signing(error: rcgen::Error) -> CaError {
    CaError::Signing(error.to_string())
}
