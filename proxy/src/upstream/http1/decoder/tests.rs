//! Bodies byte by byte, good and bad, split anywhere.

use std::collections::VecDeque;

use http::header::{CONTENT_LENGTH, HeaderName};
use proptest::prelude::*;

use super::super::encoder::{Encoder, TooShort};
use super::*;

/// The body, its trailers and what is left over.
type Read = (Vec<u8>, HeaderMap, Vec<u8>);

/// Reads bytes as they come in these pieces; `None`: there is no end.
fn read<'a>(mut decoder: Decoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Read>, Malformed> {
    let (mut input, mut body, mut trailers) = (BytesMut::new(), Vec::new(), HeaderMap::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input)? {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::Trailers(found) => trailers = found,
                Piece::More | Piece::End => break,
            }
        }
    }
    Ok(decoder.is_done().then(|| (body, trailers, input.to_vec())))
}

fn whole(bytes: &[u8]) -> Result<Option<Read>, Malformed> {
    read(Decoder::chunked(), [bytes])
}

const CHUNKS: &[u8] = b"5;a=b;c=\"d\"\r\nhello\r\n00b \t\r\n, the world\r\n0\r\nX-A: 1\r\nx-b: 2\r\n\r\nrest";

#[test]
fn chunks_are_read_wherever_they_are_split() {
    let expected = whole(CHUNKS).unwrap().unwrap();
    assert_eq!(expected.0, b"hello, the world");
    assert_eq!(
        (&expected.1["x-a"], &expected.1["x-b"], expected.1.len()),
        (&"1".parse().unwrap(), &"2".parse().unwrap(), 2)
    );
    assert_eq!(expected.2, b"rest");
    for at in 0..CHUNKS.len() {
        let (left, right) = CHUNKS.split_at(at);
        assert_eq!(read(Decoder::chunked(), [left, right]), Ok(Some(expected.clone())), "{at}");
    }
    assert_eq!(read(Decoder::chunked(), CHUNKS.chunks(1)), Ok(Some(expected)));
    for at in 0..CHUNKS.len() - b"rest".len() {
        assert_eq!(whole(&CHUNKS[..at]), Ok(None), "{at}");
    }
}

#[test]
fn an_end_that_is_there_is_known_with_the_last_piece() {
    let mut decoder = Decoder::chunked();
    let mut input = BytesMut::from(&b"1\r\na\r\n0\r\n\r\n"[..]);
    assert_eq!(decoder.decode(&mut input), Ok(Piece::Data(Bytes::from_static(b"a"))));
    assert!(decoder.is_done());
    let mut decoder = Decoder::length(2);
    let mut input = BytesMut::from(&b"abc"[..]);
    assert_eq!(decoder.decode(&mut input), Ok(Piece::Data(Bytes::from_static(b"ab"))));
    assert!(decoder.is_done());
    assert_eq!(&input[..], b"c");
}

#[test]
fn what_is_no_chunk_is_refused() {
    for bytes in [
        &b"\r\n"[..],
        b"g\r\n",
        b"-1\r\n",
        b"1 1\r\n",
        b"1\n",
        b"1\r\r",
        b"1;a\nb\r\n",
        b"1\r\nab",
        b"1\r\na\rb",
        b"10000000000000000\r\n",
        b"0\r\n\ra",
        b"0\r\nx y: 1\r\n\r\n",
        b"0\r\na: b\rc",
        b"0\r\n: b\r\n\r\n",
    ] {
        assert_eq!(whole(bytes), Err(Malformed), "{:?}", String::from_utf8_lossy(bytes));
    }
    let long = [&b"1;"[..], &vec![b'a'; EXTENSIONS_MAX]].concat();
    assert_eq!(whole(&long), Err(Malformed));
    let long = [&b"0\r\na: "[..], &vec![b'a'; TRAILERS_MAX]].concat();
    assert_eq!(whole(&long), Err(Malformed));
    let many = [&b"0\r\n"[..], &b"a: b\r\n".repeat(HEADERS_MAX + 1)].concat();
    assert_eq!(whole(&many), Err(Malformed));
}

#[test]
fn a_close_ends_only_a_body_that_ends_so() {
    assert_eq!(Decoder::UntilClose.close(), Ok(()));
    assert_eq!(Decoder::length(1).close(), Err(Malformed));
    assert_eq!(Decoder::chunked().close(), Err(Malformed));
    assert_eq!(Decoder::length(0).close(), Ok(()));
}

#[test]
fn a_body_is_no_longer_and_no_shorter_than_its_length() {
    let mut out = VecDeque::new();
    let mut encoder = Encoder::length(5);
    encoder.data(Bytes::from_static(b"abc"), &mut out);
    assert_eq!(encoder.end(None, &mut out), Err(TooShort));
    let mut encoder = Encoder::length(2);
    encoder.data(Bytes::from_static(b"abc"), &mut out);
    assert_eq!(encoder.end(None, &mut out), Ok(()));
    assert_eq!(out.make_contiguous(), [&b"abc"[..], b"ab"]);
}

#[test]
fn only_trailers_that_were_announced_and_may_be_ones_are_sent() {
    let (announced, silent) = (HeaderName::from_static("x-a"), HeaderName::from_static("x-b"));
    let mut trailers = HeaderMap::new();
    for name in [&announced, &silent, &CONTENT_LENGTH] {
        trailers.append(name, HeaderValue::from_static("1"));
    }
    let mut out = VecDeque::new();
    Encoder::chunked(vec![announced, CONTENT_LENGTH]).end(Some(&trailers), &mut out).unwrap();
    Encoder::chunked(Vec::new()).end(Some(&trailers), &mut out).unwrap();
    assert_eq!(out.make_contiguous(), [&b"0\r\nx-a: 1\r\n\r\n"[..], b"0\r\n\r\n"]);
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
        splits in prop::collection::vec(1..20usize, 1..40))
    {
        let mut out = VecDeque::new();
        let mut encoder = Encoder::chunked(Vec::new());
        for frame in &frames {
            encoder.data(Bytes::copy_from_slice(frame), &mut out);
        }
        encoder.end(None, &mut out).unwrap();
        let bytes: Vec<u8> = out.iter().flatten().copied().collect();
        let (mut pieces, mut rest) = (Vec::new(), &bytes[..]);
        for split in splits.iter().cycle() {
            if rest.is_empty() { break }
            let (piece, after) = rest.split_at(*split.min(&rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(read(Decoder::chunked(), pieces), Ok(Some((frames.concat(), HeaderMap::new(), Vec::new()))));
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(
        prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b'2'), Just(b';')], 0..60), at in 0..60usize)
    {
        let split = at.min(bytes.len());
        let both = read(Decoder::chunked(), [&bytes[..split], &bytes[split..]]);
        prop_assert_eq!(both, whole(&bytes));
    }
}
