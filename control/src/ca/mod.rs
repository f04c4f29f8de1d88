//! The certificate authority: who a workload is, and a certificate that says so.
//!
//! - [`identity`]: SPIFFE identities of the mesh
//! - [`token`]: which token proves which identity
//! - [`key`]: private keys from the door's randomness
//! - [`root`]: the root, made or read from where it was kept
//! - [`authority`]: signing of requests
//! - [`serving`]: the control plane's own server certificate, renewed as it ages
//! - [`service`]: `istio.v1.auth.IstioCertificateService` over gRPC

pub mod authority;
pub mod identity;
pub mod key;
pub mod root;
pub mod service;
pub mod serving;
pub mod token;

pub use authority::{CaConfig, CaError, CertificateAuthority};
pub use identity::Identity;
pub use key::KeyType;
pub use root::RootPem;
pub use service::{CaService, IstioCertificateRequest, IstioCertificateResponse};
pub use token::TokenTable;
