//! Times of day by a format like strftime's. Envoy: `DateFormatter`; its fractions are `%f` (nanoseconds), `%3f`
//! (milliseconds) and so on to `%9f`. Times are UTC.

use wavetank_platform::UnixTime;

use super::number;

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A format of times. An empty one is that of access logs: `2026-11-29T06:55:55.294Z`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimeFormat(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    /// `%s`: seconds since the epoch.
    Epoch,
    /// So many digits of the fraction of a second.
    Fraction(usize),
    Year,
    YearOfCentury,
    Month,
    Day,
    DayPadded,
    DayOfYear,
    Hour,
    HourOfHalf,
    Minute,
    Second,
    /// The name of the month, cut after this many letters.
    MonthName(usize),
    /// The name of the day, cut after this many letters.
    DayName(usize),
    Half,
}

impl TimeFormat {
    /// Parses a format.
    ///
    /// Errs with the specifier that is not known.
    pub fn parse(format: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = format;
        while let Some((literal, after)) = rest.split_once('%') {
            push_literal(&mut parts, literal);
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let mut end = digits + after[digits..].chars().next().map_or(0, char::len_utf8);
            // `%E3f` and `%Ez` are Abseil's.
            if digits == 0 && after.starts_with('E') {
                let digits = after[1..].bytes().take_while(u8::is_ascii_digit).count();
                end = 1 + digits + after[1 + digits..].chars().next().map_or(0, char::len_utf8);
            }
            specifier(&after[..end], &mut parts).ok_or_else(|| format!("%{}", &after[..end]))?;
            rest = &after[end..];
        }
        push_literal(&mut parts, rest);
        Ok(Self(parts))
    }

    /// Appends `time`.
    pub(super) fn write(&self, time: UnixTime, out: &mut Vec<u8>) {
        let date = Date::of(time);
        if self.0.is_empty() {
            return date.iso(out);
        }
        for part in &self.0 {
            date.part(part, out);
        }
    }
}

fn push_literal(parts: &mut Vec<Part>, literal: &str) {
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
}

/// Adds what one specifier, without its `%`, stands for; `None` when it is not known.
fn specifier(specifier: &str, parts: &mut Vec<Part>) -> Option<()> {
    let text = |text: &str| Part::Literal(text.into());
    match specifier {
        "s" => parts.push(Part::Epoch),
        "Y" => parts.push(Part::Year),
        "y" => parts.push(Part::YearOfCentury),
        "m" => parts.push(Part::Month),
        "d" => parts.push(Part::Day),
        "e" => parts.push(Part::DayPadded),
        "j" => parts.push(Part::DayOfYear),
        "H" => parts.push(Part::Hour),
        "I" => parts.push(Part::HourOfHalf),
        "M" => parts.push(Part::Minute),
        "S" => parts.push(Part::Second),
        "p" => parts.push(Part::Half),
        "a" => parts.push(Part::DayName(3)),
        "A" => parts.push(Part::DayName(usize::MAX)),
        "b" | "h" => parts.push(Part::MonthName(3)),
        "B" => parts.push(Part::MonthName(usize::MAX)),
        "T" => parts.extend([Part::Hour, text(":"), Part::Minute, text(":"), Part::Second]),
        "R" => parts.extend([Part::Hour, text(":"), Part::Minute]),
        "F" => parts.extend([Part::Year, text("-"), Part::Month, text("-"), Part::Day]),
        "D" => parts.extend([Part::Month, text("/"), Part::Day, text("/"), Part::YearOfCentury]),
        "z" => parts.push(text("+0000")),
        "Ez" => parts.push(text("+00:00")),
        "Z" => parts.push(text("UTC")),
        "t" => parts.push(text("\t")),
        "%" => parts.push(text("%")),
        "f" => parts.push(Part::Fraction(9)),
        other => {
            let digits = other.strip_suffix('f')?;
            let digits = digits.strip_prefix('E').unwrap_or(digits).parse().ok().filter(|n| (1..=9).contains(n))?;
            parts.push(Part::Fraction(digits));
        }
    }
    Some(())
}

/// A moment of the proleptic Gregorian calendar.
struct Date {
    seconds: u64,
    nanos: u64,
    year: u64,
    /// From 1.
    month: u64,
    /// From 1.
    day: u64,
    /// Since the epoch.
    days: u64,
}

impl Date {
    /// Days to a date by the calendar that begins in March, whose months before the last have a pattern.
    fn of(time: UnixTime) -> Self {
        let since_epoch = time.since_epoch();
        let seconds = since_epoch.as_secs();
        let days = seconds / 86_400;
        // 0000-03-01 is 719,468 days before the epoch; 400 years have 146,097 days.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        Self { seconds, nanos: since_epoch.subsec_nanos().into(), year, month, day, days }
    }

