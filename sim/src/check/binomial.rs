//! Exact binomial arithmetic: what counts a configured share may give, and what a test of it can see.
//!
//! Terms are found from the mode outward by the ratio of neighbouring terms and summed from the small end,
//! then divided by their sum. Only the four basic operations are used, so every platform gets the same
//! numbers; a tail is right to about 1e-12 of itself.

/// Terms below this part of the largest are left out of a sum.
const NEGLIGIBLE: f64 = 1e-305;

/// The distribution of the number of successes in `n` independent tries of probability `p`.
#[derive(Debug, Clone)]
pub struct Binomial {
    n: u64,
    /// The count of the first kept term.
    first: u64,
    /// Probabilities of `first`, `first + 1`, …; all others are negligible.
    terms: Vec<f64>,
}

impl Binomial {
    /// The distribution for `n` tries of probability `p`, which is clamped to `[0, 1]`.
    pub fn new(n: u64, p: f64) -> Self {
        if n == 0 || p <= 0.0 {
            return Self { n, first: 0, terms: vec![1.0] };
        }
        if p >= 1.0 {
            return Self { n, first: n, terms: vec![1.0] };
        }
        let odds = p / (1.0 - p);
        let mode = (((n + 1) as f64 * p) as u64).min(n);
        let mut below = Vec::new();
        let (mut term, mut k) = (1.0, mode);
        while k > 0 && term > NEGLIGIBLE {
            term *= k as f64 / ((n - k + 1) as f64 * odds);
            k -= 1;
            below.push(term);
        }
        let first = mode - below.len() as u64;
        let mut terms: Vec<f64> = below.into_iter().rev().collect();
        terms.push(1.0);
        let (mut term, mut k) = (1.0, mode);
        while k < n && term > NEGLIGIBLE {
            term *= (n - k) as f64 * odds / (k + 1) as f64;
            k += 1;
            terms.push(term);
        }
        let at_mode = (mode - first) as usize;
        let lower: f64 = terms[..at_mode].iter().sum();
        let upper: f64 = terms[at_mode..].iter().rev().sum();
        let total = lower + upper;
        terms.iter_mut().for_each(|term| *term /= total);
        Self { n, first, terms }
    }

    /// P(X ≤ `x`).
    pub fn at_most(&self, x: u64) -> f64 {
        let Some(last) = x.checked_sub(self.first) else { return 0.0 };
        let end = usize::try_from(last).unwrap_or(usize::MAX).saturating_add(1).min(self.terms.len());
        self.terms[..end].iter().sum::<f64>().min(1.0)
    }

    /// P(X ≥ `x`).
    pub fn at_least(&self, x: u64) -> f64 {
        let from = usize::try_from(x.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.terms.len());
        self.terms[from..].iter().rev().sum::<f64>().min(1.0)
    }

    /// The probability of a count at least as far out as `x`, on either side: twice the smaller tail.
    pub fn two_sided(&self, x: u64) -> f64 {
        (2.0 * self.at_most(x).min(self.at_least(x))).min(1.0)
    }

    /// Counts that a test of size `alpha` accepts: `lo` is the largest with P(X < lo) ≤ `alpha`/2, `hi` the
    /// smallest with P(X > hi) ≤ `alpha`/2. A probability of 0 or 1 accepts only itself.
    pub fn acceptance(&self, alpha: f64) -> Acceptance {
        let half = alpha / 2.0;
        let (mut sum, mut lo) = (0.0, self.first);
        for term in &self.terms {
            sum += term;
            if sum > half {
                break;
            }
            lo += 1;
        }
        let (mut sum, mut hi) = (0.0, self.first + self.terms.len() as u64 - 1);
        for term in self.terms.iter().rev() {
            sum += term;
            if sum > half {
                break;
            }
            hi = hi.saturating_sub(1);
        }
        Acceptance { n: self.n, lo, hi }
    }
}

/// The counts out of `n` that a test accepts, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acceptance {
    /// Decisions counted.
    pub n: u64,
    /// Smallest accepted count.
    pub lo: u64,
    /// Largest accepted count.
    pub hi: u64,
}

