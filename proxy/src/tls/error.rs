//! Why a handshake failed, and how Envoy (BoringSSL) words it in `%UPSTREAM_TRANSPORT_FAILURE_REASON%` and
//! `%DOWNSTREAM_TRANSPORT_FAILURE_REASON%`.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, Error as RustlsError, InvalidMessage, OtherError, PeerIncompatible};

use crate::snapshot::tls::SecretName;

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A secret that the configuration names has not come yet.
    #[error("secret `{}` has not been supplied", .0.0)]
    SecretMissing(SecretName),
    /// The configuration cannot be used.
    #[error("TLS configuration cannot be used: {0}")]
    Config(String),
    /// The peer's certificate was refused.
    #[error("peer certificate refused: {0}")]
    Untrusted(Distrust),
    /// A certificate was required and the peer showed none.
    #[error("peer showed no certificate")]
    NoPeerCertificate,
    /// The peer gave up with this alert (RFC 8446 section 6).
    #[error("peer sent alert {0:?}")]
    Alert(AlertDescription),
    /// The peer spoke plaintext HTTP.
    #[error("peer spoke HTTP instead of TLS")]
    HttpRequest,
    /// The peer spoke something that is no TLS.
    #[error("peer did not speak TLS")]
    NotTls,
    /// The peer offers no TLS version that we accept.
    #[error("no TLS version in common")]
    NoCommonVersion,
    /// The peer offers no cipher suite, group or signature scheme that we accept.
    #[error("no cipher suite in common")]
    NoCommonCipher,
    /// The peer broke the protocol.
    #[error("TLS protocol error: {0}")]
    Protocol(String),
    /// The peer closed the connection before the handshake was done.
    #[error("connection closed during handshake")]
    Closed,
    /// The connection failed.
    #[error("connection failed during handshake: {0}")]
    Io(io::ErrorKind),
}

/// Why a certificate was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// It chains to none of the roots.
    UnknownIssuer,
    /// It is no longer valid.
    Expired,
    /// It is not valid yet.
    NotValidYet,
    /// A signature in the chain is wrong.
    BadSignature,
    /// It does not parse.
    Malformed,
    /// It may not be used for this.
    WrongPurpose,
    /// None of its names is accepted; these are its URI names, then its DNS names.
    NoAcceptedName(Vec<Arc<str>>),
    /// Anything else.
    Other(String),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer => f.write_str("unable to get local issuer certificate"),
            Self::Expired => f.write_str("certificate has expired"),
            Self::NotValidYet => f.write_str("certificate is not yet valid"),
            Self::BadSignature => f.write_str("certificate signature failure"),
            Self::Malformed => f.write_str("certificate is malformed"),
            Self::WrongPurpose => f.write_str("unsuitable certificate purpose"),
            Self::NoAcceptedName(names) => write!(f, "SAN matcher, certificate SANs are [{}]", names.join(", ")),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Distrust {}

impl TlsError {
    /// The transport failure reason as access logs print it, spaces as `_`; `None` where Envoy gives none
    /// (the peer just closed).
    pub fn transport_failure(&self) -> Option<Arc<str>> {
        let reason = match self {
            Self::SecretMissing(_) | Self::Config(_) => "TLS error: Secret is not supplied by SDS".to_owned(),
            Self::Untrusted(distrust) => verify_failed(distrust),
            Self::NoPeerCertificate => {
                ssl(192, "PEER_DID_NOT_RETURN_A_CERTIFICATE:peer did not provide required client certificate")
            }
            Self::Alert(alert) => ssl(1000 + u32::from(u8::from(*alert)), &alert_name(*alert)),
            Self::HttpRequest => ssl(156, "HTTP_REQUEST"),
            Self::NotTls => ssl(247, "WRONG_VERSION_NUMBER"),
            Self::NoCommonVersion => ssl(240, "UNSUPPORTED_PROTOCOL"),
            Self::NoCommonCipher => ssl(184, "NO_SHARED_CIPHER"),
            Self::Protocol(_) => ssl(137, "DECODE_ERROR"),
            Self::Closed => return None,
            Self::Io(io::ErrorKind::ConnectionReset) => {
                "TLS error:|33554536:system library:OPENSSL_internal:Connection reset by peer:TLS error end".to_owned()
            }
            Self::Io(_) => return None,
        };
        Some(reason.replace(' ', "_").into())
    }

    /// The TLS failure behind an error of reading or writing a TLS stream; `None` when the connection
    /// itself failed. With TLS 1.3 a client learns so, on its first read, that its certificate was refused.
    pub fn of_stream(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref::<RustlsError>().map(Self::from)
    }

    /// The failure of a handshake step.
    pub(super) fn of_handshake(error: &io::Error) -> Self {
        match Self::of_stream(error) {
            Some(failure) => failure,
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed,
            None => Self::Io(error.kind()),
        }
    }
}

impl From<&RustlsError> for TlsError {
    fn from(error: &RustlsError) -> Self {
        match error {
            RustlsError::InvalidCertificate(reason) => Self::Untrusted(reason.into()),
            RustlsError::NoCertificatesPresented => Self::NoPeerCertificate,
            RustlsError::AlertReceived(alert) => Self::Alert(*alert),
            RustlsError::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => Self::NotTls,
            RustlsError::PeerIncompatible(reason) => incompatible(reason),
            other => Self::Protocol(other.to_string()),
        }
    }
}

