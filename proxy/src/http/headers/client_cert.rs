//! `x-forwarded-client-cert`. Envoy: `forward_client_cert_details`, `set_current_client_cert_details`.

use std::fmt::Write;

use super::list::{HeaderList, text};
use crate::http::names::X_FORWARDED_CLIENT_CERT;
use crate::snapshot::listener::{ClientCertDetails, ForwardClientCert, HttpManager};
use crate::tls::peer::PeerCertificate;
use crate::tls::session::TlsSession;

/// Forwards, replaces, extends or removes the header as `manager` says. On plaintext, or from a client
/// without a certificate, every mode but `AlwaysForwardOnly` removes it. A header that replaces a client's
/// keeps its place.
pub fn set(headers: &mut HeaderList, manager: &HttpManager, session: Option<&TlsSession>) {
    let mode = manager.forward_client_cert;
    if mode == ForwardClientCert::AlwaysForwardOnly {
        return;
    }
    let shown = session.and_then(|session| Some((session, session.peer.as_ref()?)));
    let Some((session, peer)) = shown.filter(|_| mode != ForwardClientCert::Sanitize) else {
        headers.remove(&X_FORWARDED_CLIENT_CERT);
        return;
    };
    if mode == ForwardClientCert::ForwardOnly {
        return;
    }
    let mut element = element(session.local_uri.as_deref().unwrap_or_default(), peer, manager.client_cert_details);
    if mode == ForwardClientCert::AppendForward {
        let before: Vec<_> =
            headers.get_all(&X_FORWARDED_CLIENT_CERT).map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        if !before.is_empty() {
            element = format!("{},{element}", before.join(","));
        }
    }
    headers.insert(X_FORWARDED_CLIENT_CERT, text(&element));
}

/// `By;Hash;Subject;URI;DNS`, what is enabled of it; By and Hash always.
fn element(local_uri: &str, peer: &PeerCertificate, details: ClientCertDetails) -> String {
    let mut element = format!("By={local_uri};Hash={}", peer.hash_sha256);
    if details.subject {
        let _ = write!(element, ";Subject=\"{}\"", peer.subject.replace('\\', "\\\\").replace('"', "\\\""));
    }
    if details.uri {
        if peer.uri_sans.is_empty() {
            element.push_str(";URI=");
        }
        for uri in &peer.uri_sans {
            let _ = write!(element, ";URI={uri}");
        }
    }
    if details.dns {
        for name in &peer.dns_sans {
            let _ = write!(element, ";DNS={name}");
        }
    }
    element
}
