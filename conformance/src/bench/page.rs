//! The report as one HTML page, with a plot for each row.

use super::report::{Ran, Report, Spread, number};
use super::rival::Kind;

const WIDTH: f64 = 640.0;
const LABEL: f64 = 90.0;
const BAR: f64 = 18.0;
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
table{border-collapse:collapse;font-size:13px}td,th{border:1px solid #d0d7de;padding:.25rem .5rem;text-align:left}\
.missed{color:#b3261e;font-weight:600}.met{color:#1a7f37}svg text{font:12px system-ui,sans-serif}small{color:#57606a}";

/// The page.
pub fn html(report: &Report) -> String {
    let rows: String = report.rows.iter().map(table_row).collect();
    let plots: String = report.rows.iter().map(plot).collect();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Wavetank: the race</title><style>{STYLE}</style>\
<h1>The race</h1><p><code>{}</code>: {} rounds of {} s</p><p><small>{}; load after: {}</small></p>\
<p>Figures are medians; a ratio is the median of the rounds' ratios, with the smallest and the largest. \
In the plots a bar is the median, the line on it reaches from the smallest to the largest.</p>\
<table><tr><th>row<th>unit<th>Envoy<th>Envoy, lean<th>nginx<th>haproxy<th>Wavetank<th>to Envoy<th>to lean<th>goal<th></tr>{rows}</table>\
{plots}</html>\n",
        escaped(&report.command),
        report.rounds.0,
        report.rounds.1,
        escaped(&report.machine.line()),
        escaped(&report.load_after),
    )
}

fn table_row(row: &Ran) -> String {
    let ratio = |spread: Option<Spread>| match spread {
        Some(spread) => format!("{:.2} <small>({:.2}–{:.2})</small>", spread.median, spread.min, spread.max),
        None => "–".to_owned(),
    };
    let class = if row.failed.is_some() || row.met == Some(false) { "missed" } else { "met" };
    format!(
        "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td class=\"{class}\">{}</tr>",
        escaped(&row.title),
        escaped(&row.unit),
        row.medians().join("<td>"),
        ratio(row.to_envoy),
        ratio(row.to_lean),
        escaped(&row.goal),
        escaped(&row.verdict().replace("**", "")),
    )
}

fn plot(row: &Ran) -> String {
    let spreads = row.figures.iter().filter_map(|(kind, figures)| Some((*kind, Spread::of(figures)?)));
    let spreads: Vec<(Kind, Spread)> = spreads.collect();
    let most = spreads.iter().map(|(_, spread)| spread.max).fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let scale = (WIDTH - LABEL - 90.0) / most;
    let bars: String =
        spreads.iter().enumerate().map(|(index, (kind, spread))| bar(index, *kind, *spread, scale)).collect();
    let height = (BAR + 6.0) * spreads.len() as f64;
    format!(
        "<h3>{} <small>{}</small></h3><svg width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">{bars}</svg>\
<p><small>{}</small></p>",
        escaped(&row.title),
        escaped(&row.unit),
        escaped(&row.title),
        escaped(&row.note),
    )
}

fn bar(index: usize, kind: Kind, spread: Spread, scale: f64) -> String {
    let top = index as f64 * (BAR + 6.0);
    let middle = top + BAR / 2.0;
    let at = |figure: f64| LABEL + figure.max(0.0) * scale;
    let colour = if kind == Kind::Ours { "#0969da" } else { "#afb8c1" };
    format!(
        "<text x=\"0\" y=\"{:.1}\">{}</text><rect x=\"{LABEL}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
<path d=\"M{:.1} {middle:.1}H{:.1}\" stroke=\"#1b1f24\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        middle + 4.0,
        kind.name(),
        (at(spread.median) - LABEL).max(1.0),
        at(spread.min),
        at(spread.max),
        at(spread.max) + 6.0,
        middle + 4.0,
        number(spread.median),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("<a & \"b\">"), "&lt;a &amp; &quot;b&quot;&gt;");
    }
}
