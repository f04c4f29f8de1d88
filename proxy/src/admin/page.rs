//! What an admin port answers, by method and path. Whatever changes the process asks for POST.

use http::{Method, StatusCode};

use super::view::View;
use super::{clusters, config_dump};
use crate::stats::{envoy, prometheus};

/// The ports, and what each is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Everything; on the loopback alone. Istio: 15000.
    Admin,
    /// Health and metrics, as Istio's agent has them. Istio: 15020.
    Agent,
    /// Health. Istio: 15021.
    Health,
    /// Metrics. Istio: 15090.
    Stats,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Status.
    pub status: StatusCode,
    /// `content-type`.
    pub media_type: &'static str,
    /// `allow`, with a 405.
    pub allow: Option<&'static str>,
    /// Body.
    pub body: Vec<u8>,
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

const HELP: &str = "\
GET  /ready             200 once every worker serves by a configuration
GET  /stats             counters and gauges in Envoy's names
GET  /stats/prometheus  the same, and Istio's standard metrics, for Prometheus
GET  /config_dump       bootstrap and configuration in force, as JSON
GET  /clusters          breakers and endpoints
GET  /listeners         sockets
GET  /certs             certificates, as JSON; never their keys
POST /reopen_logs       open the files of access logs anew, as after a rotation
POST /drain             ask callers to leave, stop accepting, and go on until told to end
";

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Help,
    Ready,
    Healthz,
    Stats,
    Prometheus,
    ConfigDump,
    Clusters,
    Listeners,
    Certs,
    ReopenLogs,
    Drain,
}

impl Route {
    fn find(door: Door, path: &str) -> Option<Self> {
        let route = match path {
            "/" => Self::Help,
            "/ready" => Self::Ready,
            "/healthz/ready" => Self::Healthz,
            "/stats" => Self::Stats,
            "/stats/prometheus" => Self::Prometheus,
            "/config_dump" => Self::ConfigDump,
            "/clusters" => Self::Clusters,
            "/listeners" => Self::Listeners,
            "/certs" => Self::Certs,
            "/reopen_logs" => Self::ReopenLogs,
            "/drain" => Self::Drain,
            _ => return None,
        };
        let is_here = match door {
            Door::Admin => route != Self::Healthz,
            Door::Agent => matches!(route, Self::Healthz | Self::Prometheus),
            Door::Health => route == Self::Healthz,
            Door::Stats => route == Self::Prometheus,
        };
        is_here.then_some(route)
    }

    fn method(self) -> Method {
        if matches!(self, Self::Drain | Self::ReopenLogs) { Method::POST } else { Method::GET }
    }
}

impl Page {
    /// Whether the application's metrics belong behind it.
    pub(super) fn is_metrics(&self) -> bool {
        self.media_type == prometheus::MEDIA_TYPE
    }
}

/// The answer to a request for `path`, without its query.
pub fn answer(view: &View, door: Door, method: &Method, path: &str) -> Page {
    let Some(route) = Route::find(door, path) else {
        return text(StatusCode::NOT_FOUND, "no such page\n");
    };
    if *method != route.method() {
        let allow = if route.method() == Method::POST { "POST" } else { "GET" };
        return Page { allow: Some(allow), ..text(StatusCode::METHOD_NOT_ALLOWED, "another method is needed\n") };
    }
    match route {
        Route::Help => text(StatusCode::OK, HELP),
        Route::Ready => ready(view),
        Route::Healthz => Page { body: Vec::new(), ..ready(view) },
        Route::Stats => text(StatusCode::OK, envoy::text(&view.counted().1)),
        Route::Prometheus => {
            let (counts, stats) = view.counted();
            let metrics = prometheus::text(&counts, &stats, &view.workload, &view.process.store.current());
            Page { media_type: prometheus::MEDIA_TYPE, ..text(StatusCode::OK, metrics) }
        }
        Route::ConfigDump => json(config_dump::dump(view)),
        Route::Clusters => text(StatusCode::OK, clusters::text(&view.process)),
        Route::Listeners => text(StatusCode::OK, listeners(view)),
        Route::Certs => json(config_dump::certificates(view)),
        Route::ReopenLogs => {
            view.reopen_logs();
            text(StatusCode::OK, "OK\n")
        }
        Route::Drain => {
            view.drain();
            text(StatusCode::OK, "OK\n")
        }
    }
}

fn ready(view: &View) -> Page {
    if view.is_ready() {
        text(StatusCode::OK, "LIVE\n")
    } else if view.is_draining() {
        text(StatusCode::SERVICE_UNAVAILABLE, "DRAINING\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "PRE_INITIALIZING\n")
    }
}

fn listeners(view: &View) -> String {
    let first = view.process.seen().into_iter().next();
    let listening = first.and_then(|worker| worker.listening.borrow().clone()).unwrap_or_default();
    listening.into_iter().map(|(name, address)| format!("{name}::{address}\n")).collect()
}

fn text(status: StatusCode, body: impl Into<String>) -> Page {
    Page { status, media_type: TEXT, allow: None, body: body.into().into_bytes() }
}

fn json(body: serde_json::Result<Vec<u8>>) -> Page {
    match body {
        Ok(body) => Page { status: StatusCode::OK, media_type: JSON, allow: None, body },
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}
