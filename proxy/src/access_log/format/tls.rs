//! What TLS said on either side of the proxy.

use std::sync::Arc;

use crate::access_log::entry::{Entry, Wire};
use crate::tls::peer::PeerCertificate;

/// Sides of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The caller's.
    Downstream,
    /// The endpoint's.
    Upstream,
}

/// What TLS said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsField {
    /// `TLSv1.3`.
    Version,
    /// OpenSSL's name of the cipher suite.
    Cipher,
    /// Subject of the peer's certificate.
    PeerSubject,
    /// Its issuer.
    PeerIssuer,
    /// Its URI names, joined by `,`.
    PeerUriSans,
    /// Its DNS names, joined by `,`.
    PeerDnsSans,
    /// Its SHA-256 hash.
    PeerFingerprint,
    /// Its serial number.
    PeerSerial,
    /// URI name of our certificate.
    LocalUriSan,
}

impl Side {
    pub(super) fn wire<'a>(self, entry: &Entry<'a>) -> Wire<'a> {
        match self {
            Self::Downstream => entry.downstream,
            Self::Upstream => entry.upstream,
        }
    }

    pub(super) fn peer<'a>(self, entry: &Entry<'a>) -> Option<&'a PeerCertificate> {
        self.wire(entry).session?.peer.as_ref()
    }
}

impl TlsField {
    pub(super) fn write(self, wire: Wire<'_>, out: &mut Vec<u8>) -> bool {
        let Some(session) = wire.session else { return false };
        let peer = session.peer.as_ref();
        let text = match self {
            Self::Version => session.version,
            Self::Cipher => session.cipher,
            Self::LocalUriSan => session.local_uri.as_deref().unwrap_or_default(),
            Self::PeerSubject => peer.map_or("", |peer| &peer.subject),
            Self::PeerIssuer => peer.map_or("", |peer| &peer.issuer),
            Self::PeerFingerprint => peer.map_or("", |peer| &peer.hash_sha256),
            Self::PeerSerial => peer.map_or("", |peer| &peer.serial),
            Self::PeerUriSans => return put_list(peer.map_or(&[][..], |peer| &peer.uri_sans), out),
            Self::PeerDnsSans => return put_list(peer.map_or(&[][..], |peer| &peer.dns_sans), out),
        };
        out.extend_from_slice(text.as_bytes());
        !text.is_empty()
    }
}

fn put_list(names: &[Arc<str>], out: &mut Vec<u8>) -> bool {
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name.as_bytes());
    }
    !names.is_empty()
}
