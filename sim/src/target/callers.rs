//! Who sends a scenario's traffic, and what they send.

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use super::outcome::RunError;
use super::side::Seat;
use super::who::Who;
use crate::routes::is_probe;
use crate::scenario::{Scenario, Traffic};
use crate::traffic::Plan;
use crate::world::cast::{Cast, OUTSIDE, Role};
use crate::world::client::{Call, Target};

/// A process that sends traffic.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    ip: IpAddr,
    namespace: String,
    seat: Seat,
}

impl Caller {
    /// Its address and the namespace it knows Services from.
    pub(super) fn place(&self) -> (IpAddr, String) {
        (self.ip, self.namespace.clone())
    }

    /// Where it is.
    pub(super) fn seat(&self) -> Seat {
        self.seat
    }
}

/// The callers of each stream of traffic: for `client` the one outside, for others every application pod
/// that the name selects, which take turns.
///
/// Errs when a name selects nobody.
pub(super) fn callers(scenario: &Scenario, cast: &Cast) -> Result<Vec<Vec<Caller>>, RunError> {
    let who = Who::new(cast);
    let of = |traffic: &Traffic| {
        let outside = cast.outside().enumerate().filter(|(_, (name, _))| traffic.from.name() == Some(name));
        let outside = outside.map(|(index, (_, ip))| Caller {
            ip: ip.into(),
            namespace: OUTSIDE.to_owned(),
            seat: Seat::Outside(index),
        });
        let apps = cast.pods.iter().enumerate().filter(|(_, pod)| matches!(pod.role, Role::App { .. }));
        let pods = apps.filter(|(_, pod)| traffic.from.selects_party(&who.party(pod))).map(|(index, pod)| Caller {
            ip: pod.ip.into(),
            namespace: pod.namespace.clone(),
            seat: Seat::Pod(index),
        });
        let callers: Vec<_> = outside.chain(pods).collect();
        if callers.is_empty() {
            let message = format!("traffic `{}` comes from `{}`, which is nobody here", traffic.name, traffic.from);
            return Err(RunError::Scenario(message));
        }
        Ok(callers)
    };
    scenario.traffic.iter().map(of).collect()
}

/// A stream of traffic as a plan; no request of it begins `until` after the start or later, unless it is one of a
/// decision table. Requests say `user-agent: wavetank` and `accept: */*` unless told otherwise.
pub(super) fn plan(traffic: &Traffic, until: Option<Duration>) -> Plan {
    let request = &traffic.request;
    let given = traffic.headers.iter().filter_map(|(name, value)| {
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
    });
    let mut headers: Vec<_> = given.collect();
    for (name, value) in [(http::header::USER_AGENT, "wavetank"), (http::header::ACCEPT, "*/*")] {
        if !headers.iter().any(|(own, _)| *own == name) {
            headers.push((name, HeaderValue::from_static(value)));
        }
    }
    // A method that is for sending something says so when it sends nothing (RFC 9110, section 8.6).
    let method = Method::from_bytes(request.method.as_bytes()).unwrap_or(Method::GET);
    let sends = [Method::POST, Method::PUT, Method::PATCH].contains(&method);
    if sends && traffic.body.is_empty() && !headers.iter().any(|(own, _)| *own == http::header::CONTENT_LENGTH) {
        headers.push((http::header::CONTENT_LENGTH, HeaderValue::from_static("0")));
    }
    let left = until.filter(|_| !is_probe(&traffic.name)).map(|until| until.saturating_sub(traffic.at));
    let target = Target { host: request.host.clone(), port: request.port, path: request.path.clone() };
    Plan {
        name: traffic.name.clone(),
        call: Call { method, target, headers, body: traffic.body.clone() },
        at: traffic.at,
        load: traffic.load,
        count: traffic.count,
        duration: traffic.duration.into_iter().chain(left).min(),
        timeout: traffic.timeout,
    }
}

#[cfg(test)]
mod tests {
    use wavetank_control::config::SourceFile;

    use super::*;
    use crate::scenario::{Manifests, parse};

    struct Nothing;

    impl Manifests for Nothing {
        fn read(&self, path: &str) -> Result<Vec<SourceFile>, String> {
            Err(format!("no {path}"))
        }
    }

    fn planned(stream: &str, until: Option<u64>) -> Plan {
        let text = format!("scenario: s\ntraffic: {stream}\nnever: {{edge: a -> b}}\n");
        let scenario = parse(&SourceFile::new("s.yaml", text), &Nothing).unwrap();
        plan(&scenario.traffic[0], until.map(Duration::from_secs))
    }

    #[test]
    fn what_is_sent_has_its_body_and_nothing_sent_says_so() {
        let length = |stream: &str| {
            let call = planned(stream, None).call;
            let own = call.headers.iter().find(|(name, _)| *name == http::header::CONTENT_LENGTH);
            (call.body.len(), own.map(|(_, value)| value.to_str().unwrap().to_owned()))
        };
        let none = Some("0".to_owned());
        // Of a body that is sent, hyper says the length.
        assert_eq!(length("{request: POST a/, count: 1, body: {size: 2KiB}}"), (2048, None));
        assert_eq!(length("{request: POST a/, count: 1}"), (0, none.clone()));
        assert_eq!(length("{request: PATCH a/, count: 1}"), (0, none));
        assert_eq!(length("{request: GET a/, count: 1}"), (0, None));
        assert_eq!(length("{request: DELETE a/, count: 1}"), (0, None));
    }

    #[test]
    fn nothing_is_sent_after_the_end() {
        let lasts = |stream: &str, until| planned(stream, until).duration.map(|lasts| lasts.as_secs());
        assert_eq!(lasts("{request: GET a/, count: 1, at: 4s}", Some(10)), Some(6));
        assert_eq!(lasts("{request: GET a/, for: 3s, at: 4s}", Some(10)), Some(3));
        assert_eq!(lasts("{request: GET a/, for: 3s, at: 12s}", Some(10)), Some(0));
        assert_eq!(lasts("{request: GET a/, count: 1, at: 4s}", None), None);
        assert_eq!(planned("{request: GET a/, count: 1, timeout: 2s}", None).timeout, Duration::from_secs(2));
    }
}
