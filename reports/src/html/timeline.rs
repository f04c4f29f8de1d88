//! What happened when: steps and faults as bands, requests by status, and what each proxy was sent and took.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::model::{ProxyRow, Timeline};
use super::page::section;
use super::svg::{Scale, duration, n, ticks};
use crate::escape::markup;

const WIDTH: f64 = 1130.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 12.0;
const BAND: f64 = 18.0;
const BARS: f64 = 110.0;
const ROW: f64 = 13.0;
/// Marks of all proxies at most.
const MARKS_MAX: usize = 1500;

/// The timeline, when anything happened.
pub(super) fn render(out: &mut String, timeline: &Timeline) {
    if timeline.rates.is_empty() && timeline.proxies.is_empty() {
        return;
    }
    let lead = "Virtual time; 0 is when traffic begins, with every proxy in sync. Bars are the clients' requests by their answer; a hollow mark is \
                a push to a proxy, a full one its acceptance, a red one its refusal.";
    section(out, "Timeline", lead);
    let marks = if timeline.bands.is_empty() { 0.0 } else { rows(timeline).len() as f64 * BAND + 6.0 };
    let bars = marks + 8.0;
    let proxies = bars + BARS + 12.0;
    let axis = proxies + timeline.proxies.len() as f64 * ROW + 4.0;
    let height = axis + 22.0;
    let _ = writeln!(
        out,
        "<div class=\"wide\"><svg class=\"timeline\" viewBox=\"0 0 {WIDTH} {}\" width=\"{WIDTH}\" height=\"{}\" role=\"img\" aria-label=\"timeline\">",
        n(height),
        n(height)
    );
    let scale = Scale::new((timeline.from_ms, timeline.to_ms), (LEFT, WIDTH - RIGHT));
    bands(out, timeline, scale, axis);
    axis_of(out, timeline, scale, axis);
    rates(out, timeline, scale, bars);
    let width = mark_width(timeline, scale);
    for (at, row) in timeline.proxies.iter().enumerate() {
        proxy(out, row, scale, width, proxies + at as f64 * ROW);
    }
    out.push_str("</svg></div>\n");
    if timeline.proxies_left_out > 0 {
        let _ = writeln!(out, "<p class=\"lead\">{} more proxies are left out.</p>", timeline.proxies_left_out);
    }
    out.push_str(KEY);
    out.push_str("</section>\n");
}

const KEY: &str = "<p class=\"key\"><i class=\"fine\"></i>answered below 400 <i class=\"refused\"></i>4xx <i class=\"failed\"></i>5xx <i class=\"lost\"></i>no answer</p>\n";

/// Which row each band takes, so that none covers another.
fn rows(timeline: &Timeline) -> Vec<Vec<usize>> {
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for (at, band) in timeline.bands.iter().enumerate() {
        let is_free = |row: &Vec<usize>| {
            row.iter().all(|own| {
                let own = &timeline.bands[*own];
                own.is_fault == band.is_fault && (own.to_ms <= band.from_ms || band.to_ms <= own.from_ms)
            })
        };
        match rows.iter().position(is_free) {
            Some(row) => rows[row].push(at),
            None => rows.push(vec![at]),
        }
    }
    rows
}

fn bands(out: &mut String, timeline: &Timeline, scale: Scale, bottom: f64) {
    for (row, bands) in rows(timeline).iter().enumerate() {
        for band in bands.iter().map(|at| &timeline.bands[*at]) {
            let (from, to) = (band.from_ms.max(timeline.from_ms), band.to_ms.min(timeline.to_ms));
            let (left, right) = (scale.at(from), scale.at(to));
            let class = if band.is_fault { "fault" } else { "step" };
            let top = row as f64 * BAND;
            let width = n((right - left).max(2.0));
            let _ = writeln!(
                out,
                "<g class=\"{class}\"><rect class=\"shade\" x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{}\"/><rect x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{}\" rx=\"3\"/>",
                n(left),
                n(top),
                n(bottom - top),
                n(left),
                n(top),
                n(BAND - 3.0),
            );
            // Before the right margin there is always room for some of it.
            let (x, end) = if left > WIDTH * 0.7 { (right.min(WIDTH - RIGHT) - 4.0, " end") } else { (left + 4.0, "") };
            let _ = writeln!(
                out,
                "<text class=\"small{end}\" x=\"{}\" y=\"{}\">{}</text><title>{}</title></g>",
                n(x),
                n(top + 11.5),
                markup(&band.label),
                markup(&format!("{}: {} to {}", band.label, duration(band.from_ms), duration(band.to_ms)))
            );
        }
    }
}

