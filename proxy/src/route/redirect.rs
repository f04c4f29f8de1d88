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

#[cfg(test)]
mod tests {
    use crate::http::headers::HeaderList;

    use super::*;

    fn redirected(redirect: Redirect, scheme: &str, authority: &str, path_and_query: &str) -> String {
        let headers = HeaderList::new();
        let head = RequestHead { method: "GET", path_and_query, authority, scheme, headers: &headers };
        location(&redirect, &head, &PathMatcher::Prefix("/prefix".into()))
    }

    #[test]
    fn locations_are_envoys() {
        let with = |set: fn(&mut Redirect)| {
            let mut redirect = Redirect { status: 301, ..Default::default() };
            set(&mut redirect);
            redirect
        };
        let path = with(|to| to.path = Some("/new".into()));
        let https = with(|to| to.scheme = Some("https".into()));
        let host = with(|to| to.host = Some("b.test".into()));
        for (redirect, scheme, authority, from, wanted) in [
            (path.clone(), "http", "a.test", "/path?a=1", "http://a.test/new?a=1"),
            (path, "https", "a.test", "/path", "https://a.test/new"),
            (with(|to| to.path = Some("/new?z=1".into())), "http", "a.test", "/pathq?a=1", "http://a.test/new?z=1"),
            (host.clone(), "http", "a.test", "/host/x?a=1", "http://b.test/host/x?a=1"),
            (host, "http", "a.test:8080", "/host/x", "http://b.test/host/x"),
            (https.clone(), "http", "a.test", "/https/x", "https://a.test/https/x"),
            (https.clone(), "http", "a.test:8080", "/https/x", "https://a.test:8080/https/x"),
            (https, "http", "a.test:80", "/https/x", "https://a.test/https/x"),
            (with(|to| to.scheme = Some("ftp".into())), "http", "a.test", "/scheme/x", "ftp://a.test/scheme/x"),
            (
                with(|to| to.prefix_rewrite = Some("/pp".into())),
                "http",
                "a.test",
                "/prefix/a/b?c=1",
                "http://a.test/pp/a/b?c=1",
            ),
            (
                with(|to| {
                    to.path = Some("/s".into());
                    to.strip_query = true;
                }),
                "http",
                "a.test",
                "/strip?a=1",
                "http://a.test/s",
            ),
            (with(|to| to.port = Some(81)), "http", "a.test", "/port/x", "http://a.test:81/port/x"),
            (with(|to| to.port = Some(80)), "http", "a.test", "/port80/x", "http://a.test:80/port80/x"),
        ] {
            assert_eq!(redirected(redirect, scheme, authority, from), wanted);
        }
    }
}
