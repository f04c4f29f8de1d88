//! Messages of HTTP/1 for tests, well-formed or damaged at random, the same ones each time.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// How a body is framed.
#[derive(Debug, Clone)]
pub(crate) enum Framing {
    /// There is none.
    None,
    /// By its length.
    Length(usize),
    /// In chunks of these sizes, perhaps with extensions and a trailer.
    Chunks(Vec<usize>, bool),
}

/// Any framing of a short body.
pub(crate) fn framing() -> impl Strategy<Value = Framing> {
    prop_oneof![
        Just(Framing::None),
        (0usize..60).prop_map(Framing::Length),
        (vec(1usize..50, 0..4), any::<bool>()).prop_map(|(sizes, extra)| Framing::Chunks(sizes, extra)),
    ]
}

/// The message that begins with the lines of `head`, with a body out of `data`, over and over.
pub(crate) fn message(head: String, framing: &Framing, data: &str) -> String {
    let data = |count: usize| data.chars().cycle().take(count).collect::<String>();
    let mut text = head;
    match framing {
        Framing::None => text + "\r\n",
        Framing::Length(count) => format!("{text}content-length: {count}\r\n\r\n{}", data(*count)),
        Framing::Chunks(sizes, extra) => {
            text += "transfer-encoding: chunked\r\n\r\n";
            for size in sizes {
                text += &format!("{size:x}{}\r\n{}\r\n", if *extra { ";a=\"b\"" } else { "" }, data(*size));
            }
            text + if *extra { "0\r\nx-t: 1\r\n\r\n" } else { "0\r\n\r\n" }
        }
    }
}

/// Header lines that do not belong to a message, out of `count`: most messages have none.
pub(crate) fn lines(count: usize) -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![4 => Just(Vec::new()), 1 => vec(0..count, 1..3)]
}

const DAMAGE: &[u8] = b"\r\n \t:;,0f\0\x0b-x#\x80";

/// `bytes`, most of them not damaged.
pub(crate) fn damaged(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damage = vec((any::<Index>(), 0usize..4, 0usize..DAMAGE.len()), 0..3);
    (bytes, damage).prop_map(|(mut bytes, damage)| {
        for (at, how, with) in damage {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = DAMAGE[with],
                1 => bytes.insert(at, DAMAGE[with]),
                2 if bytes.len() > 1 => {
                    bytes.remove(at);
                }
                _ => bytes.truncate(at.max(1)),
            }
        }
        bytes
    })
}

/// Tries `property` on so many values, the same ones each time.
pub(crate) fn check<S: Strategy>(cases: u32, values: &S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner.run(values, property).unwrap();
}