impl Acceptance {
    /// Whether `count` is accepted.
    pub fn accepts(&self, count: u64) -> bool {
        (self.lo..=self.hi).contains(&count)
    }

    /// The probability that a true share `q` is rejected.
    pub fn rejects(&self, q: f64) -> f64 {
        let truth = Binomial::new(self.n, q);
        let below = self.lo.checked_sub(1).map_or(0.0, |x| truth.at_most(x));
        let above = if self.hi >= self.n { 0.0 } else { truth.at_least(self.hi + 1) };
        (below + above).min(1.0)
    }

    /// The smallest shift of the true share away from `p` that is rejected with probability `power`,
    /// whichever way it goes, to 0.0001. A way in which no share is rejected that surely is left out;
    /// `None` when that is both.
    pub fn smallest_shift(&self, p: f64, power: f64) -> Option<f64> {
        let ways = [(-1.0, p), (1.0, 1.0 - p)];
        ways.into_iter().filter_map(|(sign, room)| self.smallest_in(p, sign, room, power)).reduce(f64::max)
    }

    fn smallest_in(&self, p: f64, sign: f64, room: f64, power: f64) -> Option<f64> {
        let sees = |shift: f64| self.rejects(p + sign * shift) >= power;
        if !sees(room) {
            return None;
        }
        let (mut blind, mut seen) = (0.0, room);
        while seen - blind > 0.0001 {
            let middle = (blind + seen) / 2.0;
            if sees(middle) { seen = middle } else { blind = middle }
        }
        Some(seen)
    }
}