impl From<&CertificateError> for Distrust {
    fn from(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotValidYet,
            CertificateError::BadEncoding => Self::Malformed,
            CertificateError::InvalidPurpose => Self::WrongPurpose,
            CertificateError::Other(OtherError(other)) => match other.downcast_ref::<Self>() {
                Some(distrust) => distrust.clone(),
                None => Self::Other(other.to_string()),
            },
            other => Self::Other(other.to_string()),
        }
    }
}

fn incompatible(reason: &PeerIncompatible) -> TlsError {
    match reason {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => TlsError::NoCommonVersion,
        PeerIncompatible::NoCipherSuitesInCommon
        | PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NoSignatureSchemesInCommon => TlsError::NoCommonCipher,
        other => TlsError::Protocol(format!("{other:?}")),
    }
}

/// BoringSSL packs (library 16, reason) into one number.
fn ssl(reason: u32, text: &str) -> String {
    format!("TLS error:|{}:SSL routines:OPENSSL_internal:{text}:TLS error end", (16 << 24) + reason)
}

fn verify_failed(distrust: &Distrust) -> String {
    let how = match distrust {
        Distrust::NoAcceptedName(_) => distrust.to_string(),
        _ => format!("X509_verify_cert: certificate verification error at depth 0: {distrust}"),
    };
    ssl(125, &format!("CERTIFICATE_VERIFY_FAILED:verify cert failed: {how}"))
}

/// BoringSSL names the alerts that SSL 3 had `SSLV3_ALERT_…`, the later ones `TLSV1_ALERT_…`.
fn alert_name(alert: AlertDescription) -> String {
    let name = match alert {
        AlertDescription::UnexpectedMessage => "SSLV3_ALERT_UNEXPECTED_MESSAGE",
        AlertDescription::BadRecordMac => "SSLV3_ALERT_BAD_RECORD_MAC",
        AlertDescription::HandshakeFailure => "SSLV3_ALERT_HANDSHAKE_FAILURE",
        AlertDescription::BadCertificate => "SSLV3_ALERT_BAD_CERTIFICATE",
        AlertDescription::UnsupportedCertificate => "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        AlertDescription::CertificateRevoked => "SSLV3_ALERT_CERTIFICATE_REVOKED",
        AlertDescription::CertificateExpired => "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        AlertDescription::CertificateUnknown => "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        AlertDescription::IllegalParameter => "SSLV3_ALERT_ILLEGAL_PARAMETER",
        AlertDescription::RecordOverflow => "TLSV1_ALERT_RECORD_OVERFLOW",
        AlertDescription::UnknownCA => "TLSV1_ALERT_UNKNOWN_CA",
        AlertDescription::AccessDenied => "TLSV1_ALERT_ACCESS_DENIED",
        AlertDescription::DecodeError => "TLSV1_ALERT_DECODE_ERROR",
        AlertDescription::DecryptError => "TLSV1_ALERT_DECRYPT_ERROR",
        AlertDescription::ProtocolVersion => "TLSV1_ALERT_PROTOCOL_VERSION",
        AlertDescription::InsufficientSecurity => "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        AlertDescription::InternalError => "TLSV1_ALERT_INTERNAL_ERROR",
        AlertDescription::UserCanceled => "TLSV1_ALERT_USER_CANCELLED",
        AlertDescription::UnrecognisedName => "TLSV1_ALERT_UNRECOGNIZED_NAME",
        AlertDescription::CertificateRequired => "TLSV1_ALERT_CERTIFICATE_REQUIRED",
        AlertDescription::NoApplicationProtocol => "TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
        other => return format!("UNKNOWN_ALERT_TYPE_{}", u8::from(other)),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_read_as_envoy_logs_them() {
        let verify =
            "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_";
        let depth = "X509_verify_cert:_certificate_verification_error_at_depth_0:_";
        let names = vec![Arc::from("spiffe://cluster.local/ns/foo/sa/srv"), Arc::from("srv.test")];
        let alert = |name: &str| format!("TLS_error:|{name}:TLS_error_end");
        let table = [
            (
                TlsError::Untrusted(Distrust::UnknownIssuer),
                format!("{verify}{depth}unable_to_get_local_issuer_certificate:TLS_error_end"),
            ),
            (TlsError::Untrusted(Distrust::Expired), format!("{verify}{depth}certificate_has_expired:TLS_error_end")),
            (
                TlsError::Untrusted(Distrust::NoAcceptedName(names)),
                format!(
                    "{verify}SAN_matcher,_certificate_SANs_are_\
                     [spiffe://cluster.local/ns/foo/sa/srv,_srv.test]:TLS_error_end"
                ),
            ),
            (
                TlsError::NoPeerCertificate,
                alert(
                    "268435648:SSL_routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE:\
                     peer_did_not_provide_required_client_certificate",
                ),
            ),
            (
                TlsError::Alert(AlertDescription::HandshakeFailure),
                alert("268436496:SSL_routines:OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE"),
            ),
            (
                TlsError::Alert(AlertDescription::UnknownCA),
                alert("268436504:SSL_routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA"),
            ),
            (
                TlsError::Alert(AlertDescription::CertificateExpired),
                alert("268436501:SSL_routines:OPENSSL_internal:SSLV3_ALERT_CERTIFICATE_EXPIRED"),
            ),
            (TlsError::HttpRequest, alert("268435612:SSL_routines:OPENSSL_internal:HTTP_REQUEST")),
            (TlsError::NotTls, alert("268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER")),
        ];
        for (error, text) in table {
            assert_eq!(error.transport_failure().as_deref(), Some(text.as_str()), "{error}");
        }
        assert_eq!(TlsError::Closed.transport_failure(), None);
    }
}
