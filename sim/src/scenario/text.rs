//! Texts from disk, within limits, and what is wrong with a file that is none.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use wavetank_control::config::codes;
use wavetank_control::config::yaml::Limits;
use wavetank_control::diagnostic::{Diagnostic, Span};

/// Why a file cannot be read as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong.
    pub why: String,
    /// Line and column of what is wrong, from 1.
    pub at: (u32, u32),
}

impl Unreadable {
    fn whole(why: impl Into<String>) -> Self {
        Self { why: why.into(), at: (1, 1) }
    }

    /// The finding in `file`, where the file itself was asked for.
    pub fn finding(&self, file: &str) -> Diagnostic {
        Diagnostic::error(
            codes::FILE,
            &Span::at(file, self.at.0, self.at.1),
            format!("cannot read {file}: {}", self.why),
        )
    }
}

/// The text of a file.
///
/// # Errors
/// When there is no such file, when it is larger than is read, and when it is no text.
pub fn read(path: &Path) -> Result<String, Unreadable> {
    let told = |error: io::Error| Unreadable::whole(told(&error));
    // Opening a pipe would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(told)?;
    if metadata.is_dir() {
        return Err(Unreadable::whole("it is a folder"));
    }
    if !metadata.is_file() {
        return Err(Unreadable::whole("it is a device or a pipe, not a file"));
    }
    let max = Limits::default().bytes_max as u64;
    if metadata.len() > max {
        return Err(too_large(metadata.len(), max));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(max + 1).read_to_end(&mut bytes)).map_err(told)?;
    if bytes.len() as u64 > max {
        return Err(too_large(bytes.len() as u64, max));
    }
    decode(bytes)
}

fn too_large(bytes: u64, max: u64) -> Unreadable {
    Unreadable::whole(format!("it has {bytes} bytes, and at most {max} are read"))
}

/// An error of the operating system in words, without its number.
fn told(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn decode(bytes: Vec<u8>) -> Result<String, Unreadable> {
    let control = |c: &char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let bytes = error.into_bytes();
        let before = String::from_utf8_lossy(&bytes[..valid]);
        let byte = bytes.get(valid).copied().unwrap_or_default();
        Unreadable { why: format!("it is no text: the byte 0x{byte:02x} here is no UTF-8"), at: place(&before) }
    })?;
    match text.char_indices().find(|(_, c)| control(c)) {
        Some((index, c)) => {
            let why = format!("it is no text: the character U+{:04X} here is a control character", u32::from(c));
            Err(Unreadable { why, at: place(&text[..index]) })
        }
        None => Ok(text),
    }
}

/// Line and column behind a text.
fn place(before: &str) -> (u32, u32) {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let last = before.rsplit('\n').next().unwrap_or_default();
    (number(before.matches('\n').count() + 1), number(last.chars().count() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_told_with_its_place() {
        let at = |bytes: &[u8]| decode(bytes.to_vec()).map_err(|wrong| wrong.at);
        assert_eq!(at("a: ä\r\n\tb".as_bytes()), Ok("a: ä\r\n\tb".to_owned()));
        assert_eq!(at(b"a: 1\n\xc3\xa4: \xff"), Err((2, 4)));
        assert_eq!(at(b"\x7fELF\x02"), Err((1, 1)));
        assert_eq!(at(b"a\nb\0"), Err((2, 2)));
    }

    #[test]
    fn what_is_no_file_is_told() {
        let why = |path: &str| read(Path::new(path)).unwrap_err().why;
        assert_eq!(why("no/such.yaml"), "there is no such file");
        assert_eq!(why("/"), "it is a folder");
    }
}
