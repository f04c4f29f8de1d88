//! What a test of shares can see, and how many decisions it takes to see so much.

use super::binomial::Binomial;
use super::demand::Arm;

/// A shift of this many points is to be seen, where a scenario does not say.
pub const DETECT_POINTS: f64 = 8.0;
/// The power a shift must be seen with to be called seen.
pub(super) const POWER: f64 = 0.99;
/// Fewer decisions than this say nothing about a share.
pub(super) const DECISIONS_MIN: u64 = 30;
/// An arm expected to get less than this says nothing either.
pub(super) const EXPECTED_MIN: f64 = 5.0;
/// Decisions beyond which no answer is looked for.
const DECISIONS_MAX: u64 = 1 << 24;
/// Answers are whole multiples of this.
const ROUND: u64 = 100;

/// Arms with a share strictly between nothing and everything.
pub(super) fn uncertain(arms: &[Arm]) -> impl Iterator<Item = &Arm> {
    arms.iter().filter(|arm| arm.percent > 0.0 && arm.percent < 100.0)
}

/// The fewest decisions from which every arm can be judged.
pub(super) fn decisions_needed(arms: &[Arm]) -> u64 {
    let for_arm = |arm: &Arm| {
        let share = arm.percent / 100.0;
        (EXPECTED_MIN / share.min(1.0 - share)).ceil() as u64
    };
    uncertain(arms).map(for_arm).fold(DECISIONS_MIN, u64::max)
}

/// Decisions, a multiple of 100, on which tests of size `alpha` of each arm see a shift of `points`; a few more
/// or less do so as well. `None` when it takes more than 16 million.
///
/// A share of nothing or everything is exact: a leak of `points` is to show.
pub fn decisions_for(arms: &[Arm], points: f64, alpha: f64) -> Option<u64> {
    let needed = decisions_needed(arms).max((libm::log(0.01) / libm::log1p(-points / 100.0)).ceil().max(1.0) as u64);
    let sees = |hundreds: u64| uncertain(arms).all(|arm| sees(arm, hundreds * ROUND, points, alpha));
    let (mut blind, mut seen) = (0, needed.div_ceil(ROUND).max(1));
    while !sees(seen) {
        (blind, seen) = (seen, seen * 2);
        if seen * ROUND > DECISIONS_MAX {
            return None;
        }
    }
    while seen - blind > 1 {
        let middle = blind.midpoint(seen);
        if middle * ROUND >= needed && sees(middle) { seen = middle } else { blind = middle }
    }
    Some(seen * ROUND)
}

/// Whether a test of one arm sees a shift of `points`, with one decision to spare: what it sees goes up and down
/// with the whole numbers at the ends of its region.
fn sees(arm: &Arm, n: u64, points: f64, alpha: f64) -> bool {
    let share = arm.percent / 100.0;
    let shift = Binomial::new(n, share).acceptance(alpha).smallest_shift(share, POWER);
    shift.is_some_and(|shift| shift + 1.0 / n as f64 <= points / 100.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arms(shares: &[f64]) -> Vec<Arm> {
        shares.iter().map(|percent| Arm { version: format!("v{percent}").into(), percent: *percent }).collect()
    }

    #[test]
    fn the_table_of_the_70_30_canary_is_read_backwards() {
        let canary = arms(&[70.0, 30.0]);
        // 60/40 shows on 1200 with 99.2 %, and on 1150 with 98.8 %; 65/35 on 4600 with 99.1 %.
        for (points, wanted) in [(10.0, 1200), (8.0, 1900), (5.0, 4600), (3.0, 12_600)] {
            assert_eq!(decisions_for(&canary, points, 1e-6), Some(wanted), "{points} points");
        }
        assert_eq!(decisions_for(&canary, 0.05, 1e-6), None);
    }

    #[test]
    fn every_arm_can_be_judged_and_an_exact_one_shows_a_leak() {
        assert_eq!(decisions_for(&arms(&[99.5, 0.5]), 40.0, 1e-6), Some(1000));
        assert_eq!(decisions_for(&arms(&[100.0]), 1.0, 1e-6), Some(500));
        assert_eq!(decisions_for(&arms(&[100.0, 0.0]), 8.0, 1e-6), Some(100));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn as_many_decisions_see_the_shift_and_half_of_them_do_not(share in 20u8..=80, points in 3u8..15) {
            let (both, points) = (arms(&[f64::from(share), f64::from(100 - share)]), f64::from(points));
            let n = decisions_for(&both, points, 1e-6).unwrap();
            let shift = |n: u64| {
                let share = f64::from(share) / 100.0;
                Binomial::new(n, share).acceptance(1e-6).smallest_shift(share, POWER).unwrap_or(1.0) * 100.0
            };
            for near in [n, n - 3, n + 7, n + 50] {
                prop_assert!(shift(near) <= points + 0.1, "{near}: {}", shift(near));
            }
            prop_assert!(n <= 200 || shift(n / 2) > points);
        }
    }
}
