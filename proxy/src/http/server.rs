//! The HTTP codec of a downstream connection, its idle timeout and its drain.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use wavetank_platform::Stream;
use wavetank_platform::hyper_rt::{HyperExecutor, HyperTimer};

use super::caller::Caller;
use super::codec_error::CodecErrors;
use super::exchange;
use super::gate::{Gate, Passage};
use crate::drain::{Draining, Stage};
use crate::idle::{Activity, IdleTimer};
use crate::listener::accepted::Accepted;
use crate::listener::closing::Told;
use crate::listener::inspect;
use crate::record::Protocol;
use crate::shared::Shared;
use crate::snapshot::edge;
use crate::snapshot::listener::{Codec, HttpManager};
use crate::upstream::gathered::{Gathered, Sending};
use crate::upstream::meter::{Meter, Metered};

/// Room of hyper's buffer beside a head of the longest.
const BUFFER_BESIDE_HEAD: usize = 8 * 1024;

/// Serves a connection to its end. `inspected` is what its first bytes said of its protocol.
pub(crate) async fn serve(shared: Arc<Shared>, manager: Arc<HttpManager>, accepted: Accepted, inspected: &[Arc<str>]) {
    let Accepted { stream, facts, mut draining } = accepted;
    let idle = manager.idle_timeout.unwrap_or(edge::IDLE_TIMEOUT);
    let alpn = match &facts.session {
        Some(session) => session.alpn.as_deref(),
        None => inspected.first().map(|protocol| &**protocol),
    };
    let choosing = choose_codec(manager.codec, alpn, stream);
    let bounded = async {
        if idle.is_zero() { Some(choosing.await) } else { shared.platform.clock.timeout(idle, choosing).await.ok() }
    };
    let chosen = tokio::select! {
        biased;
        chosen = Box::pin(bounded) => chosen,
        () = draining.reached(Stage::Ended) => None,
    };
    let Some(Ok((stream, is_http2))) = chosen else { return };
    let protocol = if is_http2 { Protocol::Http2 } else { Protocol::Http1 };
    let meter = Arc::new(Meter::default());
    if facts.logged {
        let (spoke, malformed) = Default::default();
        let _once = facts.told.set(Told::Http { protocol, meter: meter.clone(), spoke, malformed });
    }
    let caller = Arc::new(Caller {
        activity: Arc::new(Activity::new(shared.platform.clock.clone())),
        shared,
        manager,
        facts,
        protocol,
        meter,
        draining: draining.clone(),
        requests: AtomicU64::new(0),
        passage: Passage::default(),
        tunnel: Mutex::default(),
    });
    let stream = Metered::new(stream, caller.meter.clone());
    if is_http2 {
        serve_http2(&caller, Gathered::new(stream), draining, idle).await;
    } else {
        serve_http1(
            &caller,
            TokioIo::new(Gate::new(CodecErrors::new(stream, caller.clone()), caller.clone())),
            draining,
            idle,
        )
        .await;
    }
}

/// HTTP/2 by ALPN, else by its preface.
async fn choose_codec(codec: Codec, alpn: Option<&str>, stream: Stream) -> io::Result<(Stream, bool)> {
    match (codec, alpn) {
        (Codec::Http1, _) => Ok((stream, false)),
        (Codec::Http2, _) => Ok((stream, true)),
        (Codec::Auto, Some("h2" | "h2c")) => Ok((stream, true)),
        (Codec::Auto, Some("http/1.1" | "http/1.0")) => Ok((stream, false)),
        (Codec::Auto, _) => inspect::begins_as_http2(stream).await,
    }
}

type Http1Io = TokioIo<Gate<CodecErrors<Metered<Stream>>>>;
type Http2Io = Gathered<Metered<Stream>>;

async fn serve_http1(caller: &Arc<Caller>, io: Http1Io, draining: Draining, idle: Duration) {
    let service = service_fn(|request| exchange::serve(caller.clone(), request));
    // hyper makes room for each; no head has more than one in four of its bytes.
    let headers_max = caller.manager.headers_max.min(caller.manager.head_bytes_max / 4);
    let conn = http1::Builder::new()
        .auto_date_header(false)
        .max_headers(headers_max)
        .max_buf_size(caller.manager.head_bytes_max + BUFFER_BESIDE_HEAD)
        .header_read_timeout(None)
        .serve_connection(io, service)
        .with_upgrades();
    drive(caller, Box::pin(conn), draining, idle).await;
    if let Some(tunnel) = caller.take_tunnel() {
        tunnel.await;
    }
}

async fn serve_http2(caller: &Arc<Caller>, io: Http2Io, draining: Draining, idle: Duration) {
    let owner = caller.clone();
    let limits = caller.manager.http2_limits();
    let service = service_fn(move |request| exchange::serve(owner.clone(), request));
    let conn = http2::Builder::new(HyperExecutor::new(&caller.shared.platform))
        .timer(HyperTimer)
        .auto_date_header(false)
        .max_concurrent_streams(limits.streams_max)
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_header_list_size(u32::try_from(caller.manager.head_bytes_max).unwrap_or(u32::MAX))
        .serve_connection(TokioIo::new(io.clone()), service);
    drive(caller, Box::pin(Sending::new(conn, io)), draining, idle).await;
}

/// A hyper connection that can be told to end in good order.
trait Graceful: Future<Output = hyper::Result<()>> {
    /// No new requests; those under way finish.
    fn leave(self: Pin<&mut Self>);
}

impl<S> Graceful for http1::UpgradeableConnection<Http1Io, S>
where
    Self: Future<Output = hyper::Result<()>>,
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = super::response_body::ResponseBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn leave(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S> Graceful for Sending<http2::Connection<TokioIo<Http2Io>, S, HyperExecutor>, Metered<Stream>>
where
    Self: Future<Output = hyper::Result<()>>,
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = super::response_body::ResponseBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    HyperExecutor: hyper::rt::bounds::Http2ServerConnExec<S::Future, super::response_body::ResponseBody>,
{
    fn leave(self: Pin<&mut Self>) {
        self.connection().graceful_shutdown();
    }
}

/// Runs the codec to its end. HTTP/2 says GOAWAY as soon as it drains; HTTP/1 says `connection: close` with
/// its next response, and is closed when it idles at the end of the drain.
///
/// The codec is boxed: a future holds room for each place that a value passes through.
async fn drive(caller: &Caller, mut conn: Pin<Box<impl Graceful>>, draining: Draining, idle: Duration) {
    let mut timer = IdleTimer::new(&caller.activity, idle);
    let leave_at = if caller.protocol == Protocol::Http2 { Stage::Draining } else { Stage::Ended };
    let mut draining = draining;
    let (stages, mut seen) = (draining.clone(), None);
    let mut leaving = Some(Box::pin(async move { draining.reached(leave_at).await }));
    let outcome = poll_fn(|cx| {
        loop {
            if let Poll::Ready(outcome) = conn.as_mut().poll(cx) {
                return Poll::Ready(outcome);
            }
            // What waits for a stage is asked again only when something has come of it.
            let turned = seen.replace(stages.seen()) != seen;
            let drained = leaving
                .as_mut()
                .is_some_and(|leaving| caller.is_spent() || (turned && leaving.as_mut().poll(cx).is_ready()));
            if drained {
                leaving = None;
            }
            if !drained && timer.poll(cx, &caller.activity).is_pending() {
                return Poll::Pending;
            }
            conn.as_mut().leave();
        }
    })
    .await;
    if let Err(error) = outcome {
        tracing::debug!(%error, peer = %caller.facts.leg.remote, "downstream connection");
    }
}
