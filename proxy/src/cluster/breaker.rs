//! Circuit breakers: how many connections, pending requests, requests and retries a cluster may have at
//! once. Envoy: `CircuitBreakers`, default priority.
//!
//! Counters belong to a cluster's name, are shared by all workers and survive a change of configuration;
//! the limits come with each call, from the snapshot in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::snapshot::cluster::Breakers as Limits;

/// The counters of one cluster. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Breakers(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU32,
    pending_requests: AtomicU32,
    requests: AtomicU32,
    retries: AtomicU32,
}

/// What a breaker counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    Connection,
    PendingRequest,
    Request,
    Retry,
}

impl Breakers {
    /// Counts one connection for HTTP.
    ///
    /// `pool_is_empty`: the endpoint's pool has no connection, ready, busy or on its way. Then one is always
    /// allowed, even with `connections_max: 0`, so that no request waits for ever. A TCP proxy passes false.
    pub fn try_connection(&self, limits: &Limits, pool_is_empty: bool) -> Option<Permit> {
        let limit = if pool_is_empty { u32::MAX } else { limits.connections_max };
        self.try_acquire(Resource::Connection, limit)
    }

    /// Counts one request that waits for a connection. A request that finds a ready one does not ask. With
    /// `pending_requests_max: 0` every request that finds none fails, and none is opened for it.
    pub fn try_pending_request(&self, limits: &Limits) -> Option<Permit> {
        self.try_acquire(Resource::PendingRequest, limits.pending_requests_max)
    }

    /// Counts one request that is given a connection.
    pub fn try_request(&self, limits: &Limits) -> Option<Permit> {
        self.try_acquire(Resource::Request, limits.requests_max)
    }

    /// Counts one retry, from the verdict until the retried attempt has ended.
    pub fn try_retry(&self, limits: &Limits) -> Option<Permit> {
        self.try_acquire(Resource::Retry, limits.retries_max)
    }

    /// Connections, pending requests, requests and retries held now.
    pub fn held(&self) -> [u32; 4] {
        use Resource::{Connection, PendingRequest, Request, Retry};
        [Connection, PendingRequest, Request, Retry].map(|resource| self.0.counter(resource).load(Ordering::Relaxed))
    }

    fn try_acquire(&self, resource: Resource, limit: u32) -> Option<Permit> {
        let below = |held: u32| (held < limit).then_some(held + 1);
        self.0.counter(resource).fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).ok()?;
        Some(Permit { counters: self.0.clone(), resource })
    }
}

impl Counters {
    fn counter(&self, resource: Resource) -> &AtomicU32 {
        match resource {
            Resource::Connection => &self.connections,
            Resource::PendingRequest => &self.pending_requests,
            Resource::Request => &self.requests,
            Resource::Retry => &self.retries,
        }
    }
}

/// One counted thing; uncounted when dropped.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once counts nothing"]
pub struct Permit {
    counters: Arc<Counters>,
    resource: Resource,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.counters.counter(self.resource).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(all: u32) -> Limits {
        Limits { connections_max: all, pending_requests_max: all, requests_max: all, retries_max: all }
    }

    #[test]
    fn a_permit_counts_until_it_is_dropped() {
        let breakers = Breakers::default();
        let first = breakers.try_request(&limits(2));
        let second = breakers.clone().try_request(&limits(2));
        assert!(first.is_some() && second.is_some());
        assert!(breakers.try_request(&limits(2)).is_none());
        drop(first);
        assert_eq!(breakers.held(), [0, 0, 1, 0]);
        assert!(breakers.try_request(&limits(2)).is_some());
    }

    #[test]
    fn a_lower_limit_after_a_push_refuses_until_enough_have_ended() {
        let breakers = Breakers::default();
        let held: Vec<_> = (0..3).map(|_| breakers.try_retry(&limits(3))).collect();
        assert!(breakers.try_retry(&limits(1)).is_none());
        drop(held);
        assert!(breakers.try_retry(&limits(1)).is_some());
    }

    #[test]
    fn zero_connections_still_allow_one_to_an_endpoint_without_any() {
        let breakers = Breakers::default();
        assert!(breakers.try_connection(&limits(0), false).is_none());
        assert!(breakers.try_connection(&limits(0), true).is_some());
    }

    #[test]
    fn zero_pending_requests_refuse_all() {
        assert!(Breakers::default().try_pending_request(&limits(0)).is_none());
    }
}
