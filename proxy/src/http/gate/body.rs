//! Where the body of a request ends: RFC 9112, section 6.3. Data is stepped over, not read.

/// What is left of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// This many bytes; none for a request without a body.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
}

/// Where in a chunked body the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// The first digit of a size.
    Start,
    /// A further digit, or what follows the size.
    Size(u64),
    /// White space after a size.
    Space(u64),
    /// An extension.
    Extension(u64),
    /// The line feed after a size.
    SizeFeed(u64),
    /// Data, so much of it.
    Data(u64),
    /// The carriage return after data.
    DataReturn,
    /// The line feed after data.
    DataFeed,
    /// The beginning of a trailer, or of the empty line after all.
    TrailerStart,
    /// Within a trailer.
    Trailer,
    /// The line feed after a trailer.
    TrailerFeed,
    /// The last line feed.
    LastFeed,
}

/// How far a body went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Followed {
    /// All bytes are its own, and more are to come.
    All,
    /// It ended after so many bytes.
    Ended(usize),
    /// After so many bytes comes one that cannot be.
    Broken(usize),
}

impl Body {
    /// A chunked body from its beginning.
    pub(crate) const CHUNKED: Self = Self::Chunked(Chunks::Start);

    /// Goes on over `bytes`.
    pub(crate) fn follow(&mut self, bytes: &[u8]) -> Followed {
        match self {
            Self::Length(left) => match usize::try_from(*left) {
                Ok(count) if count <= bytes.len() => {
                    *left = 0;
                    Followed::Ended(count)
                }
                _ => {
                    *left -= bytes.len() as u64;
                    Followed::All
                }
            },
            Self::Chunked(chunks) => follow_chunks(chunks, bytes),
        }
    }
}

fn follow_chunks(state: &mut Chunks, bytes: &[u8]) -> Followed {
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let next = match (*state, *byte) {
            (Chunks::Data(left), _) => {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += here;
                let left = left - here as u64;
                *state = if left == 0 { Chunks::DataReturn } else { Chunks::Data(left) };
                continue;
            }
            (Chunks::Extension(_) | Chunks::Trailer, _) => {
                let Some(line) = memchr::memchr2(b'\r', b'\n', &bytes[at..]) else { return Followed::All };
                at += line;
                match (*state, bytes[at]) {
                    (Chunks::Extension(size), b'\r') => Some(Chunks::SizeFeed(size)),
                    (Chunks::Trailer, b'\r') => Some(Chunks::TrailerFeed),
                    _ => None,
                }
            }
            (Chunks::LastFeed, b'\n') => return Followed::Ended(at + 1),
            (state, byte) => step(state, byte),
        };
        let Some(next) = next else { return Followed::Broken(at) };
        *state = next;
        at += 1;
    }
    Followed::All
}

/// The state after one byte that is no data; `None`: it cannot stand there.
fn step(state: Chunks, byte: u8) -> Option<Chunks> {
    match (state, byte) {
        (Chunks::Start, byte) => Some(Chunks::Size(digit(byte)?)),
        (Chunks::Size(size) | Chunks::Space(size), b'\r') => Some(Chunks::SizeFeed(size)),
        (Chunks::Size(size) | Chunks::Space(size), b';') => Some(Chunks::Extension(size)),
        (Chunks::Size(size) | Chunks::Space(size), b' ' | b'\t') => Some(Chunks::Space(size)),
        (Chunks::Size(size), byte) => Some(Chunks::Size(size.checked_mul(16)?.checked_add(digit(byte)?)?)),
        (Chunks::SizeFeed(0), b'\n') => Some(Chunks::TrailerStart),
        (Chunks::SizeFeed(size), b'\n') => Some(Chunks::Data(size)),
        (Chunks::DataReturn, b'\r') => Some(Chunks::DataFeed),
        (Chunks::DataFeed, b'\n') => Some(Chunks::Start),
        (Chunks::TrailerStart, b'\r') => Some(Chunks::LastFeed),
        (Chunks::TrailerStart, b'\n') => None,
        (Chunks::TrailerStart, _) => Some(Chunks::Trailer),
        (Chunks::TrailerFeed, b'\n') => Some(Chunks::TrailerStart),
        _ => None,
    }
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows `bytes` in pieces of this size; the end counted from the beginning.
    fn follow(mut body: Body, bytes: &[u8], piece: usize) -> Followed {
        for (number, part) in bytes.chunks(piece).enumerate() {
            match body.follow(part) {
                Followed::All => {}
                Followed::Ended(at) => return Followed::Ended(number * piece + at),
                Followed::Broken(at) => return Followed::Broken(number * piece + at),
            }
        }
        Followed::All
    }

    #[test]
    fn bodies_end_where_they_say_however_their_bytes_come() {
        for (body, bytes, wanted) in [
            (Body::Length(0), "GET", Followed::Ended(0)),
            (Body::Length(3), "abcGET", Followed::Ended(3)),
            (Body::Length(9), "abc", Followed::All),
            (Body::CHUNKED, "3\r\nabc\r\n0\r\n\r\nGET", Followed::Ended(13)),
            (Body::CHUNKED, "0003 ;x=\"y\"\r\n\r\n\r\r\n0;a\r\nt: 1\r\nu: 2\r\n\r\n", Followed::Ended(37)),
            (Body::CHUNKED, "A\r\n0123456789\r\n0\r\n\r\n", Followed::Ended(20)),
            (Body::CHUNKED, "3\r\nabc", Followed::All),
            (Body::CHUNKED, "\r\n", Followed::Broken(0)),
            (Body::CHUNKED, "zz\r\n", Followed::Broken(0)),
            (Body::CHUNKED, "-1\r\n", Followed::Broken(0)),
            (Body::CHUNKED, "3\nabc\n0\n\n", Followed::Broken(1)),
            (Body::CHUNKED, "3\r\nabcd\r\n", Followed::Broken(6)),
            (Body::CHUNKED, "3\r\nabc\n0\r\n", Followed::Broken(6)),
            (Body::CHUNKED, "3;x\n\r\nabc", Followed::Broken(3)),
            (Body::CHUNKED, "3 3\r\nabc", Followed::Broken(2)),
            (Body::CHUNKED, "fffffffffffffffff\r\n", Followed::Broken(16)),
            (Body::CHUNKED, "0\r\n\n", Followed::Broken(3)),
            (Body::CHUNKED, "0\r\nt: 1\n\r\n", Followed::Broken(7)),
            (Body::CHUNKED, "0\r\nt: 1\rx", Followed::Broken(8)),
        ] {
            for piece in [1, 2, 3, 7, 100] {
                assert_eq!(follow(body, bytes.as_bytes(), piece), wanted, "{bytes:?} by {piece}");
            }
        }
    }
}
