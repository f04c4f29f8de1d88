//! Clusters and endpoints.

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CommonLbConfig, EdsClusterConfig, LbConfig, LeastRequestLbConfig, TransportSocketMatch,
};
use envoy_types::pb::envoy::config::cluster::v3::{CircuitBreakers, Cluster as Proto, OutlierDetection};
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint::HostIdentifier,
};
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, SdsSecretConfig, SubjectAltNameMatcher, UpstreamTlsContext,
};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, explicit_http_config::ProtocolConfig,
};
use envoy_types::pb::envoy::r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern};
use envoy_types::pb::envoy::r#type::v3::Percent;

use super::super::{assignment, cluster};
use super::*;
use crate::snapshot::cluster::{Balancer, Breakers, Discovery, UpstreamProtocol};
use crate::snapshot::tls::{SanMatcher, SecretName, TransportSocket};

fn eds() -> Proto {
    Proto {
        name: "outbound|80|v1|a.test".to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(3)),
        eds_cluster_config: Some(EdsClusterConfig { eds_config: ads(), service_name: String::new() }),
        ..Default::default()
    }
}

fn fault(change: impl FnOnce(&mut Proto)) -> String {
    let mut message = eds();
    change(&mut message);
    cluster(&packed(&message)).map(|_| "accepted".to_owned()).unwrap_or_else(|error| error.to_string())
}

fn outlier_fault(change: impl FnOnce(&mut OutlierDetection)) -> String {
    let mut outlier = OutlierDetection::default();
    change(&mut outlier);
    fault(|message| message.outlier_detection = Some(outlier))
}

fn mutual_tls(names: &[&str]) -> UpstreamTlsContext {
    let secret = |name: &str| SdsSecretConfig { name: name.to_owned(), ..Default::default() };
    let name = |name: &&str| SubjectAltNameMatcher {
        san_type: 3,
        matcher: Some(StringMatcher {
            match_pattern: Some(MatchPattern::Exact((*name).to_owned())),
            ..Default::default()
        }),
        ..Default::default()
    };
    let validation = CombinedCertificateValidationContext {
        default_validation_context: Some(CertificateValidationContext {
            match_typed_subject_alt_names: names.iter().map(name).collect(),
            ..Default::default()
        }),
        validation_context_sds_secret_config: Some(secret("ROOTCA")),
        ..Default::default()
    };
    UpstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            tls_certificate_sds_secret_configs: vec![secret("default")],
            alpn_protocols: vec!["istio".to_owned()],
            validation_context_type: Some(ValidationContextType::CombinedValidationContext(validation)),
            ..Default::default()
        }),
        sni: "outbound_.80_._.a.test".to_owned(),
        ..Default::default()
    }
}

#[test]
fn a_plain_cluster_has_envoys_defaults() {
    let decoded = cluster(&packed(&eds())).unwrap();
    assert!(matches!(&decoded.discovery, Discovery::Eds(name) if **name == *"outbound|80|v1|a.test"));
    assert_eq!(decoded.balancer, Balancer::RoundRobin);
    assert_eq!(decoded.connect_timeout.as_secs(), 5);
    assert_eq!(decoded.breakers, Breakers::default());
    assert_eq!(decoded.protocol, UpstreamProtocol::Http1);
    assert_eq!(decoded.panic_threshold_percent, 50.0);
    assert_eq!(decoded.transport_socket, TransportSocket::Raw);
}

