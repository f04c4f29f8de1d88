//! One pooled connection: connecting, serving requests, idling, closing. A task does all of it, but for HTTP/1's
//! exchanges, which their requests run themselves.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use wavetank_platform::hyper_rt::{HyperExecutor, HyperTimer};

use super::connect::{Link, Opened, Target};
use super::gathered::{Gathered, SendingExecutor};
use super::http1::channel::Channel;
use super::lease::Sender;
use super::meter::{Meter, Metered};
use super::pool::{Pool, Wire};
use crate::idle::{Activity, IdleTimer};
use crate::record::Leg;
use crate::route::ResetReason;

/// Envoy's flow-control windows.
const STREAM_WINDOW: u32 = 16 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 24 * 1024 * 1024;

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
    place: Mutex<Place>,
}

/// Where an HTTP/1 connection is, and who waits there for it.
#[derive(Debug)]
struct Place {
    at: At,
    task: Waker,
}

#[derive(Debug)]
enum At {
    /// With a request.
    Lent,
    /// In its pool.
    Idle(Box<Channel>),
    /// On its way out.
    Closing(Box<Channel>),
    /// It is no more.
    Over,
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

    /// Lets `channel` idle; says whether it does, for it may have ended. From then on its end wakes its task;
    /// to be laid to rest does not.
    pub(super) fn rest(&self, mut channel: Box<Channel>) -> bool {
        let mut place = self.place();
        let idles = channel.poll_idle(&mut Context::from_waker(&place.task)).is_pending();
        if idles {
            place.at = At::Idle(channel);
        } else {
            place.at = At::Closing(channel);
            place.task.wake_by_ref();
        }
        idles
    }

    /// Takes what idles.
    pub(super) fn take(&self) -> Option<Box<Channel>> {
        let mut place = self.place();
        match std::mem::replace(&mut place.at, At::Lent) {
            At::Idle(channel) => Some(channel),
            other => {
                place.at = other;
                None
            }
        }
    }

    /// Closes `channel`.
    pub(super) fn close(&self, channel: Box<Channel>) {
        let mut place = self.place();
        place.at = At::Closing(channel);
        place.task.wake_by_ref();
    }

    /// Closes what idles.
    pub(super) fn close_idle(&self) {
        if let Some(channel) = self.take() {
            self.close(channel);
        }
    }

    /// The connection is no more.
    pub(super) fn finish(&self) {
        let mut place = self.place();
        place.at = At::Over;
        place.task.wake_by_ref();
    }

    /// Ready when an HTTP/1 connection is over.
    fn poll_over(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut place = self.place();
        place.task.clone_from(cx.waker());
        loop {
            place.at = match std::mem::replace(&mut place.at, At::Over) {
                At::Over => return Poll::Ready(()),
                At::Lent => {
                    place.at = At::Lent;
                    return Poll::Pending;
                }
                At::Idle(mut channel) => {
                    if channel.poll_idle(cx).is_pending() {
                        place.at = At::Idle(channel);
                        return Poll::Pending;
                    }
                    At::Closing(channel)
                }
                At::Closing(mut channel) => {
                    // Once is enough: who does not read does not wait for an end either.
                    let _told = channel.poll_shutdown(cx);
                    At::Over
                }
            };
        }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
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

async fn connection(
    pool: &Pool,
    id: u64,
    (leg, link): (Leg, Arc<Link>),
    meter: Arc<Meter>,
    limits: Limits,
) -> Arc<Connection> {
    let task = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    Arc::new(Connection {
        id,
        leg,
        link,
        meter,
        requests_max: limits.requests_max,
        served: AtomicU32::new(0),
        activity: Activity::new(pool.connector().platform.clock.clone()),
        place: Mutex::new(Place { at: At::Lent, task }),
    })
}

async fn serve_http1(pool: &Arc<Pool>, id: u64, opened: Opened, limits: Limits) {
    let meter = Arc::new(Meter::default());
    let channel = Box::new(Channel::new(Metered::new(opened.stream, meter.clone())));
    let connection = connection(pool, id, (opened.leg, opened.link), meter, limits).await;
    pool.connected(Sender::Http1(channel), &connection);
    let mut closing = IdleTimer::new(&connection.activity, limits.idle);
    poll_fn(|cx| {
        if closing.poll(cx, &connection.activity).is_ready() {
            pool.forget(id);
            connection.close_idle();
        }
        connection.poll_over(cx)
    })
    .await;
}

async fn serve_http2(pool: &Arc<Pool>, id: u64, opened: Opened, limits: Limits) {
    let meter = Arc::new(Meter::default());
    let gathered = Gathered::new(Metered::new(opened.stream, meter.clone()));
    let executor = HyperExecutor::new(&pool.connector().platform);
    let handshake = http2::Builder::new(SendingExecutor::new(executor, gathered.clone()))
        .timer(HyperTimer)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(TokioIo::new(gathered))
        .await;
    let (sender, conn) = match handshake {
        Ok(pair) => pair,
        Err(_closed) => return pool.connect_failed(ResetReason::ConnectionTermination.into()),
    };
    let connection = connection(pool, id, (opened.leg, opened.link), meter, limits).await;
    pool.connected(Sender::Http2(sender), &connection);
    drive(pool, &connection, Box::pin(conn), limits.idle).await;
}

/// Runs hyper's side of the connection until it closes or has idled too long.
///
/// It is boxed: a future holds room for each place that a value passes through.
async fn drive(pool: &Arc<Pool>, connection: &Arc<Connection>, mut conn: Pin<Box<impl Future>>, idle: Duration) {
    let mut closing = IdleTimer::new(&connection.activity, idle);
    poll_fn(|cx| {
        if conn.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if closing.poll(cx, &connection.activity).is_ready() {
            pool.forget(connection.id);
        }
        Poll::Pending
    })
    .await;
}
