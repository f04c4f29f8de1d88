//! Heads byte by byte, good and bad.

use proptest::prelude::*;

use super::*;

fn parsed(bytes: &str, to_head: bool) -> Result<Option<Parsed>, Malformed> {
    parse(&mut BytesMut::from(bytes), to_head)
}

/// What of a response frames its body.
fn framing(bytes: &str) -> Result<(Option<u64>, bool), Malformed> {
    parsed(bytes, false).map(|parsed| parsed.map(|parsed| (parsed.decoder.left(), parsed.keep_alive)).unwrap())
}

#[test]
fn a_head_is_taken_off_and_the_rest_left() {
    let mut input = BytesMut::from("HTTP/1.1 201 Made\r\nX-A: 1\r\nx-b:  2 \r\nX-a: 3\r\ncontent-length: 3\r\n\r\nabc");
    let parsed = parse(&mut input, false).unwrap().unwrap();
    assert_eq!(parsed.head.status, StatusCode::CREATED);
    let headers: Vec<_> =
        parsed.head.headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
    assert_eq!(headers, ["x-a=1", "x-b=2", "x-a=3", "content-length=3"]);
    assert_eq!((parsed.decoder.left(), parsed.keep_alive), (Some(3), true));
    assert_eq!(&input[..], b"abc");
}

#[test]
fn the_framing_is_what_the_head_says() {
    for (head, left) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", Some(5)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\ncontent-length: 5\r\n\r\n", Some(5)),
        ("HTTP/1.1 204 No Content\r\n\r\n", Some(0)),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", Some(0)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\n\r\n", None),
    ] {
        assert_eq!(framing(head).map(|(left, _)| left), Ok(left), "{head:?}");
    }
    assert!(parsed("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", true).unwrap().unwrap().decoder.is_done());
}

#[test]
fn a_connection_stays_open_as_its_head_says() {
    for (head, stays) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nconnection: x, Close\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\nconnection: keep-alive\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\n", true),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", false),
    ] {
        assert_eq!(framing(head).map(|(_, stays)| stays), Ok(stays), "{head:?}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-a: 1\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx a: 1\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "SSH-2.0-x\r\n",
    ] {
        assert_eq!(parsed(head, false).map(|_| ()), Err(Malformed), "{head:?}");
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MAX + 1));
    assert_eq!(parsed(&many, false).map(|_| ()), Err(Malformed));
    let long = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(HEAD_MAX));
    assert_eq!(parsed(&long, false).map(|_| ()), Err(Malformed));
}

#[test]
fn a_head_has_not_come_whole_before_its_last_byte() {
    let head = "HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 5\r\n\r\n";
    for count in 1..head.len() {
        assert!(parsed(&head[..count], false).unwrap().is_none(), "{count}");
        assert!(!may_be_whole(&head.as_bytes()[..count], 0), "{count}");
        assert!(may_be_whole(head.as_bytes(), count), "{count}");
    }
}

proptest! {
    #[test]
    fn no_bytes_do_harm(start in prop::sample::select(vec!["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\na"]),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b':')], 0..200),
        to_head: bool)
    {
        let mut input = BytesMut::from(start);
        input.extend_from_slice(&bytes);
        let whole = input.clone();
        if let Ok(Some(_)) = parse(&mut input, to_head) {
            prop_assert!(whole.ends_with(&input));
            prop_assert!(may_be_whole(&whole, 0));
        }
    }
}
