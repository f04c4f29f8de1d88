//! Transport sockets of both sides: plaintext, or TLS with certificates and roots that are named secrets.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::TransportSocket as ProtoTransportSocket;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, SdsSecretConfig, SubjectAltNameMatcher,
    TlsParameters, UpstreamTlsContext,
};
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::google::protobuf::Any;

use super::fault::{Fault, Within, each, fields};
use super::value::{parse, required, switch, type_name};
use crate::snapshot::tls::{DownstreamTls, SanMatcher, SecretName, TransportSocket, UpstreamTls, Validation};

const UPSTREAM_TLS: &str = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
const DOWNSTREAM_TLS: &str = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
const RAW_BUFFER: &str = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";

/// The socket of a cluster; none is plaintext.
pub fn upstream_socket(socket: Option<&ProtoTransportSocket>) -> Result<TransportSocket, Fault> {
    match socket.map(config).transpose()?.flatten() {
        None => Ok(TransportSocket::Raw),
        Some(config) => {
            let context = parse(config, UPSTREAM_TLS).within("typed_config")?;
            Ok(TransportSocket::Tls(Arc::new(upstream(&context).within("typed_config")?)))
        }
    }
}

/// The socket of a filter chain; `None` is plaintext.
pub fn downstream_socket(socket: Option<&ProtoTransportSocket>) -> Result<Option<DownstreamTls>, Fault> {
    match socket.map(config).transpose()?.flatten() {
        None => Ok(None),
        Some(config) => {
            let context = parse(config, DOWNSTREAM_TLS).within("typed_config")?;
            downstream(&context).within("typed_config").map(Some)
        }
    }
}

/// `None` is plaintext.
fn config(socket: &ProtoTransportSocket) -> Result<Option<&Any>, Fault> {
    match &socket.config_type {
        Some(ConfigType::TypedConfig(config)) if type_name(config) == RAW_BUFFER => Ok(None),
        Some(ConfigType::TypedConfig(config)) => Ok(Some(config)),
        None if socket.name == "envoy.transport_sockets.raw_buffer" => Ok(None),
        None => Err(Fault::new("typed_config", "TLS or raw_buffer", "nothing")),
    }
}

fn upstream(message: &UpstreamTlsContext) -> Result<UpstreamTls, Fault> {
    fields!(message => UpstreamTlsContext {
        used: [common_tls_context, sni],
        harmless: [allow_renegotiation, max_session_keys, enforce_rsa_key_usage],
        refused: [auto_host_sni, auto_sni_san_validation],
        refused_on: [],
    });
    let common = message.common_tls_context.clone().unwrap_or_default();
    let (certificate, validation, alpn) = common_context(&common).within("common_tls_context")?;
    let sni = (!message.sni.is_empty()).then(|| Arc::from(message.sni.as_str()));
    Ok(UpstreamTls { certificate, validation, sni, alpn })
}

fn downstream(message: &DownstreamTlsContext) -> Result<DownstreamTls, Fault> {
    fields!(message => DownstreamTlsContext {
        used: [common_tls_context, require_client_certificate],
        // Sessions are never resumed.
        harmless: [disable_stateful_session_resumption, session_timeout, full_scan_certs_on_sni_mismatch,
                   prefer_client_ciphers, session_ticket_keys_type],
        refused: [ocsp_staple_policy],
        refused_on: [require_sni],
    });
    let common = required("common_tls_context", message.common_tls_context.as_ref())?;
    let (certificate, validation, alpn) = common_context(common).within("common_tls_context")?;
    let Some(certificate) = certificate else {
        return Err(Fault::new("common_tls_context.tls_certificate_sds_secret_configs", "one secret", "none"));
    };
    let require_client_certificate = switch(message.require_client_certificate.as_ref(), false);
    if require_client_certificate && validation.is_none() {
        let wanted = "a validation context beside require_client_certificate";
        return Err(Fault::new("common_tls_context.validation_context_type", wanted, "nothing"));
    }
    Ok(DownstreamTls { certificate, validation, require_client_certificate, alpn })
}

type Common = (Option<SecretName>, Option<Validation>, Vec<Arc<str>>);

fn common_context(message: &CommonTlsContext) -> Result<Common, Fault> {
    fields!(message => CommonTlsContext {
        used: [tls_params, tls_certificate_sds_secret_configs, alpn_protocols, validation_context_type],
        harmless: [],
        refused: [tls_certificates, tls_certificate_provider_instance, custom_tls_certificate_selector,
                  tls_certificate_certificate_provider, tls_certificate_certificate_provider_instance,
                  custom_handshaker, key_log],
        refused_on: [],
    });
    if let Some(parameters) = &message.tls_params {
        check_parameters(parameters).within("tls_params")?;
    }
    let field = "tls_certificate_sds_secret_configs";
    let certificate = match message.tls_certificate_sds_secret_configs.as_slice() {
        [] => None,
        [one] => Some(secret(one).within_item(field, 0)?),
        more => return Err(Fault::new(field, "at most one", more.len())),
    };
    let validation = message.validation_context_type.as_ref().map(validation).transpose()?;
    Ok((certificate, validation, message.alpn_protocols.iter().map(|name| Arc::from(name.as_str())).collect()))
}

