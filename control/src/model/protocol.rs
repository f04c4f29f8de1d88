//! A service port's protocol, from `appProtocol` or the port's name. Istio: "Protocol Selection".

use crate::dialect::Dialect;

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2 without TLS.
    Http2,
    /// gRPC, over HTTP/2.
    Grpc,
    /// gRPC-Web, over HTTP/2.
    GrpcWeb,
    /// HTTP inside TLS that the mesh does not open.
    Https,
    /// TLS that the mesh does not open.
    Tls,
    /// Bytes.
    Tcp,
    /// MongoDB; carried as bytes.
    Mongo,
    /// Redis; carried as bytes.
    Redis,
    /// MySQL; carried as bytes.
    Mysql,
    /// Datagrams; not handled by the mesh.
    Udp,
    /// Not said: found out from the first bytes. Never in dialect 1.0.
    Sniffed,
}

/// Ports whose server speaks first, so nothing can be sniffed.
const SERVER_FIRST_PORTS: [u16; 4] = [25, 53, 3306, 27017];

impl Protocol {
    /// Whether requests can be routed on it without looking at bytes first.
    pub fn is_http(self) -> bool {
        matches!(self, Protocol::Http | Protocol::Http2 | Protocol::Grpc | Protocol::GrpcWeb)
    }

    /// Whether the connection to an endpoint speaks HTTP/2.
    pub fn is_http2(self) -> bool {
        matches!(self, Protocol::Http2 | Protocol::Grpc | Protocol::GrpcWeb)
    }

    /// Whether requests are calls of gRPC.
    pub fn is_grpc(self) -> bool {
        matches!(self, Protocol::Grpc | Protocol::GrpcWeb)
    }

    /// The protocol of a Kubernetes service port.
    ///
    /// `transport` is the port's `protocol` (`TCP`, `UDP`). Dialect 1.0 reads only the name, and what it does not
    /// know is TCP; today `appProtocol` wins, and what is not known is sniffed.
    pub fn of_port(transport: &str, app_protocol: Option<&str>, name: &str, number: u16, dialect: Dialect) -> Protocol {
        if transport.eq_ignore_ascii_case("udp") {
            return Protocol::Udp;
        }
        let known = if dialect.protocols_by_name_only() {
            Self::of_name_1_0(name_prefix(name))
        } else {
            app_protocol.map_or_else(|| Self::of_name(name), Self::of_app_protocol)
        };
        let sniffed = dialect.sniffs_unnamed_ports() && !SERVER_FIRST_PORTS.contains(&number);
        known.unwrap_or(if sniffed { Protocol::Sniffed } else { Protocol::Tcp })
    }

    /// Whether a port says what it speaks, so that it is neither guessed nor taken for TCP.
    pub fn is_said(app_protocol: Option<&str>, name: &str, dialect: Dialect) -> bool {
        if dialect.protocols_by_name_only() {
            let prefix = name_prefix(name);
            let bytes = ["tcp", "udp"].iter().any(|word| prefix.eq_ignore_ascii_case(word));
            return bytes || Self::of_name_1_0(prefix).is_some();
        }
        app_protocol.map_or_else(|| Self::of_name(name), Self::of_app_protocol).is_some()
    }

    fn of_app_protocol(text: &str) -> Option<Protocol> {
        match text.to_ascii_lowercase().as_str() {
            "kubernetes.io/h2c" => Some(Protocol::Http2),
            "kubernetes.io/ws" => Some(Protocol::Http),
            "kubernetes.io/wss" => Some(Protocol::Https),
            other => Self::of_name(other),
        }
    }

    fn of_name(name: &str) -> Option<Protocol> {
        let name = name.to_ascii_lowercase();
        if name.starts_with("grpc-web") {
            return Some(Protocol::GrpcWeb);
        }
        Some(match name_prefix(&name) {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "grpc" => Protocol::Grpc,
            "http" | "http_proxy" => Protocol::Http,
            "http2" => Protocol::Http2,
            "https" => Protocol::Https,
            "tls" => Protocol::Tls,
            "mongo" => Protocol::Mongo,
            "redis" => Protocol::Redis,
            "mysql" => Protocol::Mysql,
            _ => return None,
        })
    }

    fn of_name_1_0(prefix: &str) -> Option<Protocol> {
        Some(match prefix.to_ascii_lowercase().as_str() {
            "grpc" => Protocol::Grpc,
            "http" => Protocol::Http,
            "http2" => Protocol::Http2,
            "https" => Protocol::Https,
            "tls" => Protocol::Tls,
            "mongo" => Protocol::Mongo,
            "redis" => Protocol::Redis,
            _ => return None,
        })
    }

    /// The protocol of a Gateway server's port (`HTTP`, `HTTPS`, `GRPC` …); `None` for a word that is not one.
    pub fn of_server(text: &str) -> Option<Protocol> {
        Some(match text.to_ascii_uppercase().as_str() {
            "HTTP" => Protocol::Http,
            "HTTPS" => Protocol::Https,
            "GRPC" => Protocol::Grpc,
            "GRPC-WEB" => Protocol::GrpcWeb,
            "HTTP2" => Protocol::Http2,
            "MONGO" => Protocol::Mongo,
            "TCP" => Protocol::Tcp,
            "TLS" => Protocol::Tls,
            _ => return None,
        })
    }
}

fn name_prefix(name: &str) -> &str {
    name.split('-').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_by_port_name_and_app_protocol() {
        use Protocol::*;
        for (name, app, number, in_1_0, in_v1) in [
            ("http", None, 80, Http, Http),
            ("http-web", None, 80, Http, Http),
            ("HTTP-web", None, 80, Http, Http),
            ("http2", None, 80, Http2, Http2),
            ("grpc-api", None, 80, Grpc, Grpc),
            ("grpc-web", None, 80, Grpc, GrpcWeb),
            ("grpc-web-x", None, 80, Grpc, GrpcWeb),
            ("https", None, 443, Https, Https),
            ("tls-x", None, 443, Tls, Tls),
            ("tcp-x", None, 80, Tcp, Tcp),
            ("udp-x", None, 80, Tcp, Udp),
            ("grpc-webs", None, 80, Grpc, GrpcWeb),
            ("mysql", None, 3306, Tcp, Mysql),
            ("web", None, 80, Tcp, Sniffed),
            ("", None, 80, Tcp, Sniffed),
            ("", None, 3306, Tcp, Tcp),
            ("httpx", None, 80, Tcp, Sniffed),
            ("tcp", Some("http"), 80, Tcp, Http),
            ("http", Some("kubernetes.io/h2c"), 80, Http, Http2),
            ("", Some("kubernetes.io/ws"), 80, Tcp, Http),
            ("", Some("kubernetes.io/wss"), 80, Tcp, Https),
            ("http", Some("acme"), 80, Http, Sniffed),
        ] {
            let of = |dialect| Protocol::of_port("TCP", app, name, number, dialect);
            assert_eq!((of(Dialect::V1_0), of(Dialect::V1)), (in_1_0, in_v1), "{name} {app:?} {number}");
        }
        assert_eq!(Protocol::of_port("UDP", None, "http", 53, Dialect::V1), Udp);
    }
}
