//! Shares of a configured split, by the exact binomial distribution.
//!
//! One decision is one request on the edge: the version its first attempt chose. Retries do not count, for
//! they are not independent, unless a scenario asks for all attempts. A version that is not named, or named with
//! 0, must get nothing, exactly.

use indexmap::IndexMap;
use wavetank_reports::CheckVerdict;

use super::binomial::{Acceptance, Binomial, smallest_leak};
use super::demand::Arm;
use super::finding::Finding;
use super::power::{DECISIONS_MIN, EXPECTED_MIN, POWER, decisions_for, decisions_needed, uncertain};
use crate::observe::Hop;

/// What a decision counts as that chose no pod.
const NOWHERE: &str = "nowhere";

/// Decisions by version: the named ones as written, then those that were not named.
pub(super) type Counts<'a> = IndexMap<&'a str, u64>;

/// How many statistical tests a split takes: two arms are one test, for one share gives the other.
pub(super) fn tests(arms: &[Arm]) -> usize {
    match uncertain(arms).count() {
        2 => 1,
        more => more,
    }
}

/// What one decision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A request: what its first attempt chose.
    Request,
    /// An attempt.
    Attempt,
}

impl Unit {
    /// The decisions of one request, by the versions they chose.
    pub(crate) fn decisions(self, hop: &Hop) -> impl Iterator<Item = &str> {
        let first = (self == Self::Request).then(|| hop.arm());
        let all = hop.tried.iter().filter(move |_| self == Self::Attempt);
        let all = all.map(|endpoint| endpoint.as_ref().and_then(|own| own.version.as_deref()));
        first.into_iter().chain(all).map(|arm| arm.unwrap_or(NOWHERE))
    }
}

/// How sharply shares are tested.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sharpness {
    /// Size of each test.
    pub(super) alpha: f64,
    /// A test that cannot see a shift of this many points is weak.
    pub(super) detect: f64,
}

/// Judges one split, of which each request on the edge is a decision, or each attempt.
pub(super) fn judge<'a>(arms: &[Arm], hops: Vec<&'a Hop>, unit: Unit, sharpness: Sharpness) -> Finding<'a> {
    let summary = summary(arms);
    if hops.is_empty() {
        return Finding::inconclusive(summary, "no request crossed this edge");
    }
    let mut counts: Counts<'_> = arms.iter().map(|arm| (&*arm.version, 0)).collect();
    for arm in hops.iter().flat_map(|hop| unit.decisions(hop)) {
        *counts.entry(arm).or_default() += 1;
    }
    Finding { evidence: hops, ..judge_counts(arms, &counts, sharpness) }
}

/// Judges the decisions of a split by version, where every arm has its entry.
pub(super) fn judge_counts<'a>(arms: &[Arm], counts: &Counts<'_>, sharpness: Sharpness) -> Finding<'a> {
    let summary = summary(arms);
    let n: u64 = counts.values().sum();
    if n == 0 {
        return Finding::inconclusive(summary, "no request crossed this edge");
    }
    let tested = tested(arms, counts, n, sharpness.alpha);
    let strays = strays(arms, counts);
    let verdict = verdict(&tested, &strays, n);
    let mut finding = Finding { verdict, ..Finding::pass(summary) };
    power(&mut finding, arms, &tested, n, sharpness);
    let shown = shown(arms, counts, tested, verdict, &strays, sharpness.alpha);
    describe(&mut finding, arms, counts, &shown, &strays, n);
    finding
}

/// The arms that a result shows: those that were tested; of a failure those that are wrong, where the tested one of
/// two is not.
fn shown<'a>(
    arms: &'a [Arm],
    counts: &Counts<'_>,
    tested: Vec<Tested<'a>>,
    verdict: CheckVerdict,
    strays: &[(String, u64)],
    alpha: f64,
) -> Vec<Tested<'a>> {
    let wrong = |arm: &Tested<'_>| !arm.is_accepted();
    if verdict != CheckVerdict::Fail
        || (strays.iter().all(|(version, _)| version == NOWHERE) && tested.iter().any(wrong) && tested.len() == 1)
    {
        return tested;
    }
    let n = counts.values().sum();
    let all: Vec<Tested<'a>> = arms.iter().map(|arm| Tested::new(arm, counts, n, alpha)).collect();
    if all.iter().any(wrong) { all.into_iter().filter(wrong).collect() } else { all }
}

