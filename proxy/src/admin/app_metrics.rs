//! The application's own metrics, which the agent port answers behind the proxy's: Istio rewrites the pod's annotations
//! `prometheus.io/scrape`, `port` and `path` so that Prometheus asks the agent, and the agent asks the application.
//!
//! An application that does not answer takes nothing from what the proxy says of itself; that it did not is counted.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use wavetank_platform::{ConnectOptions, Platform};

use crate::bootstrap::AppMetrics;
use crate::stats::prometheus;

/// What the application gets to answer, to the last byte.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of its answer.
const SCRAPE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of its answer's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Why there are no metrics of the application.
#[derive(Debug, Error)]
enum ScrapeError {
    #[error("no connection: {0}")]
    Connect(std::io::Error),
    #[error("no answer: {0}")]
    Exchange(hyper::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("it answered `{0}`, which is not Prometheus's text")]
    MediaType(String),
    #[error("its body has more than {SCRAPE_BYTES_MAX} bytes")]
    TooLong,
    #[error("its body broke off: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("it took longer than {} s", SCRAPE_TIMEOUT.as_secs())]
    Late,
}

/// Asks the application.
#[derive(Debug)]
pub(super) struct Scraper {
    app: AppMetrics,
    scrapes: AtomicU64,
    failures: AtomicU64,
}

impl Scraper {
    /// One that asks `app`, on the pod's loopback.
    pub(super) fn new(app: AppMetrics) -> Self {
        Self { app, scrapes: AtomicU64::new(0), failures: AtomicU64::new(0) }
    }

    /// What is to stand behind the proxy's metrics: the application's, and how often it was asked, in vain too.
    pub(super) async fn scrape(&self, platform: &Platform) -> Vec<u8> {
        self.scrapes.fetch_add(1, Ordering::Relaxed);
        let asked = platform.clock.timeout(SCRAPE_TIMEOUT, self.ask(platform)).await;
        let metrics = asked.unwrap_or(Err(ScrapeError::Late)).unwrap_or_else(|error| {
            self.failures.fetch_add(1, Ordering::Relaxed);
            let AppMetrics { port, path } = &self.app;
            tracing::warn!(%error, port, %path, "the application's metrics are missing");
            Bytes::new()
        });
        self.behind(&metrics)
    }

    fn behind(&self, metrics: &[u8]) -> Vec<u8> {
        let (scrapes, failures) = (self.scrapes.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed));
        let own = format!(
            "# TYPE istio_agent_scrapes_total counter\nistio_agent_scrapes_total {scrapes}\n\
             # TYPE istio_agent_scrape_failures_total counter\n\
             istio_agent_scrape_failures_total{{type=\"application\"}} {failures}\n"
        );
        let end: &[u8] = if metrics.last().is_none_or(|last| *last == b'\n') { b"" } else { b"\n" };
        [own.as_bytes(), metrics, end].concat()
    }

    async fn ask(&self, platform: &Platform) -> Result<Bytes, ScrapeError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.app.port));
        let connecting = platform.net.connect(address, ConnectOptions::default());
        let stream = connecting.await.map_err(ScrapeError::Connect)?;
        let handshake = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.map_err(ScrapeError::Exchange)?;
        let driving = async move {
            // What went wrong is told to whoever waits for the answer.
            let _ended = connection.await;
        };
        let _driving = platform.spawn.go(driving).abort_on_drop();
        let response = sender.send_request(self.request()).await.map_err(ScrapeError::Exchange)?;
        if response.status() != StatusCode::OK {
            return Err(ScrapeError::Status(response.status()));
        }
        check_media_type(response.headers())?;
        let body = response.into_body();
        if body.size_hint().lower() > SCRAPE_BYTES_MAX as u64 {
            return Err(ScrapeError::TooLong);
        }
        let whole = Limited::new(body, SCRAPE_BYTES_MAX).collect().await;
        let whole = whole
            .map_err(|why| if why.is::<LengthLimitError>() { ScrapeError::TooLong } else { ScrapeError::Body(why) });
        Ok(whole?.to_bytes())
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        // It was looked at when the process started.
        *request.uri_mut() = self.app.path.parse().unwrap_or_default();
        let text = header::HeaderValue::from_static;
        let headers = request.headers_mut();
        headers.insert(header::HOST, text("localhost"));
        headers.insert(header::ACCEPT, text(prometheus::MEDIA_TYPE));
        headers.insert(header::CONNECTION, text("close"));
        request
    }
}

/// Only what is written like the proxy's own metrics can stand behind them.
fn check_media_type(headers: &HeaderMap) -> Result<(), ScrapeError> {
    let Some(said) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let said = String::from_utf8_lossy(said.as_bytes());
    if said.trim_start().starts_with("text/plain") { Ok(()) } else { Err(ScrapeError::MediaType(said.into_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_end_its_last_line_is_ended() {
        let scraper = Scraper::new(AppMetrics { port: 80, path: "/metrics".to_owned() });
        let text = |metrics: &[u8]| String::from_utf8(scraper.behind(metrics)).expect("text");
        assert!(text(b"a 1").ends_with("} 0\na 1\n"), "{}", text(b"a 1"));
        assert!(text(b"a 1\n").ends_with("} 0\na 1\n"));
        assert!(text(b"").ends_with("} 0\n"));
    }

    #[test]
    fn another_form_of_metrics_is_refused() {
        let said = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(value));
            check_media_type(&headers).is_ok()
        };
        assert!(said("text/plain; version=0.0.4") && check_media_type(&HeaderMap::new()).is_ok());
        assert!(!said("application/openmetrics-text; version=1.0.0") && !said("text/html"));
    }
}
