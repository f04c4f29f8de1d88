//! One pooled connection: connecting, serving requests, idling, closing. A single task does all of it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use wavetank_platform::hyper_rt::{HyperExecutor, HyperTimer};

use super::connect::{Link, Opened, Target};
use super::lease::Sender;
use super::meter::{Meter, Metered};
use super::pool::{Pool, Wire};
use crate::http::request_body::RequestBody;
use crate::idle::{Activity, IdleTimer};
use crate::record::Leg;
use crate::route::ResetReason;

/// Envoy's flow-control windows.
const STREAM_WINDOW: u32 = 16 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 24 * 1024 * 1024;

/// Headers of a response, at most; Envoy's default.
const RESPONSE_HEADERS_MAX: usize = 100;

/// What a pool knows of one of its connections.
#[derive(Debug)]
pub(crate) struct Connection {
    id: u64,
    leg: Leg,
    link: Arc<Link>,
    meter: Arc<Meter>,
    requests_max: Option<u32>,
    served: AtomicU32,
    activity: Activity,
    /// A sender given back before hyper was ready for the next request.
    left: Mutex<Option<http1::SendRequest<RequestBody>>>,
    abandoned: AtomicBool,
    task: AtomicWaker,
}

impl Connection {
    /// Number within its pool.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Its two ends.
    pub(super) fn leg(&self) -> &Leg {
        &self.leg
    }

    /// What logs tell of it.
    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Its bytes so far.
    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// One more request.
    pub(super) fn begin(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
        self.activity.begin();
    }

    /// One request less.
    pub(super) fn end(&self) {
        self.activity.end();
    }

    /// Undoes the count of a request that was never sent.
    pub(super) fn uncount(&self) {
        self.served.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether its first request is still under way.
    pub(super) fn is_fresh(&self) -> bool {
        self.served.load(Ordering::Relaxed) <= 1
    }

    /// Whether it has served as many requests as it may.
    pub(super) fn is_exhausted(&self) -> bool {
        self.requests_max.is_some_and(|max| self.served.load(Ordering::Relaxed) >= max)
    }

    /// Ends the connection at once.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.task.wake();
    }

    /// Leaves `sender` for the connection's task, which puts it into the pool once hyper is ready.
    pub(super) fn leave(&self, sender: http1::SendRequest<RequestBody>) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        self.task.wake();
    }

    /// A sender that is ready again, if one was left.
    fn poll_left(&self, cx: &mut Context<'_>) -> Option<http1::SendRequest<RequestBody>> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        match left.as_mut()?.poll_ready(cx) {
            Poll::Ready(Ok(())) => left.take(),
            Poll::Ready(Err(_closed)) => {
                *left = None;
                None
            }
            Poll::Pending => None,
        }
    }
}

/// The life of connection `id` of `pool`.
pub(super) async fn run(pool: Arc<Pool>, id: u64, target: Target, limits: Limits) {
    match pool.connector().open(&target).await {
        Err(reset) => pool.connect_failed(reset),
        Ok(opened) => match pool.wire() {
            Wire::Http1 => serve_http1(&pool, id, opened, limits).await,
            Wire::Http2 => serve_http2(&pool, id, opened, limits).await,
        },
    }
    pool.ended(id);
}

/// How long a connection may live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Requests, at most.
    pub(crate) requests_max: Option<u32>,
    /// Idle time, at most; zero: no bound.
    pub(crate) idle: Duration,
}

fn connection(
    pool: &Pool,
    id: u64,
    (leg, link): (Leg, Arc<Link>),
    meter: Arc<Meter>,
    limits: Limits,
) -> Arc<Connection> {
    Arc::new(Connection {
        id,
        leg,
        link,
        meter,
        requests_max: limits.requests_max,
        served: AtomicU32::new(0),
        activity: Activity::new(pool.connector().platform.clock.clone()),
        left: Mutex::new(None),
        abandoned: AtomicBool::new(false),
        task: AtomicWaker::new(),
    })
}

async fn serve_http1(pool: &Arc<Pool>, id: u64, opened: Opened, limits: Limits) {
    let meter = Arc::new(Meter::default());
    let io = TokioIo::new(Metered::new(opened.stream, meter.clone()));
    let (sender, conn) = match http1::Builder::new().max_headers(RESPONSE_HEADERS_MAX).handshake(io).await {
        Ok(pair) => pair,
        Err(_never_for_http1) => return pool.connect_failed(ResetReason::ConnectionTermination.into()),
    };
    let connection = connection(pool, id, (opened.leg, opened.link), meter, limits);
    pool.connected(Sender::Http1(sender), &connection);
    drive(pool, &connection, Box::pin(conn.with_upgrades()), limits.idle).await;
}

async fn serve_http2(pool: &Arc<Pool>, id: u64, opened: Opened, limits: Limits) {
    let meter = Arc::new(Meter::default());
    let io = TokioIo::new(Metered::new(opened.stream, meter.clone()));
    let handshake = http2::Builder::new(HyperExecutor::new(&pool.connector().platform))
        .timer(HyperTimer)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(io)
        .await;
    let (sender, conn) = match handshake {
        Ok(pair) => pair,
        Err(_closed) => return pool.connect_failed(ResetReason::ConnectionTermination.into()),
    };
    let connection = connection(pool, id, (opened.leg, opened.link), meter, limits);
    pool.connected(Sender::Http2(sender), &connection);
    drive(pool, &connection, Box::pin(conn), limits.idle).await;
}

/// Runs hyper's side of the connection until it closes or has idled too long.
///
/// It is boxed: a future holds room for each place that a value passes through.
async fn drive(pool: &Arc<Pool>, connection: &Arc<Connection>, mut conn: Pin<Box<impl Future>>, idle: Duration) {
    let mut closing = IdleTimer::new(&connection.activity, idle);
    poll_fn(|cx| {
        connection.task.register(cx.waker());
        if connection.abandoned.load(Ordering::Relaxed) || conn.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if let Some(sender) = connection.poll_left(cx) {
            pool.give_back(Sender::Http1(sender), connection);
        }
        if closing.poll(cx, &connection.activity).is_ready() {
            pool.forget(connection.id);
        }
        Poll::Pending
    })
    .await;
}
