//! What an Envoy in our proxy's place is told at its start: everything comes from our control plane over mutual TLS,
//! and its secrets from the agent beside it.

use std::path::Path;

use envoy_types::pb::envoy::config::bootstrap::v3::bootstrap::{DynamicResources, StaticResources};
use envoy_types::pb::envoy::config::bootstrap::v3::cluster_manager::OutlierDetection;
use envoy_types::pb::envoy::config::bootstrap::v3::{Admin, Bootstrap, ClusterManager};
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType};
use envoy_types::pb::envoy::config::core::v3::{
    ApiConfigSource, ApiVersion, GrpcService, Http2ProtocolOptions, KeepaliveSettings, Node, TransportSocket,
    api_config_source, grpc_service, transport_socket,
};
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, SdsSecretConfig, SubjectAltNameMatcher, UpstreamTlsContext,
    common_tls_context, subject_alt_name_matcher,
};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, explicit_http_config::ProtocolConfig,
};
use envoy_types::pb::envoy::r#type::matcher::v3::{StringMatcher, string_matcher};
use envoy_types::pb::google::protobuf::{Any, Duration, Struct, UInt32Value, Value, value};
use prost::{Message, Name};
use wavetank_control::generate::shape::{SDS_CLUSTER, address, ads, sds};
use wavetank_proxy::bootstrap::{self, NodeIdentity};

use super::agent;

/// Where it can be told to drain.
pub(super) const ADMIN_PORT: u16 = 15_000;
/// Name of the cluster behind which the control plane is.
const XDS_CLUSTER: &str = "xds-grpc";

/// The bootstrap of an Envoy that stands for the proxy that `ours` is for; what its outlier detection does goes to the
/// file `events`.
pub(super) fn bootstrap(ours: &bootstrap::Bootstrap, events: &Path) -> Bootstrap {
    let envoy_grpc = grpc_service::EnvoyGrpc { cluster_name: XDS_CLUSTER.to_owned(), ..Default::default() };
    let service = GrpcService {
        target_specifier: Some(grpc_service::TargetSpecifier::EnvoyGrpc(envoy_grpc)),
        ..Default::default()
    };
    let stream = ApiConfigSource {
        api_type: api_config_source::ApiType::DeltaGrpc as i32,
        transport_api_version: ApiVersion::V3 as i32,
        grpc_services: vec![service],
        set_node_on_first_message_only: true,
        ..Default::default()
    };
    let loopback = grpc(SDS_CLUSTER, "127.0.0.1", agent::PORT, DiscoveryType::Static);
    let mut control = grpc(XDS_CLUSTER, &ours.xds.host, ours.xds.port, DiscoveryType::StrictDns);
    control.transport_socket = Some(mutual_tls(&ours.xds.host));
    Bootstrap {
        node: Some(node(&ours.node)),
        static_resources: Some(StaticResources { clusters: vec![control, loopback], ..Default::default() }),
        dynamic_resources: Some(DynamicResources {
            ads_config: Some(stream),
            cds_config: ads(),
            lds_config: ads(),
            ..Default::default()
        }),
        cluster_manager: Some(ClusterManager {
            outlier_detection: Some(OutlierDetection {
                event_log_path: events.display().to_string(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        admin: Some(Admin { address: address("127.0.0.1", ADMIN_PORT), ..Default::default() }),
        ..Default::default()
    }
}

fn node(ours: &NodeIdentity) -> Node {
    let fields = ours.metadata.iter().map(|(key, own)| (key.clone(), of_json(own)));
    Node {
        id: ours.id.clone(),
        cluster: ours.cluster.clone(),
        metadata: Some(Struct { fields: fields.collect() }),
        ..Default::default()
    }
}

fn of_json(json: &serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => value::Kind::NullValue(0),
        serde_json::Value::Bool(own) => value::Kind::BoolValue(*own),
        serde_json::Value::Number(own) => value::Kind::NumberValue(own.as_f64().unwrap_or_default()),
        serde_json::Value::String(own) => value::Kind::StringValue(own.clone()),
        serde_json::Value::Array(own) => value::Kind::ListValue(envoy_types::pb::google::protobuf::ListValue {
            values: own.iter().map(of_json).collect(),
        }),
        serde_json::Value::Object(own) => {
            let fields = own.iter().map(|(key, own)| (key.clone(), of_json(own)));
            value::Kind::StructValue(Struct { fields: fields.collect() })
        }
    };
    Value { kind: Some(kind) }
}

/// A cluster with one endpoint that speaks gRPC.
fn grpc(name: &str, host: &str, port: u16, discovery: DiscoveryType) -> Cluster {
    let seconds = |seconds| Some(Duration { seconds, nanos: 0 });
    let http2 = ProtocolConfig::Http2ProtocolOptions(Http2ProtocolOptions {
        // As our proxy does, so that a control plane that lost power is noticed.
        connection_keepalive: Some(KeepaliveSettings {
            interval: seconds(30),
            timeout: seconds(10),
            ..Default::default()
        }),
        max_concurrent_streams: Some(UInt32Value { value: 100 }),
        ..Default::default()
    });
    let explicit = ExplicitHttpConfig { protocol_config: Some(http2) };
    let options = HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)),
        ..Default::default()
    };
    let endpoint = Endpoint { address: address(host, port), ..Default::default() };
    let host =
        LbEndpoint { host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(endpoint)), ..Default::default() };
    Cluster {
        name: name.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(discovery as i32)),
        connect_timeout: seconds(5),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: name.to_owned(),
            endpoints: vec![LocalityLbEndpoints { lb_endpoints: vec![host], ..Default::default() }],
            ..Default::default()
        }),
        typed_extension_protocol_options: [(HttpProtocolOptions::full_name(), any(&options))].into_iter().collect(),
        ..Default::default()
    }
}

fn mutual_tls(server: &str) -> TransportSocket {
    let secret = |name: &str| SdsSecretConfig { name: name.to_owned(), sds_config: sds() };
    let name = SubjectAltNameMatcher {
        san_type: subject_alt_name_matcher::SanType::Dns as i32,
        matcher: Some(StringMatcher {
            match_pattern: Some(string_matcher::MatchPattern::Exact(server.to_owned())),
            ..Default::default()
        }),
        ..Default::default()
    };
    let validation = common_tls_context::CombinedCertificateValidationContext {
        default_validation_context: Some(CertificateValidationContext {
            match_typed_subject_alt_names: vec![name],
            ..Default::default()
        }),
        validation_context_sds_secret_config: Some(secret(agent::ROOTS)),
        ..Default::default()
    };
    let common = CommonTlsContext {
        tls_certificate_sds_secret_configs: vec![secret(agent::OWN)],
        alpn_protocols: vec!["h2".to_owned()],
        validation_context_type: Some(common_tls_context::ValidationContextType::CombinedValidationContext(validation)),
        ..Default::default()
    };
    let context = UpstreamTlsContext { common_tls_context: Some(common), sni: server.to_owned(), ..Default::default() };
    TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(any(&context))),
    }
}

fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}
