//! What happened when: steps and faults as bands, requests by status, splits and latencies as they went,
//! and what each proxy was sent and took.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::model::{Band, ProxyRow, Timeline};
use super::page::section;
use super::rows::{self, ROW_HEIGHT};
use super::svg::{Scale, cut, duration, n, time_ticks};
use crate::escape::markup;

pub(super) const WIDTH: f64 = 1130.0;
pub(super) const LEFT: f64 = 150.0;
pub(super) const RIGHT: f64 = 12.0;
const BAND: f64 = 18.0;
const BARS: f64 = 110.0;
const ROW: f64 = 13.0;
/// How wide a character of a band's name is at most, on average.
const LETTER: f64 = 6.1;
/// Bands that are told to who does not see the drawing.
const BANDS_TOLD: usize = 20;
/// Characters of a proxy's name that have room.
const NAME_MAX: usize = 23;
/// Marks of all proxies at most.
const MARKS_MAX: usize = 1500;

/// The timeline, when anything happened.
pub(super) fn render(out: &mut String, timeline: &Timeline) {
    if timeline.rates.is_empty() && timeline.proxies.is_empty() {
        return;
    }
    let lead = "Virtual time; 0 is when traffic begins, with every proxy in sync. Bars are the clients' requests by their answer. Below them, \
                for each proxy: a hollow mark is a push, a full one its acceptance, a cross its refusal.";
    section(out, "Timeline", lead);
    let marks = if timeline.bands.is_empty() { 0.0 } else { rows(timeline).len() as f64 * BAND + 6.0 };
    let bars = marks + 8.0;
    let lines = bars + BARS + 14.0;
    let counted = timeline.splits.len() + usize::from(!timeline.latencies.is_empty());
    let proxies = lines + counted as f64 * ROW_HEIGHT;
    let axis = proxies + timeline.proxies.len() as f64 * ROW + 4.0;
    let height = n(axis + 22.0);
    let _ = writeln!(
        out,
        "<div class=\"wide\"><svg class=\"timeline\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">",
        markup(&about(timeline))
    );
    let scale = Scale::new((timeline.from_ms, timeline.to_ms), (LEFT, WIDTH - RIGHT));
    bands(out, timeline, scale, axis);
    axis_of(out, timeline, scale, axis);
    rates(out, timeline, scale, bars);
    rows::render(out, timeline, scale, lines);
    let width = mark_width(timeline, scale);
    for (at, row) in timeline.proxies.iter().enumerate() {
        proxy(out, row, scale, width, proxies + at as f64 * ROW);
    }
    out.push_str("</svg></div>\n");
    out.push_str(KEY);
    below(out, timeline, scale);
    out.push_str("</section>\n");
}

const KEY: &str = "<p class=\"key\"><i class=\"fine\"></i>answered below 400 <i class=\"refused\"></i>4xx <i class=\"failed\"></i>5xx <i class=\"lost\"></i>no answer</p>\n";

/// The drawing in a sentence.
fn about(timeline: &Timeline) -> String {
    let sum = |of: fn(&super::model::RateBin) -> u64| timeline.rates.iter().map(of).sum::<u64>();
    let bands: Vec<String> = timeline.bands.iter().take(BANDS_TOLD).map(in_words).collect();
    let bands = if bands.is_empty() { String::new() } else { format!("; {}", bands.join("; ")) };
    format!(
        "from {} to {}: {} requests answered below 400, {} with 4xx, {} with 5xx, {} without an answer{bands}",
        duration(timeline.from_ms),
        duration(timeline.to_ms),
        sum(|bin| bin.fine),
        sum(|bin| bin.refused),
        sum(|bin| bin.failed),
        sum(|bin| bin.lost)
    )
}

/// What is not in the drawing: names without room, and what is left out.
fn below(out: &mut String, timeline: &Timeline, scale: Scale) {
    let mut notes = rows::notes(timeline);
    let short = rows(timeline).into_iter().flat_map(|row| {
        let named = row.clone().into_iter().enumerate();
        named
            .filter(|(at, band)| name_of(timeline, &row, *at, scale) != timeline.bands[*band].label)
            .map(|own| own.1)
            .collect::<Vec<_>>()
    });
    let short: Vec<String> = short.map(|at| in_words(&timeline.bands[at])).collect();
    if !short.is_empty() {
        notes.push(format!("Names without room: {}.", short.join("; ")));
    }
    if timeline.earlier > 0 {
        let from = duration(timeline.from_ms);
        notes.push(format!("{} pushes and answers before {from} are left out.", timeline.earlier));
    }
    if timeline.proxies_left_out > 0 {
        notes.push(format!("{} more proxies are left out.", timeline.proxies_left_out));
    }
    if !notes.is_empty() {
        let _ = writeln!(out, "<p class=\"lead\">{}</p>", markup(&notes.join(" ")));
    }
}

