//! A session on one gRPC stream: requests in, snapshots in, responses out.
//!
//! The response stream itself drives the session, so nothing outlives the proxy's connection.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::Node;
use futures_core::Stream;
use tonic::{Status, Streaming};
use wavetank_platform::watch;

use super::exchange::{Outcome, Push};
use super::service::{Hub, StreamPermit};
use super::session::Session;
use super::variant::Variant;
use crate::ca::Identity;

/// Longest node id that is taken, in bytes.
const NODE_ID_BYTES_MAX: usize = 1024;

/// The responses to `requests`, until the proxy ends its side or breaks a rule.
pub(super) fn serve<V: Variant>(
    hub: Arc<Hub>,
    requests: Streaming<V::Request>,
    peer: Option<Identity>,
    permit: StreamPermit,
) -> impl Stream<Item = Result<V::Response, Status>> + Send + 'static {
    let changes = hub.changes.clone();
    let feed = Feed::<V> { hub, requests, peer, changes, proxy: None, failed: false, _permit: permit };
    futures_util::stream::unfold(feed, |mut feed| async move {
        if feed.failed {
            return None;
        }
        let next = feed.next().await?;
        feed.failed = next.is_err();
        Some((next, feed))
    })
}

struct Feed<V: Variant> {
    hub: Arc<Hub>,
    requests: Streaming<V::Request>,
    peer: Option<Identity>,
    changes: watch::Receiver<u64>,
    /// Known from the first request on.
    proxy: Option<Proxy>,
    failed: bool,
    _permit: StreamPermit,
}

/// The proxy at the other end. Reports its leaving when dropped.
struct Proxy {
    hub: Arc<Hub>,
    node: Node,
    stream: u64,
    session: Session,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.hub.board.closed(&self.node.id, self.stream);
    }
}

enum Event<R> {
    Request(R),
    End,
    Changed,
    Woken,
}

impl<V: Variant> Feed<V> {
    async fn next(&mut self) -> Option<Result<V::Response, Status>> {
        loop {
            let now = self.hub.platform.clock.now();
            if let Some(proxy) = &mut self.proxy {
                let push = proxy.session.next_push(now);
                proxy.report_settled();
                if let Some(push) = push {
                    proxy.report_push(&push);
                    return Some(Ok(V::response(push)));
                }
            }
            let handled = match self.event().await {
                Ok(Event::Request(request)) => self.take(request),
                Ok(Event::Changed) => self.retarget(),
                Ok(Event::Woken) => Ok(()),
                Ok(Event::End) => return None,
                Err(status) => Err(status),
            };
            if let Err(status) = handled {
                return Some(Err(status));
            }
        }
    }

    async fn event(&mut self) -> Result<Event<V::Request>, Status> {
        let clock = &self.hub.platform.clock;
        let wake = self.proxy.as_ref().and_then(|proxy| proxy.session.wake_at(clock.now()));
        let woken = async {
            match wake {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            request = self.requests.message() => Ok(request?.map_or(Event::End, Event::Request)),
            // The sender lives as long as the control plane.
            changed = self.changes.changed() => Ok(changed.map_or(Event::End, |()| Event::Changed)),
            () = woken => Ok(Event::Woken),
        }
    }

    fn take(&mut self, request: V::Request) -> Result<(), Status> {
        if self.proxy.is_none() {
            self.proxy = Some(self.greet(&request)?);
        }
        let Some(proxy) = &mut self.proxy else { return Ok(()) };
        // Types that are not served are not refused either: a proxy may ask for more than a mesh has.
        let Some(ask) = V::ask(request) else { return Ok(()) };
        let kind = ask.kind;
        let outcome = proxy.session.receive(ask).map_err(|error| Status::resource_exhausted(error.to_string()))?;
        proxy.report_outcome(kind, outcome);
        Ok(())
    }

    fn greet(&mut self, request: &V::Request) -> Result<Proxy, Status> {
        let node = V::node(request).filter(|node| !node.id.is_empty());
        let node = node.ok_or_else(|| Status::invalid_argument("the first request has no node id"))?;
        if node.id.len() > NODE_ID_BYTES_MAX {
            return Err(Status::invalid_argument("the node id is too long"));
        }
        self.changes.mark_unchanged();
        let snapshot = self.hub.source.snapshot(node, self.peer.as_ref())?;
        let session = Session::new(V::MODE, self.hub.limits.session, Arc::new(snapshot));
        let stream = self.hub.board.opened(&node.id);
        Ok(Proxy { hub: self.hub.clone(), node: node.clone(), stream, session })
    }

    fn retarget(&mut self) -> Result<(), Status> {
        if let Some(proxy) = &mut self.proxy {
            let snapshot = self.hub.source.snapshot(&proxy.node, self.peer.as_ref())?;
            proxy.session.retarget(Arc::new(snapshot));
        }
        Ok(())
    }
}

impl Proxy {
    fn report_settled(&self) {
        let settled = self.session.settled();
        self.hub.board.update(&self.node.id, self.stream, |status| status.settled = settled);
    }

    fn report_push(&self, push: &Push) {
        let now = self.hub.platform.clock.now();
        self.hub.observer.pushed(&self.node.id, push.kind.type_url(), &push.version, now);
        tracing::debug!(node = %self.node.id, kind = %push.kind, version = %push.version, resources = push.resources.len(), "push");
        self.hub.board.update(&self.node.id, self.stream, |status| {
            status.types.entry(push.kind).or_default().sent = push.version.to_string();
        });
    }

    fn report_outcome(&self, kind: super::ResourceType, outcome: Outcome) {
        let now = self.hub.platform.clock.now();
        let (node, url, observer) = (&self.node.id, kind.type_url(), &self.hub.observer);
        match &outcome {
            Outcome::Acked(version) => observer.acked(node, url, version, now),
            Outcome::Nacked(version, error) => {
                tracing::warn!(%node, %kind, %version, %error, "a proxy refused its configuration");
                observer.nacked(node, url, version, error, now);
            }
            Outcome::Subscribed | Outcome::Stale => {}
        }
        self.hub.board.update(node, self.stream, |status| {
            let status = status.types.entry(kind).or_default();
            match outcome {
                Outcome::Acked(version) => (status.acked, status.nack) = (Some(version.to_string()), None),
                Outcome::Nacked(_, error) => status.nack = Some(error),
                Outcome::Subscribed | Outcome::Stale => {}
            }
        });
    }
}
