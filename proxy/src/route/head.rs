//! The view of a request head that routing rules look at.

use crate::http::headers::HeaderList;

/// A request head, after sanitising and path normalisation.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// Method.
    pub method: &'a str,
    /// Path with query, as it would go upstream.
    pub path_and_query: &'a str,
    /// `:authority` or Host, as received.
    pub authority: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// All other headers.
    pub headers: &'a HeaderList,
}

impl<'a> RequestHead<'a> {
    /// The path without query and fragment.
    pub fn path(&self) -> &'a str {
        let end = self.path_and_query.find(['?', '#']).unwrap_or(self.path_and_query.len());
        &self.path_and_query[..end]
    }

    /// What follows the first `?`, without the fragment; `None` without `?`.
    pub fn query(&self) -> Option<&'a str> {
        let before_fragment = self.path_and_query.split('#').next().unwrap_or_default();
        before_fragment.split_once('?').map(|(_, query)| query)
    }
}
