//! A connection lent to one request.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use wavetank_platform::Stream;

use super::connect::Link;
use super::connection::Connection;
use super::http1::channel::{Afterwards, Channel, Failed};
use super::http1::duplex::Duplex;
use super::http1::request::Request as Http1Request;
use super::pool::Pool;
use super::reset::{self, Reset};
use crate::cluster::Permit;
use crate::http::headers::HeaderList;
use crate::http::request_body::RequestBody;
use crate::record::Leg;
use crate::route::ResetReason;

/// How long the rest of a request that is answered may take to go out.
const SEND_OUT_MAX: Duration = Duration::from_secs(15);

/// What a connection gives to a request.
#[derive(Debug)]
pub(crate) enum Sender {
    /// The connection itself.
    Http1(Box<Channel>),
    /// hyper's handle of a connection of many requests.
    Http2(http2::SendRequest<RequestBody>),
}

/// A request in the words of its connection.
#[derive(Debug)]
pub(crate) enum Request {
    /// HTTP/1.1.
    Http1(Box<Http1Request>),
    /// HTTP/2.
    Http2(Box<http::Request<RequestBody>>),
}

/// Status and headers of a response.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    /// Status.
    pub(crate) status: StatusCode,
    /// Headers.
    pub(crate) headers: HeaderList,
}

/// Where the body of a response comes from, if not from the channel itself.
#[derive(Debug)]
enum Beside {
    /// The channel, which is in use by two.
    Http1(Duplex),
    /// hyper.
    Http2(Incoming),
}

/// The right to send one request on a connection, and its response's body. Dropping it gives the connection
/// back, if it takes another request, and closes it otherwise.
#[derive(Debug)]
pub(crate) struct Lease {
    sender: Option<Sender>,
    beside: Option<Beside>,
    request_whole: bool,
    unwanted: bool,
    connection: Arc<Connection>,
    pool: Arc<Pool>,
    _request: Option<Permit>,
}

/// A request that got no response head.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The connection was closed before the request went out; here it is back, unharmed.
    Unsent(Request),
    /// It failed.
    Reset(Reset),
}

impl Lease {
    pub(super) fn new(sender: Sender, connection: Arc<Connection>, pool: Arc<Pool>) -> Self {
        connection.begin();
        Self {
            sender: Some(sender),
            beside: None,
            request_whole: false,
            unwanted: false,
            connection,
            pool,
            _request: None,
        }
    }

    /// Counts the request until the lease ends.
    pub(super) fn count(&mut self, permit: Permit) {
        self._request = Some(permit);
    }

    /// Takes the sender back out: nobody wanted the lease.
    pub(super) fn into_sender(mut self) -> Option<Sender> {
        self.unwanted = true;
        self.sender.take()
    }

    /// The connection's two ends.
    pub(crate) fn leg(&self) -> &Leg {
        self.connection.leg()
    }

    /// What logs tell of the connection.
    pub(crate) fn link(&self) -> &Arc<Link> {
        self.connection.link()
    }

