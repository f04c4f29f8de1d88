//! Links that are slower, narrower or worse than the machine's own: the node's firewall hands their packets to this
//! program, which lets each pass when the link of the scenario would have brought it. The model is the tank's
//! ([`Lane`]), packet by packet; the time is real.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;
use wavetank_platform::linux::Worker;
use wavetank_platform::{Entropy, Instant, Platform};

use super::network::{Host, run_within};
use super::queue::{Packet, QUEUE, Queue};
use super::world::lock;
use crate::engine::{Lane, LinkConfig};
use crate::fault::LinkChange;
use crate::fault::links::worse;

/// One direction: from, to.
pub(super) type Way = (Ipv4Addr, Ipv4Addr);

/// The chain of the firewall that says which packets are handed over.
const CHAIN: &str = "slow";
/// Flows whose last packet is remembered, so that the next does not pass it.
const FLOWS_MAX: usize = 4096;
/// Number of the thread's door.
const WORKER: usize = 1;

/// The links that this program plays. Dropping it ends its thread; packets that wait are lost.
#[derive(Debug)]
pub(super) struct Lanes {
    book: Arc<Mutex<Book>>,
    _ends: oneshot::Sender<()>,
}

impl Lanes {
    /// Links that are like `base` where nothing else is asked for. All of them, or, without `everywhere`, those that
    /// something is asked of: the others stay the machine's own.
    ///
    /// Errs when this kernel hands no packets to programs.
    pub(super) async fn start(
        door: &Platform,
        node: &Host,
        base: LinkConfig,
        everywhere: bool,
        entropy: Entropy,
    ) -> io::Result<Self> {
        let book = Arc::new(Mutex::new(Book::new(base, everywhere, entropy)));
        let (ends, ended) = oneshot::channel();
        let (opened, is_open) = oneshot::channel();
        let (own, place) = (book.clone(), node.clone());
        Worker::start(door, WORKER, move |door| async move {
            let queue = Queue::open(&place);
            let (queue, told) = match queue {
                Ok(queue) => (Some(queue), Ok(())),
                Err(error) => (None, Err(error)),
            };
            let _ = opened.send(told);
            if let Some(queue) = queue {
                tokio::select! {
                    biased;
                    _ = ended => {}
                    () = play(&door, &queue, &own) => {}
                }
            }
        })?;
        is_open.await.map_err(io::Error::other)??;
        run_within(node, "iptables", &["-w", "-t", "mangle", "-N", CHAIN], "")?;
        // A kernel may have the queue without the rule that leads there: it is tried while nothing goes this way.
        let tried =
            ["-w", "-t", "mangle", "-A", CHAIN, "-j", "NFQUEUE", "--queue-num", &QUEUE.to_string(), "--queue-bypass"];
        run_within(node, "iptables", &tried, "")?;
        run_within(node, "iptables", &["-w", "-t", "mangle", "-A", "FORWARD", "-j", CHAIN], "")?;
        let lanes = Self { book, _ends: ends };
        lanes.divert(node)?;
        Ok(lanes)
    }

    /// What a direction is like while no fault holds it.
    pub(super) fn own(&self, way: Way) -> LinkConfig {
        self.book().own(way)
    }

    /// Makes directions so, but for what faults do to them.
    ///
    /// Errs when the firewall refuses.
    pub(super) fn set_own(&self, node: &Host, links: impl Iterator<Item = (Way, LinkConfig)>) -> io::Result<()> {
        {
            let mut book = self.book();
            book.own.extend(links);
            book.set();
        }
        self.divert(node)
    }

    /// Changes directions for fault number `fault`.
    ///
    /// Errs when the firewall refuses.
    pub(super) fn change(&self, node: &Host, fault: usize, ways: &[Way], change: LinkChange) -> io::Result<()> {
        {
            let mut book = self.book();
            for way in ways {
                book.asked.entry(*way).or_default().insert(fault, change);
            }
            book.set();
        }
        self.divert(node)
    }

