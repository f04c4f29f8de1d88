//! The seeds of a sweep.

use std::str::FromStr;

/// Seeds of one sweep at most: their results are kept.
const SEEDS_MAX: u64 = 100_000;

/// `1..500`, both ends among them; `500` is `1..500`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeds {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl Seeds {
    /// How many there are.
    pub fn count(self) -> u64 {
        self.last - self.first + 1
    }
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a range of seeds like 1..500");
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
        let seeds = match text.split_once("..") {
            Some((first, last)) => Self { first: number(first)?, last: number(last.trim_start_matches('='))? },
            None => Self { first: 1, last: number(text)? },
        };
        match seeds.last.checked_sub(seeds.first) {
            None => Err(wrong()),
            Some(more) if more >= SEEDS_MAX => Err(format!("more than {SEEDS_MAX} seeds")),
            Some(_) => Ok(seeds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_seeds_has_both_its_ends() {
        for (text, first, last) in [("1..500", 1, 500), ("7..=9", 7, 9), ("20", 1, 20), ("3..3", 3, 3)] {
            assert_eq!(text.parse(), Ok(Seeds { first, last }), "{text}");
        }
        for wrong in ["", "9..7", "a..b", "1..", "0", "1..1000000"] {
            assert!(wrong.parse::<Seeds>().is_err(), "{wrong}");
        }
    }
}
