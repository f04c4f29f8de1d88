//! A runtime on the real door: this machine's loopback, clock and random source.
//!
//! What is waited for on it ends by itself, so a wait is for a condition and its bound is generous.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use wavetank_platform::{ListenOptions, Platform, linux};

/// Bound on anything that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at a condition that wakes nobody.
const LOOK: Duration = Duration::from_millis(5);

/// Proxies nest futures deeply, and builds without optimisation keep each on the stack.
const STACK_BYTES: usize = 64 << 20;

/// Runs `story` on a thread and a runtime of its own, with the door of this process.
///
/// # Panics
/// When `story` does, or when the host gives no runtime.
pub fn run<F, Fut>(story: F)
where
    F: FnOnce(Platform) -> Fut + Send + 'static,
    Fut: Future<Output = ()>,
{
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { story(linux::platform().expect("the door")).await });
    };
    let thread = thread::Builder::new().name("live".to_owned()).stack_size(STACK_BYTES).spawn(body);
    if let Err(panicked) = thread.expect("a thread").join() {
        std::panic::resume_unwind(panicked);
    }
}

/// The output of `future`.
///
/// # Panics
/// When it takes longer than [`PATIENCE`]; the message says that `what` did not come.
pub async fn within<T>(platform: &Platform, what: &str, future: impl Future<Output = T>) -> T {
    let done = platform.clock.timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_elapsed| panic!("{what} did not come within {PATIENCE:?}"))
}

/// Waits until `condition` has an answer, and returns it.
///
/// # Panics
/// When it has none within [`PATIENCE`]; the message says that `what` did not come.
pub async fn until<T>(platform: &Platform, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(answer) = condition() {
                return answer;
            }
            platform.clock.sleep(LOOK).await;
        }
    };
    within(platform, what, looking).await
}

/// A port of the loopback that nobody listens on just now.
///
/// # Panics
/// When the host has none.
pub async fn free_port(platform: &Platform) -> u16 {
    let any = loopback(0);
    platform.net.listen(any, ListenOptions::default()).await.expect("a free port").local_addr().port()
}

/// `127.0.0.1:port`.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
