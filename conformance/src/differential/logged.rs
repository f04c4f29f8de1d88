//! Access logs of every kind and with every operator, put onto the configuration that both sides serve, and their
//! lines with what may vary taken out.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::accesslog::v3 as log;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3 as lds;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp;
use envoy_types::pb::google::protobuf::{Any, Struct, Value, value::Kind};
use prost::Message;

use super::log_formats;
use super::shapes::{router, stderr_log};
use super::world::World;
use crate::foreign::shapes::any;

/// What each line begins with; its kind follows.
pub const MARK: &str = "log\t";

/// What may vary in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Varies {
    /// Nothing.
    Not,
    /// The value, as long as it is one or is none.
    Whole,
    /// The port behind the last colon.
    Port,
}

/// Name, format and variation of each field.
const FIELDS: &[(&str, &str, Varies)] = &[
    ("start", "%START_TIME%", Varies::Whole),
    ("request line", "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%", Varies::Not),
    ("code", "%RESPONSE_CODE%", Varies::Not),
    ("flags", "%RESPONSE_FLAGS%", Varies::Not),
    ("flags long", "%RESPONSE_FLAGS_LONG%", Varies::Not),
    ("details", "%RESPONSE_CODE_DETAILS%", Varies::Not),
    ("termination", "%CONNECTION_TERMINATION_DETAILS%", Varies::Not),
    ("upstream failure", "%UPSTREAM_TRANSPORT_FAILURE_REASON%", Varies::Not),
    ("downstream failure", "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%", Varies::Not),
    ("received", "%BYTES_RECEIVED%", Varies::Not),
    ("sent", "%BYTES_SENT%", Varies::Not),
    ("duration", "%DURATION%", Varies::Whole),
    ("request duration", "%REQUEST_DURATION%", Varies::Whole),
    ("response duration", "%RESPONSE_DURATION%", Varies::Whole),
    ("response tx duration", "%RESPONSE_TX_DURATION%", Varies::Whole),
    ("common duration", "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%", Varies::Whole),
    ("common duration upstream", "%COMMON_DURATION(US_TX_BEG:US_RX_BEG:us)%", Varies::Whole),
    ("service time", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", Varies::Whole),
    ("forwarded for", "%REQ(X-FORWARDED-FOR)%", Varies::Not),
    ("forwarded proto", "%REQ(X-FORWARDED-PROTO)%", Varies::Not),
    ("agent", "%REQ(USER-AGENT)%", Varies::Not),
    ("agent cut", "%REQ(USER-AGENT):3%", Varies::Not),
    ("request id", "%REQ(X-REQUEST-ID)%", Varies::Whole),
    ("stream id", "%STREAM_ID%", Varies::Whole),
    ("authority", "%REQ(:AUTHORITY)%", Varies::Not),
    ("host", "%REQ(HOST)%", Varies::Not),
    ("scheme", "%REQ(:SCHEME)%", Varies::Not),
    ("path", "%REQ(:PATH)%", Varies::Not),
    ("original host", "%REQ(X-ENVOY-ORIGINAL-HOST)%", Varies::Not),
    ("attempt header", "%REQ(X-ENVOY-ATTEMPT-COUNT)%", Varies::Not),
    ("alternative", "%REQ(X-NOT-THERE?CONTENT-LENGTH)%", Varies::Not),
    ("status header", "%RESP(:STATUS)%", Varies::Not),
    ("content type", "%RESP(CONTENT-TYPE)%", Varies::Not),
    ("server", "%RESP(X-NOT-THERE?SERVER)%", Varies::Not),
    ("trailer", "%TRAILER(GRPC-STATUS)%", Varies::Not),
    ("upstream host", "%UPSTREAM_HOST%", Varies::Not),
    ("cluster", "%UPSTREAM_CLUSTER%", Varies::Not),
    ("cluster raw", "%UPSTREAM_CLUSTER_RAW%", Varies::Not),
    ("upstream local", "%UPSTREAM_LOCAL_ADDRESS%", Varies::Port),
    ("upstream local ip", "%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", Varies::Not),
    ("upstream remote", "%UPSTREAM_REMOTE_ADDRESS%", Varies::Not),
    ("upstream remote port", "%UPSTREAM_REMOTE_PORT%", Varies::Not),
    ("upstream protocol", "%UPSTREAM_PROTOCOL%", Varies::Not),
    ("upstream tls version", "%UPSTREAM_TLS_VERSION%", Varies::Not),
    ("upstream peer", "%UPSTREAM_PEER_SUBJECT%", Varies::Not),
    ("upstream issuer", "%UPSTREAM_PEER_ISSUER%", Varies::Not),
    ("upstream uri", "%UPSTREAM_PEER_URI_SAN%", Varies::Not),
    ("upstream dns", "%UPSTREAM_PEER_DNS_SAN%", Varies::Not),
    ("upstream local uri", "%UPSTREAM_LOCAL_URI_SAN%", Varies::Not),
    ("upstream valid", "%UPSTREAM_PEER_CERT_V_START(%Y)% %UPSTREAM_PEER_CERT_V_END%", Varies::Not),
    ("attempts", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%", Varies::Not),
    ("upstream connection", "%UPSTREAM_CONNECTION_ID%", Varies::Whole),
    ("connection", "%CONNECTION_ID%", Varies::Whole),
    ("local", "%DOWNSTREAM_LOCAL_ADDRESS%", Varies::Port),
    ("local ip", "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", Varies::Not),
    ("remote", "%DOWNSTREAM_REMOTE_ADDRESS%", Varies::Port),
    ("remote ip", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", Varies::Not),
    ("direct remote", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%", Varies::Port),
    ("direct local", "%DOWNSTREAM_DIRECT_LOCAL_ADDRESS%", Varies::Port),
    ("sni", "%REQUESTED_SERVER_NAME%", Varies::Not),
    ("tls version", "%DOWNSTREAM_TLS_VERSION%", Varies::Not),
    ("tls cipher", "%DOWNSTREAM_TLS_CIPHER%", Varies::Not),
    ("peer", "%DOWNSTREAM_PEER_SUBJECT%", Varies::Not),
    ("peer issuer", "%DOWNSTREAM_PEER_ISSUER%", Varies::Not),
    ("peer uri", "%DOWNSTREAM_PEER_URI_SAN%", Varies::Not),
    ("peer dns", "%DOWNSTREAM_PEER_DNS_SAN%", Varies::Not),
    ("peer hash", "%DOWNSTREAM_PEER_FINGERPRINT_256%", Varies::Not),
    ("peer serial", "%DOWNSTREAM_PEER_SERIAL%", Varies::Not),
    ("peer valid", "%DOWNSTREAM_PEER_CERT_V_START(%Y)% %DOWNSTREAM_PEER_CERT_V_END%", Varies::Not),
    ("own uri", "%DOWNSTREAM_LOCAL_URI_SAN%", Varies::Not),
    ("route", "%ROUTE_NAME%", Varies::Not),
    ("virtual cluster", "%VIRTUAL_CLUSTER_NAME%", Varies::Not),
    ("chain", "%FILTER_CHAIN_NAME%", Varies::Not),
    ("listener", "%LISTENER_NAME%", Varies::Not),
    ("type", "%ACCESS_LOG_TYPE%", Varies::Not),
    ("listener from", "%METADATA(LISTENER:wavetank)%", Varies::Not),
    ("virtual host from", "%METADATA(VIRTUAL_HOST:wavetank:line)%", Varies::Not),
    ("route from", "%METADATA(ROUTE:wavetank)%", Varies::Not),
    ("cluster from", "%METADATA(CLUSTER:wavetank:file)%", Varies::Not),
    ("dynamic", "%DYNAMIC_METADATA(a:b)%", Varies::Not),
];

/// The same configuration with logs of connection managers, attempts, TCP proxies and listeners, before the logs it
/// has, and with places that its rules are from.
pub fn logged(world: World) -> World {
    let World { mut listeners, mut clusters } = world;
    for (number, listener) in (1..).zip(&mut listeners) {
        listener.metadata = place("listeners.yaml", number);
        listener.access_log.insert(0, everything("listener"));
        let default = listener.default_filter_chain.iter_mut();
        for filter in listener.filter_chains.iter_mut().chain(default).flat_map(|chain| &mut chain.filters) {
            if let Some(lds::filter::ConfigType::TypedConfig(config)) = &mut filter.config_type {
                *config = with_logs(config);
            }
        }
    }
    for (number, cluster) in (1..).zip(&mut clusters) {
        cluster.metadata = place("clusters.yaml", number);
        cluster.alt_stat_name = format!("{}_shown", cluster.name);
    }
    World { listeners, clusters }
}

fn with_logs(config: &Any) -> Any {
    if config.type_url.ends_with(".TcpProxy") {
        let mut proxy = tcp::TcpProxy::decode(&*config.value).expect("a TCP proxy");
        proxy.access_log.insert(0, everything("tcp"));
        return any(&proxy);
    }
    let mut manager = hcm::HttpConnectionManager::decode(&*config.value).expect("a connection manager");
    let own = std::mem::take(&mut manager.access_log);
    manager.access_log = [vec![everything("http")], log_formats::logs(), own].concat();
    let Some(hcm::http_filter::ConfigType::TypedConfig(last)) =
        manager.http_filters.last().and_then(|filter| filter.config_type.as_ref())
    else {
        panic!("no router")
    };
    let mut of = Router::decode(&*last.value).expect("a router");
    of.upstream_log = vec![everything("attempt")];
    *manager.http_filters.last_mut().expect("a router") = router(&of);
    if let Some(hcm::http_connection_manager::RouteSpecifier::RouteConfig(config)) = &mut manager.route_specifier {
        for (number, host) in (1..).zip(&mut config.virtual_hosts) {
            host.metadata = place("hosts.yaml", number);
            for (number, route) in (1..).zip(&mut host.routes) {
                route.metadata = place("routes \"of\" all.yaml", number);
            }
        }
    }
    any(&manager)
}

fn place(file: &str, line: u32) -> Option<core::Metadata> {
    let value = |kind| Value { kind: Some(kind) };
    let fields = [
        ("file".to_owned(), value(Kind::StringValue(file.to_owned()))),
        ("line".to_owned(), value(Kind::NumberValue(line.into()))),
        ("column".to_owned(), value(Kind::NumberValue(3.0))),
    ];
    let of = Struct { fields: fields.into_iter().collect() };
    Some(core::Metadata { filter_metadata: [("wavetank".to_owned(), of)].into_iter().collect(), ..Default::default() })
}

/// A log of all fields.
fn everything(kind: &str) -> log::AccessLog {
    let fields: Vec<&str> = FIELDS.iter().map(|(_, format, _)| *format).collect();
    stderr_log(&format!("{MARK}{kind}\t{}\n", fields.join("\t")))
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    kind: String,
    fields: Vec<String>,
}

impl LogLine {
    /// A line with what may vary taken out; `None` when it is another.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((name, line)) = log_formats::masked_json(text) {
            return Some(Self { kind: format!("JSON {name}"), fields: vec![line] });
        }
        let (kind, rest) = text.strip_prefix(MARK)?.split_once('\t')?;
        let kind = kind.to_owned();
        if kind == "istio" || kind.starts_with("filter ") {
            let line = if kind == "istio" { log_formats::masked_istio(rest) } else { rest.to_owned() };
            return Some(Self { kind, fields: vec![line] });
        }
        let parts = rest.split('\t');
        let field = |((name, _, varies), value): (&(&str, &str, Varies), &str)| {
            // A connection's bytes depend on how many digits a duration has, and on who compresses headers.
            let varies = if kind == "listener" && *name == "sent" { Varies::Whole } else { *varies };
            masked(value, varies)
        };
        let fields: Vec<String> = FIELDS.iter().zip(parts).map(field).collect();
        (fields.len() == FIELDS.len()).then_some(Self { kind, fields })
    }

    /// What differs between two sides, one line for each place; lines are compared by kind, in their order.
    pub fn differences(ones: &[Self], others: &[Self]) -> Vec<String> {
        let mut found = Vec::new();
        let kinds: BTreeSet<&str> = ones.iter().chain(others).map(|line| line.kind.as_str()).collect();
        for kind in kinds {
            let of = |lines: &[Self]| -> Vec<Self> { lines.iter().filter(|line| line.kind == kind).cloned().collect() };
            let (ones, others) = (of(ones), of(others));
            if ones.len() != others.len() {
                found.push(format!("{kind}: {} lines / {}", ones.len(), others.len()));
            }
            for (number, (one, other)) in ones.iter().zip(&others).enumerate() {
                if one.fields.len() == 1 && one != other {
                    found.push(format!("{kind} {number}:\n    {}\n    {}", one.fields[0], other.fields.join(" ")));
                    continue;
                }
                for ((name, _, _), (one, other)) in FIELDS.iter().zip(one.fields.iter().zip(&other.fields)) {
                    if one != other {
                        found.push(format!("{kind} {number}, {name}: {one} / {other}"));
                    }
                }
            }
        }
        found
    }
}

fn masked(value: &str, varies: Varies) -> String {
    match varies {
        Varies::Whole if value != "-" => "~".to_owned(),
        Varies::Port => match value.rsplit_once(':') {
            Some((address, port)) if port != "0" => format!("{address}:~"),
            _ => value.to_owned(),
        },
        Varies::Whole | Varies::Not => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_masked_and_what_is_missing_is_not() {
        assert_eq!(masked("12", Varies::Whole), "~");
        assert_eq!(masked("-", Varies::Whole), "-");
        assert_eq!(masked("127.0.0.1:5", Varies::Port), "127.0.0.1:~");
        assert_eq!(masked("10.0.0.1:0", Varies::Port), "10.0.0.1:0");
        assert_eq!(masked("x", Varies::Not), "x");
    }
}
