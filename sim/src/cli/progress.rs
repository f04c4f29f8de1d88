//! The line that moves on a terminal while scenarios run.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use wavetank_platform::{Clock, Instant};

use super::pool::Standing;

/// Runs shorter than this show nothing.
const PATIENCE: Duration = Duration::from_millis(400);
/// Cells of the bar.
const BAR: usize = 20;
/// Columns where the terminal does not say how many it has.
const WIDTH: usize = 80;

/// Goes back to the line's beginning and clears it.
const CLEAR: &str = "\r\x1b[2K";

/// A line of progress, or none where nobody looks.
pub(super) struct Progress {
    clock: Arc<dyn Clock>,
    begin: Instant,
    names: Vec<String>,
    width: usize,
    enabled: bool,
    shown: bool,
}

impl Progress {
    pub(super) fn new(clock: Arc<dyn Clock>, names: Vec<String>, width: Option<usize>, enabled: bool) -> Self {
        let begin = clock.now();
        Self { clock, begin, names, width: width.unwrap_or(WIDTH), enabled, shown: false }
    }

    /// Draws the line anew.
    pub(super) fn tick(&mut self, standing: &Standing, failed: usize, err: &mut dyn Write) -> io::Result<()> {
        let elapsed = self.clock.now() - self.begin;
        if !self.enabled || elapsed < PATIENCE {
            return Ok(());
        }
        self.shown = true;
        let line = line(&self.names, standing, failed, elapsed);
        let cut: String = line.chars().take(self.width.saturating_sub(1)).collect();
        write!(err, "{CLEAR}{cut}")?;
        err.flush()
    }

    /// Takes the line away.
    pub(super) fn end(&mut self, err: &mut dyn Write) -> io::Result<()> {
        if !std::mem::take(&mut self.shown) {
            return Ok(());
        }
        err.write_all(CLEAR.as_bytes())?;
        err.flush()
    }
}

fn line(names: &[String], standing: &Standing, failed: usize, elapsed: Duration) -> String {
    let (done, all) = (standing.done, names.len());
    let full = done * BAR / all.max(1);
    let bar = "█".repeat(full) + &"░".repeat(BAR - full);
    let failed = if failed > 0 { format!("   {failed} failed") } else { String::new() };
    let running: Vec<&str> = standing.running.iter().filter_map(|at| names.get(*at)).map(String::as_str).collect();
    format!(" {bar} {done}/{all}{failed}   {:.1}s   {}", elapsed.as_secs_f64(), running.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_how_far_and_what_runs() {
        let names = ["a.yaml", "b.yaml", "c.yaml", "d.yaml"].map(str::to_owned);
        let standing = Standing { done: 1, running: vec![1, 2] };
        let shown = line(&names, &standing, 1, Duration::from_millis(2340));
        assert_eq!(shown, " █████░░░░░░░░░░░░░░░ 1/4   1 failed   2.3s   b.yaml, c.yaml");
    }
}