/// TLS 1.2 and 1.3 are spoken, with cipher suites of this proxy's choice.
fn check_parameters(parameters: &TlsParameters) -> Result<(), Fault> {
    fields!(parameters => TlsParameters {
        used: [tls_minimum_protocol_version, tls_maximum_protocol_version],
        harmless: [cipher_suites, ecdh_curves, signature_algorithms],
        refused: [compliance_policies],
        refused_on: [],
    });
    if parameters.tls_minimum_protocol_version > 3 {
        let got = format_args!("number {}", parameters.tls_minimum_protocol_version);
        return Err(Fault::new("tls_minimum_protocol_version", "at most TLSv1_2", got));
    }
    match parameters.tls_maximum_protocol_version {
        0 | 3 | 4 => Ok(()),
        other => Err(Fault::new("tls_maximum_protocol_version", "TLSv1_2 or TLSv1_3", format_args!("number {other}"))),
    }
}

/// A secret by name. This proxy serves itself all secrets, wherever they are said to come from; one that it
/// does not have fails the handshake.
fn secret(config: &SdsSecretConfig) -> Result<SecretName, Fault> {
    if config.name.is_empty() {
        return Err(Fault::new("name", "a name", "nothing"));
    }
    Ok(SecretName(Arc::from(config.name.as_str())))
}

fn validation(kind: &ValidationContextType) -> Result<Validation, Fault> {
    match kind {
        ValidationContextType::ValidationContextSdsSecretConfig(config) => {
            let roots = secret(config).within("validation_context_sds_secret_config")?;
            Ok(Validation { roots, subject_alt_names: Vec::new() })
        }
        ValidationContextType::CombinedValidationContext(of) => combined(of).within("combined_validation_context"),
        _ => {
            let wanted = "combined_validation_context or validation_context_sds_secret_config";
            Err(Fault::new("validation_context_type", wanted, "another kind"))
        }
    }
}

fn combined(message: &CombinedCertificateValidationContext) -> Result<Validation, Fault> {
    fields!(message => CombinedCertificateValidationContext {
        used: [default_validation_context, validation_context_sds_secret_config],
        harmless: [],
        refused: [validation_context_certificate_provider, validation_context_certificate_provider_instance],
        refused_on: [],
    });
    let field = "validation_context_sds_secret_config";
    let roots = secret(required(field, message.validation_context_sds_secret_config.as_ref())?).within(field)?;
    let names = message.default_validation_context.as_ref().map(subject_alt_names).transpose();
    Ok(Validation { roots, subject_alt_names: names.within("default_validation_context")?.unwrap_or_default() })
}

fn subject_alt_names(message: &CertificateValidationContext) -> Result<Vec<SanMatcher>, Fault> {
    fields!(message => CertificateValidationContext {
        used: [match_typed_subject_alt_names, match_subject_alt_names],
        harmless: [watched_directory, max_verify_depth, suppress_client_ca_list],
        refused: [trusted_ca, ca_certificate_provider_instance, system_root_certs, verify_certificate_spki,
                  verify_certificate_hash, crl, allow_expired_certificate, trust_chain_verification,
                  custom_validator_config, only_verify_leaf_cert_crl],
        refused_on: [require_signed_certificate_timestamp],
    });
    let mut names = each("match_typed_subject_alt_names", &message.match_typed_subject_alt_names, typed_name)?;
    names.extend(each("match_subject_alt_names", &message.match_subject_alt_names, name)?);
    Ok(names)
}

fn typed_name(message: &SubjectAltNameMatcher) -> Result<SanMatcher, Fault> {
    match message.san_type {
        2 | 3 => name(required("matcher", message.matcher.as_ref())?).within("matcher"),
        other => Err(Fault::new("san_type", "DNS or URI", format_args!("number {other}"))),
    }
}

fn name(matcher: &StringMatcher) -> Result<SanMatcher, Fault> {
    if matcher.ignore_case {
        return Err(Fault::new("ignore_case", "false", "true"));
    }
    match &matcher.match_pattern {
        Some(MatchPattern::Exact(value)) => Ok(SanMatcher::Exact(Arc::from(value.as_str()))),
        Some(MatchPattern::Prefix(value)) => Ok(SanMatcher::Prefix(Arc::from(value.as_str()))),
        Some(MatchPattern::Suffix(value)) => Ok(SanMatcher::Suffix(Arc::from(value.as_str()))),
        Some(_) => Err(Fault::new("match_pattern", "exact, prefix or suffix", "another pattern")),
        None => Err(Fault::new("match_pattern", "a pattern", "nothing")),
    }
}
