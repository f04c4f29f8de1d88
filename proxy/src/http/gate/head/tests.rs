//! Heads, and what becomes of them.

use super::*;

const LIMITS: Limits = Limits { bytes_max: 1000, headers_max: 10 };

fn told(bytes: &str) -> String {
    match judge(bytes.as_bytes(), LIMITS) {
        Verdict::Partial => "partial".to_owned(),
        Verdict::Pass(Head { length, body, turns }) => {
            let body = match body {
                Body::Length(length) => length.to_string(),
                Body::Chunked(_) => "chunks".to_owned(),
            };
            format!("{length} bytes, body {body}{}", if turns { ", turns" } else { "" })
        }
        Verdict::Refuse(refusal) => {
            let reply = refusal.failure.reply();
            format!("{} {}", reply.status.as_u16(), reply.details)
        }
    }
}

fn check(cases: &[(&str, &str)]) {
    for (bytes, wanted) in cases {
        assert_eq!(told(bytes), *wanted, "{bytes:?}");
    }
}

/// A request with these lines beside its Host.
fn with(lines: &str) -> String {
    told(&format!("POST / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"))
}

#[test]
fn whole_heads_pass_and_tell_their_body() {
    check(&[
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "27 bytes, body 0"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", "27 bytes, body 0"),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "31 bytes, body 0"),
        ("POST / HTTP/1.1\r\nhost:a\r\ncontent-length: 5 \r\n\r\nhello", "47 bytes, body 5"),
        ("POST / HTTP/1.1\r\nHOST: a\r\nTransfer-Encoding: \tChunked\r\n\r\n", "57 bytes, body chunks"),
        ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", "47 bytes, body 0, turns"),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "37 bytes, body 0, turns"),
        ("GET http://a/b?c HTTP/1.1\r\nHost: b\r\nx: \u{e9}\r\n\r\n", "45 bytes, body 0"),
    ]);
}

#[test]
fn heads_that_may_still_become_whole_are_waited_for() {
    check(&[
        ("", "partial"),
        ("\r\n", "partial"),
        ("\r", "partial"),
        ("G", "partial"),
        ("GET /", "partial"),
        ("GET\r", "partial"),
        ("GET / HTTP/1.1\r", "partial"),
        ("GET / HTTP/1.1\r\n", "partial"),
        ("GET / HTTP/1.1\r\nHost: a\r\n", "partial"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r", "partial"),
    ]);
}

#[test]
fn what_is_no_request_line_of_http_1_1_is_refused() {
    check(&[
        ("GET / HTTP/1.1\nHost: a\n\n", "400 http1.bare_line_feed"),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", "400 http1.bare_line_feed"),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 http1.bare_line_feed"),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "426 low_version"),
        ("GET / HTTP/1.2\r\n", "426 low_version"),
        ("GET / HTTP/2.0\r\n", "426 low_version"),
        ("GET /\r\n", "426 low_version"),
        ("GET / http/1.1\r\n", "400 http1.codec_error"),
        ("GET / HTTP/1.1 \r\n", "400 http1.codec_error"),
        ("GET  / HTTP/1.1\r\n", "400 http1.codec_error"),
        ("GET\t/\tHTTP/1.1\r\n", "400 http1.codec_error"),
        (" GET / HTTP/1.1\r\n", "400 http1.codec_error"),
        ("get / HTTP/1.1\r\n", "400 http1.codec_error"),
        ("FOO / HTTP/1.1\r\n", "400 http1.codec_error"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 http1.codec_error"),
        ("garbage\r\n\r\n", "400 http1.codec_error"),
        ("\x16\x03\x01", "400 http1.codec_error"),
        ("G(T", "400 http1.codec_error"),
        ("GET /a b HTTP/1.1\r\n", "400 http1.codec_error"),
        ("GET /\u{e9} HTTP/1.1\r\n", "400 http1.codec_error"),
        ("GET /a\x7fb HTTP/1.1\r\n", "400 http1.codec_error"),
        ("GET /a\0b HTTP/1.1\r\n", "400 http1.invalid_characters"),
        ("GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n", "400 path_normalization_failed"),
    ]);
}

#[test]
fn headers_that_are_none_are_refused() {
    for (lines, wanted) in [
        ("x y: 1\r\n", "400 http1.codec_error"),
        ("x : 1\r\n", "400 http1.codec_error"),
        ("xyz\r\n", "400 http1.codec_error"),
        (": 1\r\n", "400 http1.codec_error"),
        (":path: /\r\n", "400 http1.codec_error"),
        ("x: a\r\n b\r\n", "400 http1.codec_error"),
        ("x: a\rb\r\n", "400 http1.codec_error"),
        ("x: a\0b\r\n", "400 http1.invalid_characters"),
        ("x: a\x01b\r\n", "400 http1.invalid_characters"),
        ("x: a\x7fb\r\n", "400 http1.invalid_characters"),
        ("x: a\tb\r\n", "41 bytes, body 0"),
        ("x:\r\n", "37 bytes, body 0"),
    ] {
        assert_eq!(with(lines), wanted, "{lines:?}");
    }
}

