//! Who acknowledged what.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use wavetank_platform::Instant;

use super::resource::ResourceType;

/// Disconnected proxies that are remembered.
const DISCONNECTED_MAX: usize = 4096;

/// Is told of each push and each answer. Implementations must not block.
pub trait Observer: Send + Sync {
    /// A version went out to a node.
    fn pushed(&self, node: &str, type_url: &str, version: &str, now: Instant);
    /// A node took a version.
    fn acked(&self, node: &str, type_url: &str, version: &str, now: Instant);
    /// A node refused a version.
    fn nacked(&self, node: &str, type_url: &str, version: &str, error: &str, now: Instant);
}

/// Looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn pushed(&self, _: &str, _: &str, _: &str, _: Instant) {}
    fn acked(&self, _: &str, _: &str, _: &str, _: Instant) {}
    fn nacked(&self, _: &str, _: &str, _: &str, _: &str, _: Instant) {}
}

/// One proxy's standing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyStatus {
    /// The node's id.
    pub node: String,
    /// Whether its stream is open.
    pub connected: bool,
    /// The newest state of the mesh that it has wholly taken; `None` while it has not taken the present one.
    pub settled: Option<u64>,
    /// By type; a type that it never asked for is missing.
    pub types: BTreeMap<ResourceType, TypeStatus>,
}

/// One proxy's standing on one type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypeStatus {
    /// The version it was last sent; empty before the first.
    pub sent: String,
    /// The version it last took; `None` before the first.
    pub acked: Option<String>,
    /// Why it refused its last push; `None` when it took it.
    pub nack: Option<String>,
}

/// The standing of all proxies.
#[derive(Debug, Default)]
pub struct StatusBoard {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    streams: u64,
    proxies: BTreeMap<String, (u64, ProxyStatus)>,
}

impl StatusBoard {
    /// A stream of `node` opened; returns the stream's number. An older stream of the node counts no more.
    pub(super) fn opened(&self, node: &str) -> u64 {
        self.with(|inner| {
            inner.streams += 1;
            let status = ProxyStatus { node: node.to_owned(), connected: true, ..ProxyStatus::default() };
            inner.proxies.insert(node.to_owned(), (inner.streams, status));
            inner.streams
        })
    }

    /// Changes the standing of `node`, if `stream` is still its newest.
    pub(super) fn update(&self, node: &str, stream: u64, change: impl FnOnce(&mut ProxyStatus)) {
        self.with(|inner| match inner.proxies.get_mut(node) {
            Some((newest, status)) if *newest == stream => change(status),
            _ => {}
        });
    }

    /// The stream closed.
    pub(super) fn closed(&self, node: &str, stream: u64) {
        self.update(node, stream, |status| status.connected = false);
        self.with(|inner| {
            let mut gone: Vec<(u64, String)> = Vec::new();
            for (name, (number, status)) in &inner.proxies {
                if !status.connected {
                    gone.push((*number, name.clone()));
                }
            }
            if gone.len() > DISCONNECTED_MAX
                && let Some((_, oldest)) = gone.into_iter().min()
            {
                inner.proxies.remove(&oldest);
            }
        });
    }

    /// The standing of every proxy, by node id.
    pub fn all(&self) -> Vec<ProxyStatus> {
        self.with(|inner| inner.proxies.values().map(|(_, status)| status.clone()).collect())
    }

    fn with<T>(&self, read: impl FnOnce(&mut Inner) -> T) -> T {
        read(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_stream_of_a_node_replaces_the_old_one() {
        let board = StatusBoard::default();
        let old = board.opened("a");
        let new = board.opened("a");
        board.closed("a", old);
        board.update("a", old, |status| status.settled = Some(9));
        assert_eq!(board.all().len(), 1);
        assert!(board.all()[0].connected);
        assert_eq!(board.all()[0].settled, None);
        board.closed("a", new);
        assert!(!board.all()[0].connected);
    }
}
