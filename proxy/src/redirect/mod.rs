//! Capture: the netfilter rules that lead a workload's connections through its proxy, as Istio's sidecars
//! have them. Here they are only planned, from what is wanted and what is there; the command runs the plan.
//!
//! - [`wanted`]: what is captured and what is not
//! - [`network`]: address ranges
//! - [`rules`]: the rules of one family
//! - [`plan`]: from what is there to what is wanted, as input of `iptables-restore`

mod network;
mod plan;
mod rules;
mod wanted;

pub use network::{Network, NotANetwork};
pub use plan::{Plan, install, remove};
pub use rules::Family;
pub use wanted::{Capture, Redirect};