    /// Whether the connection speaks HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        matches!(self.sender, Some(Sender::Http2(_)))
    }

    /// All of the request has come, and its answer stands: what has not gone out yet still does.
    pub(crate) fn send_whole(&mut self) {
        self.request_whole = true;
    }

    /// Sends `request` and waits for the head of its response.
    pub(crate) async fn send(&mut self, request: Request) -> Result<ResponseHead, SendError> {
        match (&mut self.sender, request) {
            (Some(Sender::Http1(channel)), Request::Http1(request)) => {
                channel.begin(*request);
                let head = self.await_http1().await?;
                if head.status != StatusCode::SWITCHING_PROTOCOLS {
                    self.send_on();
                }
                Ok(head)
            }
            (Some(Sender::Http2(_)), Request::Http2(request)) => self.send_http2(*request).await,
            _ => unreachable!("a pool lends connections of one protocol, each with its sender"),
        }
    }

    async fn await_http1(&mut self) -> Result<ResponseHead, SendError> {
        let meter = self.connection.meter();
        let (read, written) = (meter.read(), meter.written());
        let Some(Sender::Http1(channel)) = &mut self.sender else { unreachable!("the caller has looked") };
        let outcome = poll_fn(|cx| channel.poll_response(cx)).await;
        outcome.map_err(|failed| match failed {
            // A connection that ends before its first request is no stale one: the endpoint closed it.
            Failed::Stale(request) if !self.connection.is_fresh() => SendError::Unsent(Request::Http1(request)),
            Failed::Malformed => SendError::Reset(Reset::exchange(true, meter, read, written)),
            Failed::Stale(_) | Failed::Broken => SendError::Reset(Reset::exchange(false, meter, read, written)),
        })
    }

    /// What is left of the request goes out beside its response.
    fn send_on(&mut self) {
        let is_sending = |sender: &mut Sender| matches!(sender, Sender::Http1(channel) if channel.is_sending());
        if let Some(Sender::Http1(channel)) = self.sender.take_if(is_sending) {
            let spawn = &*self.pool.connector().platform.spawn;
            self.beside = Some(Beside::Http1(Duplex::start(channel, spawn)));
        }
    }

    async fn send_http2(&mut self, request: http::Request<RequestBody>) -> Result<ResponseHead, SendError> {
        let meter = self.connection.meter();
        let (read, written) = (meter.read(), meter.written());
        let Some(Sender::Http2(sender)) = &mut self.sender else { unreachable!("the caller has looked") };
        match sender.try_send_request(request).await {
            Ok(response) => {
                let (parts, incoming) = response.into_parts();
                self.beside = Some(Beside::Http2(incoming));
                Ok(ResponseHead { status: parts.status, headers: parts.headers.into() })
            }
            Err(mut failed) => Err(match failed.take_message() {
                Some(request) if !self.connection.is_fresh() => SendError::Unsent(Request::Http2(Box::new(request))),
                _ => SendError::Reset(Reset::http2_exchange(failed.error(), meter, read, written)),
            }),
        }
    }

    /// The next piece of the response's body; errs with why it broke off.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ResetReason>>> {
        match (&mut self.sender, &mut self.beside) {
            (Some(Sender::Http1(channel)), _) => {
                channel.poll_frame(cx).map_err(|_broken_off| ResetReason::ProtocolError)
            }
            (_, Some(Beside::Http1(duplex))) => duplex.poll_frame(cx).map_err(|_broken_off| ResetReason::ProtocolError),
            (_, Some(Beside::Http2(incoming))) => {
                let polled = ready!(Pin::new(incoming).poll_frame(cx));
                Poll::Ready(polled.map(|frame| frame.map_err(|error| reset::mid_body(&error))))
            }
            (_, None) => Poll::Ready(None),
        }
    }

    /// Whether the response has been read to its end.
    pub(crate) fn is_end_stream(&self) -> bool {
        match (&self.sender, &self.beside) {
            (Some(Sender::Http1(channel)), _) => channel.is_end_stream(),
            (_, Some(Beside::Http1(duplex))) => duplex.is_end_stream(),
            (_, Some(Beside::Http2(incoming))) => incoming.is_end_stream(),
            (_, None) => true,
        }
    }

    /// How much of the response's body is to come.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match (&self.sender, &self.beside) {
            (Some(Sender::Http1(channel)), _) => channel.size_hint(),
            (_, Some(Beside::Http1(duplex))) => duplex.size_hint(),
            (_, Some(Beside::Http2(incoming))) => incoming.size_hint(),
            (_, None) => SizeHint::with_exact(0),
        }
    }

    /// The stream of a connection that has changed its protocol; the connection counts until the lease ends.
    pub(crate) fn take_stream(&mut self) -> Option<Stream> {
        match self.sender.take()? {
            Sender::Http1(channel) => Some(channel.into_stream()),
            Sender::Http2(_) => None,
        }
    }
}

impl Lease {
    /// A request that has come whole goes out whole, though its response is over; for a while.
    fn send_out(&self, duplex: Duplex) {
        let platform = &self.pool.connector().platform;
        let (clock, connection, pool) = (platform.clock.clone(), self.connection.clone(), self.pool.clone());
        platform.spawn.go(async move {
            let channel = clock.timeout(SEND_OUT_MAX, duplex.into_sent()).await.ok().flatten();
            hand_back(&pool, &connection, channel);
        });
    }
}

/// The request is over. `None`: so is its connection.
fn hand_back(pool: &Arc<Pool>, connection: &Arc<Connection>, channel: Option<Box<Channel>>) {
    connection.end();
    let Some(mut channel) = channel else { return connection.finish() };
    match channel.finish() {
        Afterwards::Reusable => pool.give_back(Sender::Http1(channel), connection),
        Afterwards::Close => connection.close(channel),
        Afterwards::Broken => connection.finish(),
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.unwanted {
            return self.connection.end();
        }
        let channel = match (self.sender.take(), self.beside.take()) {
            (Some(Sender::Http2(_)), _) => return self.connection.end(),
            (Some(Sender::Http1(channel)), _) => Some(channel),
            (None, Some(Beside::Http1(duplex))) => match duplex.into_channel() {
                Ok(channel) => Some(channel),
                Err(duplex) if self.request_whole && duplex.is_end_stream() => return self.send_out(duplex),
                Err(_broken_off) => None,
            },
            (None, _) => None,
        };
        hand_back(&self.pool, &self.connection, channel);
    }
}

/// The body type of requests upstream must be what hyper can send.
const _: fn() = || {
    fn sendable<B: http_body::Body<Data = Bytes> + Send + 'static>() {}
    sendable::<RequestBody>();
};
