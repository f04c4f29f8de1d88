//! Sets of characters that parts of a message may have, each a table that answers with one look.

/// A set of bytes.
pub(crate) struct Characters([bool; 256]);

impl Characters {
    /// ASCII letters and digits, and `others`.
    pub(super) const fn alphanumeric_and(others: &[u8]) -> Self {
        let mut table = [false; 256];
        let mut byte = 0u8;
        while byte < 128 {
            table[byte as usize] = byte.is_ascii_alphanumeric();
            byte += 1;
        }
        let mut at = 0;
        while at < others.len() {
            table[others[at] as usize] = true;
            at += 1;
        }
        Self(table)
    }

    /// Whether `byte` is one of them.
    pub(crate) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }
}

/// RFC 9110, section 5.6.2.
pub(super) static TOKEN: Characters = Characters::alphanumeric_and(b"!#$%&'*+-.^_`|~");
/// `unreserved` and `sub-delims` of RFC 3986, section 2.
pub(super) static NAME: Characters = Characters::alphanumeric_and(b"-._~!$&'()*+,;=");
/// The same and `:`, as in an address of a later version (RFC 3986, section 3.2.2).
pub(super) static LITERAL: Characters = Characters::alphanumeric_and(b"-._~!$&'()*+,;=:");
/// What may stand anywhere in a path or a query (RFC 3986, sections 3.3 and 3.4).
pub(crate) static TARGET: Characters = Characters::alphanumeric_and(b"/-._~%!$&'()*+,;=:@?");
/// What may stand anywhere in an authority (RFC 3986, section 3.2).
pub(super) static AUTHORITY: Characters = Characters::alphanumeric_and(b"-._~%!$&'()*+,;=:@[]");
