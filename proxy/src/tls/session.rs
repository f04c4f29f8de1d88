//! What a finished handshake established.

use std::sync::Arc;

use rustls::{CipherSuite, ProtocolVersion};

use super::peer::PeerCertificate;
use crate::record::TlsState;

/// The facts of one TLS session, read from the session itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSession {
    /// For records: mutual when the peer's certificate was verified and we have one of our own.
    pub state: TlsState,
    /// Server name the client sent; lower case on the server's side.
    pub sni: Option<Arc<str>>,
    /// Protocol agreed on; `None` when none was.
    pub alpn: Option<Arc<str>>,
    /// What the peer showed, verified or not; `None` when it showed nothing.
    pub peer: Option<PeerCertificate>,
    /// Version of TLS, e.g. `TLSv1.3`; empty when it is another than 1.2 and 1.3.
    pub version: &'static str,
    /// OpenSSL's name of the cipher suite; empty when it is not known.
    pub cipher: &'static str,
    /// First URI name of our own certificate.
    pub local_uri: Option<Arc<str>>,
}

/// The name that logs have for a version of TLS.
pub(super) fn version(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "",
    }
}

/// OpenSSL's name of a cipher suite, of those that rustls speaks.
pub(super) fn cipher(suite: Option<CipherSuite>) -> &'static str {
    match suite {
        Some(CipherSuite::TLS13_AES_128_GCM_SHA256) => "TLS_AES_128_GCM_SHA256",
        Some(CipherSuite::TLS13_AES_256_GCM_SHA384) => "TLS_AES_256_GCM_SHA384",
        Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256) => "TLS_CHACHA20_POLY1305_SHA256",
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256) => "ECDHE-ECDSA-AES128-GCM-SHA256",
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384) => "ECDHE-ECDSA-AES256-GCM-SHA384",
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256) => "ECDHE-ECDSA-CHACHA20-POLY1305",
        Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) => "ECDHE-RSA-AES128-GCM-SHA256",
        Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) => "ECDHE-RSA-AES256-GCM-SHA384",
        Some(CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256) => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => "",
    }
}
