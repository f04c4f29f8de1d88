//! `istio.v1.auth.IstioCertificateService` over gRPC: a CSR and a bearer token in, a chain out.
//!
//! The messages are Istio's `security/v1alpha1/ca.proto`, field by field.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use tonic::server::{Grpc, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::{CaError, CertificateAuthority};

/// gRPC path of the one method.
pub const CREATE_CERTIFICATE: &str = "/istio.v1.auth.IstioCertificateService/CreateCertificate";

/// Largest request that is read, in bytes.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Asks for a certificate.
#[derive(Clone, PartialEq, prost::Message)]
pub struct IstioCertificateRequest {
    /// A PKCS#10 request in PEM.
    #[prost(string, tag = "1")]
    pub csr: String,
    /// Wanted validity in seconds; 0 leaves it to the authority.
    #[prost(int64, tag = "3")]
    pub validity_duration: i64,
    /// Hints of the caller; not read.
    #[prost(message, optional, tag = "4")]
    pub metadata: Option<prost_types::Struct>,
}

/// The answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct IstioCertificateResponse {
    /// Certificates in PEM: the leaf first, the root last.
    #[prost(string, repeated, tag = "1")]
    pub cert_chain: Vec<String>,
}

/// The authority behind gRPC.
#[derive(Debug, Clone)]
pub struct CaService {
    ca: Arc<CertificateAuthority>,
}

impl CaService {
    /// Serves `ca`.
    pub fn new(ca: Arc<CertificateAuthority>) -> Self {
        Self { ca }
    }

    /// Answers one HTTP/2 request to [`CREATE_CERTIFICATE`].
    pub async fn call<B>(&self, request: http::Request<B>) -> http::Response<tonic::body::Body>
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let codec = ProstCodec::<IstioCertificateResponse, IstioCertificateRequest>::default();
        let mut grpc = Grpc::new(codec).max_decoding_message_size(REQUEST_BYTES_MAX);
        grpc.unary(self.clone(), request).await
    }

    fn create(&self, request: &Request<IstioCertificateRequest>) -> Result<IstioCertificateResponse, Status> {
        let token = bearer(request).ok_or_else(|| Status::unauthenticated("no bearer token"))?;
        let asked = request.get_ref();
        let validity = u64::try_from(asked.validity_duration)
            .map_err(|_| Status::invalid_argument("validity_duration is negative"))?;
        let chain = self.ca.sign(token, &asked.csr, Duration::from_secs(validity)).map_err(|error| {
            let text = error.to_string();
            match error {
                CaError::UnknownToken => Status::unauthenticated(text),
                CaError::Impersonation { .. } => Status::permission_denied(text),
                CaError::BadRequest(_) => Status::invalid_argument(text),
                CaError::Root(_) | CaError::Signing(_) => Status::internal(text),
            }
        })?;
        Ok(IstioCertificateResponse { cert_chain: chain })
    }
}

fn bearer<T>(request: &Request<T>) -> Option<&str> {
    let value = request.metadata().get("authorization")?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::trim)
}

impl UnaryService<IstioCertificateRequest> for CaService {
    type Response = IstioCertificateResponse;
    type Future = Ready<Result<Response<IstioCertificateResponse>, Status>>;

    fn call(&mut self, request: Request<IstioCertificateRequest>) -> Self::Future {
        ready(self.create(&request).map(Response::new))
    }
}
