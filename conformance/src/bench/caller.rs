//! One connection of the load: opened, used, and what came back judged.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use wavetank_platform::Io;
use wavetank_proxy::tls::Tls;

use super::Failure;
use super::pki::client;

/// Longest response head.
const HEAD_MAX: usize = 16 * 1024;

/// What is said on a connection.
#[derive(Debug, Clone)]
pub enum Talk {
    /// This request, which must be answered with 200.
    Http1(Bytes),
    /// As many bytes, which must come back.
    Echo(usize),
}

/// Whom to call, and how.
#[derive(Debug, Clone)]
pub struct Aim {
    /// Where.
    pub address: SocketAddr,
    /// With mTLS; `None`: in plaintext.
    pub tls: Option<Tls>,
    /// What is said.
    pub talk: Talk,
}

/// A GET of `path` as a browser of few words sends it: five headers, and `more`.
pub fn get(host: &str, path: &str, more: &str) -> Talk {
    Talk::Http1(
        format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: bench/1\r\naccept: */*\r\n\
             accept-encoding: gzip\r\ncookie: session=0123456789abcdef\r\n{more}\r\n"
        )
        .into(),
    )
}

/// An open connection.
pub struct Line {
    io: Box<dyn Io>,
    buffer: Vec<u8>,
}

impl Line {
    /// Opens one from a local address of its own choice, so that ports never run out. Closing it sends RST.
    pub async fn open(aim: &Aim) -> Result<Self, Failure> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let [_, _, third, fourth] = (number % (200 * 250)).to_be_bytes();
        let source = Ipv4Addr::new(127, 1, third, fourth.max(1));
        let opened = async {
            let socket = TcpSocket::new_v4()?;
            socket.set_zero_linger()?;
            socket.bind(SocketAddr::new(source.into(), 0))?;
            let stream: TcpStream = socket.connect(aim.address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, std::io::Error>(stream)
        };
        let stream = opened.await.map_err(|error| format!("connect: {error}"))?;
        let io: Box<dyn Io> = match &aim.tls {
            None => Box::new(stream),
            Some(tls) => {
                let secure = tls.connect(&client(), stream).await;
                Box::new(secure.map_err(|error| format!("handshake: {error}"))?.0)
            }
        };
        Ok(Self { io, buffer: vec![0; 64 * 1024] })
    }

    /// Says it once, and hears the whole answer.
    pub async fn exchange(&mut self, talk: &Talk) -> Result<(), Failure> {
        match talk {
            Talk::Http1(request) => {
                self.write(request).await?;
                self.response().await
            }
            Talk::Echo(size) => {
                self.write(&vec![b'x'; *size]).await?;
                let mut left = *size;
                while left > 0 {
                    left = left.checked_sub(self.read(0).await?).ok_or("more came back than was sent")?;
                }
                Ok(())
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        written.await.map_err(|error| format!("write: {error}"))
    }

    /// Reads into the buffer behind its first `at` bytes.
    async fn read(&mut self, at: usize) -> Result<usize, Failure> {
        match self.io.read(&mut self.buffer[at..]).await {
            Ok(0) => Err("closed before the answer".to_owned()),
            Ok(count) => Ok(count),
            Err(error) => Err(format!("read: {error}")),
        }
    }

    async fn response(&mut self) -> Result<(), Failure> {
        let mut filled = 0;
        let head = loop {
            filled += self.read(filled).await?;
            if let Some(end) = self.buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if filled > HEAD_MAX {
                return Err("the response's head does not end".to_owned());
            }
        };
        let length = length_of_200(&self.buffer[..head])?;
        let mut left = (head + length).checked_sub(filled).ok_or("more than a response came")?;
        while left > 0 {
            left = left.checked_sub(self.read(0).await?).ok_or("more than a response came")?;
        }
        Ok(())
    }
}

/// The length of the body that a head announces.
///
/// Errs when it is no 200, or does not say.
fn length_of_200(head: &[u8]) -> Result<usize, Failure> {
    let text = std::str::from_utf8(head).map_err(|_| "the response's head is not text")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(format!("answered {status:?}"));
    }
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    length.ok_or_else(|| "the response has no length".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_heads() {
        assert_eq!(length_of_200(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"), Ok(12));
        assert!(length_of_200(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 12\r\n\r\n").is_err());
        assert!(length_of_200(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