fn summary(arms: &[Arm]) -> String {
    format!("split {}", list(arms.iter().map(|arm| format!("{} {}%", arm.version, arm.percent))))
}

/// One arm under test.
struct Tested<'a> {
    arm: &'a Arm,
    count: u64,
    region: Acceptance,
    chance: f64,
}

impl<'a> Tested<'a> {
    fn new(arm: &'a Arm, counts: &Counts<'_>, n: u64, alpha: f64) -> Self {
        let truth = Binomial::new(n, arm.percent / 100.0);
        let count = counts.get(&*arm.version).copied().unwrap_or(0);
        Self { arm, count, region: truth.acceptance(alpha), chance: truth.two_sided(count) }
    }

    fn share(&self) -> f64 {
        self.arm.percent / 100.0
    }

    fn is_accepted(&self) -> bool {
        self.region.accepts(self.count)
    }

    fn is_statistical(&self) -> bool {
        self.arm.percent > 0.0 && self.arm.percent < 100.0
    }
}

/// The arms that are judged: one of two, each of more, and every one that must get nothing or all.
fn tested<'a>(arms: &'a [Arm], counts: &Counts<'_>, n: u64, alpha: f64) -> Vec<Tested<'a>> {
    let paired = uncertain(arms).count() == 2;
    let second = uncertain(arms).nth(1).map(|arm| &arm.version);
    let skipped = |arm: &Arm| paired && Some(&arm.version) == second;
    arms.iter().filter(|arm| !skipped(arm)).map(|arm| Tested::new(arm, counts, n, alpha)).collect()
}

/// Versions that got requests and were not named.
fn strays(arms: &[Arm], counts: &Counts<'_>) -> Vec<(String, u64)> {
    let named = |version: &str| arms.iter().any(|arm| *arm.version == *version);
    counts
        .iter()
        .filter(|(version, _)| !named(version))
        .map(|(version, count)| ((*version).to_owned(), *count))
        .collect()
}

