//! From hyper's request to one that can be routed: target, host, path and headers as the rest of the proxy
//! sees them, or the reason why it goes no further.

use http::header::{CONNECTION, COOKIE, EXPECT, HOST, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Uri, Version};

use super::characters::AUTHORITY;
use super::headers::HeaderList;
use super::names::PROXY_CONNECTION;
use super::path::{self, Normalized};
use super::reply::{Failure, is_grpc};
use crate::snapshot::listener::HttpManager;

/// A request's head.
#[derive(Debug)]
pub(crate) struct Intake {
    /// Method.
    pub(crate) method: Method,
    /// `:authority`, Host, or the authority of an absolute target.
    pub(crate) authority: String,
    /// Path with query as received, for records.
    pub(crate) received_path: String,
    /// Path with query as routed; empty until it is known.
    pub(crate) path: String,
    /// All headers but Host.
    pub(crate) headers: HeaderList,
    /// What the form of replies depends on.
    pub(crate) form: Form,
    /// Its body waits for the upstream's word.
    pub(crate) expects: bool,
    /// Wants to change to this protocol, and may.
    pub(crate) upgrade: bool,
    /// Wants to change to a protocol, and may not. It gets a route for its record, and no more.
    pub(crate) upgrade_refused: bool,
}

/// What the form of any reply depends on; known even of requests that go no further.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    /// HEAD: headers only.
    pub(crate) head: bool,
    /// gRPC.
    pub(crate) grpc: bool,
    /// The caller closes its HTTP/1 connection after this.
    pub(crate) close: bool,
}

/// A request that goes no further, with what is known of it.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Why.
    pub(crate) failure: Failure,
    /// The request as far as it was understood.
    pub(crate) intake: Intake,
}

impl Intake {
    /// Reads the head of a request.
    ///
    /// Errs with the request when it cannot be routed.
    pub(crate) fn read(parts: Parts, manager: &HttpManager) -> Result<Self, Box<Refused>> {
        let headers = HeaderList::from(parts.headers);
        let (host, host_missing) = host(&parts.uri, &headers);
        let received_path = parts.uri.path_and_query().map_or_else(String::new, |path| path.as_str().to_owned());
        let closes = headers.has_token(&CONNECTION, "close") || headers.has_token(&PROXY_CONNECTION, "close");
        let form = Form {
            head: parts.method == Method::HEAD,
            grpc: is_grpc(&headers),
            close: parts.version < Version::HTTP_2 && closes,
        };
        let mut intake = Self {
            method: parts.method,
            authority: host,
            path: String::new(),
            received_path,
            headers,
            form,
            expects: false,
            upgrade: false,
            upgrade_refused: false,
        };
        let failure = intake.judge(parts.version, host_missing, manager);
        match failure {
            None => Ok(intake),
            Some(failure) => Err(Box::new(Refused { failure, intake })),
        }
    }

    fn judge(&mut self, version: Version, host_missing: bool, manager: &HttpManager) -> Option<Failure> {
        // Those of HTTP/1 were counted before.
        if self.headers.len() > manager.headers_max {
            return Some(Failure::TooManyHeaders("http2.too_many_headers"));
        }
        if host_missing {
            return Some(Failure::MissingHost);
        }
        if !is_authority(&self.authority) {
            return Some(Failure::BadRequest("http.invalid_authority"));
        }
        if self.method == Method::CONNECT {
            return Some(Failure::NoRoute);
        }
        // A target that is an authority belongs to CONNECT alone.
        if self.received_path.is_empty() {
            return Some(Failure::BadRequest("http1.codec_error"));
        }
        if !self.received_path.starts_with('/') {
            return Some(Failure::AbsolutePathRejected);
        }
        if self.method == Method::TRACE {
            return Some(Failure::MethodNotAllowed);
        }
        self.headers.remove(&HOST);
        if version >= Version::HTTP_2 {
            join_cookies(&mut self.headers);
        }
        if self.headers.contains_key(&EXPECT) {
            let known = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
            if !self.headers.get_all(&EXPECT).all(known) {
                return Some(Failure::ExpectationFailed);
            }
            self.expects = manager.proxy_100_continue;
            if !self.expects {
                self.headers.remove(&EXPECT);
            }
        }
        if version < Version::HTTP_2 {
            match self.wanted_upgrade() {
                Some(wanted) if manager.upgrades.iter().any(|allowed| **allowed == *wanted) => self.upgrade = true,
                Some(_) => self.upgrade_refused = true,
                None => {}
            }
        }
        match path::normalize(&self.received_path, manager) {
            Normalized::Path(path) => self.path = path.into_owned(),
            Normalized::Redirect(path) => {
                self.path.clone_from(&path);
                return Some(Failure::PathRedirect(path));
            }
            Normalized::Rejected => return Some(Failure::PathRejected),
        }
        if manager.strip_any_host_port {
            self.authority = crate::route::virtual_host::without_port(&self.authority).to_owned();
        }
        None
    }

