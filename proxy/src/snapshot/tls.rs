//! TLS on either side of the proxy. Certificates and roots are named secrets that the proxy serves itself.

use std::sync::Arc;

use serde::Serialize;

/// `DownstreamTlsContext`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DownstreamTls {
    /// Name of the secret with our certificate, e.g. `default`.
    pub certificate: SecretName,
    /// How a client certificate is judged; `None`: it is not asked for.
    pub validation: Option<Validation>,
    /// A client without a certificate is refused.
    pub require_client_certificate: bool,
    /// Offered protocols, in order of preference.
    pub alpn: Vec<Arc<str>>,
}

/// `UpstreamTlsContext`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpstreamTls {
    /// Name of the secret with our certificate; `None`: none is shown.
    pub certificate: Option<SecretName>,
    /// How the server's certificate is judged; `None`: it is not.
    pub validation: Option<Validation>,
    /// Server name sent; may hold characters that are no DNS name (`outbound_.80_._.a.b.svc.cluster.local`).
    pub sni: Option<Arc<str>>,
    /// Offered protocols, in order of preference.
    pub alpn: Vec<Arc<str>>,
}

/// The name of a secret, e.g. `default` or `ROOTCA`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct SecretName(pub Arc<str>);

/// `CertificateValidationContext`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Validation {
    /// Name of the secret with the trusted roots, e.g. `ROOTCA`.
    pub roots: SecretName,
    /// The peer must show one of these; empty: any name the roots vouch for.
    pub subject_alt_names: Vec<SanMatcher>,
}

/// One accepted name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum SanMatcher {
    /// Equal to a URI or DNS name of the certificate.
    Exact(Arc<str>),
    /// A URI or DNS name begins with this.
    Prefix(Arc<str>),
    /// A URI or DNS name ends with this.
    Suffix(Arc<str>),
}

/// One entry of `transport_socket_matches`, or the cluster's own socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum TransportSocket {
    /// Bytes as they are.
    Raw,
    /// TLS.
    Tls(Arc<UpstreamTls>),
}
