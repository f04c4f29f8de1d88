//! Numbers and axes of drawings.

/// A coordinate: one decimal, and none where it would be 0.
pub(super) fn n(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Milliseconds as a person writes them: `6.1 ms`, `1.5 s`, `3 m 20 s`.
pub(super) fn duration(ms: f64) -> String {
    let sign = if ms < 0.0 { "−" } else { "" };
    let ms = ms.abs();
    if ms < 0.005 {
        return "0".to_owned();
    }
    if ms < 999.5 {
        return format!("{sign}{} ms", trimmed(ms, if ms < 0.1 { 2 } else { usize::from(ms < 100.0) }));
    }
    let seconds = ms / 1000.0;
    if seconds < 120.0 {
        return format!("{sign}{} s", trimmed(seconds, if seconds < 10.0 { 2 } else { 1 }));
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, minutes, 0) => format!("{sign}{minutes} m"),
        (0, minutes, seconds) => format!("{sign}{minutes} m {seconds} s"),
        (hours, 0, _) => format!("{sign}{hours} h"),
        (hours, minutes, _) => format!("{sign}{hours} h {minutes} m"),
    }
}

fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A share as percent with one decimal.
pub(super) fn percent(count: u64, of: u64) -> String {
    format!("{:.1}%", count as f64 * 100.0 / of.max(1) as f64)
}

/// `text`, not longer than `most` characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// Shares of `counts` as percents with one decimal that add up to 100: what rounding leaves goes to those
/// that lost most by it.
pub(super) fn shares(counts: &[u64]) -> Vec<String> {
    let sum: u64 = counts.iter().sum();
    if sum == 0 {
        return counts.iter().map(|_| "0.0%".to_owned()).collect();
    }
    let wide = |count: u64| u128::from(count) * 1000;
    let mut mills: Vec<u128> = counts.iter().map(|count| wide(*count) / u128::from(sum)).collect();
    let mut by_loss: Vec<usize> = (0..counts.len()).collect();
    by_loss.sort_by_key(|at| std::cmp::Reverse(wide(counts[*at]) % u128::from(sum)));
    let lost = 1000u128.saturating_sub(mills.iter().sum());
    let lost = usize::try_from(lost).unwrap_or(0);
    by_loss.into_iter().take(lost).for_each(|at| mills[at] += 1);
    mills.into_iter().map(|share| format!("{}.{}%", share / 10, share % 10)).collect()
}

/// Places for about `wanted` marks between `from` and `to`, at round numbers.
pub(super) fn ticks(from: f64, to: f64, wanted: usize) -> Vec<f64> {
    let span = to - from;
    if span <= 0.0 || !span.is_finite() || wanted == 0 {
        return Vec::new();
    }
    let rough = span / wanted as f64;
    let mut step = 1.0;
    while step > rough {
        step /= 10.0;
    }
    while step * 10.0 <= rough {
        step *= 10.0;
    }
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * step).into_iter().find(|own| *own >= rough).unwrap_or(step);
    let first = (from / step).ceil() as i64;
    let last = (to / step + 1e-9).floor() as i64;
    (first..=last).map(|at| at as f64 * step).collect()
}

/// Steps between marks of time from a second on, in milliseconds.
const TIME_STEPS: [f64; 17] =
    [1e3, 2e3, 5e3, 1e4, 2e4, 3e4, 6e4, 12e4, 3e5, 6e5, 12e5, 18e5, 36e5, 72e5, 216e5, 432e5, 864e5];

/// Places for about `wanted` marks between two times in milliseconds, at round seconds, minutes or hours.
pub(super) fn time_ticks(from: f64, to: f64, wanted: usize) -> Vec<f64> {
    let rough = (to - from) / wanted.max(1) as f64;
    match TIME_STEPS.into_iter().find(|step| *step >= rough) {
        Some(step) if rough > TIME_STEPS[0] => {
            let (first, last) = ((from / step).ceil() as i64, (to / step).floor() as i64);
            (first..=last).map(|at| at as f64 * step).collect()
        }
        _ => ticks(from, to, wanted),
    }
}

/// A linear scale from values to coordinates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    from: f64,
    factor: f64,
    start: f64,
}

impl Scale {
    /// Takes `from..to` to `start..end`.
    pub(super) fn new((from, to): (f64, f64), (start, end): (f64, f64)) -> Self {
        let span = if to > from { to - from } else { 1.0 };
        Self { from, factor: (end - start) / span, start }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        self.start + (value - self.from) * self.factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stand_at_round_numbers() {
        assert_eq!(ticks(0.0, 20.0, 10), (0..=10).map(|at| f64::from(at) * 2.0).collect::<Vec<_>>());
        assert_eq!(ticks(-3.0, 1.0, 4), [-3.0, -2.0, -1.0, 0.0, 1.0]);
        assert!(ticks(1.0, 1.0, 5).is_empty() && ticks(0.0, f64::NAN, 5).is_empty());
    }

    #[test]
    fn times_are_marked_at_round_minutes_and_hours() {
        let marks = |to: f64| time_ticks(0.0, to, 10).into_iter().map(duration).collect::<Vec<_>>();
        assert_eq!(marks(8.0 * 36e5)[..3], ["0", "1 h", "2 h"]);
        assert_eq!(marks(20_300.0)[..3], ["0", "5 s", "10 s"]);
        assert_eq!(marks(60.0)[..3], ["0", "10 ms", "20 ms"]);
        assert_eq!(marks(400_000.0)[..3], ["0", "60 s", "2 m"]);
    }

    #[test]
    fn durations_read_as_people_write_them() {
        for (ms, wanted) in [
            (0.0, "0"),
            (999.7, "1 s"),
            (6.14, "6.1 ms"),
            (250.0, "250 ms"),
            (1500.0, "1.5 s"),
            (20_013.0, "20 s"),
            (-52.0, "−52 ms"),
            (200_000.0, "3 m 20 s"),
            (86_400_000.0, "24 h"),
        ] {
            assert_eq!(duration(ms), wanted);
        }
    }

    #[test]
    fn shares_add_up_to_a_hundred() {
        assert_eq!(shares(&[1399, 601]), ["70.0%", "30.0%"]);
        assert_eq!(shares(&[1, 1, 1]), ["33.4%", "33.3%", "33.3%"]);
        assert_eq!(shares(&[0, 0]), ["0.0%", "0.0%"]);
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!([n(1.0), n(-0.01), n(2.345)], ["1", "0", "2.3"]);
    }
}
