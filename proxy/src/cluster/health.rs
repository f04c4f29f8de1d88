//! When the balancer hears of the health of endpoints. Envoy: `common_lb_config.update_merge_window`.
//!
//! Envoy tells its workers of a change at once, unless it told them of another within the window: then all
//! changes of one window length from now are told together. A change of membership is told at once, with
//! all that waited. So the second endpoint that is ejected within a second still gets requests for a while.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use wavetank_platform::Instant;

/// What the balancer of one cluster knows.
#[derive(Debug, Clone, Default)]
pub struct Told {
    ejected: BTreeSet<SocketAddr>,
    generation: u64,
    last: Option<Instant>,
    due: Option<Instant>,
}

impl Told {
    /// The endpoints that the balancer takes for ejected, and a number that grows when they change.
    pub fn ejected(&self) -> (&BTreeSet<SocketAddr>, u64) {
        (&self.ejected, self.generation)
    }

    /// Tells what waited, if its time has come. To be called before the endpoints that are out change, and
    /// before the balancer is asked. `current`: the endpoints that are out.
    pub fn settle(&mut self, now: Instant, current: impl FnOnce() -> BTreeSet<SocketAddr>) {
        if let Some(due) = self.due.filter(|due| *due <= now) {
            self.tell(due, current());
        }
    }

    /// The health of an endpoint has changed; `current` is what holds now.
    pub fn health_changed(&mut self, now: Instant, window: Duration, current: BTreeSet<SocketAddr>) {
        // Envoy compares whole milliseconds.
        let recent = |last: Instant| now.saturating_since(last).as_millis() <= window.as_millis();
        if !window.is_zero() && self.last.is_some_and(recent) {
            self.due.get_or_insert(now + window);
        } else {
            self.tell(now, current);
        }
    }

    /// An endpoint came or went; `current` is what holds now.
    pub fn endpoints_changed(&mut self, now: Instant, current: BTreeSet<SocketAddr>) {
        self.tell(now, current);
    }

    fn tell(&mut self, at: Instant, current: BTreeSet<SocketAddr>) {
        if self.ejected != current {
            self.ejected = current;
            self.generation += 1;
        }
        (self.last, self.due) = (Some(at), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Instant {
        Instant::from_start(Duration::from_millis(millis))
    }

    fn out(hosts: &[u8]) -> BTreeSet<SocketAddr> {
        hosts.iter().map(|host| SocketAddr::from(([10, 0, 0, *host], 80))).collect()
    }

    #[test]
    fn the_first_change_is_told_at_once_and_the_second_a_window_later() {
        let mut told = Told::default();
        told.health_changed(at(5000), WINDOW, out(&[1]));
        assert_eq!(*told.ejected().0, out(&[1]));
        told.health_changed(at(5400), WINDOW, out(&[1, 2]));
        told.settle(at(6399), || out(&[1, 2]));
        assert_eq!(*told.ejected().0, out(&[1]));
        told.settle(at(6400), || out(&[1, 2]));
        assert_eq!(*told.ejected().0, out(&[1, 2]));
    }

    #[test]
    fn what_waits_is_told_as_it_is_when_its_time_has_come() {
        let mut told = Told::default();
        told.health_changed(at(0), WINDOW, out(&[1]));
        told.health_changed(at(100), WINDOW, out(&[1, 2]));
        told.health_changed(at(900), WINDOW, out(&[2]));
        told.settle(at(1100), || out(&[2]));
        assert_eq!(*told.ejected().0, out(&[2]));
        told.health_changed(at(2100), WINDOW, out(&[]));
        assert_eq!(*told.ejected().0, out(&[2]), "a second after the merged update is still within its window");
        let mut later = told.clone();
        later.settle(at(3100), || out(&[]));
        assert_eq!(*later.ejected().0, out(&[]));
    }

    #[test]
    fn a_change_more_than_a_window_later_is_told_at_once() {
        let mut told = Told::default();
        told.health_changed(at(0), WINDOW, out(&[1]));
        told.health_changed(at(1001), WINDOW, out(&[]));
        assert_eq!(*told.ejected().0, out(&[]));
    }

    #[test]
    fn without_a_window_every_change_is_told_at_once() {
        let mut told = Told::default();
        told.health_changed(at(0), Duration::ZERO, out(&[1]));
        told.health_changed(at(0), Duration::ZERO, out(&[1, 2]));
        assert_eq!(*told.ejected().0, out(&[1, 2]));
    }

    #[test]
    fn a_change_of_membership_tells_all_and_begins_a_window() {
        let mut told = Told::default();
        told.health_changed(at(0), WINDOW, out(&[1]));
        told.health_changed(at(100), WINDOW, out(&[1, 2]));
        told.endpoints_changed(at(200), out(&[1, 2]));
        assert_eq!(*told.ejected().0, out(&[1, 2]));
        told.health_changed(at(300), WINDOW, out(&[1]));
        assert_eq!(*told.ejected().0, out(&[1, 2]));
    }
}