#[test]
fn a_cluster_says_all_it_means() {
    let http2 = ProtocolConfig::Http2ProtocolOptions(Default::default());
    let options = HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
            protocol_config: Some(http2),
        })),
        common_http_protocol_options: Some(core::HttpProtocolOptions {
            idle_timeout: millis(300),
            max_requests_per_connection: number(7),
            ..Default::default()
        }),
        ..Default::default()
    };
    let key = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned();
    let message = Proto {
        lb_policy: 1,
        lb_config: Some(LbConfig::LeastRequestLbConfig(LeastRequestLbConfig {
            choice_count: number(3),
            ..Default::default()
        })),
        connect_timeout: millis(250),
        circuit_breakers: Some(CircuitBreakers {
            thresholds: vec![
                Thresholds { priority: 1, max_retries: number(9), ..Default::default() },
                Thresholds { max_retries: number(u32::MAX), track_remaining: true, ..Default::default() },
            ],
            ..Default::default()
        }),
        common_lb_config: Some(CommonLbConfig {
            healthy_panic_threshold: Some(Percent { value: 0.0 }),
            ..Default::default()
        }),
        typed_extension_protocol_options: [(key, packed(&options))].into_iter().collect(),
        transport_socket_matches: vec![
            TransportSocketMatch {
                name: "tlsMode-istio".to_owned(),
                r#match: Some(strings(&[("tlsMode", "istio")])),
                transport_socket: socket(&mutual_tls(&["spiffe://cluster.local/ns/x/sa/y"])),
            },
            TransportSocketMatch { transport_socket: socket(&RawBuffer {}), ..Default::default() },
        ],
        metadata: from_line_7(),
        ..eds()
    };
    let decoded = cluster(&packed(&message)).unwrap();
    assert_eq!(decoded.balancer, Balancer::LeastRequest { choices: 3 });
    assert_eq!(decoded.connect_timeout.as_millis(), 250);
    assert_eq!(decoded.breakers, Breakers { retries_max: u32::MAX, ..Breakers::default() });
    assert_eq!((decoded.protocol, decoded.requests_per_connection_max), (UpstreamProtocol::Http2, Some(7)));
    assert_eq!(decoded.idle_timeout.unwrap().as_millis(), 300);
    assert_eq!(decoded.panic_threshold_percent, 0.0);
    assert_eq!(decoded.provenance.as_ref().unwrap().to_string(), "mesh.yaml:7:3");

    let plain = crate::snapshot::cluster::Endpoint::at("10.0.0.1:80".parse().unwrap());
    assert_eq!(decoded.socket_for(&plain), &TransportSocket::Raw);
    let mut mesh = plain;
    mesh.transport_socket_match.insert("tlsMode".into(), "istio".into());
    let TransportSocket::Tls(tls) = decoded.socket_for(&mesh) else { panic!("the first match is TLS") };
    assert_eq!(tls.certificate, Some(SecretName("default".into())));
    assert_eq!(tls.sni.as_deref(), Some("outbound_.80_._.a.test"));
    let validation = tls.validation.as_ref().unwrap();
    assert_eq!(validation.roots, SecretName("ROOTCA".into()));
    assert_eq!(validation.subject_alt_names, [SanMatcher::Exact("spiffe://cluster.local/ns/x/sa/y".into())]);
}

#[test]
fn outlier_detection_has_envoys_defaults() {
    let mut message = eds();
    assert!(cluster(&packed(&message)).unwrap().outlier_detection.is_none());
    message.outlier_detection = Some(OutlierDetection::default());
    let decoded = cluster(&packed(&message)).unwrap();
    assert_eq!(*decoded.outlier_detection.unwrap(), crate::snapshot::outlier::OutlierDetection::default());
    assert_eq!(decoded.update_merge_window, std::time::Duration::from_secs(1));
    // The cap is no less than the base.
    let base = Some(Duration { seconds: 400, nanos: 0 });
    message.outlier_detection = Some(OutlierDetection { base_ejection_time: base, ..Default::default() });
    let decoded = cluster(&packed(&message)).unwrap().outlier_detection.unwrap();
    assert_eq!(decoded.max_ejection_time, std::time::Duration::from_secs(400));
}

