//! The client's first message, read before our side of the handshake is chosen; or what came instead.

use rustls::server::{Accepted, Acceptor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank_platform::Io;

use super::error::TlsError;

/// Less than rustls takes in one call, so that every chunk is taken whole.
const CHUNK: usize = 2048;

/// Bytes of HTTP methods that BoringSSL looks for.
const METHODS: [&[u8]; 4] = [b"GET ", b"POST ", b"HEAD ", b"PUT "];

/// Reads until the ClientHello is complete.
///
/// A peer that speaks plaintext HTTP gets no answer; any other failure is told to it with an alert.
pub(super) async fn read<S: Io>(stream: &mut S) -> Result<Accepted, TlsError> {
    let mut acceptor = Acceptor::default();
    let mut first = Vec::with_capacity(8);
    let mut chunk = vec![0; CHUNK];
    loop {
        let len = stream.read(&mut chunk).await.map_err(|error| TlsError::of_handshake(&error))?;
        if len == 0 {
            return Err(TlsError::Closed);
        }
        let mut bytes = &chunk[..len];
        first.extend(bytes.iter().take(8 - first.len().min(8)));
        acceptor.read_tls(&mut bytes).map_err(|error| TlsError::Protocol(error.to_string()))?;
        if !bytes.is_empty() {
            return Err(TlsError::Protocol("ClientHello is too long".to_owned()));
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(accepted),
            Ok(None) => {}
            Err(_) if METHODS.iter().any(|method| first.starts_with(method)) => return Err(TlsError::HttpRequest),
            Err((error, mut alert)) => {
                let mut bytes = Vec::new();
                if alert.write_all(&mut bytes).is_ok() {
                    // The peer may be gone; the failure that counts is the first.
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.flush().await;
                }
                return Err(TlsError::from(&error));
            }
        }
    }
}
