//! The distribution behind each split, and how each came about.

use wavetank_reports::html::{SplitLine, SplitPicture, SplitPoint};

use crate::check::binomial::Binomial;
use crate::check::{Arm, Check, Demand};
use crate::observe::{Hop, ObservationLog};

/// How far from its mean a curve is drawn, in standard deviations.
const DEVIATIONS: f64 = 6.0;
/// Points of a curve at most.
const POINTS_MAX: u64 = 240;

/// Moments at which a split is followed, and splits that are.
const MOMENTS: usize = 60;
const LINES_MAX: usize = 4;
/// The power that a shift must be seen with.
const POWER: f64 = 0.99;

/// A picture for every share that is judged by chance at `alpha`; of two shares, the first.
pub(super) fn splits(checks: &[Check], log: &ObservationLog, alpha: f64) -> Vec<SplitPicture> {
    let picture = |(check, arm): (&Check, &Arm)| {
        let hops: Vec<&Hop> = check.scope.hops(log).collect();
        let count = hops.iter().filter(|hop| hop.arm() == Some(&*arm.version)).count() as u64;
        (!hops.is_empty()).then(|| picture(check.scope.to_string(), arm, hops.len() as u64, count, alpha))
    };
    by_chance(checks).filter_map(picture).collect()
}

/// The same shares, as they were after ever more decisions.
pub(super) fn over_time(checks: &[Check], log: &ObservationLog, alpha: f64) -> Vec<SplitLine> {
    let line = |(check, arm): (&Check, &Arm)| {
        let hops: Vec<&Hop> = check.scope.hops(log).collect();
        let points = points(arm, &hops, log, alpha);
        let (edge, arm, percent) = (check.scope.to_string(), arm.version.to_string(), arm.percent);
        (!points.is_empty()).then_some(SplitLine { edge, arm, percent, points })
    };
    by_chance(checks).filter_map(line).take(LINES_MAX).collect()
}

fn points(arm: &Arm, hops: &[&Hop], log: &ObservationLog, alpha: f64) -> Vec<SplitPoint> {
    let moments = hops.len().min(MOMENTS);
    let ends = (1..=moments).map(|moment| moment * hops.len() / moments);
    let (mut count, mut before) = (0, 0);
    let point = |end: usize| {
        count += hops[before..end].iter().filter(|hop| hop.arm() == Some(&*arm.version)).count() as u64;
        before = end;
        let region = Binomial::new(end as u64, arm.percent / 100.0).acceptance(alpha);
        let at_ms = u64::try_from((hops[end - 1].at - log.start()).as_millis()).unwrap_or(u64::MAX);
        SplitPoint { at_ms, n: end as u64, count, accepted: (region.lo, region.hi) }
    };
    ends.map(point).collect()
}

/// Every share that is judged by chance, with its check; of two shares, the first.
fn by_chance(checks: &[Check]) -> impl Iterator<Item = (&Check, &Arm)> {
    checks.iter().flat_map(|check| {
        let arms: &[Arm] = if let Demand::Split(arms) = &check.demand { arms } else { &[] };
        let uncertain: Vec<&Arm> = arms.iter().filter(|arm| arm.percent > 0.0 && arm.percent < 100.0).collect();
        let judged = if uncertain.len() == 2 { 1 } else { uncertain.len() };
        uncertain.into_iter().take(judged).map(move |arm| (check, arm))
    })
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
        // Rounded up, so that what is said to be seen is seen.
        sees_points: region.smallest_shift(share, POWER).map(|shift| (shift * 1000.0).ceil() / 10.0),
        curve: curve.map(|count| (count, (truth.at_most(count) - below(count)).max(0.0))).collect(),
    }
}
