//! The distribution of latencies, edge by edge.

use std::fmt::Write;

use super::model::Latencies;
use super::page::section;
use super::svg::{Scale, duration, n, ticks};
use crate::escape::markup;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 212.0;
/// Milliseconds that the scale of powers begins at, at the least.
const LEAST: f64 = 0.05;
/// Edges with a line of their own.
const LINES_MAX: usize = 8;

/// Curves and quantiles of `all`, the slowest edge first.
pub(super) fn render(out: &mut String, all: &[Latencies]) {
    if all.is_empty() {
        return;
    }
    section(
        out,
        "Latency",
        "The share of requests that took no longer than so much virtual time, as the caller's proxy saw it; where there is none, as \
         the callee's did.",
    );
    out.push_str("<div class=\"row\">\n");
    plot(out, all);
    table(out, all);
    out.push_str("</div></section>\n");
}

fn plot(out: &mut String, all: &[Latencies]) {
    let shown = || all.iter().take(LINES_MAX);
    let values = || shown().flat_map(|own| &own.curve).map(|point| point.0).filter(|value| *value >= LEAST);
    let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(0.0, f64::max));
    // What took no time at all stands at the left edge.
    let (low, high) = if low > high { (LEAST, 1.0) } else { (low, high) };
    let x = Scale::new((low.log10() - 0.03, high.log10() + 0.03), (LEFT, WIDTH - RIGHT));
    let y = Scale::new((0.0, 1.0), (BOTTOM, TOP));
    let _ = writeln!(
        out,
        "<svg class=\"ecdf\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"distributions of latencies, whose quantiles are in the table\">"
    );
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{LEFT} {}H{}\"/><text class=\"small end\" x=\"{}\" y=\"{}\">{:.0}%</text>",
            n(y.at(share)),
            n(WIDTH - RIGHT),
            n(LEFT - 6.0),
            n(y.at(share) + 3.5),
            share * 100.0
        );
    }
    for tick in marks(low, high) {
        let at = n(x.at(tick.log10()));
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{at} {TOP}V{BOTTOM}\"/><text class=\"small\" x=\"{at}\" y=\"{}\">{}</text>",
            n(BOTTOM + 15.0),
            duration(tick)
        );
    }
    // The slowest last, for its colour is the one that is looked for.
    for (at, own) in shown().enumerate().collect::<Vec<_>>().into_iter().rev() {
        let mut path = String::new();
        let mut before = 0.0;
        for (value, share) in &own.curve {
            let (px, from, to) = (x.at(value.max(low).log10()), y.at(before), y.at(*share));
            let _ = write!(path, "{}{} {}V{}", if path.is_empty() { "M" } else { "L" }, n(px), n(from), n(to));
            before = *share;
        }
        let _ = writeln!(out, "<path class=\"line c{at}\" d=\"{path}\"><title>{}</title></path>", markup(&own.edge));
    }
    out.push_str("</svg>\n");
}

/// Round values between `low` and `high` on a scale of powers; where there are too few, evenly spread ones.
fn marks(low: f64, high: f64) -> Vec<f64> {
    let mut found = Vec::new();
    for power in -2..9 {
        for factor in [1.0, 2.0, 5.0] {
            let value = factor * 10f64.powi(power);
            if (low..=high).contains(&value) {
                found.push(value);
            }
        }
    }
    if found.len() < 3 { ticks(low, high, 6).into_iter().filter(|value| *value > 0.0).collect() } else { found }
}

fn table(out: &mut String, all: &[Latencies]) {
    out.push_str("<div class=\"wide\"><table class=\"numbers\"><thead><tr><th scope=\"col\">edge</th><th>requests</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th></tr></thead>\n<tbody>\n");
    for (at, own) in all.iter().enumerate() {
        let swatch = if at < LINES_MAX {
            format!(
                "<svg class=\"swatch\" width=\"22\" height=\"6\" aria-hidden=\"true\"><path class=\"line c{at}\" d=\"M0 3H22\"/></svg>"
            )
        } else {
            String::new()
        };
        let cells: String = own.quantiles.iter().map(|value| format!("<td>{}</td>", duration(*value))).collect();
        let _ = writeln!(out, "<tr><td>{swatch}{}</td><td>{}</td>{cells}</tr>", markup(&own.edge), own.n);
    }
    out.push_str("</tbody></table></div>\n");
}
