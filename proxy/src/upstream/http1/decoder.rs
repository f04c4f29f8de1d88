//! A response's body out of bytes: none, of a length, in chunks (RFC 9112, section 7.1), or until the
//! connection closes.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::response::{HEADERS_MAX, Malformed};

/// Bytes of all chunk extensions of a body together, at most; they are passed over.
const EXTENSIONS_MAX: usize = 16 * 1024;
/// Bytes of all trailers together, at most.
const TRAILERS_MAX: usize = 16 * 1024;

/// Reads one body.
#[derive(Debug)]
pub(super) enum Decoder {
    /// All is read.
    Done,
    /// So many bytes are to come, more than none.
    Length(u64),
    /// Whatever comes until the connection closes.
    UntilClose,
    /// Chunks.
    Chunked(Chunked),
    /// What followed the last piece is no chunk.
    Malformed,
}

/// What the bytes at hand are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A piece of the body.
    Data(Bytes),
    /// The trailers, and with them the end.
    Trailers(HeaderMap),
    /// Too little to tell.
    More,
    /// The end.
    End,
}

impl Decoder {
    /// For a body of this length.
    pub(super) fn length(length: u64) -> Self {
        if length == 0 { Self::Done } else { Self::Length(length) }
    }

    /// For a body in chunks.
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunked::default())
    }

    /// Whether all is read.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Bytes still to come, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Self::Done => Some(0),
            Self::Length(left) => Some(*left),
            Self::UntilClose | Self::Chunked(_) | Self::Malformed => None,
        }
    }

    /// The next piece of what is in `input`.
    pub(super) fn decode(&mut self, input: &mut BytesMut) -> Result<Piece, Malformed> {
        match self {
            Self::Done => Ok(Piece::End),
            Self::Malformed => Err(Malformed),
            Self::Length(_) | Self::UntilClose if input.is_empty() => Ok(Piece::More),
            Self::Length(left) => {
                let data = take(input, *left);
                *self = Self::length(*left - data.len() as u64);
                Ok(Piece::Data(data))
            }
            Self::UntilClose => Ok(Piece::Data(input.split().freeze())),
            Self::Chunked(chunked) => {
                let piece = chunked.decode(input)?;
                // An end that is there already is known with the last piece.
                let at_end = match (&piece, chunked.step(input)) {
                    (Piece::Trailers(_) | Piece::End, _) => Ok(true),
                    (_, Ok(())) => Ok(chunked.state == State::End && chunked.trailers.is_empty()),
                    (_, Err(malformed)) => Err(malformed),
                };
                match at_end {
                    Ok(true) => *self = Self::Done,
                    Ok(false) => {}
                    Err(Malformed) => *self = Self::Malformed,
                }
                Ok(piece)
            }
        }
    }

    /// The connection has closed.
    pub(super) fn close(&mut self) -> Result<(), Malformed> {
        match self {
            Self::Done | Self::UntilClose => {
                *self = Self::Done;
                Ok(())
            }
            Self::Length(_) | Self::Chunked(_) | Self::Malformed => Err(Malformed),
        }
    }
}

fn take(input: &mut BytesMut, most: u64) -> Bytes {
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
    input.split_to(count).freeze()
}

/// A body in chunks.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: State,
    /// Of the chunk: first as its digits come, then what is left of it.
    size: u64,
    extensions: usize,
    /// Lines of trailers.
    trailers: Vec<u8>,
    lines: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    #[default]
    Start,
    /// Within a size.
    Size,
    /// Blanks after a size.
    Blank,
    /// Within an extension.
    Extension,
    /// Before the end of a size's line.
    SizeLf,
    /// Within a chunk.
    Data,
    /// After a chunk.
    DataCr,
    DataLf,
    /// At the start of a line of trailers, or of the last line.
    Line,
    /// Within a line of trailers.
    Trailer,
    TrailerLf,
    EndLf,
    /// All is read.
    End,
}

impl Chunked {
    fn decode(&mut self, input: &mut BytesMut) -> Result<Piece, Malformed> {
        self.step(input)?;
        match self.state {
            State::Data if input.is_empty() => Ok(Piece::More),
            State::Data => {
                let data = take(input, self.size);
                self.size -= data.len() as u64;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                Ok(Piece::Data(data))
            }
            State::End if self.trailers.is_empty() => Ok(Piece::End),
            State::End => parse_trailers(&std::mem::take(&mut self.trailers)).map(Piece::Trailers),
            _ => Ok(Piece::More),
        }
    }

    /// Goes through all that is no data.
    fn step(&mut self, input: &mut BytesMut) -> Result<(), Malformed> {
        let mut read = 0;
        while !matches!(self.state, State::Data | State::End) {
            let Some(byte) = input.get(read) else { break };
            self.state = self.next(*byte)?;
            read += 1;
        }
        input.advance(read);
        Ok(())
    }

    fn next(&mut self, byte: u8) -> Result<State, Malformed> {
        match (self.state, byte) {
            (State::Start, _) => self.digit(byte),
            (State::Size | State::Blank, b' ' | b'\t') => Ok(State::Blank),
            (State::Size | State::Blank, b';') => Ok(State::Extension),
            (State::Size | State::Blank | State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Size, _) => self.digit(byte),
            (State::Extension, b'\n') => Err(Malformed),
            (State::Extension, _) => {
                self.extensions += 1;
                if self.extensions < EXTENSIONS_MAX { Ok(State::Extension) } else { Err(Malformed) }
            }
            (State::SizeLf, b'\n') if self.size == 0 => Ok(State::Line),
            (State::SizeLf, b'\n') => Ok(State::Data),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Start),
            (State::Line, b'\r') => Ok(State::EndLf),
            (State::Line | State::Trailer, _) => self.trailer(byte),
            (State::TrailerLf, b'\n') => {
                self.lines += 1;
                if self.lines > HEADERS_MAX {
                    return Err(Malformed);
                }
                self.trailer(byte)?;
                Ok(State::Line)
            }
            (State::EndLf, b'\n') => Ok(State::End),
            (State::Data | State::End, _) => unreachable!("these read no single bytes"),
            (State::Blank | State::SizeLf | State::DataCr | State::DataLf | State::TrailerLf | State::EndLf, _) => {
                Err(Malformed)
            }
        }
    }

    fn digit(&mut self, byte: u8) -> Result<State, Malformed> {
        let digit = char::from(byte).to_digit(16).ok_or(Malformed)?;
        self.size = self.size.checked_mul(16).and_then(|size| size.checked_add(digit.into())).ok_or(Malformed)?;
        Ok(State::Size)
    }

    fn trailer(&mut self, byte: u8) -> Result<State, Malformed> {
        if self.trailers.len() >= TRAILERS_MAX {
            return Err(Malformed);
        }
        self.trailers.push(byte);
        Ok(if byte == b'\r' { State::TrailerLf } else { State::Trailer })
    }
}

fn parse_trailers(lines: &[u8]) -> Result<HeaderMap, Malformed> {
    let mut found = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let whole = [lines, b"\r\n"].concat();
    let Ok(httparse::Status::Complete((_, found))) = httparse::parse_headers(&whole, &mut found) else {
        return Err(Malformed);
    };
    let mut trailers = HeaderMap::with_capacity(found.len());
    for header in found {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| Malformed)?;
        let value = HeaderValue::from_bytes(header.value).map_err(|_| Malformed)?;
        trailers.append(name, value);
    }
    Ok(trailers)
}

#[cfg(test)]
mod tests;
