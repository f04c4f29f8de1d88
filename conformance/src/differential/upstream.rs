//! A recording HTTP/1.1 server of raw bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wavetank_platform::Platform;
use wavetank_proxy::snapshot::tls::DownstreamTls;
use wavetank_proxy::tls::Tls;

use super::row::Act;
use crate::live::loopback;

/// Longest request that is recorded.
const REQUEST_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
struct Script {
    acts: Vec<Act>,
    seen: Vec<Vec<u8>>,
}

/// What all servers of a run do, and what they have seen. Clones are the same script.
#[derive(Debug, Clone, Default)]
pub struct Upstream(Arc<Mutex<Script>>);

/// How a server greets a connection.
#[derive(Debug, Clone)]
pub enum Greeting {
    /// Serves HTTP/1.1.
    Serve,
    /// Closes it.
    Close,
    /// Never says anything.
    Silence,
    /// Serves HTTP/1.1 behind TLS.
    Tls(Tls, DownstreamTls),
}

impl Upstream {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was seen, and does `acts` from now on.
    pub fn play(&self, acts: &[Act]) {
        *self.script() = Script { acts: acts.to_vec(), seen: Vec::new() };
    }

    /// Requests seen, byte by byte, in order of arrival.
    pub fn seen(&self) -> Vec<String> {
        self.script().seen.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// Starts a server; where it listens.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn serve(&self, platform: &Platform, greeting: Greeting) -> SocketAddr {
        let listener = TcpListener::bind(loopback(0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (upstream, spawn) = (self.clone(), platform.spawn.clone());
        platform.spawn.go(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (upstream, greeting) = (upstream.clone(), greeting.clone());
                spawn.go(async move { upstream.greet(stream, greeting).await });
            }
        });
        address
    }

    async fn greet(self, mut stream: TcpStream, greeting: Greeting) {
        match greeting {
            Greeting::Close => {}
            Greeting::Serve => {
                if self.converse(&mut stream).await {
                    reset(stream);
                }
            }
            Greeting::Silence => drain(&mut stream).await,
            Greeting::Tls(tls, config) => {
                let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return };
                let stream = wavetank_platform::Stream::new(stream, local, peer, None);
                if let Ok((mut stream, _session)) = tls.accept(&config, stream).await {
                    self.converse(&mut stream).await;
                    let _closed = stream.shutdown().await;
                }
            }
        }
    }

    /// Serves a connection to its end; whether it is to end by a RST.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S) -> bool {
        let mut ahead = Vec::new();
        loop {
            let Some(index) = self.head(stream, &mut ahead).await else { return false };
            let act = {
                let script = self.script();
                script.acts.get(index).or(script.acts.last()).cloned()
            };
            let Some(act) = act else { return false };
            if let Act::Early(bytes) = &act {
                let _gone = stream.write_all(bytes.as_bytes()).await;
            }
            if !self.body(stream, index, &mut ahead).await {
                return false;
            }
            match act {
                Act::Early(_) => {}
                Act::Answer(bytes) => {
                    let _gone = stream.write_all(bytes.as_bytes()).await;
                }
                Act::After(delay, bytes) => {
                    tokio::time::sleep(delay).await;
                    let _gone = stream.write_all(bytes.as_bytes()).await;
                }
                Act::Last(bytes) => {
                    let _gone = stream.write_all(bytes.as_bytes()).await;
                    return false;
                }
                Act::Reset(bytes) => {
                    let _gone = stream.write_all(bytes.as_bytes()).await;
                    return true;
                }
                Act::Stall(bytes) => {
                    let _gone = stream.write_all(bytes.as_bytes()).await;
                    drain(stream).await;
                    return false;
                }
                Act::Echo(bytes) => {
                    let _gone = stream.write_all(bytes.as_bytes()).await;
                    echo(stream).await;
                    return false;
                }
            }
        }
    }

    /// Reads a head and records it; `None` at the end of the connection.
    async fn head<S: AsyncRead + Unpin>(&self, stream: &mut S, ahead: &mut Vec<u8>) -> Option<usize> {
        loop {
            if let Some(at) = ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = ahead.drain(..at + 4).collect();
                let mut script = self.script();
                script.seen.push(head);
                return Some(script.seen.len() - 1);
            }
            if !more(stream, ahead).await {
                return None;
            }
        }
    }

    /// Reads the body of the request at `index` and records it; `false` when its end did not come.
    async fn body<S: AsyncRead + Unpin>(&self, stream: &mut S, index: usize, ahead: &mut Vec<u8>) -> bool {
        let Some(head) = self.script().seen.get(index).cloned() else { return false };
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let chunked = head.contains("\r\ntransfer-encoding: chunked\r\n");
        let mut body = Vec::new();
        loop {
            let wanted = length.map_or(usize::MAX, |length: usize| length.saturating_sub(body.len()));
            let taken: Vec<u8> =
                if chunked || length.is_some() { ahead.drain(..ahead.len().min(wanted)).collect() } else { Vec::new() };
            body.extend_from_slice(&taken);
            if let Some(seen) = self.script().seen.get_mut(index) {
                seen.extend_from_slice(&taken);
            }
            let whole = match length {
                Some(length) => body.len() >= length,
                // Chunks of these rows hold no blank line, so the first one is the end.
                None => {
                    !chunked
                        || (body.starts_with(b"0\r\n") || contains(&body, b"\r\n0\r\n")) && body.ends_with(b"\r\n\r\n")
                }
            };
            if whole {
                return true;
            }
            if !more(stream, ahead).await {
                return false;
            }
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, ahead: &mut Vec<u8>) -> bool {
    ahead.len() < REQUEST_BYTES_MAX && matches!(stream.read_buf(ahead).await, Ok(1..))
}

async fn drain<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut buffer = [0; 1024];
    while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let _gone = stream.write_all(&buffer[..count]).await;
    }
}

/// Ends a connection by a RST.
pub fn reset(stream: TcpStream) {
    let _unsupported = stream.set_zero_linger();
}
