//! Single requests, hop by hop.

use std::fmt::Write;

use super::model::{Bar, Waterfall};
use super::page::section;
use super::svg::{duration, n};
use crate::escape::markup;

/// Tries of a hop that are shown.
const TRIES_MAX: usize = 10;

/// The chosen requests, each to unfold.
pub(super) fn render(out: &mut String, requests: &[Waterfall], total: u64) {
    if requests.is_empty() {
        return;
    }
    let lead = format!(
        "{} of {total}: those that failed, the slowest, and one for each way that requests took. A bar is a hop, from its request to the \
         last byte of its answer, a thin one a try; the line behind it decided where it went. <code>wavetank explain SCENARIO rN</code> tells more.",
        requests.len()
    );
    section(out, "Requests", &lead);
    // What a reader looks for first: the first that failed, else the first.
    let open = requests.iter().position(|request| request.failed).unwrap_or(0);
    for (at, request) in requests.iter().enumerate() {
        one(out, request, at == open);
    }
    out.push_str("</section>\n");
}

fn one(out: &mut String, request: &Waterfall, open: bool) {
    let class = if request.failed { "bad" } else { "ok" };
    let _ = writeln!(
        out,
        "<details class=\"request\"{}><summary><b class=\"{class}\">{}</b> r{} {} <span>at {}, {}</span> <em>{}</em></summary>",
        if open { " open" } else { "" },
        markup(&request.answer),
        request.number,
        markup(&request.target),
        duration(request.at_ms),
        duration(request.took_ms),
        markup(&request.why),
    );
    for hop in &request.bars {
        bar(out, hop, request.took_ms.max(0.001));
    }
    out.push_str("</details>\n");
}

/// The part of the request's time that this takes, as a style.
fn part(from_ms: f64, took_ms: f64, whole: f64) -> String {
    let left = (from_ms / whole * 100.0).clamp(0.0, 99.7);
    let width = (took_ms / whole * 100.0).clamp(0.3, 100.0 - left);
    format!("margin-left:{}%;width:{}%", n(left), n(width))
}

fn bar(out: &mut String, hop: &Bar, whole: f64) {
    let class = if hop.failed { " class=\"bad\"" } else { "" };
    let decided = hop.decided.as_ref().map(|place| format!(" <code>{}</code>", markup(place))).unwrap_or_default();
    let _ = writeln!(
        out,
        "<div class=\"hop\"><span class=\"d{}\">{}</span><div><i{class} style=\"{}\"></i></div><small>{} · {}{decided}</small>",
        hop.depth.min(8),
        markup(&hop.label),
        part(hop.from_ms, hop.took_ms, whole),
        duration(hop.took_ms),
        markup(&hop.note),
    );
    for own in hop.tries.iter().take(TRIES_MAX) {
        let class = if own.failed { "try bad" } else { "try" };
        let _ = writeln!(
            out,
            "<div><i class=\"{class}\" style=\"{}\"></i></div><small>{} in {}</small>",
            part(own.from_ms, own.took_ms, whole),
            markup(&own.label),
            duration(own.took_ms)
        );
    }
    if hop.tries.len() > TRIES_MAX {
        let _ = writeln!(out, "<small>and {} more tries</small>", hop.tries.len() - TRIES_MAX);
    }
    out.push_str("</div>\n");
}
