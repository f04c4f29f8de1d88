//! A world on the classic turmoil runtime, from its first tick to its last.

use std::cell::RefCell;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::panic;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinError;
use wavetank_platform::Entropy;

use super::wires::Wires;
use crate::engine::handle::TankHandle;
use crate::engine::tank::{Tank, TankConfig};

/// tokio's timers fire on whole milliseconds, so a shorter tick would not be true.
const TICK: Duration = Duration::from_millis(1);
/// A run that takes longer is stuck. Every millisecond of it costs work, so it is shorter than the first
/// engine's.
const TIME_MAX: Duration = Duration::from_secs(3600);
/// Messages on their way in one connection, and connections that wait to be accepted at one port.
const CAPACITY: usize = 4096;
/// The host of the scenario itself, an address that no pod has (RFC 1112, class E); nothing connects to it.
const DIRECTOR: Ipv4Addr = Ipv4Addr::new(240, 0, 0, 1);

impl Tank {
    /// Runs the world on the classic turmoil runtime until `scenario` is done, and takes it down.
    ///
    /// # Panics
    /// As [`Tank::run`], but a run has an hour of simulated time at most; and when links lose packets or
    /// have a bandwidth, which this engine does not simulate.
    pub fn run_on_turmoil<F, R>(mut self, scenario: impl FnOnce(TankHandle) -> F) -> R
    where
        F: Future<Output = R> + 'static,
        R: 'static,
    {
        self.add_spare_pods();
        let wires = Arc::new(Wires::new(self.config().epoch));
        let (shared, down) = self.shared(Some(wires.clone()));
        let mut sim = builder(self.config()).build();
        for (_, ip) in self.pods() {
            let wires = wires.clone();
            sim.host(IpAddr::V4(*ip), move || {
                wires.add_runtime(Handle::current());
                std::future::pending()
            });
        }
        let result = Rc::new(RefCell::new(None));
        let (done, running) = (result.clone(), scenario(TankHandle::new(shared)));
        sim.client(IpAddr::V4(DIRECTOR), async move {
            let result = running.await;
            *done.borrow_mut() = Some(result);
            Ok(())
        });
        let ended = sim.run();
        // Tasks drop their sockets, so they go before the world does.
        drop(sim);
        drop(down);
        match ended.map_err(|error| error.downcast::<JoinError>()) {
            Ok(()) => {}
            Err(Ok(panicked)) => panic::resume_unwind(panicked.into_panic()),
            Err(Err(error)) => panic!("the run has not ended: it waits for what never comes ({error})"),
        }
        result.take().expect("turmoil runs until its client is done")
    }
}

/// turmoil's settings for a world. All links have one fixed latency: turmoil draws each message's from one
/// stream, so jitter would make it hang on the order in which a host's tasks happen to send.
fn builder(config: &TankConfig) -> turmoil::Builder {
    let link = config.default_link;
    assert!(link.loss == 0.0 && link.bandwidth.is_none(), "turmoil's links neither lose packets nor queue them");
    let mut random = Entropy::from_seed(config.seed).fork("engine").stream_named("turmoil");
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(random.next_u64())
        .epoch(config.epoch.to_system_time())
        .tick_duration(TICK)
        .simulation_duration(config.time_max.min(TIME_MAX))
        .min_message_latency(link.latency)
        .max_message_latency(link.latency)
        .tcp_capacity(CAPACITY);
    builder
}
