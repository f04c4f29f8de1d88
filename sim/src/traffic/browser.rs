//! A caller that keeps its HTTP/1.1 connections: a request takes an idle one, or opens one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wavetank_platform::Platform;

use crate::world::client::{Call, CallFailure, Connection, Reply};

/// Idle connections kept; a further one is closed.
const IDLE_MAX: usize = 64;

/// A process that sends requests to one place. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Browser {
    platform: Platform,
    /// Name and port that connections go to.
    host: String,
    port: u16,
    idle: Arc<Mutex<VecDeque<Connection>>>,
}

/// A call that was made: over which connection, and what came of it.
#[derive(Debug)]
pub struct Made {
    /// Our end of the connection; `None` when none was opened.
    pub local: Option<SocketAddr>,
    /// The reply, or why there is none.
    pub result: Result<Reply, CallFailure>,
}

impl Browser {
    /// A process of `platform` whose connections go to `host:port`.
    pub fn new(platform: Platform, host: &str, port: u16) -> Self {
        Self { platform, host: host.to_owned(), port, idle: Arc::default() }
    }

    /// The door it calls through.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Makes `call`, and gives up after `timeout`.
    pub async fn call(&self, call: Call, timeout: Duration) -> Made {
        let mut local = None;
        let exchange = async {
            let mut connection = self.connection().await?;
            local = Some(connection.local_addr());
            let reply = connection.send(call).await?;
            self.keep(connection);
            Ok(reply)
        };
        let result = self.platform.clock.timeout(timeout, exchange).await.unwrap_or(Err(CallFailure::Timeout));
        Made { local, result }
    }

    /// The connection that was used last, or a new one.
    async fn connection(&self) -> Result<Connection, CallFailure> {
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop_back();
            let Some(mut connection) = kept else {
                return Connection::open(&self.platform, &self.host, self.port).await;
            };
            if connection.is_reusable().await {
                return Ok(connection);
            }
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push_back(connection);
        }
    }
}
