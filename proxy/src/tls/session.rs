//! What a finished handshake established.

use std::sync::Arc;

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
    /// First URI name of our own certificate.
    pub local_uri: Option<Arc<str>>,
}
