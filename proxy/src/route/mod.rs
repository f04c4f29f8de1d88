//! Which route a request takes, and what that means for it: pure functions of the configuration, the
//! request head and random numbers.
//!
//! Files, in the order a request meets them:
//! - [`head`]: the view of a request head that rules look at
//! - [`virtual_host`]: authority to virtual host
//! - [`matching`]: virtual host to route; path, header and query rules
//! - [`split`]: route to cluster, by weight
//! - [`timeout`]: how long the request and each attempt may take
//! - [`retry`]: whether a failed attempt is tried again, and when
//! - [`rewrite`]: the path sent upstream
//! - [`redirect`]: the `location` of a redirect

pub mod head;
pub mod matching;
pub mod redirect;
pub mod retry;
pub mod rewrite;
pub mod split;
pub mod timeout;
pub mod virtual_host;

pub use head::RequestHead;
pub use matching::select_route;
pub use retry::{AttemptOutcome, ResetReason, RetryVerdict, judge};
pub use split::choose_cluster;
pub use virtual_host::select_virtual_host;