#[test]
fn what_would_change_traffic_is_refused_by_field() {
    let name = "cluster `outbound|80|v1|a.test`";
    for (got, wanted) in [
        (
            outlier_fault(|outlier| outlier.detect_degraded_hosts = on(true)),
            "outlier_detection.detect_degraded_hosts: wanted false (true is not supported), got true",
        ),
        (
            outlier_fault(|outlier| outlier.monitors = vec![TypedExtensionConfig::default()]),
            "outlier_detection.monitors: wanted nothing (the field is not supported), got a value",
        ),
        (
            outlier_fault(|outlier| outlier.max_ejection_percent = number(101)),
            "outlier_detection.max_ejection_percent: wanted 0 to 100, got 101",
        ),
        (
            outlier_fault(|outlier| outlier.enforcing_success_rate = number(101)),
            "outlier_detection.enforcing_success_rate: wanted 0 to 100, got 101",
        ),
        (
            outlier_fault(|outlier| outlier.interval = Some(Duration::default())),
            "outlier_detection.interval: wanted 1ms at least, got 0ns",
        ),
        (
            outlier_fault(|outlier| outlier.interval = Some(Duration { seconds: i64::MAX, nanos: 0 })),
            "outlier_detection.interval: wanted a duration from 0 to 315576000000 s, got 9223372036854775807 s 0 ns",
        ),
        (
            outlier_fault(|outlier| outlier.max_ejection_time = Some(Duration { seconds: 29, nanos: 0 })),
            "outlier_detection.max_ejection_time: wanted 30s at least, got 29s",
        ),
        (
            fault(|message| message.lb_policy = 2),
            "lb_policy: wanted ROUND_ROBIN, LEAST_REQUEST or RANDOM, got number 2",
        ),
        (fault(|message| message.connect_timeout = millis(0)), "connect_timeout: wanted more than 0, got 0"),
        (
            fault(|message| message.connect_timeout = Some(Duration { seconds: -1, nanos: 0 })),
            "connect_timeout: wanted a duration from 0 to 315576000000 s, got -1 s 0 ns",
        ),
        (fault(|message| message.eds_cluster_config = None), "eds_cluster_config: wanted a value, got nothing"),
        (
            fault(|message| message.eds_cluster_config.as_mut().unwrap().eds_config = None),
            "eds_cluster_config.eds_config.config_source_specifier: wanted ads, got nothing",
        ),
        (
            fault(|message| message.cluster_discovery_type = Some(ClusterDiscoveryType::Type(2))),
            "type: wanted STATIC, STRICT_DNS, EDS or ORIGINAL_DST, got number 2",
        ),
        (
            fault(|message| {
                message.common_lb_config = Some(CommonLbConfig {
                    healthy_panic_threshold: Some(Percent { value: f64::NAN }),
                    ..Default::default()
                });
            }),
            "common_lb_config.healthy_panic_threshold: wanted 0 to 100, got NaN",
        ),
        (
            fault(|message| {
                message.transport_socket = socket(&UpstreamTlsContext { auto_host_sni: true, ..mutual_tls(&[]) });
            }),
            "transport_socket.typed_config.auto_host_sni: wanted nothing (the field is not supported), got true",
        ),
        (
            fault(|message| message.transport_socket = socket(&Proto::default())),
            "transport_socket.typed_config.type_url: wanted type.googleapis.com/envoy.extensions.transport_sockets.\
             tls.v3.UpstreamTlsContext, got type.googleapis.com/envoy.config.cluster.v3.Cluster",
        ),
    ] {
        assert_eq!(got, format!("{name}: {wanted}"));
    }
    assert_eq!(fault(|message| message.alt_stat_name = "x".to_owned()), "accepted");
}

#[test]
fn another_message_is_not_a_cluster() {
    let error = cluster(&packed(&ClusterLoadAssignment::default())).unwrap_err();
    assert_eq!((error.name, &*error.fault.field), (None, "type_url"));
}

fn endpoint(host: &str, port: u32) -> LbEndpoint {
    let endpoint = Endpoint { address: address(host, port), ..Default::default() };
    LbEndpoint { host_identifier: Some(HostIdentifier::Endpoint(endpoint)), ..Default::default() }
}

fn endpoints(list: Vec<LbEndpoint>) -> ClusterLoadAssignment {
    ClusterLoadAssignment {
        cluster_name: "c".to_owned(),
        endpoints: vec![LocalityLbEndpoints { lb_endpoints: list, ..Default::default() }],
        ..Default::default()
    }
}

#[test]
fn endpoints_come_with_health_weight_and_metadata() {
    let mesh = metadata("envoy.transport_socket_match", strings(&[("tlsMode", "istio")]));
    let list = vec![
        LbEndpoint { load_balancing_weight: number(3), metadata: mesh, ..endpoint("10.0.0.1", 80) },
        LbEndpoint { health_status: 3, ..endpoint("fd00::1", 81) },
    ];
    let (name, decoded) = assignment(&packed(&endpoints(list))).unwrap();
    assert_eq!(&*name, "c");
    assert_eq!((decoded.healthy(), decoded.is_weighted()), (&[0][..], true));
    let [first, second] = decoded.endpoints() else { panic!("two endpoints") };
    assert_eq!((first.weight, first.healthy, second.weight, second.healthy), (3, true, 1, false));
    assert_eq!(second.address, "[fd00::1]:81".parse::<SocketAddr>().unwrap());
    assert_eq!(first.transport_socket_match.get("tlsMode").map(|value| &**value), Some("istio"));
}