    /// Ends what was asked for fault number `fault`. Its packets still go this way, so that none overtakes another.
    pub(super) fn mend(&self, fault: usize) {
        let mut book = self.book();
        for asked in book.asked.values_mut() {
            asked.remove(&fault);
        }
        book.set();
    }

    /// Packets that were sent over a link under fault number `fault` so far.
    pub(super) fn touched(&self, fault: usize) -> u64 {
        self.book().touched.get(&fault).copied().unwrap_or(0)
    }

    fn divert(&self, node: &Host) -> io::Result<()> {
        let rules = self.book().rules();
        run_within(node, "iptables-restore", &["--noflush", "--wait"], &rules).map(|_| ())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }
}

/// Lets packets pass in their time, for ever.
async fn play(door: &Platform, queue: &Queue, book: &Mutex<Book>) {
    let mut waiting: BinaryHeap<Reverse<(u64, u64, u32)>> = BinaryHeap::new();
    let mut number = 0;
    loop {
        let next = waiting.peek().map(|Reverse((due, ..))| Instant::START + Duration::from_nanos(*due));
        let due = async {
            match next {
                Some(next) => door.clock.sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            came = queue.packets() => match came {
                Ok(packets) => {
                    let now = nanos(door.clock.now());
                    for packet in packets {
                        match lock(book).transit(&packet, now) {
                            Some(due) => waiting.push(Reverse((due, number, packet.id))),
                            None => queue.decide(packet.id, false),
                        }
                        number += 1;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "packets are no longer handed over");
                    return;
                }
            },
            () = due => {}
        }
        let now = nanos(door.clock.now());
        while let Some(Reverse((due, _, id))) = waiting.peek().copied()
            && due <= now
        {
            waiting.pop();
            queue.decide(id, true);
        }
    }
}

fn nanos(time: Instant) -> u64 {
    u64::try_from(time.since_start().as_nanos()).unwrap_or(u64::MAX)
}

/// What is asked of links, and what has passed them.
#[derive(Debug)]
struct Book {
    base: LinkConfig,
    everywhere: bool,
    entropy: Entropy,
    own: BTreeMap<Way, LinkConfig>,
    asked: BTreeMap<Way, BTreeMap<usize, LinkChange>>,
    lanes: BTreeMap<Way, Lane>,
    /// When the last packet of a flow arrives.
    flows: BTreeMap<(Way, (u8, u32)), u64>,
    touched: BTreeMap<usize, u64>,
}

impl Book {
    fn new(base: LinkConfig, everywhere: bool, entropy: Entropy) -> Self {
        Self {
            base,
            everywhere,
            entropy,
            own: BTreeMap::new(),
            asked: BTreeMap::new(),
            lanes: BTreeMap::new(),
            flows: BTreeMap::new(),
            touched: BTreeMap::new(),
        }
    }

    fn own(&self, way: Way) -> LinkConfig {
        self.own.get(&way).copied().unwrap_or(self.base)
    }

    fn now(&self, way: Way) -> LinkConfig {
        worse(self.own(way), self.asked.get(&way).into_iter().flat_map(BTreeMap::values))
    }

    /// Puts what is asked for on the lanes that are in use.
    fn set(&mut self) {
        let mut lanes = std::mem::take(&mut self.lanes);
        for (way, lane) in &mut lanes {
            lane.config = self.now(*way);
        }
        self.lanes = lanes;
    }

    /// When a packet that is sent now arrives, not before those of its flow that were sent before; `None`: it is lost.
    fn transit(&mut self, packet: &Packet, now: u64) -> Option<u64> {
        let way = packet.way;
        for fault in self.asked.get(&way).into_iter().flat_map(BTreeMap::keys) {
            *self.touched.entry(*fault).or_default() += 1;
        }
        if !self.lanes.contains_key(&way) {
            let lane = Lane::new(self.now(way), &self.entropy.fork(&format!("{}->{}", way.0, way.1)));
            self.lanes.insert(way, lane);
        }
        let due = self.lanes.get_mut(&way)?.transit(now, packet.size)?;
        if self.flows.len() >= FLOWS_MAX {
            self.flows.retain(|_, last| *last > now);
        }
        let last = self.flows.get(&(way, packet.flow)).copied().unwrap_or(0);
        let due = due.max(last);
        if self.flows.len() < FLOWS_MAX {
            self.flows.insert((way, packet.flow), due);
        }
        Some(due)
    }

    /// Hands over what goes over these links; without anyone to take it, it passes.
    fn rules(&self) -> String {
        let hand_over = format!("-j NFQUEUE --queue-num {QUEUE} --queue-bypass");
        let mut rules = format!("*mangle\n:{CHAIN} - [0:0]\n");
        if self.everywhere {
            // Writing to a String cannot fail.
            let _ = writeln!(rules, "-A {CHAIN} {hand_over}");
        } else {
            let mut ways: Vec<&Way> = self.own.keys().chain(self.asked.keys()).collect();
            ways.sort_unstable();
            ways.dedup();
            for (from, to) in ways {
                let _ = writeln!(rules, "-A {CHAIN} -s {from} -d {to} {hand_over}");
            }
        }
        rules + "COMMIT\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 2);
    const MILLISECOND: u64 = 1_000_000;

    fn book() -> Book {
        let base = LinkConfig { latency: Duration::from_millis(1), ..LinkConfig::default() };
        Book::new(base, false, Entropy::from_seed(1))
    }

    fn packet(id: u32, flow: u32) -> Packet {
        Packet { id, way: (A, B), flow: (6, flow), size: 1000 }
    }

    #[test]
    fn a_fault_holds_until_it_is_mended_and_counts_what_is_sent_under_it() {
        let mut book = book();
        let delay = LinkChange::Delay { by: Duration::from_millis(50), jitter: Duration::ZERO };
        assert_eq!(book.transit(&packet(1, 1), 0), Some(MILLISECOND));
        book.asked.entry((A, B)).or_default().insert(3, delay);
        book.asked.entry((A, B)).or_default().insert(4, LinkChange::Bandwidth(8_000_000));
        book.set();
        assert_eq!(book.transit(&packet(2, 1), 0), Some(52 * MILLISECOND));
        let back = Packet { way: (B, A), ..packet(3, 1) };
        assert_eq!(book.transit(&back, 0), Some(MILLISECOND));
        book.asked.entry((A, B)).or_default().clear();
        book.set();
        assert_eq!(book.transit(&packet(4, 2), 0), Some(MILLISECOND));
        assert_eq!(book.touched, BTreeMap::from([(3, 1), (4, 1)]));
    }

    #[test]
    fn a_packet_does_not_pass_those_of_its_flow_when_the_link_gets_better() {
        let mut book = book();
        book.own.insert((A, B), LinkConfig { latency: Duration::from_millis(20), ..book.base });
        assert_eq!(book.transit(&packet(1, 1), 0), Some(20 * MILLISECOND));
        book.own.clear();
        book.set();
        assert_eq!(book.transit(&packet(2, 1), MILLISECOND), Some(20 * MILLISECOND));
        assert_eq!(book.transit(&packet(3, 2), MILLISECOND), Some(2 * MILLISECOND));
    }

    #[test]
    fn what_is_lost_has_no_time() {
        let mut book = book();
        book.asked.entry((A, B)).or_default().insert(1, LinkChange::Loss(100.0));
        assert_eq!(book.transit(&packet(1, 1), 0), None);
    }

    #[test]
    fn only_links_that_something_is_asked_of_are_handed_over_or_all() {
        let mut book = book();
        assert_eq!(book.rules().lines().count(), 3, "{}", book.rules());
        book.asked.entry((A, B)).or_default().insert(1, LinkChange::Loss(1.0));
        book.own.insert((A, B), book.base);
        let rules = book.rules();
        assert_eq!(rules.matches("-s 10.244.0.1 -d 10.244.0.2 -j NFQUEUE --queue-num 0 --queue-bypass").count(), 1);
        book.everywhere = true;
        assert!(book.rules().contains("-A slow -j NFQUEUE"), "{}", book.rules());
    }
}
