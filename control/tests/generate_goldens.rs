//! Goldens of generated xDS: prost's Debug text of the canary mesh in both dialects, without fields that
//! have their default, and with packed messages opened.

mod canary;

use envoy_types::pb::envoy::config::core::v3::{TransportSocket, transport_socket};
use envoy_types::pb::envoy::config::listener::v3::{Filter, Listener, filter};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{DownstreamTlsContext, UpstreamTlsContext};
use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};
use wavetank_control::Dialect;
use wavetank_control::generate::Resources;

/// Lines of pretty Debug text that say nothing: a field with its default.
fn says_something(line: &str) -> bool {
    let value = line.trim_end_matches(',').rsplit_once(": ").map(|(_, value)| value);
    !matches!(value, Some("None" | "[]" | "\"\"" | "0" | "false" | "{}"))
}

fn text(message: &impl std::fmt::Debug) -> String {
    let text = format!("{message:#?}");
    let lines: Vec<&str> = text.lines().filter(|line| says_something(line)).collect();
    sorted_fields(&lines).iter().map(|line| format!("{line}\n")).collect()
}

/// The lines with the entries of each `fields: {` in the order of their keys: what was packed and opened
/// again has them in any order.
fn sorted_fields<'t>(lines: &[&'t str]) -> Vec<&'t str> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut sorted = Vec::new();
    let mut rest = lines;
    while let Some((line, below)) = rest.split_first() {
        sorted.push(*line);
        rest = below;
        if line.trim_start().starts_with("fields: {") && line.ends_with('{') {
            let end = below.iter().position(|other| depth(other) <= depth(line)).unwrap_or(below.len());
            let starts = |index: &usize| depth(below[*index]) == depth(line) + 4 && below[*index].ends_with('{');
            let mut bounds: Vec<usize> = (0..end).filter(starts).collect();
            bounds.push(end);
            let mut entries: Vec<_> = bounds.windows(2).map(|pair| sorted_fields(&below[pair[0]..pair[1]])).collect();
            entries.sort();
            sorted.extend(entries.into_iter().flatten());
            rest = &below[end..];
        }
    }
    sorted
}

fn opened<M: Message + Name + Default>(any: &Any) -> Option<M> {
    (any.type_url == M::type_url()).then(|| M::decode(any.value.as_slice()).expect("what was packed"))
}

fn filter_text(filter: &Filter) -> String {
    let Some(filter::ConfigType::TypedConfig(any)) = &filter.config_type else { panic!("a filter without config") };
    if let Some(tcp) = opened::<TcpProxy>(any) {
        return text(&tcp);
    }
    let mut manager: HttpConnectionManager = opened(any).expect("an HTTP connection manager");
    // The router's own configuration is empty.
    manager.http_filters.iter_mut().for_each(|filter| filter.config_type = None);
    text(&manager)
}

fn socket_text(socket: &TransportSocket) -> String {
    let Some(transport_socket::ConfigType::TypedConfig(any)) = &socket.config_type else { panic!("no config") };
    let upstream = opened::<UpstreamTlsContext>(any).map(|context| text(&context));
    let downstream = opened::<DownstreamTlsContext>(any).map(|context| text(&context));
    upstream.or(downstream).unwrap_or_else(|| format!("{}\n", socket.name))
}

fn listener_text(listener: &Listener) -> String {
    let mut frame = listener.clone();
    frame.listener_filters.iter_mut().for_each(|filter| filter.config_type = None);
    let mut packed = String::new();
    for chain in frame.filter_chains.iter_mut().chain(frame.default_filter_chain.as_mut()) {
        for filter in &mut chain.filters {
            packed.push_str(&format!("-- filter of chain {:?}\n{}", chain.name, filter_text(filter)));
            filter.config_type = None;
        }
        if let Some(socket) = &mut chain.transport_socket {
            packed.push_str(&format!("-- TLS of chain {:?}\n{}", chain.name, socket_text(socket)));
            socket.config_type = None;
        }
    }
    text(&frame) + &packed
}

fn cluster_text(resources: &Resources, name: &str) -> String {
    let mut cluster = resources.clusters.iter().find(|cluster| cluster.name == name).expect(name).clone();
    let mut packed = String::new();
    let matches = cluster.transport_socket_matches.iter_mut();
    let sockets = matches.filter_map(|found| found.transport_socket.as_mut()).chain(cluster.transport_socket.as_mut());
    for socket in sockets {
        packed.push_str(&format!("-- TLS\n{}", socket_text(socket)));
        socket.config_type = None;
    }
    text(&cluster) + &packed
}

fn golden(name: &str, content: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, content));
}

#[test]
fn names_of_all_resources() {
    for dialect in Dialect::ALL {
        let mut page = String::new();
        for (name, _, resources) in canary::resources(&canary::mesh(dialect)) {
            let mut list = |title: &str, names: Vec<&String>| {
                page.push_str(&format!("{name} {title}\n"));
                names.into_iter().for_each(|name| page.push_str(&format!("  {name}\n")));
            };
            list("listeners", resources.listeners.iter().map(|listener| &listener.name).collect());
            list("routes", resources.routes.iter().map(|routes| &routes.name).collect());
            list("clusters", resources.clusters.iter().map(|cluster| &cluster.name).collect());
            list("endpoints", resources.endpoints.iter().map(|assignment| &assignment.cluster_name).collect());
        }
        golden(&format!("names_{dialect}"), &page);
    }
}

#[test]
fn listeners() {
    for dialect in Dialect::ALL {
        for (name, _, resources) in canary::resources(&canary::mesh(dialect)) {
            let wanted = |listener: &&Listener| match name {
                "sleep" => listener.name != "virtualInbound",
                "service-go-v1" => listener.name == "virtualInbound",
                _ => true,
            };
            let page: String = resources.listeners.iter().filter(wanted).map(listener_text).collect();
            golden(&format!("listeners_{name}_{dialect}"), &page);
        }
    }
}

#[test]
fn routes() {
    for dialect in Dialect::ALL {
        for (name, _, resources) in canary::resources(&canary::mesh(dialect)) {
            let mut page = String::new();
            for routes in &resources.routes {
                let mut routes: RouteConfiguration = routes.clone();
                // Other services have the shape of the first default route.
                routes.virtual_hosts.retain(|host| !host.name.starts_with("istio-ingressgateway"));
                page.push_str(&text(&routes));
            }
            if name != "service-go-v1" {
                golden(&format!("routes_{name}_{dialect}"), &page);
            }
        }
    }
}

#[test]
fn clusters_and_endpoints() {
    for dialect in Dialect::ALL {
        let all = canary::resources(&canary::mesh(dialect));
        let [(_, _, sleep), (_, _, go), _] = all.as_slice() else { panic!("three proxies") };
        let mut page = String::new();
        for name in [
            "outbound|80||service-go.default.svc.cluster.local",
            "outbound|80|v2|service-go.default.svc.cluster.local",
            "outbound|80||istio-ingressgateway.istio-system.svc.cluster.local",
            "InboundPassthroughCluster",
        ] {
            page.push_str(&cluster_text(sleep, name));
        }
        let inbound = go.clusters.iter().find(|cluster| cluster.name.starts_with("inbound|")).expect("an inbound one");
        page.push_str(&cluster_text(go, &inbound.name));
        for name in ["outbound|80||service-go", "outbound|80|v2|service-go", "outbound|6379||redis"] {
            let assignment = sleep.endpoints.iter().find(|known| known.cluster_name.starts_with(name)).expect(name);
            page.push_str(&text(assignment));
        }
        golden(&format!("clusters_{dialect}"), &page);
    }
}
