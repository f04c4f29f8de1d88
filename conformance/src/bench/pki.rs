//! Certificates of a race: one authority, which our proxy asks as it does in a mesh; everyone else is handed a
//! certificate of the same kind.

use std::time::Duration;

use rcgen::{CertificateParams, SanType};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use wavetank_control::Control;
use wavetank_control::ca::{Identity, KeyType, key};
use wavetank_platform::Platform;
use wavetank_proxy::snapshot::tls::{DownstreamTls, SecretName, UpstreamTls, Validation};
use wavetank_proxy::tls::Tls;
use wavetank_proxy::tls::secret::{Certificate, roots_from_der};

/// Name of the secret with the certificate.
pub const CERTIFICATE: &str = "default";
/// Name of the secret with the roots.
pub const ROOTS: &str = "ROOTCA";
/// Server name that is sent to the program.
pub const ORIGIN_NAME: &str = "origin.bench";
/// Who everyone is.
const IDENTITY: &str = "spiffe://cluster.local/ns/default/sa/bench";

/// A certificate as files hold it, and as our TLS does.
#[derive(Debug, Clone)]
pub struct Pki {
    /// Certificates, leaf first.
    pub chain_pem: String,
    /// Its key.
    pub key_pem: String,
    /// The roots.
    pub roots_pem: String,
    /// The same, for the load and the program.
    pub tls: Tls,
}

impl Pki {
    /// A certificate of `control`'s authority.
    ///
    /// # Panics
    /// When the authority refuses.
    pub fn issue(platform: &Platform, control: &Control) -> Self {
        let who = Identity::parse(IDENTITY).expect("an identity of the mesh");
        let key = key::generate(KeyType::EcdsaP256, &platform.entropy.fork("bench")).expect("a key");
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(IDENTITY.try_into().expect("ASCII"))];
        let request = params.serialize_request(&key).and_then(|request| request.pem()).expect("a signing request");
        let token = control.issue_token(&who.namespace, &who.service_account).expect("room for a token");
        let chain = control.authority().sign(&token, &request, Duration::from_secs(3600)).expect("a certificate");
        let (chain_pem, key_pem) = (chain.concat(), key.serialize_pem());
        let roots_pem = control.root_certificate_pem().to_owned();
        let tls = Tls::new(platform);
        let certificates = |pem: &str| {
            CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>().expect("certificates")
        };
        let der = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).expect("a key");
        let certificate = Certificate::new(certificates(&chain_pem), der, &platform.crypto.provider);
        tls.secrets().set_certificate(SecretName(CERTIFICATE.into()), certificate.expect("a certificate"));
        let roots = roots_from_der(certificates(&roots_pem)).expect("roots");
        tls.secrets().set_roots(SecretName(ROOTS.into()), roots);
        Self { chain_pem, key_pem, roots_pem, tls }
    }
}

/// TLS of the load towards a proxy.
pub fn client() -> UpstreamTls {
    UpstreamTls {
        certificate: Some(SecretName(CERTIFICATE.into())),
        validation: Some(roots()),
        sni: Some(ORIGIN_NAME.into()),
        alpn: vec!["http/1.1".into()],
    }
}

/// TLS of the program.
pub fn server() -> DownstreamTls {
    DownstreamTls {
        certificate: SecretName(CERTIFICATE.into()),
        validation: Some(roots()),
        require_client_certificate: true,
        alpn: vec!["http/1.1".into()],
    }
}

fn roots() -> Validation {
    Validation { roots: SecretName(ROOTS.into()), subject_alt_names: Vec::new() }
}
