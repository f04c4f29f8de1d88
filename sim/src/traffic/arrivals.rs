//! When the requests of an open loop are sent.

use std::time::Duration;

use wavetank_platform::RandomStream;

use super::plan::Spacing;

/// The sending times of an open loop, from its start, in order, without end.
#[derive(Debug)]
pub struct Arrivals {
    rate: f64,
    spacing: Spacing,
    random: RandomStream,
    sent: u64,
    at: Duration,
}

impl Arrivals {
    /// `rate` requests a second, drawn from `random`.
    ///
    /// A rate that is not above zero never sends.
    pub fn new(rate: f64, spacing: Spacing, random: RandomStream) -> Self {
        Self { rate, spacing, random, sent: 0, at: Duration::ZERO }
    }

    /// Logarithms are libm's, so that every machine draws the same gaps.
    fn gap(&mut self) -> Duration {
        seconds(-libm::log(1.0 - self.random.unit()) / self.rate)
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    /// The first request of an even spread is sent at once; of a Poisson one, after a gap like all others.
    fn next(&mut self) -> Option<Duration> {
        if self.rate.is_nan() || self.rate <= 0.0 {
            return None;
        }
        self.at = match self.spacing {
            Spacing::Poisson => self.at.saturating_add(self.gap()),
            Spacing::Even => seconds(self.sent as f64 / self.rate),
        };
        self.sent += 1;
        Some(self.at)
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wavetank_platform::Entropy;

    fn arrivals(rate: f64, spacing: Spacing, seed: u64) -> Arrivals {
        Arrivals::new(rate, spacing, Entropy::from_seed(seed).stream_named("arrivals"))
    }

    #[test]
    fn even_arrivals_begin_at_once_and_keep_their_gap() {
        let first: Vec<_> = arrivals(4.0, Spacing::Even, 1).take(3).collect();
        assert_eq!(first, [0, 250, 500].map(Duration::from_millis));
    }

    /// 10,000 exponential gaps of mean 10 ms: the sum's standard deviation is 1 s, so 100 ± 5 s is missed
    /// with probability below 1e-6. Seed 1.
    #[test]
    fn poisson_arrivals_have_the_rate_asked_for() {
        let last = arrivals(100.0, Spacing::Poisson, 1).nth(9_999).expect("endless");
        assert!((95.0..105.0).contains(&last.as_secs_f64()), "{last:?}");
    }

    #[test]
    fn a_rate_of_zero_never_sends() {
        assert_eq!(arrivals(0.0, Spacing::Poisson, 1).next(), None);
        assert_eq!(arrivals(f64::NAN, Spacing::Even, 1).next(), None);
    }

    proptest! {
        #[test]
        fn arrivals_never_go_back(seed: u64, rate in 0.01f64..1e6) {
            let times: Vec<_> = arrivals(rate, Spacing::Poisson, seed).take(50).collect();
            prop_assert!(times.is_sorted());
        }
    }
}
