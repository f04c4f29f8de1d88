//! The distribution behind each split.

use wavetank_reports::html::SplitPicture;

use crate::check::binomial::Binomial;
use crate::check::{Arm, Check, Demand, judge};
use crate::observe::ObservationLog;

/// How far from its mean a curve is drawn, in standard deviations.
const DEVIATIONS: f64 = 6.0;
/// Points of a curve at most.
const POINTS_MAX: u64 = 240;

/// A picture for every share that is judged by chance; of two shares, the first.
pub(super) fn splits(checks: &[Check], log: &ObservationLog, alpha: f64) -> Vec<SplitPicture> {
    let alpha = judge::share_of_budget(checks, alpha);
    let mut pictures = Vec::new();
    for check in checks {
        let Demand::Split(arms) = &check.demand else { continue };
        let by_chance: Vec<&Arm> = arms.iter().filter(|arm| arm.percent > 0.0 && arm.percent < 100.0).collect();
        let judged = if by_chance.len() == 2 { 1 } else { by_chance.len() };
        let n = check.scope.hops(log).count() as u64;
        for arm in by_chance.into_iter().take(judged).filter(|_| n > 0) {
            let count = check.scope.hops(log).filter(|hop| hop.arm() == Some(&*arm.version)).count() as u64;
            pictures.push(picture(check.scope.to_string(), arm, n, count, alpha));
        }
    }
    pictures
}

fn picture(edge: String, arm: &Arm, n: u64, count: u64, alpha: f64) -> SplitPicture {
    let share = arm.percent / 100.0;
    let truth = Binomial::new(n, share);
    let region = truth.acceptance(alpha);
    let (mean, deviation) = (n as f64 * share, (n as f64 * share * (1.0 - share)).sqrt());
    let from = ((mean - DEVIATIONS * deviation).max(0.0) as u64).min(region.lo);
    let to = ((mean + DEVIATIONS * deviation).ceil() as u64).min(n).max(region.hi);
    let step = ((to - from) / POINTS_MAX).max(1);
    let below = |count: u64| count.checked_sub(1).map_or(0.0, |before| truth.at_most(before));
    let curve = (from..=to).step_by(usize::try_from(step).unwrap_or(1));
    SplitPicture {
        edge,
        arm: arm.version.to_string(),
        percent: arm.percent,
        n,
        count,
        accepted: (region.lo, region.hi),
        alpha,
        curve: curve.map(|count| (count, (truth.at_most(count) - below(count)).max(0.0))).collect(),
    }
}
