//! Exact paths to routes, built once when a virtual host arrives, so that many exact paths cost no more
//! than one. First match still wins: candidates come out in the order of the routes.

use std::sync::Arc;

use indexmap::IndexMap;

use super::route::{PathMatcher, Route};

/// Which routes can match a path at all.
#[derive(Debug, Clone, Default)]
pub struct PathIndex {
    /// Routes with this very path, in order.
    exact: IndexMap<Arc<str>, Vec<u32>>,
    /// All other routes, in order.
    rest: Vec<u32>,
}

impl PathIndex {
    /// The index of `routes`.
    pub fn new(routes: &[Route]) -> Self {
        let mut index = Self::default();
        for (position, route) in (0u32..).zip(routes) {
            match &route.matches.path {
                PathMatcher::Exact(path) if route.matches.case_sensitive => {
                    index.exact.entry(path.clone()).or_default().push(position);
                }
                _ => index.rest.push(position),
            }
        }
        index
    }

    /// Positions of the routes that `path` may match, ascending. Exact paths are known to match; the
    /// others still have to be tried.
    pub fn candidates<'a>(&'a self, path: &str) -> impl Iterator<Item = u32> + 'a {
        let none: &[u32] = &[];
        let exact = if self.exact.is_empty() { none } else { self.exact.get(path).map_or(none, Vec::as_slice) };
        merge(exact, &self.rest)
    }
}

/// Two ascending lists as one.
fn merge<'a>(mut left: &'a [u32], mut right: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
    std::iter::from_fn(move || {
        let take_left = match (left.first(), right.first()) {
            (Some(a), Some(b)) => a < b,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let from = if take_left { &mut left } else { &mut right };
        let (first, tail) = from.split_first()?;
        *from = tail;
        Some(*first)
    })
}