fn axis_of(out: &mut String, timeline: &Timeline, scale: Scale, bottom: f64) {
    let _ = writeln!(out, "<path class=\"axis\" d=\"M{} {}H{}\"/>", n(LEFT), n(bottom), n(WIDTH - RIGHT));
    for tick in ticks(timeline.from_ms, timeline.to_ms, 10) {
        let x = n(scale.at(tick));
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{x} 0V{}\"/><text class=\"small\" x=\"{x}\" y=\"{}\">{}</text>",
            n(bottom),
            n(bottom + 15.0),
            duration(tick)
        );
    }
}

fn rates(out: &mut String, timeline: &Timeline, scale: Scale, top: f64) {
    let most = timeline.rates.iter().map(|bin| bin.fine + bin.refused + bin.failed + bin.lost).max().unwrap_or(0);
    if most == 0 {
        return;
    }
    let per_second = most as f64 * 1000.0 / timeline.bin_ms.max(1.0);
    let _ = writeln!(
        out,
        "<text class=\"small end\" x=\"{}\" y=\"{}\">requests</text><text class=\"small end\" x=\"{}\" y=\"{}\">most: {per_second:.0} a second</text><path class=\"axis\" d=\"M{} {}H{}\"/>",
        n(LEFT - 8.0),
        n(top + 12.0),
        n(LEFT - 8.0),
        n(top + 28.0),
        n(LEFT),
        n(top + BARS),
        n(WIDTH - RIGHT),
    );
    let height = Scale::new((0.0, most as f64), (0.0, BARS));
    for (at, bin) in timeline.rates.iter().enumerate() {
        let (left, right) = (scale.at(at as f64 * timeline.bin_ms), scale.at((at + 1) as f64 * timeline.bin_ms));
        let mut below = 0;
        for (class, count) in [("failed", bin.failed), ("lost", bin.lost), ("refused", bin.refused), ("fine", bin.fine)]
        {
            if count == 0 {
                continue;
            }
            let (low, high) = (height.at(below as f64), height.at((below + count) as f64));
            let _ = writeln!(
                out,
                "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                n(left),
                n(top + BARS - high),
                n((right - left - 0.6).max(0.4)),
                n(high - low),
            );
            below += count;
        }
    }
}

fn proxy(out: &mut String, row: &ProxyRow, scale: Scale, width: f64, top: f64) {
    let middle = n(top + ROW / 2.0);
    let _ = writeln!(
        out,
        "<text class=\"small end\" x=\"{}\" y=\"{}\">{}</text><path class=\"grid\" d=\"M{} {middle}H{}\"/>",
        n(LEFT - 8.0),
        n(top + ROW / 2.0 + 3.5),
        markup(&row.name),
        n(LEFT),
        n(WIDTH - RIGHT),
    );
    for (class, times) in [("push", &row.pushes), ("ack", &row.acks), ("nack", &row.nacks)] {
        for (x, (count, first)) in marks(times, scale, width) {
            let _ = writeln!(
                out,
                "<circle class=\"{class}\" cx=\"{x}\" cy=\"{middle}\" r=\"3\"><title>{}: {count} {class} at {}</title></circle>",
                markup(&row.name),
                duration(first)
            );
        }
    }
}

/// How many pixels share a mark, so that there are not too many of them.
fn mark_width(timeline: &Timeline, scale: Scale) -> f64 {
    let all = || timeline.proxies.iter().flat_map(|row| [&row.pushes, &row.acks, &row.nacks]);
    let count = |width: f64| all().map(|times| marks(times, scale, width).len()).sum::<usize>();
    let mut width = 1.0;
    while count(width) > MARKS_MAX && width < WIDTH {
        width *= 2.0;
    }
    width
}

/// Times that fall on `width` pixels are one mark: how many there are, and the first.
fn marks(times: &[f64], scale: Scale, width: f64) -> BTreeMap<i64, (usize, f64)> {
    let mut marks: BTreeMap<i64, (usize, f64)> = BTreeMap::new();
    for time in times {
        let pixel = ((scale.at(*time) / width).round() * width) as i64;
        let mark = marks.entry(pixel).or_insert((0, *time));
        mark.0 += 1;
    }
    marks
}
