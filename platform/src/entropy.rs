//! Randomness in named streams.
//!
//! Every consumer draws from a stream of its own, named for what it does (`lb/pod-3`, `arrivals`), so that
//! adding a consumer never shifts what another one draws. A stream is ChaCha12 keyed by
//! SHA-256(parent key, name): the algorithm is fixed, so a seed gives the same numbers on every platform
//! and in every version.

use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// A source of named random streams. Cloning gives the same source: equal names give equal numbers.
#[derive(Clone)]
pub struct Entropy {
    key: [u8; 32],
}

impl Entropy {
    /// The source of a scenario's seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"wavetank/seed");
        hash.update(seed.to_le_bytes());
        Self { key: hash.finalize().into() }
    }

    /// The source with this key; a live host draws the key from the operating system.
    pub fn from_key(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The source named `name` below this one. Two forks are independent unless their names are equal.
    pub fn fork(&self, name: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        Self { key: hash.finalize().into() }
    }

    /// The numbers of this source, from the first.
    pub fn stream(&self) -> RandomStream {
        RandomStream { rng: ChaCha12Rng::from_seed(self.key) }
    }

    /// Shorthand for `fork(name).stream()`.
    pub fn stream_named(&self, name: &str) -> RandomStream {
        self.fork(name).stream()
    }
}

impl std::fmt::Debug for Entropy {
    /// Hides the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy(..)")
    }
}

/// One consumer's random numbers, in order.
#[derive(Clone)]
pub struct RandomStream {
    rng: ChaCha12Rng,
}

impl RandomStream {
    /// A uniform 64-bit number.
    pub fn next_u64(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Fills `bytes` uniformly.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.rng.fill_bytes(bytes);
    }

    /// A uniform number in `0..bound`, without bias (Lemire's method).
    ///
    /// # Panics
    /// When `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "below(0) has no answer");
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.next_u64()) * u128::from(bound);
            if wide as u64 >= threshold {
                return (wide >> 64) as u64;
            }
        }
    }

    /// A uniform number in `[0, 1)` with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with probability `p`, clamped to `[0, 1]`. Always draws one number.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A uniform duration in `[0, bound)`; zero when `bound` is zero. Always draws.
    pub fn duration_below(&mut self, bound: Duration) -> Duration {
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.below(nanos.max(1)))
    }
}

impl std::fmt::Debug for RandomStream {
    /// Hides the state.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RandomStream(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_names_give_equal_numbers_and_other_names_do_not() {
        let root = Entropy::from_seed(7);
        assert_eq!(root.stream_named("lb").next_u64(), root.stream_named("lb").next_u64());
        assert_ne!(root.stream_named("lb").next_u64(), root.stream_named("arrivals").next_u64());
        assert_ne!(Entropy::from_seed(8).stream().next_u64(), root.stream().next_u64());
    }

    #[test]
    fn a_name_is_not_the_same_as_its_parts() {
        let root = Entropy::from_seed(1);
        assert_ne!(root.fork("a").fork("b").stream().next_u64(), root.fork("ab").stream().next_u64());
    }

    #[test]
    fn the_first_numbers_of_seed_1_never_change() {
        let mut stream = Entropy::from_seed(1).stream_named("pinned");
        assert_eq!([stream.next_u64(), stream.next_u64()], [17_738_877_142_767_363_771, 454_033_760_737_763_316]);
    }

    proptest! {
        #[test]
        fn below_stays_below(seed: u64, bound in 1u64..) {
            prop_assert!(Entropy::from_seed(seed).stream().below(bound) < bound);
        }

        #[test]
        fn unit_is_in_the_unit_interval(seed: u64) {
            let x = Entropy::from_seed(seed).stream().unit();
            prop_assert!((0.0..1.0).contains(&x));
        }
    }
}
