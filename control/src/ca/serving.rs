//! The control plane's own server certificate.
//!
//! Issued by the authority itself and replaced when half of its life is over, at the next handshake.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use wavetank_platform::{Clock, Crypto, UnixTime};

use super::{CaError, CertificateAuthority};

/// TLS of the secure xDS and CA port: HTTP/2 only, a certificate of the control plane for `dns_names`, and
/// clients that show a certificate of this authority or none.
///
/// Errs when the first certificate cannot be made.
pub fn server_config(
    ca: &Arc<CertificateAuthority>,
    crypto: &Crypto,
    clock: &Arc<dyn Clock>,
    dns_names: Vec<String>,
) -> Result<ServerConfig, CaError> {
    let refused = |error: &dyn std::fmt::Display| CaError::Signing(error.to_string());
    let mut roots = RootCertStore::empty();
    roots.add(ca.root().clone()).map_err(|error| refused(&error))?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), crypto.provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| refused(&error))?;
    let certificate = OwnCertificate::new(ca.clone(), clock.clone(), crypto.provider.clone(), dns_names)?;
    let mut config = ServerConfig::builder_with_details(crypto.provider.clone(), crypto.time.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error))?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(certificate));
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would outlive the certificates that opened it.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

struct OwnCertificate {
    ca: Arc<CertificateAuthority>,
    clock: Arc<dyn Clock>,
    provider: Arc<CryptoProvider>,
    dns_names: Vec<String>,
    current: Mutex<Current>,
}

struct Current {
    key: Arc<CertifiedKey>,
    renew_at: UnixTime,
    generation: u64,
}

impl OwnCertificate {
    fn new(
        ca: Arc<CertificateAuthority>,
        clock: Arc<dyn Clock>,
        provider: Arc<CryptoProvider>,
        dns_names: Vec<String>,
    ) -> Result<Self, CaError> {
        let current = Mutex::new(issue(&ca, &*clock, &provider, &dns_names, 0)?);
        Ok(Self { ca, clock, provider, dns_names, current })
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if self.clock.unix() >= current.renew_at {
            let next = current.generation + 1;
            // The old certificate still serves when a new one cannot be made.
            if let Ok(renewed) = issue(&self.ca, &*self.clock, &self.provider, &self.dns_names, next) {
                *current = renewed;
            }
        }
        Some(current.key.clone())
    }
}

impl std::fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnCertificate").field("dns_names", &self.dns_names).finish_non_exhaustive()
    }
}

fn issue(
    ca: &CertificateAuthority,
    clock: &dyn Clock,
    provider: &CryptoProvider,
    dns_names: &[String],
    generation: u64,
) -> Result<Current, CaError> {
    let (key, certificate, not_after) = ca.issue_server(dns_names, generation)?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signer = provider.key_provider.load_private_key(der).map_err(|error| CaError::Signing(error.to_string()))?;
    let now = clock.unix();
    let half_life = not_after.since_epoch().saturating_sub(now.since_epoch()) / 2;
    let key = Arc::new(CertifiedKey::new(vec![certificate, ca.root().clone()], signer));
    Ok(Current { key, renew_at: now + half_life, generation })
}
