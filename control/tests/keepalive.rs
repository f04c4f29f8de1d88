//! A proxy that is gone without a goodbye: its connection ends, and with it what the control plane believes of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank_control::ads::NoObserver;
use wavetank_control::{Control, ControlConfig};
use wavetank_platform::ConnectOptions;

/// What a client says first in HTTP/2, with settings of no content.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Once, the streams of a pod that had lost its power stayed for ever.
#[tokio::test]
async fn a_connection_whose_other_end_does_not_answer_is_closed() {
    let platform = wavetank_platform::linux::platform().expect("a platform");
    let mut config = ControlConfig {
        listen: "127.0.0.1".parse().expect("an address"),
        plaintext_port: 0,
        secure_port: 0,
        ..ControlConfig::default()
    };
    config.limits.keepalive_interval = Some(Duration::from_millis(50));
    config.limits.keepalive_timeout = Duration::from_millis(50);
    let control = Control::start(platform.clone(), config, Arc::new(NoObserver)).await.expect("ports");
    let connecting = platform.net.connect(control.plaintext_addr(), ConnectOptions::default());
    let mut stream = connecting.await.expect("a connection");
    stream.write_all(PREFACE).await.expect("sent");
    let mut said = Vec::new();
    let ended = platform.clock.timeout(Duration::from_secs(10), stream.read_to_end(&mut said)).await;
    assert!(ended.is_ok(), "still open after 10 s");
    let is_ping = |frame: &[u8]| frame[..4] == [0, 0, 8, 6];
    assert!(said.windows(9).any(is_ping), "it was asked first");
}
