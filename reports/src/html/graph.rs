//! The service graph: layers from left to right, width for the rate, colour for errors, a lock for mTLS.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::layers::{Layout, lay_out};
use super::model::GraphEdge;
use super::page::section;
use super::svg::{n, percent};
use crate::escape::markup;

const NODE_WIDTH: f64 = 132.0;
const GAP: f64 = 122.0;
const SLOT: f64 = 92.0;
const MARGIN: f64 = 12.0;
/// Versions of one node that are drawn at most.
const VERSIONS_MAX: usize = 4;
/// A line that rises or falls less than this is level.
const LEVEL: f64 = 8.0;
/// Edges that are drawn at most, the busiest first.
const EDGES_MAX: usize = 120;

/// The graph of `edges`; `id` tells the drawings of one page apart.
pub(super) fn render(out: &mut String, edges: &[GraphEdge], id: usize) {
    if edges.is_empty() {
        return;
    }
    let lead = "Width is how many requests, red their failures. A lock is mutual TLS, a dashed line plaintext. Numbers are requests, and \
                the share of each version where there are several.";
    section(out, "Who called whom", lead);
    let graph = Graph::of(edges);
    graph.draw(out, id);
    if edges.len() > EDGES_MAX {
        let _ = writeln!(
            out,
            "<p class=\"lead\">The {} edges with the fewest requests are left out.</p>",
            edges.len() - EDGES_MAX
        );
    }
    out.push_str("</section>\n");
}

struct Graph<'a> {
    names: Vec<&'a str>,
    edges: Vec<(&'a GraphEdge, usize, usize)>,
    /// Requests by version, of each node.
    versions: Vec<BTreeMap<&'a str, u64>>,
    layout: Layout,
    height: f64,
}

