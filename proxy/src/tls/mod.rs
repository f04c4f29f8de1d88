//! TLS on either side of the proxy: handshakes, how a peer's certificate is judged, and what a session
//! says about the peer.
//!
//! Nothing is resumed and no ticket is sent: a resumed session is not judged again, which would hide an
//! expired certificate.
//!
//! Files, in the order a handshake meets them:
//! - [`secret`]: the named certificates and roots
//! - [`context`]: [`Tls`], which accepts and connects
//! - `hello`: the client's first message, or what came instead
//! - `verify`: the verdict on a peer's certificate; `verified`: those that stand
//! - [`peer`]: what a certificate says
//! - [`session`]: what a finished handshake established
//! - [`error`]: why a handshake failed, in Envoy's words

pub mod context;
pub mod error;
mod hello;
pub mod peer;
pub mod secret;
pub mod session;
mod verified;
mod verify;

pub use context::{Tls, TlsStream};
pub use error::TlsError;
pub use peer::PeerCertificate;
pub use secret::Secrets;
pub use session::TlsSession;