    fn iso(&self, out: &mut Vec<u8>) {
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let milliseconds = self.nanos / 1_000_000;
        let fields = [
            (0, self.year / 100 % 100),
            (2, self.year % 100),
            (5, self.month),
            (8, self.day),
            (11, self.hour()),
            (14, self.seconds / 60 % 60),
            (17, self.seconds % 60),
            (20, milliseconds / 10),
        ];
        for (at, value) in fields {
            text[at..at + 2].copy_from_slice(number::pair(value));
        }
        text[22] = number::pair(milliseconds % 10)[1];
        out.extend_from_slice(&text);
    }

    fn hour(&self) -> u64 {
        self.seconds / 3600 % 24
    }

    fn part(&self, part: &Part, out: &mut Vec<u8>) {
        match part {
            Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Part::Epoch => number::write(self.seconds, out),
            Part::Fraction(digits) => {
                let cut = 10u64.pow(u32::try_from(9 - digits).unwrap_or(0));
                number::padded(self.nanos / cut, *digits, out);
            }
            Part::Year => number::write(self.year, out),
            Part::YearOfCentury => number::padded(self.year, 2, out),
            Part::Month => number::padded(self.month, 2, out),
            Part::Day => number::padded(self.day, 2, out),
            Part::DayPadded => {
                if self.day < 10 {
                    out.push(b' ');
                }
                number::write(self.day, out);
            }
            Part::DayOfYear => number::padded(self.day_of_year(), 3, out),
            Part::Hour => number::padded(self.hour(), 2, out),
            Part::HourOfHalf => number::padded((self.hour() + 11) % 12 + 1, 2, out),
            Part::Minute => number::padded(self.seconds / 60 % 60, 2, out),
            Part::Second => number::padded(self.seconds % 60, 2, out),
            Part::MonthName(letters) => name(&MONTHS, self.month - 1, *letters, out),
            // The epoch was a Thursday.
            Part::DayName(letters) => name(&WEEKDAYS, (self.days + 4) % 7, *letters, out),
            Part::Half => out.extend_from_slice(if self.hour() < 12 { b"AM" } else { b"PM" }),
        }
    }

    fn day_of_year(&self) -> u64 {
        const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let leap = self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let before = usize::try_from(self.month - 1).ok().and_then(|month| BEFORE.get(month)).copied().unwrap_or(0);
        before + u64::from(leap && self.month > 2) + self.day
    }
}

fn name(names: &[&str], at: u64, letters: usize, out: &mut Vec<u8>) {
    let name = usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or_default();
    out.extend_from_slice(&name.as_bytes()[..letters.min(name.len())]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn shown(format: &str, seconds: u64, nanos: u32) -> String {
        let format = if format.is_empty() { TimeFormat::default() } else { TimeFormat::parse(format).unwrap() };
        let mut out = Vec::new();
        format.write(UnixTime::from_epoch(Duration::new(seconds, nanos)), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_usual_form_has_milliseconds() {
        for (seconds, wanted) in [
            (0, "1970-01-01T00:00:00.294Z"),
            (951_782_400, "2000-02-29T00:00:00.294Z"),
            (1_795_935_355, "2026-11-29T06:55:55.294Z"),
            (4_107_542_399, "2100-02-28T23:59:59.294Z"),
            (253_402_300_799, "9999-12-31T23:59:59.294Z"),
        ] {
            assert_eq!(shown("", seconds, 294_879_000), wanted);
        }
    }

    /// As Envoy 1.40 shows this moment.
    #[test]
    fn specifiers_are_envoys() {
        let format = "%Y-%m-%dT%H:%M:%S.%3fZ %s %f %1f %2f %5f %6f %9f %E3f %Ez %z %Z %e %j %a %b %p %I %y %% %T %D \
                      %F %s.%9f";
        assert_eq!(
            shown(format, 1_795_935_355, 294_879_000),
            "2026-11-29T06:55:55.294Z 1795935355 294879000 2 29 29487 294879 294879000 294 +00:00 +0000 UTC 29 333 Sun \
             Nov AM 06 26 % 06:55:55 11/29/26 2026-11-29 1795935355.294879000"
        );
        assert_eq!(shown("%e|%j|%I %p|%A %B", 1_709_168_400 + 86_400, 0), " 1|061|01 AM|Friday March");
    }

    #[test]
    fn what_is_not_known_is_named() {
        assert_eq!(TimeFormat::parse("%Y %Q").unwrap_err(), "%Q");
        assert_eq!(TimeFormat::parse("%12f").unwrap_err(), "%12f");
        assert_eq!(TimeFormat::parse("%n").unwrap_err(), "%n");
        assert_eq!(TimeFormat::parse("a%").unwrap_err(), "%");
        assert_eq!(TimeFormat::parse("%E").unwrap_err(), "%E");
        assert_eq!(TimeFormat::parse("%é").unwrap_err(), "%é");
    }
}
