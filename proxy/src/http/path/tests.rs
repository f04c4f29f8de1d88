//! Path normalisation, by tables.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::snapshot::listener::RouteSource;

fn manager(normalize_path: bool, merge_slashes: bool, escaped_slashes: EscapedSlashes) -> HttpManager {
    let routes = RouteSource::Rds(Arc::from("r"));
    HttpManager { normalize_path, merge_slashes, escaped_slashes, ..HttpManager::new("h", routes) }
}

fn normal(path: &str, manager: &HttpManager) -> String {
    match normalize(path, manager) {
        Normalized::Path(path) => path.into_owned(),
        Normalized::Redirect(path) => format!("307 {path}"),
        Normalized::Rejected => "400".to_owned(),
    }
}

#[test]
fn what_two_readers_may_not_read_alike_is_refused_where_nothing_is_said_of_it() {
    for normalize_path in [false, true] {
        let strict = manager(normalize_path, false, EscapedSlashes::Strict);
        for (path, wanted) in [
            ("/a%2fb", "400"),
            ("/a%2Fb", "400"),
            ("/a%5cb", "400"),
            ("/a%00b", "400"),
            ("/a%252fb", "400"),
            ("/a%252e%252e/b", "400"),
            ("/a%2541", "400"),
            ("/a%zzb", "400"),
            ("/a%+1b", "400"),
            ("/a%2", "400"),
            ("/a%", "400"),
            ("/a%25", "/a%25"),
            ("/a%25%3fb", "/a%25%3fb"),
            ("/a%20b?c=%2f%zz%00", "/a%20b?c=%2f%zz%00"),
        ] {
            assert_eq!(normal(path, &strict), wanted, "{path}");
        }
    }
    let kept = manager(false, false, EscapedSlashes::Keep);
    for path in ["/a%2fb", "/a%00b", "/a%252fb", "/a%zzb", "/a%2"] {
        assert_eq!(normal(path, &kept), path);
    }
}

#[test]
fn paths_are_normalised_as_envoy_does() {
    let all = manager(true, true, EscapedSlashes::UnescapeAndRedirect);
    for (path, wanted) in [
        ("/a/../b", "/b"),
        ("/a//b", "/a/b"),
        ("/a%2fb", "307 /a/b"),
        ("/a%5Cb?q=%2f", "307 /a/b?q=%2f"),
        ("/a/./b", "/a/b"),
        ("/%61", "/a"),
        ("/a\\b", "/a/b"),
        ("/a?b=/../c//d", "/a?b=/../c//d"),
        ("/a/..", "/"),
        ("/a/.", "/a/"),
        ("/a/b/../../c", "/c"),
        ("/%2e%2e/a", "/a"),
        ("/../a", "/a"),
        ("/a%7Eb%3fc", "/a~b%3fc"),
        ("/a%00b", "400"),
        ("/\"<>^`{|}", "/%22%3C%3E%5E%60%7B%7C%7D"),
        ("/a;b=c/./[d]~!$&'()*+,=:@_-", "/a;b=c/[d]~!$&'()*+,=:@_-"),
        ("/d%25%32%46", "/d%252F"),
        ("/d/.%2e/e", "/e"),
        ("/d/...", "/d/..."),
        ("/a%zz", "400"),
        ("/a%2", "400"),
        ("/a#frag", "400"),
        ("/.hidden", "/.hidden"),
        ("/", "/"),
    ] {
        assert_eq!(normal(path, &all), wanted, "{path}");
    }
}

#[test]
fn slashes_and_dots_stay_unless_configured() {
    let none = manager(false, false, EscapedSlashes::Keep);
    for path in ["/a/../b", "/a//b", "/a%2fb", "/%61", "/a\\b", "/../a"] {
        assert_eq!(normal(path, &none), path);
    }
    assert_eq!(normal("/a#frag", &none), "400");
    assert_eq!(normal("/a//b/../c", &manager(true, false, EscapedSlashes::Keep)), "/a//c");
}

#[test]
fn escaped_slashes_follow_their_action() {
    assert_eq!(normal("/a%2fb", &manager(true, true, EscapedSlashes::Keep)), "/a%2fb");
    assert_eq!(normal("/a%2fb", &manager(true, true, EscapedSlashes::Reject)), "400");
    assert_eq!(normal("/a%2f%2Fb?c", &manager(true, true, EscapedSlashes::UnescapeAndForward)), "/a/b?c");
    assert_eq!(normal("/a%2fb", &manager(false, false, EscapedSlashes::UnescapeAndForward)), "/a/b");
}

proptest! {
    #[test]
    fn a_normal_path_has_no_dot_segment_and_stays_as_it_is(path in "/[a./%2eE\\\\éx]{0,12}") {
        let all = manager(true, true, EscapedSlashes::UnescapeAndForward);
        if let Normalized::Path(once) = normalize(&path, &all) {
            prop_assert!(once.split('/').all(|segment| segment != "." && segment != ".."));
            prop_assert!((once == "//" || !once.contains("//")) && once.starts_with('/'));
            prop_assert_eq!(normal(&once, &all), once.clone().into_owned());
        }
    }

    #[test]
    fn no_path_panics(path in ".*", normalize_path: bool, merge: bool) {
        for action in [EscapedSlashes::Keep, EscapedSlashes::UnescapeAndForward] {
            normal(&path, &manager(normalize_path, merge, action));
        }
    }
}
