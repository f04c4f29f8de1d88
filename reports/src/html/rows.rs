//! Lines of the timeline: each split as it went, in the band that is accepted, and the clients' latencies.

use std::fmt::Write;

use super::model::{LatencyBin, SplitLine, SplitPoint, Timeline};
use super::svg::{Scale, cut, duration, n};
use super::timeline::{LEFT, RIGHT, WIDTH};
use crate::escape::markup;

/// Height of a row with the room below it.
pub(super) const ROW_HEIGHT: f64 = 84.0;
const HEIGHT: f64 = 66.0;
/// Points of a share that are shown above and below what is asked for, at least.
const POINTS: f64 = 15.0;
/// Characters of a name beside a row.
const NAME_MAX: usize = 23;
const QUANTILES: [&str; 3] = ["p50", "p95", "p99"];

/// The rows from `top` downwards.
pub(super) fn render(out: &mut String, timeline: &Timeline, scale: Scale, top: f64) {
    for (at, split) in timeline.splits.iter().enumerate() {
        self::split(out, split, scale, top + at as f64 * ROW_HEIGHT);
    }
    if !timeline.latencies.is_empty() {
        latencies(out, &timeline.latencies, scale, top + timeline.splits.len() as f64 * ROW_HEIGHT);
    }
}

/// How the rows are read.
pub(super) fn notes(timeline: &Timeline) -> Vec<String> {
    let mut notes = Vec::new();
    if !timeline.splits.is_empty() {
        notes.push(
            "A split's line is its share of all decisions so far; the band holds the shares that would be accepted of so many, and the \
             end of the line is what is judged."
                .to_owned(),
        );
    }
    if !timeline.latencies.is_empty() {
        notes.push(
            "Latencies are those that clients saw, by when they sent the request, from bottom to top p50, p95 and p99."
                .to_owned(),
        );
    }
    notes
}

fn side(out: &mut String, y: f64, text: &str) {
    let _ = writeln!(
        out,
        "<text class=\"small end\" x=\"{}\" y=\"{}\">{}</text>",
        n(LEFT - 8.0),
        n(y),
        markup(&cut(text, NAME_MAX))
    );
}

fn base(out: &mut String, y: f64) {
    let _ = writeln!(out, "<path class=\"grid\" d=\"M{} {}H{}\"/>", n(LEFT), n(y), n(WIDTH - RIGHT));
}

fn split(out: &mut String, split: &SplitLine, scale: Scale, top: f64) {
    let share = |count: u64, of: u64| count as f64 * 100.0 / of.max(1) as f64;
    let last = split.points.last().map_or(split.percent, |last| share(last.count, last.n));
    let low = (split.percent - POINTS).min(last - 2.0).max(0.0).floor();
    let high = (split.percent + POINTS).max(last + 2.0).min(100.0).ceil();
    let y = Scale::new((low, high), (top + HEIGHT, top));
    let at = |value: f64| n(y.at(value.clamp(low, high)));
    let x = |point: &SplitPoint| n(scale.at(point.at_ms as f64));
    let mut band = String::new();
    for (letter, point) in std::iter::once("M").chain(std::iter::repeat("L")).zip(&split.points) {
        let _ = write!(band, "{letter}{} {}", x(point), at(share(point.accepted.1, point.n)));
    }
    for point in split.points.iter().rev() {
        let _ = write!(band, "L{} {}", x(point), at(share(point.accepted.0, point.n)));
    }
    let mut line = String::new();
    for (letter, point) in std::iter::once("M").chain(std::iter::repeat("L")).zip(&split.points) {
        let _ = write!(line, "{letter}{} {}", x(point), at(share(point.count, point.n)));
    }
    let ended = split.points.last().is_none_or(|last| (last.accepted.0..=last.accepted.1).contains(&last.count));
    let class = if ended { "ok" } else { "bad" };
    base(out, top + HEIGHT);
    let _ = writeln!(
        out,
        "<path class=\"accepted\" d=\"{band}z\"/><path class=\"asked\" d=\"M{} {}H{}\"/><path class=\"share {class}\" d=\"{line}\"><title>{}</title></path>",
        n(LEFT),
        at(split.percent),
        n(WIDTH - RIGHT),
        markup(&format!("{}: {} is {last:.1}% in the end", split.edge, split.arm))
    );
    side(out, top + 12.0, &format!("{high:.0}%"));
    side(out, top + HEIGHT / 2.0 - 2.0, &format!("{} wants {}%", split.arm, split.percent));
    side(out, top + HEIGHT / 2.0 + 10.0, &split.edge.replace("->", "→"));
    side(out, top + HEIGHT, &format!("{low:.0}%"));
}

fn latencies(out: &mut String, bins: &[LatencyBin], scale: Scale, top: f64) {
    let values = || bins.iter().flat_map(|bin| bin.quantiles).map(|value| value.max(0.01));
    let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(0.01, f64::max));
    // A scale of powers, for a timeout is a thousand times an answer.
    let y = Scale::new((low.log10() - 0.08, high.log10() + 0.08), (top + HEIGHT, top));
    let at = |value: f64| n(y.at(value.max(0.01).log10()));
    let end = |ms: f64| n(scale.at(ms).min(WIDTH - RIGHT));
    base(out, top + HEIGHT);
    for (place, name) in QUANTILES.iter().enumerate() {
        let mut line = String::new();
        let mut before = f64::NAN;
        for bin in bins {
            let value = at(bin.quantiles[place]);
            let step =
                if bin.from_ms == before { format!("V{value}") } else { format!("M{} {value}", end(bin.from_ms)) };
            let _ = write!(line, "{step}H{}", end(bin.to_ms));
            before = bin.to_ms;
        }
        let _ = writeln!(out, "<path class=\"quantile q{place}\" d=\"{line}\"><title>{name}</title></path>");
    }
    side(out, top + 12.0, &duration(high));
    side(out, top + HEIGHT / 2.0 + 4.0, "latency p50 p95 p99");
    side(out, top + HEIGHT, &duration(low));
}