#[test]
fn framing_that_can_be_read_in_two_ways_is_refused() {
    for (lines, wanted) in [
        ("content-length: 2\r\ntransfer-encoding: chunked\r\n", "400 http1.content_length_and_chunked_not_allowed"),
        ("transfer-encoding: chunked\r\ncontent-length: 2\r\n", "400 http1.content_length_and_chunked_not_allowed"),
        ("content-length: 2\r\ncontent-length: 2\r\n", "400 http1.codec_error"),
        ("content-length: 2\r\nContent-Length: 3\r\n", "400 http1.codec_error"),
        ("content-length: 2, 2\r\n", "400 http1.codec_error"),
        ("content-length: +2\r\n", "400 http1.codec_error"),
        ("content-length: -2\r\n", "400 http1.codec_error"),
        ("content-length: 0x2\r\n", "400 http1.codec_error"),
        ("content-length:\r\n", "400 http1.codec_error"),
        ("content-length: 2 2\r\n", "400 http1.codec_error"),
        ("content-length: 18446744073709551616\r\n", "400 http1.codec_error"),
        ("content-length: 18446744073709551614\r\n", "400 http1.codec_error"),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "400 http1.codec_error"),
        ("transfer-encoding: gzip, chunked\r\n", "501 http1.invalid_transfer_encoding"),
        ("transfer-encoding: chunked, chunked\r\n", "501 http1.invalid_transfer_encoding"),
        ("transfer-encoding: chunked;q=1\r\n", "501 http1.invalid_transfer_encoding"),
        ("transfer-encoding: identity\r\n", "501 http1.invalid_transfer_encoding"),
        ("transfer-encoding:\r\n", "501 http1.invalid_transfer_encoding"),
    ] {
        assert_eq!(with(lines), wanted, "{lines:?}");
    }
}

#[test]
fn one_host_is_asked_for_and_a_valid_one() {
    check(&[
        ("GET / HTTP/1.1\r\n\r\n", "400 missing_host_header"),
        ("GET http://a/ HTTP/1.1\r\n\r\n", "400 missing_host_header"),
        ("GET / HTTP/1.1\r\nhost: a\r\nHost: a\r\n\r\n", "400 http1.duplicate_host"),
        ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n", "400 http.invalid_authority"),
        ("GET / HTTP/1.1\r\nhost: u@a\r\n\r\n", "400 http.invalid_authority"),
        ("GET / HTTP/1.1\r\nhost:\r\n\r\n", "25 bytes, body 0"),
    ]);
}

#[test]
fn heads_have_a_size_and_a_number_of_lines() {
    let line = |size: usize| format!("x: {}\r\n", "a".repeat(size));
    assert_eq!(with(&line(900)), "938 bytes, body 0");
    assert_eq!(with(&line(1000)), "431 http1.headers_too_large");
    assert_eq!(told(&format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "a".repeat(1000))), "431 http1.headers_too_large");
    assert_eq!(told(&format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(1000))), "414 http1.uri_too_long");
    assert_eq!(told(&format!("GET /{}", "a".repeat(1000))), "414 http1.uri_too_long");
    assert_eq!(told(&"\r\n".repeat(501)), "414 http1.uri_too_long");
    assert_eq!(with(&line(1).repeat(9)), "87 bytes, body 0");
    assert_eq!(with(&line(1).repeat(10)), "431 http1.too_many_headers");
}

#[test]
fn a_refused_head_is_named_where_envoy_names_it() {
    for (bytes, wanted) in [
        ("GET /x HTTP/1.1\r\n\r\n", Some("GET  /x")),
        ("GET /x#y HTTP/1.1\r\nhost: a\r\n\r\n", Some("GET a /x#y")),
        ("GET /x HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", None),
    ] {
        let Verdict::Refuse(refusal) = judge(bytes.as_bytes(), LIMITS) else { panic!("{bytes}") };
        let named = refusal.named.map(|named| format!("{} {} {}", named.method, named.authority, named.target));
        assert_eq!(named.as_deref(), wanted, "{bytes}");
    }
}

#[test]
fn methods_are_sorted() {
    assert!(METHODS.is_sorted());
}

#[test]
fn an_end_is_seen_however_it_is_cut() {
    let head = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    for from in 0..head.len() {
        assert!(may_end(head, from), "from {from}");
        assert!(!may_end(&head[..head.len() - 1], from.min(head.len() - 2)), "without its last byte, from {from}");
    }
    assert!(may_end(b"GET / HTTP/1.1\r\nhost: a\n", 20));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_judged_without_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        judge(&bytes, LIMITS);
    }
}
