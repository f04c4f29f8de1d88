//! A caller that writes its own HTTP/1.1 bytes (RFC 9112) and reads the answer until the connection ends.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank_platform::{ConnectOptions, Platform};

use crate::live;

/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Between two looks at a port.
const LOOK: Duration = Duration::from_millis(10);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Header lines in order, names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body, its chunks joined.
    pub body: String,
}

impl Answer {
    /// The value of the first header of this name, which is written in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// Sends `GET path` with `headers`, given as whole lines, to `host` at `addr`, on a connection of its own.
///
/// # Panics
/// When no well-formed answer comes.
pub async fn get(platform: &Platform, addr: SocketAddr, host: &str, path: &str, headers: &[&str]) -> Answer {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for line in headers {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let bytes = live::within(platform, "an answer", exchange(platform, addr, request)).await;
    let text = String::from_utf8_lossy(&bytes);
    parse(&text).unwrap_or_else(|| panic!("no HTTP answer: {text}"))
}

/// Waits until someone listens at `addr`.
///
/// # Panics
/// When nobody comes to.
pub async fn listens(platform: &Platform, addr: SocketAddr) {
    let listening = async {
        while is_refused(platform, addr).await {
            platform.clock.sleep(LOOK).await;
        }
    };
    live::within(platform, "a listener", listening).await;
}

/// Waits until nobody listens at `addr`.
///
/// # Panics
/// When someone still does.
pub async fn closes(platform: &Platform, addr: SocketAddr) {
    let listening = async {
        while !is_refused(platform, addr).await {
            platform.clock.sleep(LOOK).await;
        }
    };
    live::within(platform, "the end of a listener", listening).await;
}

/// Whether nobody listens at `addr`.
pub async fn is_refused(platform: &Platform, addr: SocketAddr) -> bool {
    let connected = platform.net.connect(addr, ConnectOptions::default()).await;
    connected.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

async fn exchange(platform: &Platform, addr: SocketAddr, request: String) -> Vec<u8> {
    let connected = platform.net.connect(addr, ConnectOptions::default()).await;
    let mut stream = connected.unwrap_or_else(|error| panic!("no connection to {addr}: {error}"));
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await.expect("the answer is read");
    bytes
}

fn parse(text: &str) -> Option<Answer> {
    let (head, rest) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let headers = lines.map(header).collect::<Option<Vec<_>>>()?;
    let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if is_chunked { joined(rest)? } else { rest.to_owned() };
    Some(Answer { status, headers, body })
}

/// The data of a chunked body; `None` when its end is missing.
fn joined(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_whole_whether_chunked_or_not() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
        let whole = "HTTP/1.1 404 Not Found\r\nServer: a\r\n\r\nhello!";
        let chunked = parse(chunked).expect("an answer");
        let whole = parse(whole).expect("an answer");
        assert_eq!((chunked.status, chunked.body.as_str()), (200, "hello!"));
        assert_eq!((whole.status, whole.body.as_str(), whole.header("server")), (404, "hello!", Some("a")));
        assert_eq!(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), None);
    }
}
