//! Several faults on one link at once: their delays add up, the worst loss and the narrowest bandwidth
//! hold, and a partition ends with the last fault that asks for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::{FaultCounter, LinkConfig, PodId, TankHandle};

/// How a link is worse than it was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LinkChange {
    /// Packets travel longer.
    Delay {
        /// By this.
        by: Duration,
        /// And by up to this, uniformly.
        jitter: Duration,
    },
    /// So many percent of the packets are lost.
    Loss(f64),
    /// No more than so many bits pass in a second.
    Bandwidth(u64),
}

/// What is asked of one direction of a link.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Asked {
    Partition,
    Change(LinkChange),
}

/// One direction between two pods.
type Way = (PodId, PodId);

/// The links that faults have hold of.
#[derive(Debug)]
pub struct LinkBook {
    base: LinkConfig,
    /// Links that are unlike `base` while no fault holds them.
    own: BTreeMap<Way, LinkConfig>,
    asked: BTreeMap<Way, BTreeMap<usize, Asked>>,
    /// What counts now, with the faults that it counts for.
    counting: Vec<(FaultCounter, BTreeSet<usize>)>,
}

impl LinkBook {
    /// A book of links that are like `base` while no fault holds them.
    pub fn new(base: LinkConfig) -> Self {
        Self { base, own: BTreeMap::new(), asked: BTreeMap::new(), counting: Vec::new() }
    }

    /// What a direction is like while no fault holds it.
    pub fn own(&self, way: (PodId, PodId)) -> LinkConfig {
        self.own.get(&way).copied().unwrap_or(self.base)
    }

    /// Makes a direction like `config`, but for what faults do to it.
    pub fn set_own(&mut self, tank: &TankHandle, way: (PodId, PodId), config: LinkConfig) {
        self.own.insert(way, config);
        self.set(tank, &[way]);
    }

    /// Cuts these directions for fault number `fault`.
    pub fn cut(&mut self, tank: &TankHandle, fault: usize, ways: &[Way]) {
        self.ask(tank, fault, ways, Asked::Partition);
    }

    /// Changes these directions for fault number `fault`.
    pub fn change(&mut self, tank: &TankHandle, fault: usize, ways: &[Way], change: LinkChange) {
        self.ask(tank, fault, ways, Asked::Change(change));
    }

    fn ask(&mut self, tank: &TankHandle, fault: usize, ways: &[Way], asked: Asked) {
        for way in ways {
            self.asked.entry(*way).or_default().insert(fault, asked);
        }
        self.set(tank, ways);
    }

    /// Ends what fault number `fault` asked for.
    pub fn mend(&mut self, tank: &TankHandle, fault: usize) {
        let mut ways = Vec::new();
        for (way, asked) in &mut self.asked {
            if asked.remove(&fault).is_some() {
                ways.push(*way);
            }
        }
        self.set(tank, &ways);
    }

    /// Packets that fault number `fault` touched so far.
    pub fn touched(&self, fault: usize) -> u64 {
        self.counting.iter().filter(|(_, faults)| faults.contains(&fault)).map(|(counter, _)| counter.touched()).sum()
    }

    fn set(&mut self, tank: &TankHandle, ways: &[Way]) {
        for (from, to) in ways {
            let changes = |asked: &BTreeMap<usize, Asked>| {
                let changing = asked.iter().filter(|(_, asked)| matches!(asked, Asked::Change(_)));
                changing.map(|(fault, _)| *fault).collect::<BTreeSet<_>>()
            };
            let here = self.asked.get(&(*from, *to)).cloned().unwrap_or_default();
            let asked = here.values().filter_map(|asked| match asked {
                Asked::Partition => None,
                Asked::Change(change) => Some(change),
            });
            let counter = tank.set_link_one_way(*from, *to, worse(self.own((*from, *to)), asked));
            self.counting.push((counter, changes(&here)));
            // Healing is both ways, so the way back is cut again where it is to be.
            tank.heal(*from, *to);
            for way in [(*from, *to), (*to, *from)] {
                let cut = self.asked.get(&way).into_iter().flatten();
                let cut: BTreeSet<usize> =
                    cut.filter(|(_, asked)| **asked == Asked::Partition).map(|(fault, _)| *fault).collect();
                if !cut.is_empty() {
                    self.counting.push((tank.partition_one_way(way.0, way.1), cut));
                }
            }
        }
    }
}

/// A link that is as bad as all of `asked` together make it.
pub fn worse<'a>(base: LinkConfig, asked: impl Iterator<Item = &'a LinkChange>) -> LinkConfig {
    let mut link = base;
    for asked in asked {
        match asked {
            LinkChange::Delay { by, jitter } => {
                link.latency += *by;
                link.jitter += *jitter;
            }
            LinkChange::Loss(percent) => link.loss = link.loss.max(percent / 100.0),
            LinkChange::Bandwidth(bits) => {
                link.bandwidth = Some(link.bandwidth.map_or(*bits, |own| own.min(*bits)));
            }
        }
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_add_up_and_the_worst_of_the_rest_holds() {
        let millis = Duration::from_millis;
        let asked = [
            LinkChange::Delay { by: millis(10), jitter: millis(1) },
            LinkChange::Delay { by: millis(5), jitter: Duration::ZERO },
            LinkChange::Loss(10.0),
            LinkChange::Loss(2.0),
            LinkChange::Bandwidth(1000),
            LinkChange::Bandwidth(500),
        ];
        let base = LinkConfig { latency: millis(1), jitter: Duration::ZERO, loss: 0.0, bandwidth: None };
        let wanted = LinkConfig { latency: millis(16), jitter: millis(1), loss: 0.1, bandwidth: Some(500) };
        assert_eq!(worse(base, asked.iter()), wanted);
        assert_eq!(worse(base, [].iter()), base);
    }
}
