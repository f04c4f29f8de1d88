//! What a race says: a table in Markdown, the same in JSON with every figure of every round.

use serde::Serialize;

use super::machine::Machine;
use super::race::Figures;
use super::rival::Kind;
use super::row::{Goal, Row};

/// A race that was run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The command.
    pub command: String,
    /// Where.
    pub machine: Machine,
    /// Load average after it.
    pub load_after: String,
    /// Rounds and seconds of rows in paired rounds.
    pub rounds: (usize, f64),
    /// Rows.
    pub rows: Vec<Ran>,
}

/// A row that was run.
#[derive(Debug, Clone, Serialize)]
pub struct Ran {
    /// Its name on the command line.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Unit of its figures.
    pub unit: String,
    /// In words.
    pub goal: String,
    /// Whether it was met; `None`: there is none, or nothing to hold it against.
    pub met: Option<bool>,
    /// Of ours to the goal; 1.0 is the goal itself.
    pub to_goal: Option<f64>,
    /// Figures by rival, one for each round.
    pub figures: Figures,
    /// Ours to Envoy's.
    pub to_envoy: Option<Spread>,
    /// Ours to the lean Envoy's.
    pub to_lean: Option<Spread>,
    /// What was noted.
    pub note: String,
    /// Why it has no figures.
    pub failed: Option<String>,
}

/// Median with the smallest and the largest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The one in the middle.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of these figures; `None` of none.
    pub fn of(figures: &[f64]) -> Option<Self> {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied();
        Some(Self { min: at(0)?, median: at(sorted.len() / 2)?, max: at(sorted.len() - 1)? })
    }

    /// Of the ratios of figures of the same round.
    pub fn of_ratios(ours: &[f64], theirs: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        Self::of(&ratios).filter(|spread| spread.median.is_finite())
    }
}

impl Ran {
    /// Judges the figures of a row.
    pub fn judge(row: &Row, outcome: Result<(Figures, String), String>) -> Self {
        let (figures, seen, failed) = match outcome {
            Ok((figures, seen)) => (figures, seen, None),
            Err(error) => (Figures::new(), String::new(), Some(error)),
        };
        let of = |kind| figures.get(&kind).map(Vec::as_slice).unwrap_or_default();
        let to_envoy = Spread::of_ratios(of(Kind::Ours), of(Kind::Envoy));
        let to_lean = Spread::of_ratios(of(Kind::Ours), of(Kind::Lean));
        let to_goal = match row.goal {
            Some(Goal::OfEnvoy(goal)) => to_envoy.map(|spread| spread.median / goal),
            Some(Goal::Figure(goal)) => Spread::of(of(Kind::Ours)).map(|spread| spread.median / goal),
            None => None,
        };
        let goal = match row.goal {
            Some(Goal::OfEnvoy(goal)) => format!("≤ {goal:.2} of Envoy"),
            Some(Goal::Figure(goal)) => format!("≤ {}", number(goal)),
            None => "–".to_owned(),
        };
        let note = [row.note, &seen].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(". ");
        Self {
            id: row.id.to_owned(),
            title: row.title.to_owned(),
            unit: row.unit.to_owned(),
            goal,
            met: to_goal.map(|share| share <= 1.0),
            to_goal,
            to_envoy,
            to_lean,
            figures,
            note,
            failed,
        }
    }

    /// In words, with how far off a missed goal is.
    pub fn verdict(&self) -> String {
        match (&self.failed, self.met, self.to_goal) {
            (Some(error), ..) => format!("**failed**: {error}"),
            (None, Some(true), _) => "met".to_owned(),
            (None, Some(false), Some(share)) => format!("**missed by {:.0} %**", (share - 1.0) * 100.0),
            _ => "–".to_owned(),
        }
    }

    /// Median figures of all rivals in the order of a table's columns, as they are shown.
    pub fn medians(&self) -> [String; 5] {
        [Kind::Envoy, Kind::Lean, Kind::Nginx, Kind::Haproxy, Kind::Ours]
            .map(|kind| self.median(kind).map_or_else(|| "–".to_owned(), number))
    }

    /// Median figure of a rival.
    pub fn median(&self, kind: Kind) -> Option<f64> {
        Spread::of(self.figures.get(&kind)?).map(|spread| spread.median)
    }
}

/// A number with as many digits as it deserves.
pub fn number(figure: f64) -> String {
    match figure.abs() {
        large if large >= 1000.0 => {
            let digits = format!("{:.0}", figure.abs());
            let mut grouped = String::new();
            for (index, digit) in digits.chars().enumerate() {
                if index > 0 && (digits.len() - index).is_multiple_of(3) {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            if figure < 0.0 { format!("-{grouped}") } else { grouped }
        }
        medium if medium >= 100.0 => format!("{figure:.0}"),
        _ => format!("{figure:.1}"),
    }
}

fn ratio(spread: Option<Spread>) -> String {
    spread
        .map_or_else(|| "–".to_owned(), |spread| format!("{:.2} ({:.2}–{:.2})", spread.median, spread.min, spread.max))
}

impl Report {
    /// The table.
    pub fn markdown(&self) -> String {
        let mut lines = vec![
            format!(
                "`{}`: {} rounds of {} s; {}; load after: {}",
                self.command,
                self.rounds.0,
                self.rounds.1,
                self.machine.line(),
                self.load_after
            ),
            String::new(),
            "Figures are medians. A ratio is the median of the rounds' ratios, with the smallest and the largest."
                .to_owned(),
            String::new(),
            "| row | unit | Envoy | Envoy, lean | nginx | haproxy | Wavetank | to Envoy | to lean | goal | |"
                .to_owned(),
            "|---|---|---|---|---|---|---|---|---|---|---|".to_owned(),
        ];
        for row in &self.rows {
            lines.push(format!(
                "| {} | {} | {} | {} | {} | {} | {} |",
                row.title,
                row.unit,
                row.medians().join(" | "),
                ratio(row.to_envoy),
                ratio(row.to_lean),
                row.goal,
                row.verdict(),
            ));
        }
        lines.push(String::new());
        lines.extend(self.rows.iter().map(|row| format!("- {} (`{}`): {}", row.title, row.id, row.note)));
        lines.push(String::new());
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::ROWS;

    fn figures(ours: &[f64], envoy: &[f64]) -> Figures {
        [(Kind::Ours, ours.to_vec()), (Kind::Envoy, envoy.to_vec())].into_iter().collect()
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let ran = Ran::judge(&ROWS[0], Ok((figures(&[1.0, 9.0, 2.0], &[2.0, 10.0, 8.0]), String::new())));
        assert_eq!(ran.to_envoy, Some(Spread { min: 0.25, median: 0.5, max: 0.9 }));
        assert_eq!(ran.met, Some(false));
        assert_eq!(ran.verdict(), "**missed by 25 %**");
    }

    #[test]
    fn a_row_that_failed_says_why_and_meets_nothing() {
        let ran = Ran::judge(&ROWS[0], Err("503".to_owned()));
        assert_eq!((ran.met, ran.verdict()), (None, "**failed**: 503".to_owned()));
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(60_000.0), "60,000");
        assert_eq!(number(999.4), "999");
        assert_eq!(number(1234.6), "1,235");
        assert_eq!(number(0.28), "0.3");
    }
}
