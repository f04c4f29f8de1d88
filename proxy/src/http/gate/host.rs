//! What may stand in Host: RFC 9112, section 3.2, and RFC 3986, section 3.2, without a user.

use crate::http::characters::{LITERAL, NAME};

/// Whether this is a host with or without a port. Empty is one, for targets without an authority.
pub(crate) fn is_valid(host: &[u8]) -> bool {
    let (name, port) = match host {
        [b'[', literal @ ..] => {
            let Some(end) = memchr::memchr(b']', literal) else { return false };
            if !is_literal(&literal[..end]) {
                return false;
            }
            match &literal[end + 1..] {
                [] => return true,
                rest => (&[][..], rest),
            }
        }
        host => host.split_at(memchr::memchr(b':', host).unwrap_or(host.len())),
    };
    is_name(name) && is_port(port)
}

/// A name or IPv4 address.
fn is_name(name: &[u8]) -> bool {
    let mut rest = name;
    loop {
        match rest {
            [] => return true,
            [b'%', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest = after,
            [byte, after @ ..] if NAME.has(*byte) => rest = after,
            _ => return false,
        }
    }
}

/// An IPv6 address, or one of a later version.
fn is_literal(literal: &[u8]) -> bool {
    let Ok(literal) = std::str::from_utf8(literal) else { return false };
    literal.parse::<std::net::Ipv6Addr>().is_ok()
        || literal.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.')).is_some_and(|(version, address)| {
            !version.is_empty()
                && version.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !address.is_empty()
                && address.bytes().all(|byte| LITERAL.has(byte))
        })
}

/// Nothing, or a colon and up to five digits; RFC 3986 allows none.
fn is_port(port: &[u8]) -> bool {
    match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_ports_are_valid_and_what_belongs_elsewhere_is_not() {
        for (host, valid) in [
            ("a.test", true),
            ("a.test:80", true),
            ("a.test:", true),
            ("", true),
            ("10.0.0.1:65535", true),
            ("[::1]", true),
            ("[::1]:80", true),
            ("a_b.test", true),
            ("%61.test", true),
            ("a b", false),
            ("a/b", false),
            ("u@a", false),
            ("a:x", false),
            ("a:123456", false),
            ("a:1:2", false),
            ("[::1", false),
            ("[x]", false),
            ("[::1]x", false),
            ("::1", false),
            ("a%zz", false),
            ("a?b", false),
            ("a#b", false),
            ("a\"b", false),
            ("\u{e9}.test", false),
        ] {
            assert_eq!(is_valid(host.as_bytes()), valid, "{host}");
        }
    }
}