    /// The protocol asked for. `h2c` is passed over, as Envoy does.
    fn wanted_upgrade(&self) -> Option<String> {
        let wanted = self.headers.get(&UPGRADE)?.to_str().ok()?.trim().to_ascii_lowercase();
        (self.headers.has_token(&CONNECTION, "upgrade") && wanted != "h2c").then_some(wanted)
    }
}

/// The host asked for, and whether none was named.
fn host(target: &Uri, headers: &HeaderList) -> (String, bool) {
    if let Some(authority) = target.authority() {
        let authority = authority.as_str();
        // An absolute target may name a user, who is no part of a host.
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        return (host.to_owned(), false);
    }
    let mut hosts = headers.get_all(&HOST).map(|host| String::from_utf8_lossy(host.as_bytes()));
    let Some(first) = hosts.next() else { return (String::new(), true) };
    (hosts.fold(first.into_owned(), |joined, host| joined + "," + &host), false)
}

/// HTTP/2 callers may send each cookie by itself (RFC 9113, section 8.2.3); further on they are one header.
fn join_cookies(headers: &mut HeaderList) {
    let crumbs: Vec<_> = headers.get_all(&COOKIE).map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

/// Whether `text` has only characters that may stand in an authority (RFC 3986 §3.2).
fn is_authority(text: &str) -> bool {
    text.bytes().all(|byte| AUTHORITY.has(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::RouteConfig;
    use crate::snapshot::listener::RouteSource;

    fn manager() -> HttpManager {
        let routes = RouteConfig::new("r", Vec::new()).unwrap();
        HttpManager::new("p", RouteSource::Inline(routes.into()))
    }

    fn read(uri: &str, version: Version, headers: &[(&str, &str)]) -> Result<Intake, Failure> {
        let mut request = http::Request::builder().uri(uri).version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Intake::read(parts, &manager()).map_err(|refused| refused.failure)
    }

    #[test]
    fn the_authority_of_an_absolute_target_wins_over_host() {
        let intake = read("http://b.test/x?y", Version::HTTP_11, &[("host", "a.test")]).unwrap();
        assert_eq!((intake.authority.as_str(), intake.path.as_str()), ("b.test", "/x?y"));
        assert!(!intake.headers.contains_key(&HOST));
    }

    #[test]
    fn two_hosts_are_joined_and_none_is_refused() {
        let intake = read("/", Version::HTTP_11, &[("host", "a"), ("host", "b")]).unwrap();
        assert_eq!(intake.authority, "a,b");
        assert_eq!(read("/", Version::HTTP_11, &[]).unwrap_err(), Failure::MissingHost);
        assert_eq!(read("/", Version::HTTP_11, &[("host", "")]).unwrap().authority, "");
    }

    #[test]
    fn stars_and_unknown_upgrades_are_refused() {
        assert_eq!(read("*", Version::HTTP_11, &[("host", "a")]).unwrap_err(), Failure::AbsolutePathRejected);
        let upgrade = [("host", "a"), ("connection", "Upgrade"), ("upgrade", "websocket")];
        assert!(read("/", Version::HTTP_11, &upgrade).unwrap().upgrade_refused);
        let h2c = [("host", "a"), ("connection", "Upgrade"), ("upgrade", "h2c")];
        assert!(!read("/", Version::HTTP_11, &h2c).unwrap().upgrade);
    }
}
