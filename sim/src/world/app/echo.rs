//! A stand-in for programs that the world does not have: it waits, calls whom it is told to call, one after
//! the other, and answers with what it was asked and what it got.
//!
//! Trace headers are handed on. A call that fails makes it answer 502, unless a status is given.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wavetank_platform::Platform;

use super::lab::TRACE_HEADERS;
use super::serve::{Asked, Said};
use crate::world::client::{Call, Target, call_once};

/// When it gives up on a call.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// What an echo program does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// The name it answers with.
    pub name: String,
    /// Port it listens on.
    pub port: u16,
    /// Whom it calls before it answers, in this order.
    pub calls: Vec<Target>,
    /// What it waits before it does anything.
    pub latency: Duration,
    /// The status it answers with; `None` is 200, or 502 when a call failed.
    pub status: Option<u16>,
}

impl Echo {
    /// A program named `name` that answers 200 on `port`, at once.
    pub fn new(name: &str, port: u16) -> Self {
        Self { name: name.to_owned(), port, calls: Vec::new(), latency: Duration::ZERO, status: None }
    }
}

/// The answer to one request.
pub(super) async fn answer(echo: &Echo, platform: &Platform, asked: &Asked) -> Said {
    if !echo.latency.is_zero() {
        platform.clock.sleep(echo.latency).await;
    }
    let (mut upstream, mut failed) = (Vec::new(), false);
    for target in &echo.calls {
        let mut call = Call::get(target.clone()).header("user-agent", "echo").header("accept", "*/*");
        for name in TRACE_HEADERS {
            if let Some(value) = asked.headers.get(name) {
                call.headers.push((http::HeaderName::from_static(name), value.clone()));
            }
        }
        match call_once(platform, call, 0, CALL_TIMEOUT).await {
            Ok(reply) => {
                failed |= !reply.status.is_success();
                let is_json =
                    reply.headers.get(CONTENT_TYPE).is_some_and(|own| own.as_bytes().starts_with(b"application/json"));
                let text = || Value::String(String::from_utf8_lossy(&reply.body).into_owned());
                let body =
                    if is_json { serde_json::from_slice(&reply.body).unwrap_or_else(|_| text()) } else { text() };
                upstream.push(json!({ "host": target.host, "status": reply.status.as_u16(), "body": body }));
            }
            Err(failure) => {
                failed = true;
                upstream.push(json!({ "host": target.host, "failure": failure.to_string() }));
            }
        }
    }
    let status = echo.status.unwrap_or(if failed { 502 } else { 200 });
    let path = asked.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut said = json!({ "service": echo.name, "method": asked.method.as_str(), "path": path });
    if !upstream.is_empty() {
        said["upstream"] = Value::Array(upstream);
    }
    Said::typed(status, "application/json", format!("{said}\n"))
}
