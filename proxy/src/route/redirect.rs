//! The `location` of a redirect. Envoy: `RedirectAction`.

use super::head::RequestHead;
use super::rewrite;
use super::virtual_host::without_port;
use crate::snapshot::route::{PathMatcher, Redirect};

/// Where the client is sent. `head.scheme` is that of `x-forwarded-proto`.
///
/// A new host drops the port. A new scheme drops a port that is the old scheme's default; a port that the
/// rule names is written out even when it is the default. A new path with its own `?` replaces the query.
pub fn location(redirect: &Redirect, head: &RequestHead<'_>, matched: &PathMatcher) -> String {
    let scheme = redirect.scheme.as_deref().unwrap_or(head.scheme);
    let host = redirect.host.as_deref().unwrap_or_else(|| kept_host(redirect, head, scheme));
    let port = redirect.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{host}{port}{}", target(redirect, head, matched))
}

fn kept_host<'a>(redirect: &Redirect, head: &RequestHead<'a>, scheme: &str) -> &'a str {
    let host = without_port(head.authority);
    let port = &head.authority[host.len()..];
    let default_of_old_scheme = matches!((head.scheme, port), ("http", ":80") | ("https", ":443"));
    let drop_port = redirect.port.is_some() || (scheme != head.scheme && default_of_old_scheme);
    if drop_port { host } else { head.authority }
}

fn target(redirect: &Redirect, head: &RequestHead<'_>, matched: &PathMatcher) -> String {
    let query = head.query().filter(|_| !redirect.strip_query).map(|query| format!("?{query}")).unwrap_or_default();
    match (&redirect.path, &redirect.prefix_rewrite) {
        (Some(path), _) if path.contains('?') => path.to_string(),
        (Some(path), _) => format!("{path}{query}"),
        (None, Some(prefix)) => format!("{}{query}", rewrite::path(head.path(), matched, prefix)),
        (None, None) => format!("{}{query}", head.path()),
    }
}
