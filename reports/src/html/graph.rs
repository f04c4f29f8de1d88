//! The service graph: layers from left to right, width for the rate, colour for errors, a lock for mTLS, a
//! bolt for faults.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::labels::{Area, BOLT, Label, Line, Spot, spots};
use super::layers::{Layout, lay_out};
use super::model::{Evidence, GraphEdge};
use super::page::section;
use super::svg::{cut, n, shares};
use crate::escape::markup;

const NODE_WIDTH: f64 = 132.0;
const GAP: f64 = 156.0;
const SLOT: f64 = 92.0;
const MARGIN: f64 = 12.0;
/// Versions of one node that are drawn at most.
const VERSIONS_MAX: usize = 4;
/// Between the ends of two edges at one side of a node.
const PORT: f64 = 9.0;
/// Edges that are drawn at most, the busiest first.
const EDGES_MAX: usize = 120;

/// The graph of `evidence`; `id` tells the drawings of one page apart.
pub(super) fn render(out: &mut String, evidence: &Evidence, id: usize) {
    let edges = &evidence.graph;
    if edges.is_empty() {
        return;
    }
    let bolt = if evidence.faulted.is_empty() && edges.iter().all(|edge| edge.faults.is_empty()) {
        ""
    } else {
        " A bolt is a fault there."
    };
    let lead = format!(
        "Width is how many requests, colour the share that failed, by a 5xx or without an answer. A lock is mutual TLS, a dashed line \
         plaintext.{bolt} Numbers are requests, and the share of each version where there are several."
    );
    section(out, "Who called whom", &lead);
    Graph::of(evidence).draw(out, id);
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
    /// Faults of each node.
    faults: Vec<&'a [String]>,
    layout: Layout,
    height: f64,
}

