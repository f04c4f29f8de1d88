//! Clocks, resolver, tasks and randomness of a Linux process.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};
use tokio::runtime::Handle;

use super::namespace::Namespace;
use super::net::LinuxNet;
use crate::clock::{Clock, Instant, Sleep, UnixTime};
use crate::net::BoxFuture;
use crate::{Crypto, Entropy, Platform, Resolver, Spawn, Task};

/// The door of this process.
///
/// Must be called within a tokio runtime. Errs when the operating system gives no random bytes.
pub fn platform() -> io::Result<Platform> {
    let clock: Arc<dyn Clock> = Arc::new(LinuxClock { start: tokio::time::Instant::now() });
    Ok(Platform {
        net: Arc::new(LinuxNet::default()),
        resolver: Arc::new(SystemResolver),
        crypto: Crypto::new(Arc::new(provider()), clock.clone()),
        clock,
        entropy: os_entropy()?,
        spawn: Arc::new(TokioSpawn(Handle::current())),
    })
}

/// The door `of` this process, but for its sockets, which are in `namespace`, and its names, which `resolver` knows.
///
/// For runtimes of one thread: a socket is made while the thread is in the namespace.
pub fn platform_within(of: &Platform, namespace: Namespace, resolver: Arc<dyn Resolver>) -> Platform {
    Platform { net: Arc::new(LinuxNet::within(namespace)), resolver, ..of.clone() }
}

/// The door of another worker of this process, on the runtime that this is called within: the clocks of
/// `first`, tasks on that runtime, and random streams of its own, named for `index`.
pub(super) fn worker_platform(first: &Platform, index: usize) -> Platform {
    Platform {
        entropy: first.entropy.fork(&format!("worker/{index}")),
        spawn: Arc::new(TokioSpawn(Handle::current())),
        ..first.clone()
    }
}

/// ring with X25519 alone, for the reason that [`Crypto`] gives.
fn provider() -> CryptoProvider {
    CryptoProvider { kx_groups: vec![ring::kx_group::X25519], ..ring::default_provider() }
}

fn os_entropy() -> io::Result<Entropy> {
    let mut key = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(Entropy::from_key(key))
}

/// Deadlines beyond it are taken for it: a century. The operating system's clock has no room for the end of time.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[derive(Debug)]
struct LinuxClock {
    start: tokio::time::Instant,
}

impl Clock for LinuxClock {
    fn now(&self) -> Instant {
        Instant::from_start(self.start.elapsed())
    }

    fn unix(&self) -> UnixTime {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixTime::from_epoch(since_epoch.unwrap_or_default())
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        tokio::time::sleep_until(self.start + deadline.since_start().min(FAR))
    }
}

/// The system's resolver (`getaddrinfo`), on tokio's blocking threads.
#[derive(Debug)]
struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            if let Ok(ip) = name.parse() {
                return Ok(vec![ip]);
            }
            let mut addrs: Vec<IpAddr> = tokio::net::lookup_host((name, 0)).await?.map(|addr| addr.ip()).collect();
            addrs.dedup();
            if addrs.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, format!("{name} has no address")));
            }
            Ok(addrs)
        })
    }
}

/// One tokio runtime, whoever spawns; tasks end with the process.
#[derive(Debug)]
struct TokioSpawn(Handle);

impl Spawn for TokioSpawn {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Task {
        Task::new(self.0.spawn(future).abort_handle())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Once, a sleep of `i64::MAX` seconds added up to a moment that the system's clock cannot hold.
    #[tokio::test]
    async fn a_sleep_to_the_end_of_time_is_long() {
        let platform = platform().expect("random bytes");
        let late = platform.clock.timeout(Duration::from_millis(2), platform.clock.sleep(Duration::MAX));
        assert!(late.await.is_err());
    }
}
