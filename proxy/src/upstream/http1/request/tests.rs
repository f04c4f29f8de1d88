//! Heads byte by byte.

use http::HeaderValue;
use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};

use super::*;

fn head(method: &Method, path: &str, host: &str, headers: &[(HeaderName, &'static str)], upgrade: bool) -> String {
    let target = Target { authority: host.into(), path_and_query: path.into() };
    let mut list = HeaderList::new();
    for (name, value) in headers {
        list.append(name.clone(), HeaderValue::from_static(value));
    }
    let request = Request::new(method, &target, &list, RequestBody::Empty, upgrade, None);
    String::from_utf8(request.head).unwrap()
}

#[test]
fn host_stands_first_and_the_headers_in_their_order() {
    let sent = head(&Method::GET, "/a?b=c", "a.test:80", &[(ACCEPT, "*/*"), (UPGRADE, "x"), (ACCEPT, "y")], false);
    assert_eq!(sent, "GET /a?b=c HTTP/1.1\r\nhost: a.test:80\r\naccept: */*\r\nupgrade: x\r\naccept: y\r\n\r\n");
}

#[test]
fn a_request_that_may_have_a_body_and_has_none_says_so_last() {
    let sent = head(&Method::POST, "/", "a", &[(ACCEPT, "*/*")], false);
    assert_eq!(sent, "POST / HTTP/1.1\r\nhost: a\r\naccept: */*\r\ncontent-length: 0\r\n\r\n");
    let said = head(&Method::PUT, "/", "a", &[(CONTENT_LENGTH, "0"), (ACCEPT, "*/*")], false);
    assert_eq!(said, "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\naccept: */*\r\n\r\n");
    assert!(!head(&Method::DELETE, "/", "a", &[], false).contains("content-length"));
    // A length that a route adds beside no body would take from the next request.
    assert!(!head(&Method::GET, "/", "a", &[(CONTENT_LENGTH, "5")], false).contains("content-length"));
    let added = head(&Method::PUT, "/", "a", &[(CONTENT_LENGTH, "5")], false);
    assert!(added.ends_with("\r\ncontent-length: 0\r\n\r\n"));
    assert!(!head(&Method::POST, "/", "a", &[], true).contains("content-length"));
}

#[test]
fn the_framing_is_our_own() {
    assert!(!head(&Method::GET, "/", "a", &[(TRANSFER_ENCODING, "chunked")], false).contains("chunked"));
}

#[test]
fn nothing_in_path_or_host_ends_a_line() {
    let sent = head(&Method::GET, "/a b\r\nx: y", "a\r\nx: y", &[], false);
    assert_eq!(sent, "GET / HTTP/1.1\r\nhost: a??x: y\r\n\r\n");
    for (path, sent) in [("", "/"), ("*", "*"), ("?x=1", "/?x=1")] {
        assert!(head(&Method::OPTIONS, path, "a", &[], false).starts_with(&format!("OPTIONS {sent} HTTP/1.1\r\n")));
    }
}

#[test]
fn a_request_that_says_close_is_the_last_one() {
    let target = Target { authority: "a".into(), path_and_query: "/".into() };
    let mut headers = HeaderList::new();
    assert!(!Request::new(&Method::GET, &target, &headers, RequestBody::Empty, false, None).is_last);
    headers.append(CONNECTION, HeaderValue::from_static("Close"));
    assert!(Request::new(&Method::GET, &target, &headers, RequestBody::Empty, false, None).is_last);
}
