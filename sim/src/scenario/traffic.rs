//! Streams of requests: `2000 GET ingress/env`, or every key spelled out.

use std::time::Duration;

use bytes::Bytes;
use wavetank_control::config::yaml::{Mapping, Node};

use super::auto::Open;
use super::fields::{Findings, Keys};
use super::model::{Request, Traffic};
use super::moment::Times;
use super::payload;
use crate::observe::Selector;
use crate::traffic::{Load, Spacing};

pub(super) const TRAFFIC: Keys = Keys {
    of: "traffic",
    known: &[
        "name", "request", "from", "headers", "body", "open", "arrivals", "closed", "count", "for", "at", "timeout",
    ],
    later: &["stages", "tls", "jwt"],
};
const CLOSED: Keys = Keys { of: "closed", known: &["clients", "think"], later: &[] };

/// Requests one stream sends at most.
pub(crate) const COUNT_MAX: u64 = 10_000_000;
/// Clients of one closed loop at most.
const CLIENTS_MAX: u64 = 10_000;
/// Requests a second of one open loop at most.
const RATE_MAX: f64 = 1_000_000.0;
/// Rate of an open loop that gives none.
const RATE: f64 = 100.0;
/// When a client gives up on a request that does not say.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Reads `traffic`: one stream or a list of them.
pub(super) fn read(node: Option<&Node>, times: &Times, findings: &mut Findings) -> (Vec<Traffic>, Open) {
    let Some(node) = node else { return (Vec::new(), Vec::new()) };
    let mut open = Vec::new();
    let mut streams: Vec<Traffic> = Vec::new();
    for (at, item) in findings.items(node).iter().enumerate() {
        let name = format!("traffic/{}", at + 1);
        let stream =
            if item.as_mapping().is_some() { full(item, name, times, findings) } else { terse(item, name, findings) };
        let Some(stream) = stream else { continue };
        if crate::routes::is_probe(&stream.name) {
            findings.wrong(&item.span, format!("traffic may not be named `{}…`", crate::routes::PREFIX));
        }
        if streams.iter().any(|own| own.name == stream.name) {
            findings.wrong(&item.span, format!("there are two streams of traffic named `{}`", stream.name));
        }
        if stream.count.is_none() && (item.as_mapping().is_none() || is_auto(item.get("count"))) {
            open.push((streams.len(), item.get("count").unwrap_or(item).span.clone()));
        }
        streams.push(stream);
    }
    (streams, open)
}

fn is_auto(count: Option<&Node>) -> bool {
    count.and_then(Node::as_str) == Some("auto")
}

fn terse(node: &Node, name: String, findings: &mut Findings) -> Option<Traffic> {
    let (count, request) = findings.read(node, "traffic", |text| {
        let wrong = || format!("`{text}` is not traffic like `2000 GET ingress/env`");
        let (count, request) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let number = || count.parse().ok().filter(|count| (1..=COUNT_MAX).contains(count));
        let count = if count == "auto" { None } else { Some(number().ok_or_else(wrong)?) };
        Ok((count, request_of(request)?))
    })?;
    Some(Traffic {
        name,
        from: client(),
        request,
        headers: Vec::new(),
        body: Bytes::new(),
        load: Load::Open { rate: RATE, spacing: Spacing::Poisson },
        count,
        duration: None,
        at: Duration::ZERO,
        timeout: TIMEOUT,
    })
}

fn client() -> Selector {
    "client".parse().unwrap_or(Selector::ANY)
}

fn full(node: &Node, name: String, times: &Times, findings: &mut Findings) -> Option<Traffic> {
    let mapping = findings.mapping(node, &TRAFFIC)?;
    let name = match mapping.get("name") {
        Some(own) => findings.text(own, "name")?.to_owned(),
        None => name,
    };
    let Some(request) = mapping.get("request") else {
        findings.missing(&node.span, "traffic needs the key `request`");
        return None;
    };
    let request = findings.read(request, "request", request_of);
    let from = match mapping.get("from") {
        Some(from) => findings.party(from, "from"),
        None => Some(client()),
    };
    let headers = mapping.get("headers").map(|node| headers(node, findings)).unwrap_or_default();
    let body = mapping.get("body").map_or(Some(Bytes::new()), |node| payload::read(node, findings));
    let is_length = |(name, _): &(&str, _)| name.eq_ignore_ascii_case("content-length");
    if let (Some(own), Some(_)) = (mapping.get("headers").and_then(Node::as_mapping), mapping.get("body"))
        && let Some((_, entry)) = own.iter().find(is_length)
    {
        findings.wrong(&entry.key, "content-length is that of `body`");
    }
    let load = load(mapping, findings);
    let timeout = match mapping.get("timeout") {
        Some(node) => findings.duration(node, "timeout").filter(|timeout| {
            if timeout.is_zero() {
                findings.wrong(&node.span, "timeout: a client waits longer than nothing");
            }
            !timeout.is_zero()
        }),
        None => Some(TIMEOUT),
    };
    let count = match mapping.get("count") {
        Some(_) if is_auto(mapping.get("count")) => None,
        Some(count) => findings.whole(count, "count", 1, COUNT_MAX),
        None => None,
    };
    let mut duration = mapping.get("for").and_then(|node| findings.duration(node, "for"));
    let at = mapping.get("at").and_then(|node| times.fixed(node, "at", findings)).unwrap_or_default();
    if mapping.get("count").is_none() && mapping.get("for").is_none() {
        duration = times.end().map(|end| end.saturating_sub(at));
        if duration.is_none() {
            findings.missing(&node.span, "traffic needs `count` or `for`, which say when it ends");
        }
    }
    let (body, timeout) = (body?, timeout?);
    Some(Traffic { name, from: from?, request: request?, headers, body, load: load?, count, duration, at, timeout })
}

