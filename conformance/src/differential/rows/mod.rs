//! The rows: each is one exchange that both sides must take alike.
//!
//! - [`router`]: routes, clusters, endpoints, breakers, what upstreams do
//! - [`ejection`]: outlier detection
//! - [`timeouts`]
//! - [`retries`]
//! - [`streams`]: TCP, and callers that leave
//! - [`headers`]: changes, addresses and ids, the server's name
//! - [`protocol`]: corners of HTTP/1.1
//! - [`http2`]
//! - [`secure`]: certificates on either side

pub mod ejection;
pub mod headers;
pub mod http2;
pub mod protocol;
pub mod retries;
pub mod router;
pub mod secure;
pub mod streams;
pub mod timeouts;

use super::row::Row;

/// All rows. Their names are unique.
pub fn all() -> Vec<Row> {
    [
        router::rows(),
        ejection::rows(),
        timeouts::rows(),
        retries::rows(),
        streams::rows(),
        headers::rows(),
        protocol::rows(),
        http2::rows(),
        secure::rows(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let mut names = BTreeSet::new();
        for row in super::all() {
            assert!(names.insert(row.name.clone()), "{} is there twice", row.name);
        }
    }
}
