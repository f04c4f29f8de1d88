//! Obtains the identity, installs it, and renews it before it ends. A failed renewal leaves the old one
//! in force and is tried again.

use std::convert::Infallible;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use wavetank_platform::{Platform, RandomStream};

use super::authority::create_certificate;
use super::key::Key;
use crate::bootstrap::{CaConfig, Limits};
use crate::snapshot::tls::{SanMatcher, SecretName, UpstreamTls, Validation};
use crate::tls::secret::{Certificate, SecretError, roots_from_der};
use crate::tls::{Secrets, Tls};
use crate::xds::channel::{Channel, ConnectError, Target};
use crate::xds::client::backoff;

/// Bound on one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Share of a certificate's life over which renewals are spread.
const JITTER: f64 = 0.1;

/// Name of the secret with our chain and key: `default`.
pub fn certificate_name() -> SecretName {
    SecretName("default".into())
}

/// Name of the secret with the mesh's roots: `ROOTCA`.
pub fn roots_name() -> SecretName {
    SecretName("ROOTCA".into())
}

/// The secret with the roots that the authority's own certificate must chain to.
fn authority_roots_name() -> SecretName {
    SecretName("wavetank:authority-roots".into())
}

/// Waits until the identity is there.
pub async fn ready(secrets: &Secrets) {
    let mut changes = secrets.subscribe();
    while secrets.certificate(&certificate_name()).is_none() || secrets.roots(&roots_name()).is_none() {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// The client of the certificate authority.
#[derive(Debug)]
pub struct Identity {
    platform: Platform,
    config: CaConfig,
    bytes_max: usize,
    tls: Tls,
    keys: RandomStream,
    jitter: RandomStream,
}

/// Why there is no (new) certificate.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A certificate, key or root cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The key or the signing request could not be made.
    #[error("cannot make a signing request: {0}")]
    Request(#[from] rcgen::Error),
    /// The authority could not be reached.
    #[error("certificate authority: {0}")]
    Connect(#[from] ConnectError),
    /// The authority refused.
    #[error("certificate authority said {}: {}", .0.code(), .0.message())]
    Refused(tonic::Status),
    /// The authority did not answer within ten seconds.
    #[error("certificate authority did not answer")]
    TimedOut,
    /// The authority certified something else.
    #[error("certificate is for `{got}`, asked for `{wanted}`")]
    WrongIdentity {
        /// Its URI name; empty when it has none.
        got: String,
        /// The identity asked for.
        wanted: String,
    },
    /// The certificate is no longer valid as it comes.
    #[error("certificate has expired before it came")]
    Expired,
}

impl Identity {
    /// Prepares to obtain the identity that `config` names and to install it into `tls`.
    ///
    /// Errs when the authority's roots do not parse.
    pub fn new(platform: Platform, config: CaConfig, limits: &Limits, tls: Tls) -> Result<Self, IdentityError> {
        let roots = roots_from_der(certificates(config.roots_pem.as_bytes())?)?;
        tls.secrets().set_roots(authority_roots_name(), roots);
        let keys = platform.entropy.stream_named("identity/key");
        let jitter = platform.entropy.stream_named("identity/jitter");
        Ok(Self { platform, config, bytes_max: limits.ca_message_bytes_max, tls, keys, jitter })
    }

    /// Obtains the identity and keeps it fresh. Runs until it is dropped.
    pub async fn run(mut self) -> Infallible {
        let mut failures = 0;
        loop {
            let delay = match self.renew().await {
                Ok(life) => {
                    failures = 0;
                    self.renewal_after(life)
                }
                Err(error) => {
                    failures += 1;
                    let delay = backoff(failures, &mut self.jitter);
                    tracing::warn!(%error, ?delay, "no new certificate; the old one stays");
                    delay
                }
            };
            self.platform.clock.sleep(delay).await;
        }
    }

    /// Obtains a certificate for a new key, installs both, and returns how long it is valid from now.
    pub async fn renew(&mut self) -> Result<Duration, IdentityError> {
        let key = Key::generate(self.config.key_type, &mut self.keys)?;
        let csr = key.signing_request(&self.config.identity)?;
        let (chain, roots) = split(&self.ask(csr).await?)?;
        let roots = roots_from_der(roots)?;
        let certificate = Certificate::new(chain, key.to_der(), &self.platform.crypto.provider)?;
        let wanted = &self.config.identity;
        if certificate.uri().is_none_or(|uri| **uri != **wanted) {
            let got = certificate.uri().map(ToString::to_string).unwrap_or_default();
            return Err(IdentityError::WrongIdentity { got, wanted: wanted.clone() });
        }
        let end = certificate.not_after().since_epoch();
        let life = end.checked_sub(self.platform.clock.unix().since_epoch()).filter(|life| !life.is_zero());
        let life = life.ok_or(IdentityError::Expired)?;
        self.tls.secrets().set_identity((certificate_name(), certificate), (roots_name(), roots));
        tracing::info!(identity = %wanted, ?life, "certificate installed");
        Ok(life)
    }

    /// Sends a signing request; the answer is PEM, the chain first and the mesh's roots last.
    pub async fn ask(&self, csr: String) -> Result<Vec<String>, IdentityError> {
        let channel = Channel::connect(&self.platform, &self.tls, &self.target()).await?;
        let call = create_certificate(channel, &self.config.token, csr, self.config.lifetime, self.bytes_max);
        let answer = self.platform.clock.timeout(CALL_TIMEOUT, call).await;
        answer.map_err(|_elapsed| IdentityError::TimedOut)?.map_err(IdentityError::Refused)
    }

    fn target(&self) -> Target {
        let name = self.config.server_name.as_str();
        let tls = UpstreamTls {
            certificate: None,
            validation: Some(Validation {
                roots: authority_roots_name(),
                subject_alt_names: vec![SanMatcher::Exact(name.into())],
            }),
            sni: Some(name.into()),
            alpn: vec!["h2".into()],
        };
        Target { host: self.config.host.clone(), port: self.config.port, tls: Some(tls) }
    }

    fn renewal_after(&mut self, life: Duration) -> Duration {
        let share = self.config.refresh_at - JITTER * self.jitter.unit();
        life.mul_f64(share.clamp(0.05, 0.95))
    }
}

type Certificates = Vec<CertificateDer<'static>>;

/// The chain without its root, and the roots: all of the last text, or, when there is only one text, its
/// last certificate.
fn split(answer: &[String]) -> Result<(Certificates, Certificates), SecretError> {
    let (last, before) = answer.split_last().ok_or(SecretError::Empty)?;
    let mut roots = certificates(last.as_bytes())?;
    let mut chain = Vec::new();
    for pem in before {
        chain.extend(certificates(pem.as_bytes())?);
    }
    if before.is_empty() {
        let root = roots.pop().ok_or(SecretError::Empty)?;
        chain = std::mem::replace(&mut roots, vec![root]);
    }
    Ok((chain, roots))
}

fn certificates(pem: &[u8]) -> Result<Certificates, SecretError> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_malformed| SecretError::Malformed)
}
