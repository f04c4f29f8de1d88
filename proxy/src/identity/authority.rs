//! The call to the certificate authority: `istio.v1.auth.IstioCertificateService/CreateCertificate`.

use std::time::Duration;

use http::uri::PathAndQuery;
use prost_types::Struct;
use tonic::client::Grpc;
use tonic::metadata::AsciiMetadataValue;
use tonic_prost::ProstCodec;

use crate::bootstrap::Token;
use crate::xds::channel::Channel;

const METHOD: &str = "/istio.v1.auth.IstioCertificateService/CreateCertificate";

/// `IstioCertificateRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CertificateRequest {
    /// Signing request, PEM.
    #[prost(string, tag = "1")]
    pub csr: String,
    /// Validity asked for, in seconds.
    #[prost(int64, tag = "3")]
    pub validity_duration: i64,
    /// What the authority may want to know.
    #[prost(message, optional, tag = "4")]
    pub metadata: Option<Struct>,
}

/// `IstioCertificateResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CertificateResponse {
    /// PEM: the leaf, intermediates, and the root last.
    #[prost(string, repeated, tag = "1")]
    pub cert_chain: Vec<String>,
}

/// Asks for a certificate. The chain is returned as it came, PEM, root last.
///
/// Errs when the authority refuses, the connection fails, or the answer is longer than `bytes_max`.
pub async fn create_certificate(
    channel: Channel,
    token: &Token,
    csr: String,
    lifetime: Duration,
    bytes_max: usize,
) -> Result<Vec<String>, tonic::Status> {
    let origin = channel.origin();
    let mut grpc = Grpc::with_origin(channel, origin).max_decoding_message_size(bytes_max);
    grpc.ready().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
    let validity_duration = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    let mut request = tonic::Request::new(CertificateRequest { csr, validity_duration, metadata: None });
    let mut bearer: AsciiMetadataValue = format!("Bearer {}", token.0)
        .parse()
        .map_err(|_invalid| tonic::Status::invalid_argument("the token is no header value"))?;
    bearer.set_sensitive(true);
    request.metadata_mut().insert("authorization", bearer);
    let codec = ProstCodec::<CertificateRequest, CertificateResponse>::default();
    let response = grpc.unary(request, PathAndQuery::from_static(METHOD), codec).await?;
    Ok(response.into_inner().cert_chain)
}
