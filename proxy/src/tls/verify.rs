//! The verdict on a peer's certificate: it chains to the named roots, is valid now by the host's wall
//! clock, may be used for its role, and carries an accepted name. Host names are not compared: identities
//! are SPIFFE URIs (Envoy: `validation_context`). A chain that was found good is not proved again while its
//! certificates are valid.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::error::Distrust;
use super::peer::PeerCertificate;
use super::verified::{ChainDigest, Role, Validity, VerifiedChains};
use crate::snapshot::tls::SanMatcher;

/// Judges one side's peers. Implements both of rustls's verifier roles.
pub(super) struct PeerVerifier {
    /// `None`: any certificate passes, if its holder has its key.
    roots: Option<Arc<RootCertStore>>,
    names: Vec<SanMatcher>,
    algorithms: WebPkiSupportedAlgorithms,
    mandatory: bool,
    root_subjects: Vec<DistinguishedName>,
    verified: VerifiedChains,
}

impl PeerVerifier {
    /// A verifier that trusts `roots` and accepts `names` (empty: any). `mandatory`: a client must show a
    /// certificate.
    pub(super) fn new(
        roots: Option<Arc<RootCertStore>>,
        names: Vec<SanMatcher>,
        algorithms: WebPkiSupportedAlgorithms,
        mandatory: bool,
    ) -> Self {
        let root_subjects = roots.as_ref().map_or_else(Vec::new, |roots| roots.subjects());
        Self { roots, names, algorithms, mandatory, root_subjects, verified: VerifiedChains::default() }
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        role: Role,
    ) -> Result<(), Error> {
        let Some(roots) = &self.roots else { return Ok(()) };
        let chain = ChainDigest::of(role, leaf, intermediates);
        if self.verified.has(chain, now) {
            return Ok(());
        }
        self.judge_afresh(roots, leaf, intermediates, now, role)?;
        self.verified.keep(chain, Validity::of(leaf, intermediates), now);
        Ok(())
    }

    fn judge_afresh(
        &self,
        roots: &RootCertStore,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        role: Role,
    ) -> Result<(), Error> {
        let usage = match role {
            Role::Server => KeyUsage::server_auth(),
            Role::Client => KeyUsage::client_auth(),
        };
        EndEntityCert::try_from(leaf)
            .and_then(|certificate| {
                certificate
                    .verify_for_usage(self.algorithms.all, &roots.roots, intermediates, now, usage, None, None)
                    .map(|_path| ())
            })
            .map_err(|error| Error::InvalidCertificate(refused(error)))?;
        self.judge_names(leaf)
            .map_err(|distrust| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(distrust)))))
    }

    fn judge_names(&self, leaf: &CertificateDer<'_>) -> Result<(), Distrust> {
        if self.names.is_empty() {
            return Ok(());
        }
        let peer = PeerCertificate::parse(leaf).ok_or(Distrust::Malformed)?;
        let uri = |matcher| peer.uri_sans.iter().any(|name| accepts(matcher, name));
        let dns = |matcher| peer.dns_sans.iter().any(|name| accepts_dns(matcher, name));
        if self.names.iter().any(|matcher| uri(matcher) || dns(matcher)) {
            return Ok(());
        }
        Err(Distrust::NoAcceptedName(peer.names().cloned().collect()))
    }
}

fn accepts(matcher: &SanMatcher, name: &str) -> bool {
    match matcher {
        SanMatcher::Exact(exact) => **exact == *name,
        SanMatcher::Prefix(prefix) => name.starts_with(&**prefix),
        SanMatcher::Suffix(suffix) => name.ends_with(&**suffix),
    }
}

/// As [`accepts`]; an exact host name is compared without case, and `*` stands for the first label of the
/// certificate's name (RFC 6125 section 6.4.3, without partial wildcards).
fn accepts_dns(matcher: &SanMatcher, name: &str) -> bool {
    let SanMatcher::Exact(wanted) = matcher else { return accepts(matcher, name) };
    match name.strip_prefix("*.") {
        None => wanted.eq_ignore_ascii_case(name),
        Some(domain) => {
            wanted.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(domain))
        }
    }
}

/// The errors whose alert or wording matters, as rustls names them; the rest as text.
fn refused(error: webpki::Error) -> CertificateError {
    let other = |distrust: Distrust| CertificateError::Other(OtherError(Arc::new(distrust)));
    match error {
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
        webpki::Error::CertExpired { time, not_after } => CertificateError::ExpiredContext { time, not_after },
        webpki::Error::CertNotValidYet { time, not_before } => {
            CertificateError::NotValidYetContext { time, not_before }
        }
        webpki::Error::InvalidSignatureForPublicKey => other(Distrust::BadSignature),
        webpki::Error::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        webpki::Error::BadDer | webpki::Error::BadDerTime | webpki::Error::TrailingData(_) => {
            CertificateError::BadEncoding
        }
        rest => other(Distrust::Other(rest.to_string())),
    }
}

impl fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerVerifier").field("names", &self.names).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(end_entity, intermediates, now, Role::Server).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.root_subjects
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(end_entity, intermediates, now, Role::Client).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
