//! A connection lent to one request.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};

use super::connect::Link;
use super::connection::Connection;
use super::pool::Pool;
use super::reset::Reset;
use crate::cluster::Permit;
use crate::http::request_body::RequestBody;
use crate::record::Leg;

/// hyper's handle of a connection.
#[derive(Debug)]
pub(crate) enum Sender {
    /// One request at a time.
    Http1(http1::SendRequest<RequestBody>),
    /// Many.
    Http2(http2::SendRequest<RequestBody>),
}

/// The right to send one request on a connection. Dropping it gives the connection back; hyper itself
/// refuses to reuse one whose response was not read to its end.
#[derive(Debug)]
pub(crate) struct Lease {
    sender: Option<Sender>,
    connection: Arc<Connection>,
    pool: Arc<Pool>,
    _request: Option<Permit>,
}

/// A request that got no response head.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The connection was closed before the request went out; here it is back, unharmed.
    Unsent(Box<Request<RequestBody>>),
    /// It failed.
    Reset(Reset),
}

impl Lease {
    pub(super) fn new(sender: Sender, connection: Arc<Connection>, pool: Arc<Pool>) -> Self {
        connection.begin();
        Self { sender: Some(sender), connection, pool, _request: None }
    }

    /// Counts the request until the lease ends.
    pub(super) fn count(&mut self, permit: Permit) {
        self._request = Some(permit);
    }

    /// Takes the sender back out: nobody wanted the lease.
    pub(super) fn into_sender(mut self) -> Option<Sender> {
        let sender = self.sender.take();
        self.connection.end();
        sender
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

    /// Ends an HTTP/1 connection whose request will not be sent to its end.
    pub(crate) fn abandon(&self) {
        if !self.is_http2() {
            self.connection.abandon();
        }
    }

    /// Sends `request` and waits for the head of its response.
    pub(crate) async fn send(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, SendError> {
        let meter = self.connection.meter();
        let (read, written) = (meter.read(), meter.written());
        let outcome = match &mut self.sender {
            Some(Sender::Http1(sender)) => sender.try_send_request(request).await,
            Some(Sender::Http2(sender)) => sender.try_send_request(request).await,
            None => unreachable!("a lease has its sender until it is dropped"),
        };
        outcome.map_err(|mut failed| match failed.take_message() {
            // A connection that ends before its first request is no stale one: the endpoint closed it.
            Some(request) if !self.connection.is_fresh() => SendError::Unsent(Box::new(request)),
            _ => SendError::Reset(Reset::exchange(failed.error(), meter, read, written)),
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(sender) = self.sender.take() else { return };
        self.connection.end();
        match sender {
            Sender::Http2(_) => {}
            Sender::Http1(sender) if sender.is_closed() => {}
            Sender::Http1(sender) if sender.is_ready() => self.pool.give_back(Sender::Http1(sender), &self.connection),
            Sender::Http1(sender) => self.connection.leave(sender),
        }
    }
}

/// The body type of requests upstream must be what hyper can send.
const _: fn() = || {
    fn sendable<B: http_body::Body<Data = Bytes> + Send + 'static>() {}
    sendable::<RequestBody>();
};
