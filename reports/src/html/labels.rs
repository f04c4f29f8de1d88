//! Labels of the service graph: each stands at its own edge, and none on a node or on another one where
//! there is room.

use std::fmt::Write;

use super::svg::n;
use crate::escape::markup;

/// A label stands beside a line that rises or falls less than this, else on it.
const LEVEL: f64 = 30.0;
const LINE: f64 = 12.0;
/// Between a level line and the label above or below it.
const CLEAR: f64 = 6.0;
/// How wide a character is at most, on average.
const LETTER: f64 = 7.0;
const SMALL_LETTER: f64 = 6.3;
/// The outline of a bolt, 10 by 14.
pub(super) const BOLT: &str = "M6 0 0 8h4l-2 6 8-9H5.5z";

/// What something covers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Area {
    /// How much of both is the same.
    fn overlap(&self, other: &Self) -> f64 {
        let across = (self.x + self.width).min(other.x + other.width) - self.x.max(other.x);
        let down = (self.y + self.height).min(other.y + other.height) - self.y.max(other.y);
        across.max(0.0) * down.max(0.0)
    }
}

/// A place that a label may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Spot {
    /// Its middle on this point of a line.
    On { x: f64, y: f64 },
    /// Above this point of a level line.
    Above { x: f64, y: f64 },
    /// Below it.
    Below { x: f64, y: f64 },
}

/// One line of a label.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    /// How many requests; and a lock, which is `Some(true)` when some were plaintext.
    Count { text: String, lock: Option<bool> },
    /// Anything else.
    Small { text: String, is_bad: bool },
}

impl Line {
    fn width(&self) -> f64 {
        match self {
            Self::Count { text, lock } => {
                LETTER * text.chars().count() as f64 + if lock.is_some() { 12.0 } else { 0.0 }
            }
            Self::Small { text, .. } => SMALL_LETTER * text.chars().count() as f64,
        }
    }
}

/// The label of an edge.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Label {
    /// From top to bottom.
    pub(super) lines: Vec<Line>,
    /// Where it may stand, the best first.
    pub(super) spots: Vec<Spot>,
    /// Whether a fault was on the edge.
    pub(super) is_hurt: bool,
}

impl Label {
    /// Puts it on the spot where it covers least of what is `taken`, and takes that.
    pub(super) fn put(self, taken: &mut Vec<Area>) -> Placed {
        let covered = |area: &Area| taken.iter().map(|own| own.overlap(area)).sum::<f64>();
        let mut best = (f64::MAX, Area { x: 0.0, y: 0.0, width: 0.0, height: 0.0 }, false);
        for spot in &self.spots {
            let area = self.area(*spot);
            let covers = covered(&area);
            if covers < best.0 {
                best = (covers, area, matches!(spot, Spot::On { .. }));
            }
        }
        taken.push(best.1);
        Placed { label: self, area: best.1, is_on_line: best.2 }
    }

    fn area(&self, spot: Spot) -> Area {
        let bolt = if self.is_hurt { 16.0 } else { 0.0 };
        let width = self.lines.iter().map(Line::width).fold(0.0, f64::max) + 6.0 + bolt;
        let height = self.lines.len() as f64 * LINE + 3.0;
        let (x, y) = match spot {
            Spot::On { x, y } => (x, y - height / 2.0),
            Spot::Above { x, y } => (x, y - height - CLEAR),
            Spot::Below { x, y } => (x, y + CLEAR),
        };
        Area { x: x - width / 2.0, y, width, height }
    }
}

/// A label in its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    label: Label,
    area: Area,
    is_on_line: bool,
}

impl Placed {
    pub(super) fn draw(&self, out: &mut String) {
        let Area { x, y, width, height } = self.area;
        out.push_str("<g class=\"label\">");
        if self.is_on_line {
            let _ = write!(
                out,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\"/>",
                n(x),
                n(y),
                n(width),
                n(height)
            );
        }
        let mut middle = x + width / 2.0;
        if self.label.is_hurt {
            let _ = write!(
                out,
                "<path class=\"bolt\" transform=\"translate({} {})\" d=\"{BOLT}\"/>",
                n(x + 3.0),
                n(y + (height - 14.0) / 2.0)
            );
            middle += 8.0;
        }
        for (at, own) in self.label.lines.iter().enumerate() {
            line(out, own, middle, y + LINE * (at + 1) as f64 - 1.0);
        }
        out.push_str("</g>\n");
    }
}