fn verdict(tested: &[Tested<'_>], strays: &[(String, u64)], n: u64) -> CheckVerdict {
    let exact_wrong = tested.iter().any(|arm| !arm.is_statistical() && !arm.is_accepted());
    if exact_wrong || !strays.is_empty() {
        return CheckVerdict::Fail;
    }
    let too_few =
        |arm: &Tested<'_>| n < DECISIONS_MIN || arm.share().min(1.0 - arm.share()) * (n as f64) < EXPECTED_MIN;
    if tested.iter().any(|arm| arm.is_statistical() && too_few(arm)) {
        CheckVerdict::Inconclusive
    } else if tested.iter().all(Tested::is_accepted) {
        CheckVerdict::Pass
    } else {
        CheckVerdict::Fail
    }
}

fn describe(
    finding: &mut Finding<'_>,
    arms: &[Arm],
    counts: &Counts<'_>,
    tested: &[Tested<'_>],
    strays: &[(String, u64)],
    n: u64,
) {
    let percent = |count: u64| format!("{:.1}%", count as f64 * 100.0 / n as f64);
    // Arms that must get nothing are worth a word only when they got something.
    let spoken: Vec<&Tested<'_>> = tested.iter().filter(|arm| arm.arm.percent > 0.0 || arm.count > 0).collect();
    let mut observed: Vec<String> =
        spoken.iter().map(|arm| format!("{} {}/{n} = {}", arm.arm.version, arm.count, percent(arm.count))).collect();
    observed.extend(strays.iter().map(|(version, count)| format!("{version} {count}")));
    finding.observed = observed.join(", ");
    // The first of two arms speaks for both; else each is named.
    let first = arms.iter().find(|arm| arm.percent > 0.0).map(|arm| &arm.version);
    let is_first = |arm: &&Tested<'_>| Some(&arm.arm.version) == first;
    let alone =
        arms.iter().filter(|arm| arm.percent > 0.0).count() <= 2 && spoken.len() == 1 && spoken.iter().all(is_first);
    let named = |arm: &Arm, text: String| if alone { text } else { format!("{} {text}", arm.version) };
    let wanted = arms.iter().filter(|arm| arm.percent > 0.0 || spoken.iter().any(|own| own.arm == *arm));
    let wanted = wanted.filter(|arm| !alone || Some(&arm.version) == first);
    finding.expected = list(wanted.map(|arm| named(arm, format!("{}%", arm.percent))));
    finding.allowed = list(spoken.iter().map(|arm| {
        let (lo, hi) = (arm.region.lo, arm.region.hi);
        let range =
            if lo == hi { lo.to_string() } else { format!("{}–{}", percent(lo).trim_end_matches('%'), percent(hi)) };
        named(arm.arm, range)
    }));
    let got = list(counts.iter().map(|(version, count)| format!("{version} {count}")));
    finding.label = format!("got {got} of {n} decisions");
    match finding.verdict {
        CheckVerdict::Inconclusive => {
            finding.message = format!("{n} decisions are too few for {}", finding.summary);
            finding.label = format!("{n} decisions; at least {} are needed", decisions_needed(arms));
        }
        CheckVerdict::Fail => finding.message = failure(arms, counts, tested, n),
        _ => finding.message = format!("{} of {n} decisions", got),
    }
}

fn failure(arms: &[Arm], counts: &Counts<'_>, tested: &[Tested<'_>], n: u64) -> String {
    if counts.get(NOWHERE) == Some(&n) {
        return format!("none of the {n} requests on {{edge}} reached a pod");
    }
    let shares = |of: &mut dyn Iterator<Item = f64>| {
        let text = |share: f64| format!("{share:.2}").trim_end_matches('0').trim_end_matches('.').to_owned();
        of.map(text).collect::<Vec<_>>().join("/")
    };
    let got = shares(&mut counts.values().map(|count| *count as f64 * 100.0 / n as f64));
    let named = counts.keys().copied().collect::<Vec<_>>().join("/");
    let wanted_of = |version: &str| arms.iter().find(|arm| *arm.version == *version).map_or(0.0, |arm| arm.percent);
    let wanted = shares(&mut counts.keys().map(|version| wanted_of(version)));
    let worst = tested.iter().filter(|arm| !arm.is_accepted()).map(|arm| arm.chance).fold(1.0, f64::min);
    let chance = match worst {
        chance if chance < 1e-300 => "; p < 1e-300".to_owned(),
        chance if chance < 1.0 => format!("; p = {chance:.0e}"),
        _ => String::new(),
    };
    format!("traffic split on {{edge}} is {got} ({named}), not {wanted}{chance}")
}

/// Says what the test can see, and warns when that is not much.
fn power(finding: &mut Finding<'_>, arms: &[Arm], tested: &[Tested<'_>], n: u64, sharpness: Sharpness) {
    let statistical: Vec<&Tested<'_>> = tested.iter().filter(|arm| arm.is_statistical()).collect();
    if statistical.is_empty() {
        finding.power = Some(format!("a {:.2}% leak would show", smallest_leak(n) * 100.0));
        return;
    }
    if finding.verdict == CheckVerdict::Inconclusive {
        return;
    }
    let shift = |arm: &&Tested<'_>| arm.region.smallest_shift(arm.share(), POWER).unwrap_or(1.0);
    // Rounded up, so that what is said to be seen is seen.
    let points = (statistical.iter().map(shift).fold(0.0, f64::max) * 1000.0).ceil() / 10.0;
    finding.power = Some(format!("sees shifts ≥ {points:.1} pt"));
    let Sharpness { alpha, detect } = sharpness;
    if finding.verdict == CheckVerdict::Pass && points > detect {
        let needed = decisions_for(arms, detect, alpha).map_or_else(|| "millions of".to_owned(), |own| own.to_string());
        finding.weak = Some((
            format!("weak check: {} of {n} decisions sees only shifts of {points:.1} points or more", finding.summary),
            format!("about {needed} decisions see a shift of {detect} points"),
        ));
    }
}

fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::sample::hops_to;
    use super::*;

    const SHARPNESS: Sharpness = Sharpness { alpha: 1e-6, detect: 8.0 };

    fn arms(written: &[(&str, f64)]) -> Vec<Arm> {
        written.iter().map(|(version, percent)| Arm { version: (*version).into(), percent: *percent }).collect()
    }

    fn verdict_of(written: &[(&str, f64)], got: &[(&str, u64)]) -> (CheckVerdict, String) {
        let hops = hops_to(got);
        let finding = judge(&arms(written), hops.iter().collect(), Unit::Request, SHARPNESS);
        (finding.verdict, format!("{} | {} | {:?}", finding.observed, finding.allowed, finding.power))
    }

    const CANARY: &[(&str, f64)] = &[("v1", 70.0), ("v2", 30.0)];

    #[test]
    fn the_region_ends_where_the_table_says() {
        for (v1, wanted) in [
            (1297, CheckVerdict::Fail),
            (1298, CheckVerdict::Pass),
            (1499, CheckVerdict::Pass),
            (1500, CheckVerdict::Fail),
        ] {
            assert_eq!(verdict_of(CANARY, &[("v1", v1), ("v2", 2000 - v1)]).0, wanted, "{v1}");
        }
    }

    #[test]
    fn a_pass_shows_range_and_power() {
        let (_, text) = verdict_of(CANARY, &[("v1", 1392), ("v2", 608)]);
        assert_eq!(text, r#"v1 1392/2000 = 69.6% | 64.9–75.0% | Some("sees shifts ≥ 7.7 pt")"#);
    }

    #[test]
    fn zero_weight_and_arms_left_out_get_exactly_nothing() {
        let pinned: &[(&str, f64)] = &[("v1", 100.0), ("v2", 0.0)];
        assert_eq!(verdict_of(pinned, &[("v1", 500)]).0, CheckVerdict::Pass);
        assert_eq!(verdict_of(pinned, &[("v1", 4999), ("v2", 1)]).0, CheckVerdict::Fail);
        assert_eq!(verdict_of(&[("v1", 100.0)], &[("v1", 4999), ("v2", 1)]).0, CheckVerdict::Fail);
        assert_eq!(verdict_of(CANARY, &[("v1", 1400), ("v2", 600), ("v3", 1)]).0, CheckVerdict::Fail);
        assert_eq!(verdict_of(CANARY, &[("v1", 1400), ("v2", 600), ("", 1)]).0, CheckVerdict::Fail);
    }

    #[test]
    fn too_few_decisions_are_inconclusive() {
        assert_eq!(verdict_of(CANARY, &[]).0, CheckVerdict::Inconclusive);
        assert_eq!(verdict_of(CANARY, &[("v1", 20), ("v2", 9)]).0, CheckVerdict::Inconclusive);
        assert_eq!(verdict_of(&[("v1", 99.0), ("v2", 1.0)], &[("v1", 400)]).0, CheckVerdict::Inconclusive);
    }

    #[test]
    fn three_arms_are_three_tests_and_two_are_one() {
        let three = arms(&[("v1", 50.0), ("v2", 30.0), ("v3", 20.0)]);
        assert_eq!((tests(&three), tests(&arms(CANARY)), tests(&arms(&[("v1", 100.0)]))), (3, 1, 0));
        let hops = hops_to(&[("v1", 1000), ("v2", 600), ("v3", 400)]);
        assert_eq!(judge(&three, hops.iter().collect(), Unit::Request, SHARPNESS).verdict, CheckVerdict::Pass);
        let hops = hops_to(&[("v1", 1000), ("v2", 400), ("v3", 600)]);
        assert_eq!(judge(&three, hops.iter().collect(), Unit::Request, SHARPNESS).verdict, CheckVerdict::Fail);
    }

    #[test]
    fn a_blunt_test_says_so() {
        let hops = hops_to(&[("v1", 70), ("v2", 30)]);
        let (message, help) = judge(&arms(CANARY), hops.iter().collect(), Unit::Request, SHARPNESS).weak.unwrap();
        assert!(message.contains("34.8 points") && help.contains("1900"), "{message} / {help}");
    }

    #[test]
    fn a_failure_names_shares_and_chance() {
        let hops = hops_to(&[("v1", 1003), ("v2", 997)]);
        let finding = judge(&arms(CANARY), hops.iter().collect(), Unit::Request, SHARPNESS);
        assert_eq!(finding.message, "traffic split on {edge} is 50.15/49.85 (v1/v2), not 70/30; p = 1e-76");
        assert_eq!(finding.label, "got v1 1003, v2 997 of 2000 decisions");
    }

    #[test]
    fn what_is_weak_follows_from_what_is_to_be_seen() {
        let hops = hops_to(&[("v1", 1400), ("v2", 600)]);
        let weak =
            |detect| judge(&arms(CANARY), hops.iter().collect(), Unit::Request, Sharpness { detect, ..SHARPNESS }).weak;
        assert_eq!(weak(7.7), None);
        let (message, help) = weak(5.0).unwrap();
        assert!(message.contains("7.7 points") && help == "about 4600 decisions see a shift of 5 points", "{help}");
    }

    #[test]
    fn attempts_are_decisions_of_their_own_where_that_is_asked_for() {
        let mut hops = hops_to(&[("v1", 700), ("v2", 300)]);
        let (v1, v2) = (hops[0].tried[0].clone(), hops[999].tried[0].clone());
        // Every request to v2 is tried again, half of them on v2, and one more goes nowhere.
        for (at, hop) in hops.iter_mut().skip(700).enumerate() {
            hop.tried.push(if at % 2 == 0 { v1.clone() } else { v2.clone() });
        }
        let judged = |hops: &[Hop], unit| {
            let finding = judge(&arms(CANARY), hops.iter().collect(), unit, SHARPNESS);
            (finding.verdict, finding.label)
        };
        let first = judged(&hops, Unit::Request);
        assert_eq!(first, (CheckVerdict::Pass, "got v1 700, v2 300 of 1000 decisions".to_owned()));
        let all = judged(&hops, Unit::Attempt);
        assert_eq!(all, (CheckVerdict::Pass, "got v1 850, v2 450 of 1300 decisions".to_owned()));
        hops[0].tried.push(None);
        assert_eq!(judged(&hops, Unit::Attempt).0, CheckVerdict::Fail);
    }

    #[test]
    fn a_failure_names_the_arms_that_are_wrong() {
        let shown = |arms_of: &[(&str, f64)], counts: &[(&str, u64)]| {
            let hops = hops_to(counts);
            let found = judge(&arms(arms_of), hops.iter().collect(), Unit::Request, SHARPNESS);
            (found.observed, found.expected, found.allowed)
        };
        let text = |parts: [&str; 3]| (parts[0].to_owned(), parts[1].to_owned(), parts[2].to_owned());
        assert_eq!(
            shown(&[("v1", 70.0), ("v3", 30.0)], &[("v1", 215), ("v2", 85)]),
            text(["v3 0/300 = 0.0%, v2 85", "v1 70%, v3 30%", "v3 17.7–43.3%"])
        );
        assert_eq!(
            shown(&[("v1", 50.0), ("v2", 30.0), ("v3", 20.0)], &[("v1", 1000), ("v2", 400), ("v3", 600)]).1,
            "v1 50%, v2 30%, v3 20%"
        );
        assert_eq!(shown(CANARY, &[("v1", 1000), ("v2", 1000)]).0, "v1 1000/2000 = 50.0%");
    }
}