/// The smallest share of `n` independent events that would have shown at least once with 99 %.
pub fn smallest_leak(n: u64) -> f64 {
    -libm::expm1(libm::log(0.01) / n.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// P(lo ≤ X ≤ hi), summed term by term from logarithms.
    fn between(n: u64, p: f64, lo: u64, hi: u64) -> f64 {
        let log_factorial = |k: u64| libm::lgamma(k as f64 + 1.0);
        let term = |k: u64| {
            let choose = log_factorial(n) - log_factorial(k) - log_factorial(n - k);
            libm::exp(choose + k as f64 * libm::log(p) + (n - k) as f64 * libm::log(1.0 - p))
        };
        (lo..=hi).map(term).sum()
    }

    #[test]
    fn accepts_the_table_of_the_70_30_canary() {
        let rows = [
            (100, (54, 84), (47, 90)),
            (200, (118, 161), (107, 170)),
            (500, (316, 383), (299, 398)),
            (1000, (652, 747), (628, 769)),
            (2000, (1332, 1467), (1298, 1499)),
            (5000, (3393, 3606), (3340, 3657)),
            (10_000, (6849, 7150), (6774, 7223)),
        ];
        for (n, at_1e3, at_1e6) in rows {
            let region = |alpha| Binomial::new(n, 0.7).acceptance(alpha);
            assert_eq!((region(1e-3).lo, region(1e-3).hi), at_1e3, "n = {n}");
            assert_eq!((region(1e-6).lo, region(1e-6).hi), at_1e6, "n = {n}");
        }
    }

    #[test]
    fn sees_what_the_table_says_it_sees() {
        let rows = [(500, 0.155), (1000, 0.109), (2000, 0.077), (5000, 0.048), (10_000, 0.034)];
        for (n, shift) in rows {
            let found = Binomial::new(n, 0.7).acceptance(1e-6).smallest_shift(0.7, 0.99).unwrap();
            assert!((found - shift).abs() < 0.001, "n = {n}: {found}");
        }
        let catches = |n, q| Binomial::new(n, 0.7).acceptance(1e-6).rejects(q);
        assert!((catches(1000, 0.6) - 0.96).abs() < 0.005 && (catches(500, 0.6) - 0.44).abs() < 0.005);
        assert!((catches(1208, 0.6) - 0.99).abs() < 0.002, "{}", catches(1208, 0.6));
    }

    #[test]
    fn a_sure_thing_accepts_only_itself() {
        let region = |p| Binomial::new(50, p).acceptance(1e-6);
        assert_eq!(region(0.0), Acceptance { n: 50, lo: 0, hi: 0 });
        assert_eq!(region(1.0), Acceptance { n: 50, lo: 50, hi: 50 });
        assert_eq!(Binomial::new(0, 0.5).acceptance(1e-6), Acceptance { n: 0, lo: 0, hi: 0 });
    }

    #[test]
    fn leaks_that_show_match_their_closed_form() {
        for (n, share) in [(459, 0.01), (4603, 0.001), (2000, 0.0023)] {
            assert!((smallest_leak(n) - share).abs() < share * 0.01, "{n}");
        }
    }

    #[test]
    fn far_tails_keep_their_size() {
        let found = Binomial::new(2000, 0.7).two_sided(1003);
        assert!((1e-77..1e-75).contains(&found), "{found:e}");
        assert_eq!(Binomial::new(1_000_000, 0.7).two_sided(0), 0.0);
    }

    proptest! {
        #[test]
        fn the_region_is_the_tightest_that_keeps_each_tail(n in 1u64..400, p in 0.01f64..0.99, alpha in 1e-9f64..0.2) {
            let region = Binomial::new(n, p).acceptance(alpha);
            let below = |x: u64| if x == 0 { 0.0 } else { between(n, p, 0, x - 1) };
            let above = |x: u64| if x == n { 0.0 } else { between(n, p, x + 1, n) };
            let (half, slack) = (alpha / 2.0, 1e-9);
            prop_assert!(below(region.lo) <= half * (1.0 + slack));
            prop_assert!(below(region.lo + 1) >= half * (1.0 - slack));
            prop_assert!(above(region.hi) <= half * (1.0 + slack));
            prop_assert!(region.hi == 0 || above(region.hi - 1) >= half * (1.0 - slack));
        }

        #[test]
        fn a_right_share_is_accepted_with_at_least_one_minus_alpha(n in 1u64..3000, p in 0.0f64..=1.0, alpha in 1e-9f64..0.2) {
            let region = Binomial::new(n, p).acceptance(alpha);
            prop_assert!(region.rejects(p) <= alpha * (1.0 + 1e-9));
        }

        #[test]
        fn a_smaller_alpha_never_narrows_the_region(n in 1u64..3000, p in 0.01f64..0.99, alpha in 1e-6f64..0.2) {
            let (wide, narrow) = (Binomial::new(n, p).acceptance(alpha / 10.0), Binomial::new(n, p).acceptance(alpha));
            prop_assert!(wide.lo <= narrow.lo && wide.hi >= narrow.hi);
        }

        #[test]
        fn tails_meet_at_one(n in 1u64..2000, p in 0.0f64..=1.0, x in 0u64..2000) {
            let (x, truth) = (x.min(n), Binomial::new(n, p));
            let below = x.checked_sub(1).map_or(0.0, |x| truth.at_most(x));
            prop_assert!((below + truth.at_least(x) - 1.0).abs() < 1e-9);
        }

        #[test]
        fn a_larger_share_makes_small_counts_rarer(n in 1u64..1000, p in 0.0f64..=1.0, more in 0.0f64..0.5, x in 0u64..1000) {
            let (less, more) = (Binomial::new(n, p), Binomial::new(n, (p + more).min(1.0)));
            prop_assert!(less.at_most(x) >= more.at_most(x) - 1e-12);
            prop_assert!(less.at_least(x) <= more.at_least(x) + 1e-12);
        }

        #[test]
        fn the_smallest_shift_is_seen_in_every_way_that_can_be(n in 30u64..1000, p in 0.1f64..0.9) {
            let region = Binomial::new(n, p).acceptance(1e-3);
            let shift = region.smallest_shift(p, 0.99).unwrap_or(1.0);
            for truth in [p - shift, p + shift] {
                prop_assert!(!(0.0..=1.0).contains(&truth) || region.rejects(truth) >= 0.99 - 1e-9);
            }
        }
    }
}
