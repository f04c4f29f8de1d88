//! Listeners, filter chains, connection managers.

use envoy_types::pb::envoy::config::core::v3::{Http2ProtocolOptions, HttpProtocolOptions};
use envoy_types::pb::envoy::config::listener::v3::listener_filter_chain_match_predicate::{MatchSet, Rule};
use envoy_types::pb::envoy::config::listener::v3::{
    Filter, FilterChain, FilterChainMatch, Listener as Proto, ListenerFilter, ListenerFilterChainMatchPredicate,
    filter, listener_filter,
};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::HttpFault;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::Rbac;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    RouteSpecifier, UpgradeConfig,
};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds, http_filter,
};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::{TcpProxy, tcp_proxy};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CommonTlsContext, DownstreamTlsContext, SdsSecretConfig,
};
use envoy_types::pb::envoy::r#type::v3::Int32Range;
use envoy_types::pb::google::protobuf::UInt32Value;

use super::super::listener;
use super::*;
use crate::record::Direction;
use crate::snapshot::listener::{EscapedSlashes, Handler, HttpManager, RouteSource, TransportProtocol};

fn network_filter<M: Message + Name>(message: &M) -> Filter {
    Filter { name: "f".to_owned(), config_type: Some(filter::ConfigType::TypedConfig(packed(message))) }
}

fn http_filter<M: Message + Name>(message: &M) -> HttpFilter {
    let config_type = Some(http_filter::ConfigType::TypedConfig(packed(message)));
    HttpFilter { name: "f".to_owned(), config_type, ..Default::default() }
}

fn tcp() -> Filter {
    let cluster_specifier = Some(tcp_proxy::ClusterSpecifier::Cluster("c".to_owned()));
    network_filter(&TcpProxy { cluster_specifier, ..Default::default() })
}

fn manager() -> HttpConnectionManager {
    let rds = Rds { config_source: ads(), route_config_name: "80".to_owned() };
    HttpConnectionManager {
        http_filters: vec![http_filter(&Router::default())],
        route_specifier: Some(RouteSpecifier::Rds(rds)),
        ..Default::default()
    }
}

fn with_chain(chain: FilterChain) -> Proto {
    Proto { name: "l".to_owned(), address: address("0.0.0.0", 15006), filter_chains: vec![chain], ..Default::default() }
}

fn with_manager(manager: &HttpConnectionManager) -> Proto {
    with_chain(FilterChain { filters: vec![network_filter(manager)], ..Default::default() })
}

fn decoded_manager(message: &HttpConnectionManager) -> std::sync::Arc<HttpManager> {
    let decoded = listener(&packed(&with_manager(message))).unwrap();
    match &decoded.filter_chains[0].handler {
        Handler::Http(manager) => manager.clone(),
        Handler::Tcp(_) => panic!("an HTTP connection manager"),
    }
}

fn fault(message: &Proto) -> String {
    listener(&packed(message)).map(|_| "accepted".to_owned()).unwrap_or_else(|error| error.to_string())
}

fn manager_fault(change: impl FnOnce(&mut HttpConnectionManager)) -> String {
    let mut message = manager();
    change(&mut message);
    let prefix = "listener `l`: filter_chains[0].filters[0].typed_config.";
    fault(&with_manager(&message)).trim_start_matches(prefix).to_owned()
}

#[test]
fn a_plain_connection_manager_has_envoys_defaults() {
    let decoded = decoded_manager(&manager());
    assert!(matches!(&decoded.routes, RouteSource::Rds(name) if **name == *"80"));
    assert_eq!(&*decoded.server_name, "envoy");
    assert!(decoded.generate_request_id && !decoded.use_remote_address && !decoded.normalize_path);
    assert_eq!((decoded.idle_timeout, decoded.stream_idle_timeout, decoded.request_timeout), (None, None, None));
}

#[test]
fn limits_are_those_of_the_message_else_envoys_and_tighter_for_strangers() {
    use crate::snapshot::edge::{HTTP2_AT_THE_EDGE, HTTP2_IN_THE_MESH, Http2Limits};
    let plain = decoded_manager(&manager());
    assert_eq!((plain.head_bytes_max, plain.headers_max, plain.headers_within()), (61_440, 100, None));
    assert_eq!(
        (plain.stream_idle_within(), plain.http2_limits()),
        (Some(std::time::Duration::from_secs(300)), HTTP2_IN_THE_MESH)
    );
    let edge = decoded_manager(&HttpConnectionManager { use_remote_address: on(true), ..manager() });
    assert_eq!(
        (edge.headers_within(), edge.http2_limits()),
        (Some(std::time::Duration::from_secs(60)), HTTP2_AT_THE_EDGE)
    );
    let said = decoded_manager(&HttpConnectionManager {
        use_remote_address: on(true),
        max_request_headers_kb: number(8),
        request_headers_timeout: millis(0),
        stream_idle_timeout: millis(0),
        common_http_protocol_options: Some(HttpProtocolOptions { max_headers_count: number(7), ..Default::default() }),
        http2_protocol_options: Some(Http2ProtocolOptions {
            max_concurrent_streams: number(5),
            initial_stream_window_size: number(65_536),
            ..Default::default()
        }),
        ..manager()
    });
    assert_eq!((said.head_bytes_max, said.headers_max), (8192, 7));
    assert_eq!((said.headers_within(), said.stream_idle_within()), (None, None));
    let window = HTTP2_AT_THE_EDGE.connection_window;
    assert_eq!(said.http2_limits(), Http2Limits { streams_max: 5, stream_window: 65_536, connection_window: window });
}

