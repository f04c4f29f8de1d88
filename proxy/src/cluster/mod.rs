//! Which endpoint of a cluster a request goes to, and whether it may go at all: pure functions of the
//! cluster, its endpoints, state that the caller keeps by cluster name, and random numbers.
//!
//! Files:
//! - [`balancer`]: picks an endpoint
//! - [`schedule`]: weighted turns, Envoy's earliest-deadline-first schedule
//! - [`breaker`]: circuit breakers: how much of everything a cluster may have at once
//! - [`outlier`]: outlier detection: endpoints that fail are taken out for a while
//! - [`health`]: when the balancer hears of that

pub mod balancer;
pub mod breaker;
pub mod health;
pub mod outlier;
pub mod schedule;

pub use balancer::{Avoid, BalancerState, Unpickable, pick};
pub use breaker::{Breakers, Permit};
