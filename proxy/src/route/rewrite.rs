//! The path sent upstream. Envoy: `RouteAction.prefix_rewrite`.

use crate::snapshot::route::PathMatcher;

/// `path_and_query` with the part that `matched` matched replaced by `rewrite`; the query stays. A regex
/// matches the whole path. Slashes are not merged: `/` for the prefix `/prex` of `/prex/a` gives `//a`.
pub fn path(path_and_query: &str, matched: &PathMatcher, rewrite: &str) -> String {
    let path_end = path_and_query.find(['?', '#']).unwrap_or(path_and_query.len());
    let cut = match matched {
        PathMatcher::Exact(_) | PathMatcher::Regex(_) => path_end,
        PathMatcher::Prefix(prefix) | PathMatcher::PathSeparatedPrefix(prefix) => prefix.len(),
    };
    format!("{rewrite}{}", path_and_query.get(cut..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewrites_are_envoys() {
        let prefix = |text: &str| PathMatcher::Prefix(text.into());
        for (from, matched, rewrite, wanted) in [
            ("/pre/a?b=1", prefix("/pre/"), "/", "/a?b=1"),
            ("/prexyz", prefix("/prex"), "/", "/yz"),
            ("/prex/a", prefix("/prex"), "/", "//a"),
            ("/sep?x=1", PathMatcher::PathSeparatedPrefix("/sep".into()), "/S", "/S?x=1"),
            ("/exact?x=1", PathMatcher::Exact("/exact".into()), "/e", "/e?x=1"),
            ("/pre/../x", prefix("/pre/"), "/", "/../x"),
        ] {
            assert_eq!(path(from, &matched, rewrite), wanted);
        }
    }
}
