//! Durations as Istio's YAML writes them: Go's (`1h30m`, `500ms`) and protobuf's (`0.5s`).

use std::time::Duration;

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration; the error says what is wrong with it.
///
/// # Errors
/// When a number has no unit, a unit is not known, or the duration is negative or beyond 290 years.
pub fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.starts_with('-') {
        return Err(format!("`{text}` is negative"));
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut nanos: u64 = 0;
    if rest.is_empty() {
        return Err("an empty duration; write it like `3s` or `500ms`".to_owned());
    }
    while !rest.is_empty() {
        let (part, behind) = take_part(rest, text)?;
        nanos = nanos.checked_add(part).filter(|n| *n <= i64::MAX as u64).ok_or_else(|| too_long(text))?;
        rest = behind;
    }
    Ok(Duration::from_nanos(nanos))
}

fn too_long(text: &str) -> String {
    format!("`{text}` is too long")
}

/// Nanoseconds of the first number and unit of `rest`, and what is behind them.
fn take_part<'t>(rest: &'t str, whole: &str) -> Result<(u64, &'t str), String> {
    let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, rest) = rest.split_at(number_len);
    let unit_len = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_len);
    let (digits, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (digits.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(format!("`{whole}` is no duration; write it like `3s` or `500ms`"));
    }
    if unit.is_empty() {
        return Err(format!("`{whole}` has no unit; write it like `{number}s` or `{number}ms`"));
    }
    let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("`{whole}` has the unknown unit `{unit}`; known are h, m, s, ms, us and ns"));
    };
    let digits: u64 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| too_long(whole))? };
    let mut nanos = digits.checked_mul(*scale).ok_or_else(|| too_long(whole))?;
    let mut place = *scale;
    for digit in fraction.bytes() {
        place /= 10;
        nanos = nanos.saturating_add(u64::from(digit - b'0') * place);
    }
    Ok((nanos, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_and_protobuf_durations() {
        for (text, millis) in [
            ("3s", 3000),
            ("500ms", 500),
            ("1h30m", 5_400_000),
            ("0.5s", 500),
            (".5s", 500),
            ("1.5h", 5_400_000),
            ("24h", 86_400_000),
            ("30ms", 30),
            ("1m0.250s", 60_250),
            ("0", 0),
            ("0s", 0),
            ("+2s", 2000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("10us"), Ok(Duration::from_micros(10)));
        assert_eq!(parse("7ns"), Ok(Duration::from_nanos(7)));
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, why) in [
            ("5", "`5` has no unit; write it like `5s` or `5ms`"),
            ("1s5", "`1s5` has no unit; write it like `5s` or `5ms`"),
            ("-1s", "`-1s` is negative"),
            ("", "an empty duration; write it like `3s` or `500ms`"),
            ("s", "`s` is no duration; write it like `3s` or `500ms`"),
            ("1.2.3s", "`1.2.3s` is no duration; write it like `3s` or `500ms`"),
            ("3d", "`3d` has the unknown unit `d`; known are h, m, s, ms, us and ns"),
            ("99999999999999999999s", "`99999999999999999999s` is too long"),
            ("9999999h", "`9999999h` is too long"),
        ] {
            assert_eq!(parse(text), Err(why.to_owned()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9.hmsunµ+ -]{0,24}|\\PC{0,12}") {
            let _ = parse(&text);
        }
    }
}
