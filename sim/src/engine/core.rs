//! The engine: everything the network knows, and the one step that moves it on.
//!
//! tokio runs on a paused clock and calls [`Core::turn`] whenever no task can run. A turn does one thing
//! and lets tokio look for woken tasks again: collect what the sockets want to send, deliver what is due,
//! or move the clock. Nothing runs while nothing happens. tokio's timers fire on whole milliseconds, so
//! inside a millisecond the engine moves the clock itself, to the nanosecond; across milliseconds it arms
//! a timer and lets tokio jump to whichever timer is next.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Sleep;
use turmoil_net::{EnterGuard, Packet};
use wavetank_platform::{Clock, Entropy};

use super::classic::Wires;
use super::clock::TankClock;
use super::conn::Conns;
use super::dns::Dns;
use super::heap::{Event, Heap, Nanos};
use super::link::Links;
use super::nat::{LocalDial, Ports, Services};
use super::pod::{Panics, Pod, PodId};
use super::slab::Slab;
use super::socket::{READ_AHEAD, Socket};
use super::trace::{PacketHash, Stats, v4};

const MILLISECOND: Nanos = 1_000_000;

/// What the handle, the doors and the hook share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) core: Mutex<Core>,
    pub(super) clock: Arc<TankClock>,
    /// What joins the pods in the place of the kernels, in a world of the second engine.
    pub(super) wires: Option<Arc<Wires>>,
    pub(super) entropy: Entropy,
    pub(super) panics: Arc<Panics>,
}

impl Shared {
    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clocks of the engine that runs.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        self.wires.as_ref().map_or_else(|| self.clock.clone() as Arc<dyn Clock>, |wires| wires.clock())
    }
}

/// The state of the network.
pub(super) struct Core {
    /// The installed kernels; `None` before the run and after it, and in a world of the second engine.
    pub(super) kernels: Option<EnterGuard>,
    pub(super) clock: Arc<TankClock>,
    pub(super) heap: Heap,
    /// A socket may have something to send.
    pub(super) dirty: bool,
    pub(super) pods: Vec<Pod>,
    pub(super) by_ip: BTreeMap<u32, PodId>,
    /// Pods registered and not yet claimed, next one last.
    pub(super) spare: Vec<PodId>,
    pub(super) links: Links,
    pub(super) conns: Conns,
    pub(super) strays: Slab<Packet>,
    pub(super) sockets: Slab<Socket>,
    pub(super) services: Services,
    pub(super) ports: Ports,
    /// By pod and client port.
    pub(super) local_dials: BTreeMap<(PodId, u16), LocalDial>,
    /// Children of a listener that were reset before their handshake was done: (pod, their port, client).
    pub(super) stillborn: BTreeSet<(PodId, u16, SocketAddr)>,
    /// Connects that ran out of SYN retries and whose caller has not been told yet.
    pub(super) connect_timeouts: BTreeMap<(PodId, SocketAddr), u32>,
    pub(super) dns: Dns,
    pub(super) hash: PacketHash,
    pub(super) stats: Stats,
    /// Where reads land before they are handed on.
    pub(super) scratch: Box<[u8]>,
    /// The present moment, the steps taken in it, and how many there may be.
    moment: (Nanos, u64),
    steps_max: u64,
    egress: Vec<Packet>,
    alarm: Option<(Nanos, Pin<Box<Sleep>>)>,
}

impl Core {
    pub(super) fn new(clock: Arc<TankClock>, links: Links, services: Services, steps_max: u64) -> Self {
        Self {
            kernels: None,
            clock,
            heap: Heap::new(),
            dirty: false,
            pods: Vec::new(),
            by_ip: BTreeMap::new(),
            spare: Vec::new(),
            links,
            conns: Conns::new(),
            strays: Slab::new(),
            sockets: Slab::new(),
            services,
            ports: Ports::default(),
            local_dials: BTreeMap::new(),
            stillborn: BTreeSet::new(),
            connect_timeouts: BTreeMap::new(),
            dns: Dns::default(),
            hash: PacketHash::new(),
            stats: Stats::default(),
            scratch: vec![0; READ_AHEAD].into_boxed_slice(),
            moment: (0, 0),
            steps_max,
            egress: Vec::new(),
            alarm: None,
        }
    }

