//! Server name and protocols of a TLS ClientHello, read from the first bytes of a connection.
//!
//! The bytes are a stranger's: every length is checked, nothing is copied before it is known to be there,
//! and a hello longer than [`HELLO_MAX`] is given up on.

use std::sync::Arc;

/// Longest ClientHello that is read, records included.
pub(crate) const HELLO_MAX: usize = 16 * 1024;

/// What a ClientHello says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClientHello {
    /// Server name, lower case.
    pub(crate) sni: Option<Arc<str>>,
    /// Offered protocols, in the client's order.
    pub(crate) alpn: Vec<Arc<str>>,
}

/// What the first bytes of a connection are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A whole ClientHello.
    Hello(ClientHello),
    /// The beginning of one; more bytes are needed.
    Partial,
    /// No TLS.
    NotTls,
}

/// Reads `bytes`, the first of a connection.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    match handshake_message(bytes) {
        Gathered::Whole(message) => match hello(&message) {
            Some(hello) => Parsed::Hello(hello),
            None => Parsed::NotTls,
        },
        Gathered::Partial if bytes.len() < HELLO_MAX => Parsed::Partial,
        Gathered::Partial | Gathered::No => Parsed::NotTls,
    }
}

enum Gathered {
    Whole(Vec<u8>),
    Partial,
    No,
}

/// Joins the handshake records at the start of `bytes` until one whole handshake message is there.
fn handshake_message(bytes: &[u8]) -> Gathered {
    const HANDSHAKE: u8 = 22;
    const CLIENT_HELLO: u8 = 1;
    let mut rest = bytes;
    let mut message: Vec<u8> = Vec::new();
    loop {
        match rest {
            [] => return Gathered::Partial,
            [kind, ..] if *kind != HANDSHAKE => return Gathered::No,
            [_, major, ..] if *major != 3 => return Gathered::No,
            [_, _, _, high, low, after @ ..] => {
                let length = usize::from(*high) << 8 | usize::from(*low);
                if length == 0 {
                    return Gathered::No;
                }
                let here = length.min(after.len());
                message.extend_from_slice(&after[..here]);
                if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
                    return Gathered::No;
                }
                if let [_, a, b, c, ..] = message[..] {
                    let wanted = 4 + (usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c));
                    if wanted > HELLO_MAX {
                        return Gathered::No;
                    }
                    if message.len() >= wanted {
                        message.truncate(wanted);
                        return Gathered::Whole(message);
                    }
                }
                if here < length {
                    return Gathered::Partial;
                }
                rest = &after[here..];
            }
            _ => return Gathered::Partial,
        }
    }
}

/// Reads the body of a ClientHello message, its four bytes of header included.
fn hello(message: &[u8]) -> Option<ClientHello> {
    let mut body = Reader(message.get(4..)?);
    body.take(2 + 32)?; // version, random
    let session = body.u8()?;
    body.take(session.into())?;
    let suites = body.u16()?;
    body.take(suites.into())?;
    let compressions = body.u8()?;
    body.take(compressions.into())?;
    let mut found = ClientHello::default();
    if body.0.is_empty() {
        return Some(found);
    }
    let length = body.u16()?;
    let mut extensions = Reader(body.take(length.into())?);
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let length = extensions.u16()?;
        let content = Reader(extensions.take(length.into())?);
        match kind {
            0 => found.sni = server_name(content)?,
            16 => found.alpn = protocols(content)?,
            _ => {}
        }
    }
    Some(found)
}

fn server_name(mut content: Reader<'_>) -> Option<Option<Arc<str>>> {
    let length = content.u16()?;
    let mut names = Reader(content.take(length.into())?);
    while !names.0.is_empty() {
        let kind = names.u8()?;
        let length = names.u16()?;
        let name = names.take(length.into())?;
        if kind == 0 {
            return Some(std::str::from_utf8(name).ok().map(|name| name.to_ascii_lowercase().into()));
        }
    }
    Some(None)
}

fn protocols(mut content: Reader<'_>) -> Option<Vec<Arc<str>>> {
    let length = content.u16()?;
    let mut list = Reader(content.take(length.into())?);
    let mut found = Vec::new();
    while !list.0.is_empty() {
        let length = list.u8()?;
        if let Ok(name) = std::str::from_utf8(list.take(length.into())?) {
            found.push(name.into());
        }
    }
    Some(found)
}

/// Takes bytes from the front of a slice, never past its end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sized(bytes: &[u8]) -> Vec<u8> {
        let mut out = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        out.extend_from_slice(bytes);
        out
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        let mut out = kind.to_be_bytes().to_vec();
        out.extend(sized(content));
        out
    }

    /// A ClientHello with this server name and these protocols, in records of at most `record` bytes.
    fn client_hello(name: &str, protocols: &[&str], record: usize) -> Vec<u8> {
        let mut entry = vec![0];
        entry.extend(sized(name.as_bytes()));
        let mut list = Vec::new();
        for protocol in protocols {
            list.push(u8::try_from(protocol.len()).unwrap());
            list.extend_from_slice(protocol.as_bytes());
        }
        let mut extensions = extension(43, &[2, 3, 4]);
        extensions.extend(extension(0, &sized(&entry)));
        extensions.extend(extension(16, &sized(&list)));
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(0);
        body.extend(sized(&[0x13, 0x01]));
        body.extend([1, 0]);
        body.extend(sized(&extensions));
        let mut message = vec![1, 0];
        message.extend(sized(&body));
        let mut out = Vec::new();
        for part in message.chunks(record) {
            out.extend([22, 3, 1]);
            out.extend(sized(part));
        }
        out
    }

    #[test]
    fn reads_server_name_and_protocols_whole_and_in_pieces() {
        for record in [10_000, 7] {
            let bytes = client_hello("Reviews.default.svc", &["istio-http/1.1", "h2"], record);
            let Parsed::Hello(hello) = parse(&bytes) else { panic!("no hello in {bytes:?}") };
            assert_eq!(hello.sni.as_deref(), Some("reviews.default.svc"));
            assert_eq!(hello.alpn, ["istio-http/1.1".into(), "h2".into()] as [Arc<str>; 2]);
            for end in 0..bytes.len() {
                assert_eq!(parse(&bytes[..end]), Parsed::Partial, "{end} bytes");
            }
        }
    }

    #[test]
    fn plain_http_is_not_tls() {
        assert_eq!(parse(b"GET / HTTP/1.1\r\n"), Parsed::NotTls);
        assert_eq!(parse(&[22, 9]), Parsed::NotTls);
        assert_eq!(parse(&[22, 3, 1, 0, 4, 2, 0, 0, 0]), Parsed::NotTls);
    }

    proptest! {
        #[test]
        fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            parse(&bytes);
        }

        #[test]
        fn never_panics_on_a_damaged_hello(at in 0usize..130, to: u8, cut in 0usize..160) {
            let mut bytes = client_hello("a.test", &["h2"], 10_000);
            let at = at.min(bytes.len() - 1);
            bytes[at] = to;
            bytes.truncate(cut.max(1));
            parse(&bytes);
        }
    }
}
