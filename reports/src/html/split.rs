//! The picture of a split: how likely each count is, which counts are accepted, and which one it was.

use std::fmt::Write;

use super::model::SplitPicture;
use super::page::section;
use super::svg::{Scale, cut, n, percent, ticks};
use crate::escape::markup;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 166.0;
const LEFT: f64 = 10.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 130.0;

/// A picture for each test.
pub(super) fn render(out: &mut String, splits: &[SplitPicture]) {
    if splits.is_empty() {
        return;
    }
    let lead = "A weight is a probability: each request decides for itself. The curve shows how likely each count is when the weights are as \
                asked, the shaded band holds the counts that are accepted, the upright line is the count that was.";
    section(out, "Splits", lead);
    out.push_str("<div class=\"row\">\n");
    splits.iter().for_each(|split| picture(out, split));
    out.push_str("</div></section>\n");
}

fn picture(out: &mut String, split: &SplitPicture) {
    let (lo, hi) = split.accepted;
    let is_accepted = (lo..=hi).contains(&split.count);
    let class = if is_accepted { "ok" } else { "bad" };
    let _ = writeln!(
        out,
        "<figure class=\"split {class}\"><figcaption>{} · <b>{}</b> wants {}%</figcaption>",
        markup(&split.edge),
        markup(&split.arm),
        split.percent
    );
    let (first, last) =
        (split.curve.first().map_or(lo, |point| point.0), split.curve.last().map_or(hi, |point| point.0));
    let (from, to) = (first.min(split.count) as f64, last.max(split.count) as f64);
    let room = ((to - from) * 0.04).max(1.0);
    let x = Scale::new((from - room, to + room), (LEFT, WIDTH - LEFT));
    let _ = writeln!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"{} of {} decisions; accepted are {lo} to {hi}\">",
        split.count, split.n
    );
    let _ = writeln!(
        out,
        "<rect class=\"accepted\" x=\"{}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"/>",
        n(x.at(lo as f64)),
        n((x.at(hi as f64) - x.at(lo as f64)).max(2.0)),
        n(BOTTOM - TOP)
    );
    curve(out, split, x);
    for tick in ticks(from, to, 7) {
        let at = n(x.at(tick));
        let _ = writeln!(
            out,
            "<path class=\"axis\" d=\"M{at} {BOTTOM}v4\"/><text class=\"small\" x=\"{at}\" y=\"{}\">{tick:.0}</text>",
            n(BOTTOM + 15.0)
        );
    }
    marks(out, split, x);
    let _ = writeln!(
        out,
        "<p class=\"lead\">Of {} decisions {lo} to {hi} are accepted ({} to {}); a proper run falls outside once in {} runs. {}</p></figure>",
        split.n,
        percent(lo, split.n),
        percent(hi, split.n),
        once_in(split.alpha),
        power(split)
    );
}

/// How likely each count is.
fn curve(out: &mut String, split: &SplitPicture, x: Scale) {
    let (Some(first), Some(last)) = (split.curve.first(), split.curve.last()) else { return };
    let most = split.curve.iter().map(|point| point.1).fold(0.0, f64::max);
    let y = Scale::new((0.0, most), (BOTTOM, TOP + 6.0));
    let mut path = format!("M{} {BOTTOM}", n(x.at(first.0 as f64)));
    for (count, chance) in &split.curve {
        let _ = write!(path, "L{} {}", n(x.at(*count as f64)), n(y.at(*chance)));
    }
    let _ = writeln!(out, "<path class=\"curve\" d=\"{path}L{} {BOTTOM}z\"/>", n(x.at(last.0 as f64)));
}

/// The axis, the count that was, and the count that is asked for.
fn marks(out: &mut String, split: &SplitPicture, x: Scale) {
    let seen = x.at(split.count as f64);
    let (end, shift) = match seen {
        seen if seen < WIDTH * 0.25 => ("start", -4.0),
        seen if seen > WIDTH * 0.75 => ("end", 4.0),
        _ => ("middle", 0.0),
    };
    let ask = x.at(split.n as f64 * split.percent / 100.0);
    let _ = writeln!(
        out,
        "<path class=\"axis\" d=\"M{LEFT} {BOTTOM}H{}\"/><path class=\"seen\" d=\"M{} {TOP}V{}\"/><text class=\"seen\" style=\"text-anchor:{end}\" x=\"{}\" y=\"{}\">{} of {} = {}</text><path class=\"asked\" d=\"M{} {TOP}V{BOTTOM}\"/><text class=\"small end\" x=\"{}\" y=\"{}\">decisions for {}</text></svg>",
        n(WIDTH - LEFT),
        n(seen),
        n(BOTTOM + 4.0),
        n(seen + shift),
        n(TOP - 8.0),
        split.count,
        split.n,
        percent(split.count, split.n),
        n(ask),
        n(WIDTH - LEFT),
        n(BOTTOM + 30.0),
        markup(&cut(&split.arm, 30))
    );
}

/// What the test can see.
fn power(split: &SplitPicture) -> String {
    match split.sees_points {
        Some(points) => format!("A true share that is {points:.1} points off is found with 99 %."),
        None => "So few decisions find no wrong share with 99 %.".to_owned(),
    }
}

/// `1,000,000` for 1e-6.
fn once_in(alpha: f64) -> String {
    let text = format!("{:.0}", 1.0 / alpha.max(1e-18));
    let mut out = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (text.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