fn line(out: &mut String, line: &Line, x: f64, y: f64) {
    match line {
        Line::Count { text, lock } => {
            let shift = if lock.is_some() { 6.0 } else { 0.0 };
            if let Some(is_mixed) = lock {
                let left = x - LETTER / 2.0 * text.chars().count() as f64 - 7.0;
                let class = if *is_mixed { "lock mixed" } else { "lock" };
                let _ = write!(
                    out,
                    "<g class=\"{class}\" transform=\"translate({} {})\"><rect y=\"4\" width=\"9\" height=\"7\" rx=\"1.5\"/><path d=\"M2 4V3a2.5 2.5 0 0 1 5 0v1\"/></g>",
                    n(left),
                    n(y - 10.0)
                );
            }
            let _ = write!(out, "<text x=\"{}\" y=\"{}\">{}</text>", n(x + shift), n(y), markup(text));
        }
        Line::Small { text, is_bad } => {
            let class = if *is_bad { "small bad" } else { "small" };
            let _ = write!(out, "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>", n(x), n(y), markup(text));
        }
    }
}

/// Spots along a line that is level at each of `points`, which go from left to right: on its level parts
/// first, where no other line leads to the same node. Above the line first, unless it `is_low`: another line
/// of the same node is above it.
pub(super) fn spots(points: &[(f64, f64)], is_low: bool) -> Vec<Spot> {
    let mut found = Vec::new();
    let both = |x: f64, above: f64, below: f64| {
        let (above, below) = (Spot::Above { x, y: above }, Spot::Below { x, y: below });
        if is_low { [below, above] } else { [above, below] }
    };
    for (at, pair) in points.windows(2).enumerate() {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if at % 2 == 1 {
            // Through a layer: nothing else is there.
            let x = (x0 + x1) / 2.0;
            found.splice(0..0, both(x, y0, y0));
        } else if (y1 - y0).abs() < LEVEL {
            found.extend(both((x0 + x1) / 2.0, y0.min(y1), y0.max(y1)));
        } else {
            found.extend([0.5, 0.4, 0.6, 0.3, 0.7].map(|t| {
                let (x, y) = on_curve((x0, y0), (x1, y1), t);
                Spot::On { x, y }
            }));
        }
    }
    found
}

/// The point `t` of the way along a curve that is level at both ends.
fn on_curve((x0, y0): (f64, f64), (x1, y1): (f64, f64), t: f64) -> (f64, f64) {
    let u = 1.0 - t;
    let (start, end) = (u * u * (u + 3.0 * t), t * t * (t + 3.0 * u));
    let middle = (x0 + x1) / 2.0;
    let x = u.powi(3) * x0 + 3.0 * u * t * middle + t.powi(3) * x1;
    (x, start * y0 + end * y1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(points: &[(f64, f64)]) -> Label {
        let lines = vec![Line::Count { text: "2000".to_owned(), lock: Some(false) }];
        Label { lines, spots: spots(points, false), is_hurt: false }
    }

    #[test]
    fn labels_of_edges_to_one_node_stand_at_their_own_lines() {
        let mut taken = Vec::new();
        let (above, below) = ([(0.0, 0.0), (150.0, 100.0)], [(0.0, 200.0), (150.0, 100.0)]);
        let (first, second) = (label(&above).put(&mut taken), label(&below).put(&mut taken));
        assert_eq!(first.area.overlap(&second.area), 0.0);
        assert!(first.area.y + first.area.height < 100.0 && second.area.y > 100.0);
    }

    #[test]
    fn a_label_leaves_what_is_taken() {
        let line = [(0.0, 50.0), (150.0, 50.0)];
        let mut taken = Vec::new();
        let first = label(&line).put(&mut taken);
        let second = label(&line).put(&mut taken);
        assert!(first.area.y + first.area.height <= 50.0 && second.area.y >= 50.0);
        assert_eq!(first.area.overlap(&second.area), 0.0);
    }

    #[test]
    fn a_curve_runs_between_its_ends() {
        assert_eq!(on_curve((0.0, 0.0), (10.0, 20.0), 0.0), (0.0, 0.0));
        assert_eq!(on_curve((0.0, 0.0), (10.0, 20.0), 0.5), (5.0, 10.0));
        assert_eq!(on_curve((0.0, 0.0), (10.0, 20.0), 1.0), (10.0, 20.0));
    }
}
