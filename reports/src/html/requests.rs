//! Single requests, hop by hop.

use std::fmt::Write;

use super::model::{Bar, Waterfall};
use super::page::section;
use super::svg::{duration, n};
use crate::escape::markup;

/// The chosen requests, each to unfold.
pub(super) fn render(out: &mut String, requests: &[Waterfall], total: u64) {
    if requests.is_empty() {
        return;
    }
    let lead = format!(
        "{} of {total}: those that failed, the slowest, and one for each way that requests took. A bar is a hop, from its request to the \
         last byte of its answer; the line behind it decided where it went.",
        requests.len()
    );
    section(out, "Requests", &lead);
    for (at, request) in requests.iter().enumerate() {
        one(out, request, at == 0);
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

fn bar(out: &mut String, hop: &Bar, whole: f64) {
    let left = (hop.from_ms / whole * 100.0).clamp(0.0, 100.0);
    let width = (hop.took_ms / whole * 100.0).clamp(0.3, (100.0 - left).max(0.3));
    let class = if hop.failed { " class=\"bad\"" } else { "" };
    let decided = hop.decided.as_ref().map(|place| format!(" <code>{}</code>", markup(place))).unwrap_or_default();
    let _ = writeln!(
        out,
        "<div class=\"hop\"><span class=\"d{}\">{}</span><div><i{class} style=\"margin-left:{}%;width:{}%\"></i></div><small>{} · {}{decided}</small></div>",
        hop.depth.min(8),
        markup(&hop.label),
        n(left),
        n(width),
        duration(hop.took_ms),
        markup(&hop.note),
    );
}
