//! TLS with the mesh's own identities: the secrets `default` and `ROOTCA`, which a proxy serves itself.

use envoy_types::pb::envoy::config::core::v3::{TransportSocket, transport_socket};
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, SdsSecretConfig, SubjectAltNameMatcher,
    TlsParameters, UpstreamTlsContext, common_tls_context, subject_alt_name_matcher, tls_parameters,
};
use envoy_types::pb::envoy::r#type::matcher::v3::{StringMatcher, string_matcher};

use super::shape::{any, flag, sds};
use crate::dialect::Dialect;

/// Secret with a workload's certificate and key.
pub const OWN_SECRET: &str = "default";
/// Secret with the mesh's root.
pub const ROOT_SECRET: &str = "ROOTCA";

const TLS: &str = "envoy.transport_sockets.tls";
const RAW_BUFFER: &str = "envoy.transport_sockets.raw_buffer";

/// ALPN by which an inbound listener knows a sidecar of the mesh.
pub const MESH_ALPN: [&str; 5] = ["istio-http/1.0", "istio-http/1.1", "istio-h2", "istio-peer-exchange", "istio"];

/// TLS of an inbound chain: the peer must show a certificate of the mesh.
pub fn inbound(is_http: bool) -> TransportSocket {
    // istiod offers what the application speaks. A mesh client that offers only its own names is answered
    // with one of them, because not every TLS library goes on without a common protocol.
    let spoken: &[&str] = if is_http { &["h2", "http/1.1"] } else { &[] };
    let offered = spoken.iter().chain(&["istio-peer-exchange", "istio"]);
    let context = DownstreamTlsContext {
        common_tls_context: Some(common(offered.map(|alpn| (*alpn).to_owned()).collect(), Vec::new())),
        require_client_certificate: flag(true),
        ..Default::default()
    };
    socket(TLS, any(&context))
}

/// TLS to endpoints of the mesh: `sni` names the cluster, and the peer must be one of `identities`
/// (SPIFFE URIs; empty: anyone of the mesh).
pub fn outbound(dialect: Dialect, sni: String, identities: Vec<String>, is_http2: bool) -> TransportSocket {
    let mut alpn: Vec<String> = dialect.mutual_alpn().iter().map(|name| (*name).to_owned()).collect();
    if is_http2 {
        alpn.push("h2".to_owned());
    }
    let context = UpstreamTlsContext { common_tls_context: Some(common(alpn, identities)), sni, ..Default::default() };
    socket(TLS, any(&context))
}

/// No TLS.
pub fn plaintext() -> TransportSocket {
    socket(RAW_BUFFER, any(&RawBuffer {}))
}

fn common(alpn_protocols: Vec<String>, identities: Vec<String>) -> CommonTlsContext {
    let validation = common_tls_context::CombinedCertificateValidationContext {
        default_validation_context: Some(CertificateValidationContext {
            match_typed_subject_alt_names: identities.into_iter().map(uri).collect(),
            ..Default::default()
        }),
        validation_context_sds_secret_config: Some(secret(ROOT_SECRET)),
        ..Default::default()
    };
    CommonTlsContext {
        tls_params: Some(TlsParameters {
            tls_minimum_protocol_version: tls_parameters::TlsProtocol::TlSv12 as i32,
            tls_maximum_protocol_version: tls_parameters::TlsProtocol::TlSv13 as i32,
            ..Default::default()
        }),
        tls_certificate_sds_secret_configs: vec![secret(OWN_SECRET)],
        alpn_protocols,
        validation_context_type: Some(common_tls_context::ValidationContextType::CombinedValidationContext(validation)),
        ..Default::default()
    }
}

fn uri(identity: String) -> SubjectAltNameMatcher {
    SubjectAltNameMatcher {
        san_type: subject_alt_name_matcher::SanType::Uri as i32,
        matcher: Some(StringMatcher {
            match_pattern: Some(string_matcher::MatchPattern::Exact(identity)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn secret(name: &str) -> SdsSecretConfig {
    SdsSecretConfig { name: name.to_owned(), sds_config: sds() }
}

fn socket(name: &str, config: envoy_types::pb::google::protobuf::Any) -> TransportSocket {
    TransportSocket { name: name.to_owned(), config_type: Some(transport_socket::ConfigType::TypedConfig(config)) }
}