impl<'a> Graph<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let mut shown: Vec<&GraphEdge> = evidence.graph.iter().collect();
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
        let faults_of = |name: &&str| evidence.faulted.iter().find(|(own, _)| own == name);
        let faults = names.iter().map(|name| faults_of(name).map_or(&[][..], |(_, faults)| faults)).collect();
        Self { names, edges, versions, faults, layout, height }
    }

    fn draw(&self, out: &mut String, id: usize) {
        let width = self.layout.sizes.len() as f64 * (NODE_WIDTH + GAP) - GAP + 2.0 * MARGIN;
        let (w, h) = (n(width), n(self.height));
        let _ = writeln!(
            out,
            "<div class=\"wide\"><svg class=\"graph\" style=\"min-width:{}px\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\" aria-label=\"{} services and {} edges between them, which the table of mutual TLS has as text\">",
            n(width.min(860.0)),
            self.names.len(),
            self.edges.len()
        );
        let _ = writeln!(
            out,
            "<defs><marker id=\"a{id}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"9\" markerHeight=\"9\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0 8 4 0 8z\" class=\"tip\"/></marker></defs>"
        );
        let most = self.edges.iter().map(|(edge, ..)| edge.requests).max().unwrap_or(1).max(1);
        let mut taken: Vec<Area> = (0..self.names.len()).map(|node| self.area(node)).collect();
        let mut labels = Vec::new();
        for at in 0..self.edges.len() {
            let label = self.edge(out, id, at, most);
            labels.push(label.put(&mut taken));
        }
        for node in 0..self.names.len() {
            self.node(out, node);
        }
        for label in &labels {
            label.draw(out);
        }
        out.push_str("</svg></div>\n");
    }

    /// What a node covers.
    fn area(&self, node: usize) -> Area {
        let (x, y) = self.place(self.layout.nodes[node]);
        let tall = if self.versions[node].is_empty() { 32.0 } else { 54.0 };
        Area { x: x - NODE_WIDTH / 2.0, y: y - tall / 2.0, width: NODE_WIDTH, height: tall }
    }

    /// How far from the middle of a node's side an edge ends: edges stand in the order of their other ends.
    fn port(&self, at: usize, is_source: bool) -> f64 {
        let end = |edge: usize| if is_source { self.edges[edge].1 } else { self.edges[edge].2 };
        let key = |edge: usize| {
            let by = &self.layout.passages[edge];
            let next = if is_source { by.first() } else { by.last() };
            let other = if is_source { self.edges[edge].2 } else { self.edges[edge].1 };
            (self.place(*next.unwrap_or(&self.layout.nodes[other])).1, edge)
        };
        let mut beside: Vec<usize> = (0..self.edges.len()).filter(|edge| end(*edge) == end(at)).collect();
        beside.sort_by(|a, b| key(*a).partial_cmp(&key(*b)).unwrap_or(std::cmp::Ordering::Equal));
        let place = beside.iter().position(|edge| *edge == at).unwrap_or(0) as f64;
        let apart = PORT.min(28.0 / beside.len() as f64);
        (place - (beside.len() - 1) as f64 / 2.0) * apart
    }

    /// The middle of a slot.
    fn place(&self, (layer, slot): (usize, usize)) -> (f64, f64) {
        let x = MARGIN + layer as f64 * (NODE_WIDTH + GAP) + NODE_WIDTH / 2.0;
        let room = self.height - 2.0 * MARGIN;
        let slots = self.layout.sizes[layer].max(1) as f64;
        (x, MARGIN + room * (slot as f64 + 0.5) / slots)
    }

    fn node(&self, out: &mut String, node: usize) {
        let area = self.area(node);
        let (left, top, x) = (area.x, area.y, area.x + NODE_WIDTH / 2.0);
        let versions: Vec<_> = self.versions[node].iter().take(VERSIONS_MAX).collect();
        let name = self.names[node];
        let class = if name.chars().count() > 15 { " class=\"small\"" } else { "" };
        let _ = writeln!(
            out,
            "<g class=\"node\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\"/><text{class} x=\"{}\" y=\"{}\">{}</text>",
            n(left),
            n(top),
            n(NODE_WIDTH),
            n(area.height),
            n(x),
            n(top + 20.0),
            markup(&cut(name, 19)),
        );
        let wide = (NODE_WIDTH - 12.0) / versions.len().max(1) as f64;
        for (at, (version, count)) in versions.iter().enumerate() {
            let x = left + 6.0 + at as f64 * wide;
            let _ = writeln!(
                out,
                "<rect class=\"version\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"18\" rx=\"3\"/><text class=\"small\" x=\"{}\" y=\"{}\">{}<title>{} decisions</title></text>",
                n(x + 1.0),
                n(top + 30.0),
                n((wide - 2.0).max(1.0)),
                n(x + wide / 2.0),
                n(top + 43.0),
                markup(&cut(version, 8)),
                count,
            );
        }
        let faults = self.faults[node];
        if !faults.is_empty() {
            let _ = writeln!(
                out,
                "<path class=\"bolt\" transform=\"translate({} {})\" d=\"{BOLT}\"/>",
                n(left + NODE_WIDTH - 12.0),
                n(top - 8.0)
            );
        }
        let about: Vec<&str> = std::iter::once(name).chain(faults.iter().map(String::as_str)).collect();
        let _ = writeln!(out, "<title>{}</title></g>", markup(&about.join("; ")));
    }

    /// Draws the line of an edge and returns its label.
    fn edge(&self, out: &mut String, id: usize, at: usize, most: u64) -> Label {
        let (edge, from, to) = self.edges[at];
        let (path, spots) = self.way(at);
        let width = 1.2 + 5.0 * (edge.requests as f64 / most as f64).sqrt();
        let class = match edge.errors as f64 / edge.requests.max(1) as f64 {
            0.0 => "fine",
            share if share < 0.05 => "some",
            share if share < 0.5 => "many",
            _ => "most",
        };
        let tls = edge.tls;
        let plain = if tls.plaintext > 0 && tls.mutual == 0 { " plain" } else { "" };
        let mut about = format!(
            "{} → {}: {} requests, {} failed; mutual TLS {}, plaintext {}, no connection {}",
            self.names[from], self.names[to], edge.requests, edge.errors, tls.mutual, tls.plaintext, tls.none
        );
        edge.faults.iter().for_each(|fault| {
            let _ = write!(about, "; {fault}");
        });
        let _ = writeln!(
            out,
            "<g class=\"edge {class}{plain}\"><path d=\"{path}\" stroke-width=\"{}\" marker-end=\"url(#a{id})\"/><title>{}</title></g>",
            n(width),
            markup(&about)
        );
        Label { lines: lines(edge), spots, is_hurt: !edge.faults.is_empty() }
    }

    /// The path of an edge, and where its label may stand.
    fn way(&self, at: usize) -> (String, Vec<Spot>) {
        let (_, source, target) = self.edges[at];
        let (from, to) = (self.place(self.layout.nodes[source]), self.place(self.layout.nodes[target]));
        let half = NODE_WIDTH / 2.0;
        if to.0 > from.0 {
            let ports = (self.port(at, true), self.port(at, false));
            let mut points = vec![(from.0 + half, from.1 + ports.0)];
            for (x, y) in self.layout.passages[at].iter().map(|slot| self.place(*slot)) {
                points.extend([(x - half, y), (x + half, y)]);
            }
            points.push((to.0 - half - 2.0, to.1 + ports.1));
            return (curve(&points), spots(&points, ports.0 > 0.0 || ports.1 > 0.0));
        }
        // Backwards, or to itself: below both.
        let deep = from.1.max(to.1) + 44.0;
        let (a, b) = (from.0 + half * 0.6, to.0 - half * 0.6);
        let (start, end) = (from.1 + 16.0, to.1 + 18.0);
        let (a, b) = (n(a), n(b));
        let path = format!("M{a} {} C{a} {} {b} {} {b} {}", n(start), n(deep), n(deep), n(end));
        (path, vec![Spot::On { x: (from.0 + to.0) / 2.0, y: (start + 6.0 * deep + end) / 8.0 }])
    }
}

/// Count and lock; shares; failures.
fn lines(edge: &GraphEdge) -> Vec<Line> {
    let lock = (edge.tls.mutual > 0).then_some(edge.tls.plaintext > 0);
    let mut lines = vec![Line::Count { text: edge.requests.to_string(), lock }];
    if edge.arms.len() > 1 {
        let counts: Vec<u64> = edge.arms.iter().map(|(_, count)| *count).collect();
        let named = edge.arms.iter().zip(shares(&counts)).take(VERSIONS_MAX);
        let text: Vec<String> = named.map(|((version, _), share)| format!("{} {share}", cut(version, 8))).collect();
        lines.push(Line::Small { text: text.join(" / "), is_bad: false });
    }
    if edge.errors > 0 {
        lines.push(Line::Small { text: format!("{} failed", edge.errors), is_bad: true });
    }
    lines
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