fn in_words(band: &Band) -> String {
    format!("{}, {} to {}", band.label, duration(band.from_ms), duration(band.to_ms))
}

/// The name of a band of `row` as far as there is room for it before the next.
fn name_of(timeline: &Timeline, row: &[usize], at: usize, scale: Scale) -> String {
    let band = &timeline.bands[row[at]];
    let left = scale.at(band.from_ms.max(timeline.from_ms));
    let next = row.get(at + 1).map_or(WIDTH - RIGHT, |next| scale.at(timeline.bands[*next].from_ms));
    let letters = ((next - left - 6.0) / LETTER).max(0.0) as usize;
    if letters < 3 { String::new() } else { cut(&band.label, letters) }
}

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
    for (at, row) in rows(timeline).iter().enumerate() {
        let top = at as f64 * BAND;
        for (place, band) in row.iter().map(|at| &timeline.bands[*at]).enumerate() {
            let (from, to) = (band.from_ms.max(timeline.from_ms), band.to_ms.min(timeline.to_ms));
            let (left, right) = (scale.at(from), scale.at(to));
            let class = if band.is_fault { "fault" } else { "step" };
            let width = n((right - left).max(2.0));
            let (x, y) = (n(left), n(top));
            let _ = writeln!(
                out,
                "<g class=\"{class}\"><rect class=\"shade\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{}\"/><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{}\" rx=\"3\"/><path class=\"edge\" d=\"M{x} {y}V{}\"/>",
                n(bottom - top),
                n(BAND - 3.0),
                n(bottom)
            );
            let _ = writeln!(
                out,
                "<text class=\"small\" x=\"{}\" y=\"{}\">{}</text><title>{}</title></g>",
                n(left + 4.0),
                n(top + 11.5),
                markup(&name_of(timeline, row, place, scale)),
                markup(&in_words(band))
            );
        }
    }
}

fn axis_of(out: &mut String, timeline: &Timeline, scale: Scale, bottom: f64) {
    let _ = writeln!(out, "<path class=\"axis\" d=\"M{} {}H{}\"/>", n(LEFT), n(bottom), n(WIDTH - RIGHT));
    for tick in time_ticks(timeline.from_ms, timeline.to_ms, 10) {
        let x = scale.at(tick);
        let end = if x > WIDTH - 2.0 * RIGHT { " end" } else { "" };
        let x = n(x);
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{x} 0V{}\"/><text class=\"small{end}\" x=\"{x}\" y=\"{}\">{}</text>",
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
        "<text class=\"small end\" x=\"{}\" y=\"{}\">requests</text><text class=\"small end\" x=\"{}\" y=\"{}\">most: {per_second:.0}/s</text><path class=\"axis\" d=\"M{} {}H{}\"/>",
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
        let left = scale.at(at as f64 * timeline.bin_ms);
        let right = scale.at((at + 1) as f64 * timeline.bin_ms).min(WIDTH - RIGHT);
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
        markup(&cut(&row.name, NAME_MAX)),
        n(LEFT),
        n(WIDTH - RIGHT),
    );
    for (class, times) in [("push", &row.pushes), ("ack", &row.acks), ("nack", &row.nacks)] {
        for (x, (count, first)) in marks(times, scale, width) {
            let many = if count > 1 { format!("{count} × ") } else { String::new() };
            let title = markup(&format!("{}: {many}{class} at {}", row.name, duration(first)));
            let _ = if class == "nack" {
                let d = format!("M{} {}l6 6m0-6l-6 6", x - 3, n(top + ROW / 2.0 - 3.0));
                writeln!(out, "<path class=\"nack\" d=\"{d}\"><title>{title}</title></path>")
            } else {
                writeln!(
                    out,
                    "<circle class=\"{class}\" cx=\"{x}\" cy=\"{middle}\" r=\"3\"><title>{title}</title></circle>"
                )
            };
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