#[test]
fn escapes_in_paths_are_strictly_read_unless_the_message_says_otherwise() {
    for (normalize_path, action, wanted) in [
        (None, 0, EscapedSlashes::Strict),
        (on(true), 0, EscapedSlashes::Strict),
        (on(false), 0, EscapedSlashes::Keep),
        (None, 1, EscapedSlashes::Keep),
        (on(false), 2, EscapedSlashes::Reject),
        (on(true), 3, EscapedSlashes::UnescapeAndRedirect),
        (None, 4, EscapedSlashes::UnescapeAndForward),
    ] {
        let message = HttpConnectionManager { normalize_path, path_with_escaped_slashes_action: action, ..manager() };
        assert_eq!(decoded_manager(&message).escaped_slashes, wanted, "{normalize_path:?} {action}");
    }
}

#[test]
fn a_connection_manager_says_all_it_means() {
    let upgrade = |upgrade_type: &str, enabled| UpgradeConfig {
        upgrade_type: upgrade_type.to_owned(),
        enabled,
        ..Default::default()
    };
    let decoded = decoded_manager(&HttpConnectionManager {
        http_filters: vec![
            http_filter(&HttpFault::default()),
            HttpFilter { is_optional: true, ..http_filter(&RouteConfiguration::default()) },
            HttpFilter { disabled: true, ..http_filter(&Rbac::default()) },
            http_filter(&Router { suppress_envoy_headers: true, ..Default::default() }),
        ],
        server_name: "istio-envoy".to_owned(),
        stream_idle_timeout: millis(0),
        upgrade_configs: vec![upgrade("WebSocket", None), upgrade("foo", on(false))],
        route_specifier: Some(RouteSpecifier::RouteConfig(RouteConfiguration::default())),
        tracing: Some(Default::default()),
        ..manager()
    });
    assert!(matches!(decoded.routes, RouteSource::Inline(_)));
    assert_eq!((&*decoded.server_name, decoded.suppress_envoy_headers), ("istio-envoy", true));
    assert_eq!(decoded.stream_idle_timeout, Some(std::time::Duration::ZERO));
    assert_eq!(decoded.upgrades.iter().map(|token| &**token).collect::<Vec<_>>(), ["websocket"]);
}

#[test]
fn an_inbound_listener_decodes() {
    let secret = |name: &str| SdsSecretConfig { name: name.to_owned(), ..Default::default() };
    let tls = DownstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            tls_certificate_sds_secret_configs: vec![secret("default")],
            validation_context_type: Some(ValidationContextType::ValidationContextSdsSecretConfig(secret("ROOTCA"))),
            ..Default::default()
        }),
        require_client_certificate: on(true),
        ..Default::default()
    };
    let chain = FilterChain {
        filter_chain_match: Some(FilterChainMatch {
            destination_port: number(80),
            transport_protocol: "tls".to_owned(),
            server_names: vec!["*.A.test".to_owned()],
            ..Default::default()
        }),
        filters: vec![tcp()],
        transport_socket: socket(&tls),
        ..Default::default()
    };
    let message = Proto {
        use_original_dst: on(true),
        bind_to_port: on(false),
        traffic_direction: 1,
        listener_filters: vec![ListenerFilter {
            name: "envoy.filters.listener.tls_inspector".to_owned(),
            config_type: Some(listener_filter::ConfigType::TypedConfig(packed(&TlsInspector::default()))),
            ..Default::default()
        }],
        listener_filters_timeout: millis(0),
        default_filter_chain: Some(FilterChain { filters: vec![tcp()], ..Default::default() }),
        metadata: from_line_7(),
        ..with_chain(chain)
    };
    let decoded = listener(&packed(&message)).unwrap();
    assert_eq!((decoded.direction, decoded.bind_to_port, decoded.use_original_dst), (Direction::Inbound, false, true));
    assert!(decoded.inspect_tls && !decoded.inspect_http && decoded.default_filter_chain.is_some());
    let [chain] = decoded.filter_chains.as_slice() else { panic!("one chain") };
    assert_eq!(chain.matches.transport_protocol, Some(TransportProtocol::Tls));
    assert_eq!(chain.matches.server_names, ["*.a.test".into()]);
    let tls = chain.tls.as_ref().unwrap();
    assert!(tls.require_client_certificate && tls.validation.is_some());
}

