//! Links between pods: latency, jitter, loss, bandwidth and partitions, each direction for itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wavetank_platform::{Entropy, RandomStream};

use super::heap::Nanos;
use super::pod::PodId;

/// One direction of a link between two pods.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkConfig {
    /// Time a packet travels.
    pub latency: Duration,
    /// Each packet travels up to this much longer, uniformly; packets of one connection keep their order.
    pub jitter: Duration,
    /// Probability that a packet is lost, 0 to 1. TCP sends it again.
    pub loss: f64,
    /// Bits per second; `None` is unlimited. Packets queue, none is dropped.
    pub bandwidth: Option<u64>,
}

impl Default for LinkConfig {
    /// Half a millisecond, no jitter, no loss, unlimited.
    fn default() -> Self {
        Self { latency: Duration::from_micros(500), jitter: Duration::ZERO, loss: 0.0, bandwidth: None }
    }
}

/// How many packets a fault has touched so far.
#[derive(Debug, Clone, Default)]
pub struct FaultCounter(Arc<AtomicU64>);

impl FaultCounter {
    /// Packets touched: lost or cut off; for a link setting, every packet sent under it.
    pub fn touched(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn touch(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The index of one direction of a link in [`Links`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LinkId(u32);

/// What one direction of a link does to the packets that are sent over it, one after the other.
#[derive(Debug)]
pub struct Lane {
    /// What it is like now.
    pub config: LinkConfig,
    busy_until: Nanos,
    jitter: RandomStream,
    loss: RandomStream,
}

impl Lane {
    /// A lane on which nothing has been sent; its choices are drawn from streams of `entropy`.
    pub fn new(config: LinkConfig, entropy: &Entropy) -> Self {
        let (jitter, loss) = (entropy.stream_named("jitter"), entropy.stream_named("loss"));
        Self { config, busy_until: 0, jitter, loss }
    }

    /// When a packet of `size` bytes sent now arrives; `None` when it is lost. Times are nanoseconds of any clock.
    pub fn transit(&mut self, now: u64, size: u32) -> Option<u64> {
        let config = &self.config;
        let sent = match config.bandwidth {
            None => now,
            Some(rate) => {
                let wire = u64::from(size).saturating_mul(8_000_000_000) / rate.max(1);
                self.busy_until = self.busy_until.max(now).saturating_add(wire);
                self.busy_until
            }
        };
        if config.loss > 0.0 && self.loss.chance(config.loss) {
            return None;
        }
        let jitter = if config.jitter.is_zero() { Duration::ZERO } else { self.jitter.duration_below(config.jitter) };
        Some(sent.saturating_add(nanos(config.latency)).saturating_add(nanos(jitter)))
    }
}

#[derive(Debug)]
struct Link {
    lane: Lane,
    setting: Option<FaultCounter>,
    partition: Option<FaultCounter>,
}

/// Every direction of every link in use.
#[derive(Debug)]
pub(super) struct Links {
    entropy: Entropy,
    default: LinkConfig,
    ids: BTreeMap<(PodId, PodId), LinkId>,
    links: Vec<Link>,
}

impl Links {
    pub(super) fn new(entropy: Entropy, default: LinkConfig) -> Self {
        Self { entropy, default, ids: BTreeMap::new(), links: Vec::new() }
    }

    /// The link from one pod to another, made when first used. Its random streams depend on the seed and
    /// the two pods alone.
    pub(super) fn id(&mut self, from: PodId, to: PodId) -> LinkId {
        let (entropy, default, links) = (&self.entropy, self.default, &mut self.links);
        *self.ids.entry((from, to)).or_insert_with(|| {
            let entropy = entropy.fork(&format!("{}->{}", from.0, to.0));
            links.push(Link { lane: Lane::new(default, &entropy), setting: None, partition: None });
            LinkId(links.len() as u32 - 1)
        })
    }

    pub(super) fn set(&mut self, from: PodId, to: PodId, config: LinkConfig, counter: FaultCounter) {
        let id = self.id(from, to);
        let link = &mut self.links[id.0 as usize];
        link.lane.config = config;
        link.setting = Some(counter);
    }

    pub(super) fn set_partition(&mut self, from: PodId, to: PodId, counter: Option<FaultCounter>) {
        let id = self.id(from, to);
        self.links[id.0 as usize].partition = counter;
    }

    /// Whether packets pass.
    pub(super) fn is_open(&mut self, from: PodId, to: PodId) -> bool {
        let id = self.id(from, to);
        let link = &self.links[id.0 as usize];
        link.partition.is_none() && link.lane.config.loss < 1.0
    }

    pub(super) fn latency(&self, id: LinkId) -> Nanos {
        nanos(self.links[id.0 as usize].lane.config.latency)
    }

    /// When a packet of `size` bytes sent now arrives; `None` when it is lost.
    pub(super) fn transit(&mut self, id: LinkId, now: Nanos, size: u32) -> Option<Nanos> {
        let link = &mut self.links[id.0 as usize];
        if let Some(counter) = &link.partition {
            counter.touch();
            return None;
        }
        if let Some(counter) = &link.setting {
            counter.touch();
        }
        link.lane.transit(now, size)
    }
}

/// Saturates after 584 years.
pub(super) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(config: LinkConfig) -> (Links, LinkId) {
        let mut links = Links::new(Entropy::from_seed(1), config);
        let id = links.id(PodId(0), PodId(1));
        (links, id)
    }

    #[test]
    fn a_packet_waits_for_those_before_it_on_a_narrow_link() {
        let config = LinkConfig { bandwidth: Some(8_000_000), ..LinkConfig::default() };
        let (mut links, id) = links(config);
        assert_eq!(links.transit(id, 0, 1000), Some(1_500_000));
        assert_eq!(links.transit(id, 0, 1000), Some(2_500_000));
        assert_eq!(links.transit(id, 10_000_000, 1000), Some(11_500_000));
    }

    #[test]
    fn loss_and_jitter_draw_from_streams_of_their_own() {
        let jitter = Duration::from_millis(2);
        let (mut calm, id) = links(LinkConfig { jitter, ..LinkConfig::default() });
        let (mut lossy, _) = links(LinkConfig { jitter, loss: 0.3, ..LinkConfig::default() });
        let calm: Vec<_> = (0..100).filter_map(|_| calm.transit(id, 0, 100)).collect();
        let lossy: Vec<_> = (0..100).filter_map(|_| lossy.transit(id, 0, 100)).collect();
        assert!(lossy.len() < 90 && lossy.len() > 50);
        assert_eq!(calm[..lossy.len()], lossy[..]);
        assert!(calm.iter().all(|at| (500_000..2_500_000).contains(at)));
    }

    #[test]
    fn a_partition_loses_and_counts() {
        let (mut links, id) = links(LinkConfig::default());
        let counter = FaultCounter::default();
        links.set_partition(PodId(0), PodId(1), Some(counter.clone()));
        assert_eq!(links.transit(id, 0, 1), None);
        links.set_partition(PodId(0), PodId(1), None);
        assert_eq!(links.transit(id, 0, 1), Some(500_000));
        assert_eq!(counter.touched(), 1);
    }
}