    /// Moves the world on by one thing. Called by tokio, within the runtime, when no task can run.
    pub(super) fn turn(&mut self) {
        let now = self.clock.nanos();
        self.count_step(now);
        if self.dirty {
            self.collect(now);
            return look_again();
        }
        match self.heap.next_at() {
            Some(at) if at <= now => {
                self.deliver_due(now);
                look_again();
            }
            Some(at) if at / MILLISECOND == now / MILLISECOND => {
                advance(at - now);
                self.deliver_due(at);
            }
            // tokio adds whole milliseconds to the clock, so it must stand on one for timers to be true.
            _ if !now.is_multiple_of(MILLISECOND) => advance(MILLISECOND - now % MILLISECOND),
            Some(at) => self.arm(at - at % MILLISECOND),
            None => {}
        }
    }

    /// On links that take no time two ends may talk for ever without a moment passing.
    fn count_step(&mut self, now: Nanos) {
        if self.moment.0 != now {
            self.moment = (now, 0);
        }
        self.moment.1 += 1;
        let (at, steps) = self.moment;
        assert!(steps <= self.steps_max, "time stands still at {at} ns: {steps} things happened in this moment");
    }

    /// Takes every packet that the pods' kernels want to send and puts it on its way. Traffic within a pod
    /// is delivered by this, too.
    fn collect(&mut self, now: Nanos) {
        let Some(kernels) = &self.kernels else {
            return;
        };
        self.dirty = false;
        self.stats.passes += 1;
        let mut packets = std::mem::take(&mut self.egress);
        kernels.egress_all(&mut packets);
        for packet in packets.drain(..) {
            self.send(packet, now);
        }
        self.egress = packets;
    }

    fn deliver_due(&mut self, now: Nanos) {
        while let Some(event) = self.heap.pop_due(now) {
            match event {
                Event::Arrive { conn, dir } => self.arrive(conn, dir, now),
                Event::Retry { conn, dir, timer } => self.retry(conn, dir, timer, now),
                Event::Stray { packet } => self.arrive_stray(packet, now),
            }
        }
    }

    /// Makes tokio wake up at `at`, a whole millisecond.
    fn arm(&mut self, at: Nanos) {
        let deadline = self.clock.tokio_at(at);
        let (set_for, sleep) = self.alarm.get_or_insert_with(|| (at, Box::pin(tokio::time::sleep_until(deadline))));
        if *set_for != at {
            *set_for = at;
            sleep.as_mut().reset(deadline);
        }
        // Registers the timer; that the runtime returns from its park is all that is wanted of it.
        let _ = sleep.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }

    /// Lets go of what belongs to the runtime.
    pub(super) fn disarm(&mut self) {
        self.alarm = None;
    }

    /// Gives a packet to the pod it is addressed to.
    pub(super) fn hand_over(&mut self, packet: Packet) {
        if let Some(kernels) = &self.kernels {
            kernels.deliver(packet);
            self.dirty = true;
        }
    }

    pub(super) fn pod(&self, id: PodId) -> &Pod {
        &self.pods[id.0 as usize]
    }

    pub(super) fn pod_mut(&mut self, id: PodId) -> &mut Pod {
        &mut self.pods[id.0 as usize]
    }

    pub(super) fn pod_by_ip(&self, ip: IpAddr) -> Option<PodId> {
        self.by_ip.get(&v4(ip)).copied()
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("pods", &self.pods.len()).field("stats", &self.stats).finish_non_exhaustive()
    }
}

/// Moves tokio's paused clock on, and makes tokio look for woken tasks before it parks.
fn advance(by: Nanos) {
    let mut advance = pin!(tokio::time::advance(Duration::from_nanos(by)));
    let _ = advance.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}

/// Makes tokio look for woken tasks, and call the hook again when there are none, before it parks. A
/// packet may have woken nobody.
fn look_again() {
    let mut pause = pin!(tokio::task::yield_now());
    let _ = pause.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}
