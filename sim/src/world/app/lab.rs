//! The app of the book *Istio in Practice*, as the code of its companion repository (mgxian/istio-lab)
//! behaves: service-js serves a page; service-python calls service-lua and service-node in parallel;
//! service-node calls service-go; service-lua and service-go are leaves.
//!
//! python and node swallow the failures of those they call: the failed one is left out of `upstream` and
//! the reply is 200. They forward seven trace headers and nothing else of what they were sent. Both open a
//! connection per call, as `requests.get` and axios's default agent do, and give up after 20 s.

use std::time::Duration;

use http::{HeaderMap, HeaderName, Method};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wavetank_platform::Platform;

use super::serve::{Asked, Said};
use crate::world::client::{Call, CallFailure, Reply, Target, call_once};

/// The five services of the book's app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LabService {
    /// A static page: React as v1, Vue as v2.
    Js,
    /// Calls lua and node.
    Python,
    /// A leaf.
    Lua,
    /// Calls go.
    Node,
    /// A leaf.
    Go,
}

impl LabService {
    /// All five, in the order in which a request meets them.
    pub const ALL: [Self; 5] = [Self::Js, Self::Python, Self::Lua, Self::Node, Self::Go];

    /// The Service's name.
    pub fn service_name(self) -> &'static str {
        match self {
            Self::Js => "service-js",
            Self::Python => "service-python",
            Self::Lua => "service-lua",
            Self::Node => "service-node",
            Self::Go => "service-go",
        }
    }

    /// The word its messages begin with.
    fn language(self) -> &'static str {
        match self {
            Self::Js => "js",
            Self::Python => "python",
            Self::Lua => "lua",
            Self::Node => "node",
            Self::Go => "go",
        }
    }
}

/// The headers that python and node hand on; all others stop at them.
pub(super) const TRACE_HEADERS: [&str; 7] = [
    "x-request-id",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-ot-span-context",
];

const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// The answer of `service` in version `version` to one request.
pub(super) async fn answer(service: LabService, version: &str, platform: &Platform, asked: &Asked) -> Said {
    let path = asked.uri.path();
    if service == LabService::Js {
        return page(version);
    }
    let known = matches!(path, "/env" | "/status");
    if !known {
        return unknown_path(service);
    }
    if !is_allowed(service, &asked.method) {
        return refused_method(service);
    }
    if path == "/status" {
        return status(service);
    }
    let message = format!("{} {version}", service.language());
    match service {
        LabService::Python => python_env(&message, platform, &asked.headers).await,
        LabService::Node => node_env(&message, platform, &asked.headers).await,
        // ngx.say ends its line; gin does not.
        LabService::Lua => said_json(json!({ "message": message }), "\n"),
        LabService::Go | LabService::Js => said_json(json!({ "message": message }), ""),
    }
}

/// The static server answers every path with the page.
fn page(version: &str) -> Said {
    let framework = if version == "v1" { "React" } else { "Vue" };
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><title>service-js {version}</title></head>\
         <body><h1>{framework} {version}</h1></body></html>\n"
    );
    Said::typed(200, "text/html; charset=utf-8", page)
}

fn unknown_path(service: LabService) -> Said {
    match service {
        LabService::Lua => Said::typed(200, "text/html", "hello, world\n"),
        LabService::Go => Said::text(404, "404 page not found"),
        LabService::Node => Said::text(404, "Not Found"),
        LabService::Python | LabService::Js => Said::typed(404, "text/html", "<h1>Not Found</h1>\n"),
    }
}

/// gin routes GET alone; flask and koa-router answer HEAD with GET's handler; nginx does not ask.
fn is_allowed(service: LabService, method: &Method) -> bool {
    match service {
        LabService::Go => method == Method::GET,
        LabService::Python | LabService::Node => method == Method::GET || method == Method::HEAD,
        LabService::Lua | LabService::Js => true,
    }
}

