//! Names to addresses.

use std::io;
use std::net::IpAddr;

use crate::net::BoxFuture;

/// DNS as one process sees it, search domains included.
pub trait Resolver: Send + Sync {
    /// The addresses of `name`, in the order the host gives them; never empty on success.
    ///
    /// An IP literal resolves to itself. Errs with `NotFound` when the name has no address.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}