#[test]
fn what_istio_says_of_workloads_and_services_is_kept_and_refused_never() {
    let whose = |fields| {
        let one = LbEndpoint { metadata: metadata("istio", fields), ..endpoint("10.0.0.1", 80) };
        let (_, decoded) = assignment(&packed(&endpoints(vec![one]))).unwrap();
        decoded.endpoints()[0].workload.clone()
    };
    assert_eq!(whose(strings(&[("workload", "a;b;c;d;e")])).as_deref(), Some("a;b;c;d;e"));
    assert_eq!(whose(strings(&[("other", "a")])), None);
    assert_eq!(whose(strings(&[("workload", &"a".repeat(2000))])), None);
    let service = |first: Option<Struct>| {
        let values = first.into_iter().map(|one| Value { kind: Some(Kind::StructValue(one)) }).collect();
        let values = envoy_types::pb::google::protobuf::ListValue { values };
        let list = Value { kind: Some(Kind::ListValue(values)) };
        let fields = Struct { fields: [("services".to_owned(), list)].into_iter().collect() };
        let decoded = cluster(&packed(&Proto { metadata: metadata("istio", fields), ..eds() })).unwrap();
        decoded.service.as_ref().map(|one| [&one.host, &one.name, &one.namespace].map(ToString::to_string))
    };
    let whole = [("host", "www.shop.example"), ("name", "www"), ("namespace", "shop")];
    assert_eq!(service(Some(strings(&whole))), Some(["www.shop.example", "www", "shop"].map(str::to_owned)));
    assert_eq!(service(Some(strings(&whole[..1]))), Some(["www.shop.example", "www", ""].map(str::to_owned)));
    assert_eq!(service(Some(strings(&whole[1..]))), None);
    assert_eq!(service(None), None);
}

#[test]
fn a_bad_endpoint_is_refused_by_its_place() {
    let message = |item: LbEndpoint| assignment(&packed(&endpoints(vec![endpoint("10.0.0.1", 80), item])));
    for (item, wanted) in [
        (endpoint("a.test", 80), "endpoint.address.socket_address.address: wanted an IP address, got `a.test`"),
        (endpoint("10.0.0.1", 70_000), "endpoint.address.socket_address.port_value: wanted 0 to 65535, got 70000"),
        (
            LbEndpoint { health_status: 5, ..endpoint("10.0.0.1", 80) },
            "health_status: wanted 0 to 4 (DEGRADED is not supported), got 5",
        ),
        (
            LbEndpoint { load_balancing_weight: number(0), ..endpoint("10.0.0.1", 80) },
            "load_balancing_weight: wanted at least 1, got 0",
        ),
        (LbEndpoint::default(), "host_identifier: wanted endpoint, got another identifier or nothing"),
    ] {
        let wanted = format!("endpoints `c`: endpoints[0].lb_endpoints[1].{wanted}");
        assert_eq!(message(item).unwrap_err().to_string(), wanted);
    }
}

#[test]
fn dns_names_and_original_destinations_are_kinds_of_discovery() {
    let dns = Proto {
        name: "d".to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(1)),
        load_assignment: Some(endpoints(vec![endpoint("a.test", 80)])),
        ..Default::default()
    };
    let decoded = cluster(&packed(&dns)).unwrap();
    assert!(matches!(&decoded.discovery, Discovery::StrictDns(names) if *names == [("a.test".into(), 80)]));
    let original = Proto {
        name: "o".to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(4)),
        lb_policy: 6,
        upstream_bind_config: Some(core::BindConfig {
            source_address: Some(core::SocketAddress { address: "127.0.0.6".to_owned(), ..Default::default() }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let decoded = cluster(&packed(&original)).unwrap();
    assert_eq!((decoded.balancer, decoded.source), (Balancer::Provided, Some("127.0.0.6".parse().unwrap())));
}