fn refused_method(service: LabService) -> Said {
    match service {
        // gin has no route for the method, and says so as for a path.
        LabService::Go => unknown_path(service),
        LabService::Node => Said { headers: vec![("allow", "HEAD, GET")], ..Said::text(405, "Method Not Allowed") },
        LabService::Python | LabService::Lua | LabService::Js => Said {
            headers: vec![("allow", "HEAD, OPTIONS, GET")],
            ..Said::typed(405, "text/html", "<h1>Method Not Allowed</h1>\n")
        },
    }
}

fn status(service: LabService) -> Said {
    match service {
        LabService::Lua => Said::typed(200, "text/html", "ok\n"),
        LabService::Python => Said::typed(200, "text/html; charset=utf-8", "ok"),
        LabService::Node | LabService::Go | LabService::Js => Said::text(200, "ok"),
    }
}

fn said_json(value: Value, end: &str) -> Said {
    Said::typed(200, "application/json; charset=utf-8", format!("{value}{end}"))
}

async fn python_env(message: &str, platform: &Platform, received: &HeaderMap) -> Said {
    let (lua, node) = tokio::join!(
        biased;
        python_call(platform, "service-lua", received),
        python_call(platform, "service-node", received),
    );
    let upstream: Vec<Value> = [lua, node].into_iter().flatten().collect();
    Said { content_type: "application/json", ..said_json(json!({ "message": message, "upstream": upstream }), "\n") }
}

/// python takes any reply that is a JSON object, whatever its status, and adds the seconds it took as a
/// number with two decimals.
async fn python_call(platform: &Platform, service: &str, received: &HeaderMap) -> Option<Value> {
    let mut call = Call::get(Target::new(service, "/env"))
        .header("user-agent", "python-requests/2.20.1")
        .header("accept-encoding", "gzip, deflate")
        .header("accept", "*/*")
        .header("connection", "keep-alive");
    forward_trace(received, &mut call, true);
    let (reply, took) = timed(platform, call, 30).await;
    let mut object: Map<String, Value> = serde_json::from_slice(&reply.ok()?.body).ok()?;
    object.insert("response_time".to_owned(), json!((took.as_secs_f64() * 100.0).round() / 100.0));
    Some(Value::Object(object))
}

async fn node_env(message: &str, platform: &Platform, received: &HeaderMap) -> Said {
    let upstream: Vec<Value> = node_call(platform, "service-go", received).await.into_iter().collect();
    said_json(json!({ "message": message, "upstream": upstream }), "")
}

/// axios fails on a status outside 2xx, and keeps a body that is no JSON as text, to which nothing can be
/// added. node adds the seconds the call took as text with two decimals.
async fn node_call(platform: &Platform, service: &str, received: &HeaderMap) -> Option<Value> {
    let mut call = Call::get(Target::new(service, "/env")).header("accept", "application/json, text/plain, */*");
    forward_trace(received, &mut call, false);
    let call = call.header("user-agent", "axios/0.18.0").header("connection", "close");
    let (reply, took) = timed(platform, call, 5).await;
    let reply = reply.ok().filter(|reply| reply.status.is_success())?;
    match serde_json::from_slice(&reply.body) {
        Ok(Value::Object(mut object)) => {
            // Date.now() counts milliseconds.
            let seconds = took.as_millis() as f64 / 1000.0;
            object.insert("response_time".to_owned(), json!(format!("{seconds:.2}")));
            Some(Value::Object(object))
        }
        Ok(Value::Null | Value::Bool(false)) => None,
        Ok(other) => Some(other),
        Err(_) if reply.body.is_empty() => None,
        Err(_) => Some(Value::String(String::from_utf8_lossy(&reply.body).into_owned())),
    }
}

async fn timed(platform: &Platform, call: Call, redirects_max: u32) -> (Result<Reply, CallFailure>, Duration) {
    let start = platform.clock.now();
    let reply = call_once(platform, call, redirects_max, CALL_TIMEOUT).await;
    (reply, platform.clock.now() - start)
}

/// Adds the trace headers of the received request; python forwards an empty one, node does not.
fn forward_trace(received: &HeaderMap, call: &mut Call, forwards_empty: bool) {
    for name in TRACE_HEADERS {
        if let Some(value) = received.get(name)
            && (forwards_empty || !value.is_empty())
        {
            call.headers.push((HeaderName::from_static(name), value.clone()));
        }
    }
}