pub(super) fn headers(node: &Node, findings: &mut Findings) -> Vec<(String, String)> {
    let Some(mapping) = node.as_mapping() else {
        findings.wrong(&node.span, format!("headers is a mapping, not {}", node.kind_name()));
        return Vec::new();
    };
    let mut headers = Vec::new();
    for (name, entry) in mapping.iter() {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            findings.wrong(&entry.key, format!("`{name}` is not the name of a header"));
        }
        let value = findings.read(&entry.value, "a header", |text| {
            http::HeaderValue::from_str(text)
                .map(|_| text.to_owned())
                .map_err(|_| "it has an illegal character".to_owned())
        });
        headers.extend(value.map(|value| (name.to_owned(), value)));
    }
    headers
}

fn load(mapping: &Mapping, findings: &mut Findings) -> Option<Load> {
    if let Some(closed) = mapping.get("closed") {
        if let Some(open) = mapping.entry("open").or(mapping.entry("arrivals")) {
            findings.wrong(&open.key, "traffic is open or closed, not both");
        }
        let parts = findings.mapping(closed, &CLOSED)?;
        let Some(clients) = parts.get("clients") else {
            findings.missing(&closed.span, "closed needs the key `clients`");
            return None;
        };
        let clients = findings.whole(clients, "clients", 1, CLIENTS_MAX)?;
        let think = parts.get("think").map_or(Some(Duration::ZERO), |node| findings.duration(node, "think"))?;
        return Some(Load::Closed { clients: u32::try_from(clients).ok()?, think });
    }
    let rate = mapping.get("open").map_or(Some(RATE), |node| findings.read(node, "open", rate_of))?;
    let spacing = mapping.get("arrivals").map_or(Some(Spacing::Poisson), |node| {
        findings.read(node, "arrivals", |text| match text {
            "poisson" => Ok(Spacing::Poisson),
            "even" => Ok(Spacing::Even),
            other => Err(format!("`{other}` is neither `poisson` nor `even`")),
        })
    })?;
    Some(Load::Open { rate, spacing })
}

/// `100/s`.
fn rate_of(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").and_then(|number| number.trim().parse().ok());
    let rate = number.filter(|rate: &f64| *rate > 0.0 && *rate <= RATE_MAX);
    rate.ok_or_else(|| format!("`{text}` is not a rate like `100/s`"))
}

impl std::str::FromStr for Request {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        request_of(text)
    }
}

/// `GET service-go.other:8080/env?x=1`.
pub(super) fn request_of(text: &str) -> Result<Request, String> {
    let wrong = || format!("`{text}` is not a request like `GET ingress/env`");
    let (method, target) = text.trim().split_once(' ').ok_or_else(wrong)?;
    if !METHODS.contains(&method) {
        return Err(format!("`{method}` is not a method; methods are {}", METHODS.join(", ")));
    }
    let target = target.trim();
    let (authority, path) = target.split_at(target.find('/').unwrap_or(target.len()));
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
        None => (authority, 80),
    };
    let path = if path.is_empty() { "/" } else { path };
    let is_uri = path.parse::<http::uri::PathAndQuery>().is_ok() && authority.parse::<http::uri::Authority>().is_ok();
    if host.is_empty() || port == 0 || !is_uri {
        return Err(wrong());
    }
    Ok(Request { method: method.to_owned(), host: host.to_owned(), port, path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_method_host_port_and_path() {
        let request = |host: &str, port, path: &str| {
            Ok(Request { method: "GET".to_owned(), host: host.to_owned(), port, path: path.to_owned() })
        };
        assert_eq!(request_of("GET ingress/env"), request("ingress", 80, "/env"));
        assert_eq!(request_of("GET httpbin:8000/status/503?a=b"), request("httpbin", 8000, "/status/503?a=b"));
        assert_eq!(request_of("GET service-go.other"), request("service-go.other", 80, "/"));
        for text in ["", "GET", "get ingress/", "GET /env", "GET a:b/", "GET a:0/", "GET a b/"] {
            assert!(request_of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_has_its_unit() {
        assert_eq!(rate_of("100/s"), Ok(100.0));
        assert_eq!(rate_of("0.5/s"), Ok(0.5));
        for text in ["100", "0/s", "-1/s", "100/m", "NaN/s", "inf/s"] {
            assert!(rate_of(text).is_err(), "{text}");
        }
    }
}
