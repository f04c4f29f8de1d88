//! The proxy's own identity: a key, a certificate for it from the mesh's authority, and its renewal.
//!
//! What comes back is served to ourselves as the secrets `default` (chain and key) and `ROOTCA` (roots);
//! nothing of it touches a disk. The protocol is `istio.v1.auth.IstioCertificateService`.
//!
//! Files, in the order they act:
//! - [`key`]: a private key and the signing request for it
//! - [`authority`]: the call that turns a request into a chain
//! - [`client`]: obtains, installs, renews

pub mod authority;
pub mod client;
pub mod key;

pub use client::{Identity, IdentityError, certificate_name, ready, roots_name};