#[test]
fn an_inspector_leaves_the_ports_alone_that_it_is_disabled_for() {
    let range = |start, end| ListenerFilterChainMatchPredicate {
        rule: Some(Rule::DestinationPortRange(Int32Range { start, end })),
    };
    let set = MatchSet { rules: vec![range(80, 81), range(9000, 9003)] };
    let either = ListenerFilterChainMatchPredicate { rule: Some(Rule::OrMatch(set)) };
    let filter = |predicate: ListenerFilterChainMatchPredicate| ListenerFilter {
        filter_disabled: Some(predicate),
        config_type: Some(listener_filter::ConfigType::TypedConfig(packed(&TlsInspector::default()))),
        ..Default::default()
    };
    let decoded = |predicate| {
        let message = Proto { listener_filters: vec![filter(predicate)], ..with_manager(&manager()) };
        listener(&packed(&message)).unwrap()
    };
    let inspected = |predicate| {
        let listener = decoded(predicate);
        [79, 80, 81, 9002, 9003].map(|port| listener.inspects_tls(port))
    };
    assert_eq!(inspected(either.clone()), [true, false, true, false, true]);
    let not = ListenerFilterChainMatchPredicate { rule: Some(Rule::NotMatch(Box::new(either))) };
    assert_eq!(inspected(not), [false, true, false, true, false]);
}

#[test]
fn what_would_change_traffic_is_refused_by_field() {
    for (got, wanted) in [
        (
            manager_fault(|message| message.http_filters.insert(0, http_filter(&Rbac::default()))),
            "http_filters[0].typed_config: wanted a filter that does nothing, or the router, got \
             envoy.extensions.filters.http.rbac.v3.RBAC",
        ),
        (
            manager_fault(|message| {
                let abort = HttpFault { abort: Some(Default::default()), ..Default::default() };
                message.http_filters.insert(0, http_filter(&abort));
            }),
            "http_filters[0].typed_config.abort: wanted nothing (the field is not supported), got a value",
        ),
        (manager_fault(|message| message.http_filters.clear()), "http_filters: wanted the router, at least, got none"),
        (
            manager_fault(|message| message.via = "mesh".to_owned()),
            "via: wanted nothing (the field is not supported), got \"mesh\"",
        ),
        (
            manager_fault(|message| message.add_user_agent = on(true)),
            "add_user_agent: wanted false (true is not supported), got true",
        ),
        (manager_fault(|message| message.codec_type = 3), "codec_type: wanted AUTO, HTTP1 or HTTP2, got number 3"),
        (
            manager_fault(|message| message.route_specifier = None),
            "route_specifier: wanted rds or route_config, got nothing",
        ),
        (manager_fault(|message| message.add_user_agent = on(false)), "accepted"),
        (
            manager_fault(|message| message.max_request_headers_kb = Some(UInt32Value { value: 8193 })),
            "max_request_headers_kb: wanted 1 to 8192, got 8193",
        ),
        (
            manager_fault(|message| {
                let options = Http2ProtocolOptions {
                    initial_stream_window_size: Some(UInt32Value { value: 1 }),
                    ..Default::default()
                };
                message.http2_protocol_options = Some(options);
            }),
            "http2_protocol_options.initial_stream_window_size: wanted 65535 to 2147483647, got 1",
        ),
    ] {
        assert_eq!(got, wanted);
    }
}

#[test]
fn a_bad_listener_is_refused_by_field() {
    let chain = |change: fn(&mut FilterChain)| {
        let mut chain = FilterChain { filters: vec![tcp()], ..Default::default() };
        change(&mut chain);
        fault(&with_chain(chain))
    };
    for (got, wanted) in [
        (fault(&Proto { address: None, ..with_manager(&manager()) }), "address: wanted a value, got nothing"),
        (
            fault(&Proto { address: address("a.test", 1), ..with_manager(&manager()) }),
            "address.socket_address.address: wanted an IP address, got `a.test`",
        ),
        (chain(|chain| chain.filters.clear()), "filter_chains[0].filters: wanted a terminal filter, got none"),
        (
            chain(|chain| chain.filters.push(tcp())),
            "filter_chains[0].filters[0].typed_config: wanted a filter that does nothing to the bytes, got \
             envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        ),
        (
            chain(|chain| {
                chain.filter_chain_match = Some(FilterChainMatch { source_ports: vec![1], ..Default::default() });
            }),
            "filter_chains[0].filter_chain_match.source_ports: wanted nothing (the field is not supported), got a value",
        ),
        (
            chain(|chain| chain.transport_socket = socket(&DownstreamTlsContext::default())),
            "filter_chains[0].transport_socket.typed_config.common_tls_context: wanted a value, got nothing",
        ),
    ] {
        assert_eq!(got, format!("listener `l`: {wanted}"));
    }
}