impl<'a> Graph<'a> {
    fn of(edges: &'a [GraphEdge]) -> Self {
        let mut shown: Vec<&GraphEdge> = edges.iter().collect();
        shown.sort_by_key(|edge| std::cmp::Reverse(edge.requests));
        shown.truncate(EDGES_MAX);
        shown.sort_by_key(|edge| (&edge.from, &edge.to));
        let mut names: Vec<&str> = Vec::new();
        for name in shown.iter().flat_map(|edge| [edge.from.as_str(), edge.to.as_str()]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let place = |name: &str| names.iter().position(|own| *own == name).unwrap_or(0);
        let edges: Vec<_> = shown.iter().map(|edge| (*edge, place(&edge.from), place(&edge.to))).collect();
        let mut versions = vec![BTreeMap::new(); names.len()];
        for (edge, _, to) in &edges {
            for (version, count) in &edge.arms {
                *versions[*to].entry(version.as_str()).or_default() += count;
            }
        }
        let pairs: Vec<_> = edges.iter().map(|(_, from, to)| (*from, *to)).collect();
        let layout = lay_out(names.len(), &pairs);
        let height = layout.sizes.iter().max().map_or(1, |most| *most) as f64 * SLOT + 2.0 * MARGIN;
        Self { names, edges, versions, layout, height }
    }

    fn draw(&self, out: &mut String, id: usize) {
        let width = self.layout.sizes.len() as f64 * (NODE_WIDTH + GAP) - GAP + 2.0 * MARGIN;
        let (w, h) = (n(width), n(self.height));
        let _ = writeln!(
            out,
            "<div class=\"wide\"><svg class=\"graph\" style=\"min-width:{}px\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\" aria-label=\"service graph\">",
            n(width.min(860.0))
        );
        let _ = writeln!(
            out,
            "<defs><marker id=\"a{id}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"9\" markerHeight=\"9\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0 8 4 0 8z\" class=\"tip\"/></marker></defs>"
        );
        let most = self.edges.iter().map(|(edge, ..)| edge.requests).max().unwrap_or(1).max(1);
        for (at, (edge, from, to)) in self.edges.iter().enumerate() {
            self.edge(out, id, edge, (*from, *to), &self.layout.passages[at], most);
        }
        for node in 0..self.names.len() {
            self.node(out, node);
        }
        out.push_str("</svg></div>\n");
    }

    /// The middle of a slot.
    fn place(&self, (layer, slot): (usize, usize)) -> (f64, f64) {
        let x = MARGIN + layer as f64 * (NODE_WIDTH + GAP) + NODE_WIDTH / 2.0;
        let room = self.height - 2.0 * MARGIN;
        let slots = self.layout.sizes[layer].max(1) as f64;
        (x, MARGIN + room * (slot as f64 + 0.5) / slots)
    }

    fn node(&self, out: &mut String, node: usize) {
        let (x, y) = self.place(self.layout.nodes[node]);
        let versions: Vec<_> = self.versions[node].iter().take(VERSIONS_MAX).collect();
        let tall = if versions.is_empty() { 32.0 } else { 54.0 };
        let (left, top) = (x - NODE_WIDTH / 2.0, y - tall / 2.0);
        let _ = writeln!(
            out,
            "<g class=\"node\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\"/><text x=\"{}\" y=\"{}\">{}</text>",
            n(left),
            n(top),
            n(NODE_WIDTH),
            n(tall),
            n(x),
            n(top + 20.0),
            markup(&cut(self.names[node], 20)),
        );
        let wide = (NODE_WIDTH - 12.0) / versions.len().max(1) as f64;
        for (at, (version, count)) in versions.iter().enumerate() {
            let x = left + 6.0 + at as f64 * wide;
            let _ = writeln!(
                out,
                "<rect class=\"version\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"18\" rx=\"3\"/><text class=\"small\" x=\"{}\" y=\"{}\">{}<title>{} decisions</title></text>",
                n(x + 1.0),
                n(top + 30.0),
                n(wide - 2.0),
                n(x + wide / 2.0),
                n(top + 43.0),
                markup(&cut(version, 8)),
                count,
            );
        }
        let _ = writeln!(out, "<title>{}</title></g>", markup(self.names[node]));
    }

    fn edge(
        &self,
        out: &mut String,
        id: usize,
        edge: &GraphEdge,
        ends: (usize, usize),
        by: &[(usize, usize)],
        most: u64,
    ) {
        let (from, to) = (self.place(self.layout.nodes[ends.0]), self.place(self.layout.nodes[ends.1]));
        let half = NODE_WIDTH / 2.0;
        let (path, place) = if to.0 > from.0 {
            let mut points = vec![(from.0 + half, from.1)];
            for (x, y) in by.iter().map(|slot| self.place(*slot)) {
                points.extend([(x - half, y), (x + half, y)]);
            }
            points.push((to.0 - half - 2.0, to.1));
            let last = points.len() - 1;
            let (before, end) = (points[last - 1], points[last]);
            // Beside a slanted line, on the side it does not come from.
            let lines = match end.1 - before.1 {
                slant if slant < -LEVEL => [end.1 - 23.0, end.1 - 10.0],
                slant if slant > LEVEL => [end.1 + 17.0, end.1 + 30.0],
                _ => [end.1 - 10.0, end.1 + 18.0],
            };
            let label = Label { x: (before.0 + end.0) / 2.0, lines };
            (curve(&points), label)
        } else {
            // Backwards, or to itself: below both.
            let deep = from.1.max(to.1) + 44.0;
            let (a, b) = (from.0 + half * 0.6, to.0 - half * 0.6);
            let path = format!(
                "M{} {} C{} {} {} {} {} {}",
                n(a),
                n(from.1 + 16.0),
                n(a),
                n(deep),
                n(b),
                n(deep),
                n(b),
                n(to.1 + 18.0)
            );
            (path, Label { x: (a + b) / 2.0, lines: [deep - 4.0, deep + 9.0] })
        };
        let width = 1.2 + 5.0 * (edge.requests as f64 / most as f64).sqrt();
        let share = edge.errors as f64 / edge.requests.max(1) as f64;
        let class = match share {
            0.0 => "fine",
            share if share < 0.05 => "some",
            share if share < 0.5 => "many",
            _ => "most",
        };
        let tls = edge.tls;
        let plain = if tls.plaintext > 0 && tls.mutual == 0 { " plain" } else { "" };
        let _ = writeln!(
            out,
            "<g class=\"edge {class}{plain}\"><path d=\"{path}\" stroke-width=\"{}\" marker-end=\"url(#a{id})\"/>",
            n(width)
        );
        label(out, edge, &place);
        let _ = writeln!(
            out,
            "<title>{}</title></g>",
            markup(&format!(
                "{} → {}: {} requests, {} failed; mutual TLS {}, plaintext {}, no connection {}",
                edge.from, edge.to, edge.requests, edge.errors, tls.mutual, tls.plaintext, tls.none
            ))
        );
    }
}

/// Where the label of an edge stands: its middle, and the base lines of the count and of the shares.
struct Label {
    x: f64,
    lines: [f64; 2],
}

/// Count and lock; shares and failures.
fn label(out: &mut String, edge: &GraphEdge, place: &Label) {
    let (x, [top, below]) = (place.x, place.lines);
    let locked = edge.tls.mutual > 0;
    let text = edge.requests.to_string();
    let shift = if locked { 6.0 } else { 0.0 };
    if locked {
        let left = x - 3.4 * text.len() as f64 - 7.0;
        let class = if edge.tls.plaintext > 0 { "lock mixed" } else { "lock" };
        let _ = writeln!(
            out,
            "<g class=\"{class}\" transform=\"translate({} {})\"><rect y=\"4\" width=\"9\" height=\"7\" rx=\"1.5\"/><path d=\"M2 4V3a2.5 2.5 0 0 1 5 0v1\"/></g>",
            n(left),
            n(top - 10.0)
        );
    }
    let _ = writeln!(out, "<text x=\"{}\" y=\"{}\">{text}</text>", n(x + shift), n(top));
    if edge.arms.len() > 1 {
        let all: u64 = edge.arms.iter().map(|(_, count)| count).sum();
        let shares: Vec<String> = edge
            .arms
            .iter()
            .take(VERSIONS_MAX)
            .map(|(version, count)| format!("{} {}", cut(version, 8), percent(*count, all)))
            .collect();
        let _ = writeln!(
            out,
            "<text class=\"small\" x=\"{}\" y=\"{}\">{}</text>",
            n(x),
            n(below),
            markup(&shares.join(" / "))
        );
    }
    if edge.errors > 0 {
        let down = if edge.arms.len() > 1 { 13.0 } else { 0.0 };
        let _ = writeln!(
            out,
            "<text class=\"small bad\" x=\"{}\" y=\"{}\">{} failed</text>",
            n(x),
            n(below + down),
            edge.errors
        );
    }
}

/// A smooth line through `points`, level at each of them.
fn curve(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (at, (x, y)) in points.iter().enumerate() {
        match at.checked_sub(1).map(|before| points[before]) {
            None => {
                let _ = write!(path, "M{} {}", n(*x), n(*y));
            }
            Some((px, py)) => {
                let middle = (px + x) / 2.0;
                let _ = write!(path, " C{} {} {} {} {} {}", n(middle), n(py), n(middle), n(*y), n(*x), n(*y));
            }
        }
    }
    path
}

/// `text`, not longer than `most` characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}
