//! A plain HTTP/1.1 client over the door: what apps and callers in the world use. It knows nothing of
//! proxies: it resolves a name, connects, sends one request and reads the whole reply.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use wavetank_platform::{ConnectOptions, Platform};

/// Largest reply body a client reads; a longer one fails the call.
pub const BODY_MAX: usize = 4 << 20;

/// Where a request goes: the `http://host:port/path` of a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Name or IP to connect to.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path with query, beginning with `/`.
    pub path: String,
}

impl Target {
    /// The target of `http://host/path`, on port 80.
    pub fn new(host: &str, path: &str) -> Self {
        Self { host: host.to_owned(), port: 80, path: path.to_owned() }
    }

    /// The target of a `Location` header; a path alone stays on this host. `None` for another scheme.
    fn redirected(&self, location: &str) -> Option<Self> {
        if location.starts_with('/') {
            return Some(Self { path: location.to_owned(), ..self.clone() });
        }
        let rest = location.strip_prefix("http://")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, 80),
        };
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { host: host.to_owned(), port, path: path.to_owned() })
    }

    /// What the Host header says: the port is left out when it is 80.
    fn authority(&self) -> String {
        if self.port == 80 { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

/// A request before it is sent.
#[derive(Debug, Clone)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// Where to connect, and the path.
    pub target: Target,
    /// Header fields in sending order. `host` is added from the target when absent.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Body; none is sent when empty.
    pub body: Bytes,
}

impl Call {
    /// A GET without headers.
    pub fn get(target: Target) -> Self {
        Self { method: Method::GET, target, headers: Vec::new(), body: Bytes::new() }
    }

    /// The same call with one more header field.
    ///
    /// # Panics
    /// When `name` or `value` is not a legal header; both are written in this crate.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header value written in this crate is legal");
        self.headers.push((HeaderName::from_static(name), value));
        self
    }

    fn into_request(self) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.target.path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        if !self.headers.iter().any(|(name, _)| name == HOST)
            && let Ok(host) = HeaderValue::from_str(&self.target.authority())
        {
            headers.insert(HOST, host);
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        request
    }
}

/// A complete reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why a call has no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CallFailure {
    /// The name has no address.
    Dns,
    /// The connection was refused.
    Refused,
    /// No answer to the connection attempt, or the host is unreachable.
    Unreachable,
    /// The connection was reset or closed before the reply was complete.
    Reset,
    /// The caller's time was up.
    Timeout,
    /// The reply was not HTTP, or too long.
    Protocol,
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "name not found",
            Self::Refused => "connection refused",
            Self::Unreachable => "unreachable",
            Self::Reset => "connection reset",
            Self::Timeout => "timed out",
            Self::Protocol => "not HTTP",
        })
    }
}

impl std::error::Error for CallFailure {}

impl CallFailure {
    fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Self::Reset,
            _ => Self::Unreachable,
        }
    }

    fn of_exchange(error: &hyper::Error) -> Self {
        if error.is_parse() { Self::Protocol } else { Self::Reset }
    }
}

/// An open HTTP/1.1 connection. Closed when dropped.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    local: SocketAddr,
    peer: SocketAddr,
}

impl Connection {
    /// Resolves `host`, connects to its first address and readies HTTP on it.
    pub async fn open(platform: &Platform, host: &str, port: u16) -> Result<Self, CallFailure> {
        let addrs = platform.resolver.resolve(host).await.map_err(|_| CallFailure::Dns)?;
        let ip = addrs.first().ok_or(CallFailure::Dns)?;
        let stream = platform.net.connect(SocketAddr::new(*ip, port), ConnectOptions::default()).await;
        let stream = stream.map_err(|error| CallFailure::of_connect(&error))?;
        let (local, peer) = (stream.local_addr(), stream.peer_addr());
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| CallFailure::of_exchange(&error))?;
        platform.spawn.go(async move {
            // A failed connection fails its exchange too, which is where it is told.
            let _ = connection.await;
        });
        Ok(Self { sender, local, peer })
    }

    /// Our end of the connection.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The other end, as the caller dialled it.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Whether another request can be sent.
    pub async fn is_reusable(&mut self) -> bool {
        !self.sender.is_closed() && self.sender.ready().await.is_ok()
    }

    /// Sends `call` and reads the whole reply.
    pub async fn send(&mut self, call: Call) -> Result<Reply, CallFailure> {
        let reply = self.sender.send_request(call.into_request()).await;
        let (head, body) = reply.map_err(|error| CallFailure::of_exchange(&error))?.into_parts();
        let body = Limited::new(body, BODY_MAX).collect().await;
        let body = body.map_err(|error| match error.downcast_ref::<hyper::Error>() {
            Some(error) => CallFailure::of_exchange(error),
            None => CallFailure::Protocol,
        })?;
        Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes() })
    }
}

/// Makes `call` on a connection of its own, following at most `redirects_max` redirects, each on a new
/// connection; all of it within `timeout`.
pub async fn call_once(
    platform: &Platform,
    call: Call,
    redirects_max: u32,
    timeout: Duration,
) -> Result<Reply, CallFailure> {
    let exchange = async {
        let mut call = call;
        for _ in 0..=redirects_max {
            let mut connection = Connection::open(platform, &call.target.host, call.target.port).await?;
            let reply = connection.send(call.clone()).await?;
            let Some(next) = redirection(&call.target, &reply) else { return Ok(reply) };
            call.target = next;
            call.headers.retain(|(name, _)| name != HOST);
        }
        Err(CallFailure::Protocol)
    };
    platform.clock.timeout(timeout, exchange).await.unwrap_or(Err(CallFailure::Timeout))
}

/// Where `reply` sends the caller next; `None` when it is no redirect.
fn redirection(from: &Target, reply: &Reply) -> Option<Target> {
    if !matches!(reply.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    from.redirected(reply.headers.get(LOCATION)?.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_keeps_the_host_or_names_another() {
        let from = Target { port: 8000, ..Target::new("service-go", "/v1/env") };
        assert_eq!(from.redirected("/env"), Some(Target { path: "/env".to_owned(), ..from.clone() }));
        assert_eq!(from.redirected("http://other/env"), Some(Target::new("other", "/env")));
        assert_eq!(from.redirected("http://other:81"), Some(Target { port: 81, ..Target::new("other", "/") }));
        assert_eq!(from.redirected("https://other/"), None);
    }

    #[test]
    fn the_host_header_leaves_port_80_out() {
        assert_eq!(Target::new("a", "/").authority(), "a");
        assert_eq!(Target { port: 8000, ..Target::new("a", "/") }.authority(), "a:8000");
    }
}
