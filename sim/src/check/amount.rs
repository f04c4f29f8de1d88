//! A count or share as scenarios write it: `all`, `none`, `3`, `50%`, `'>0'`, `'<5%'`, `{min: 1, max: 3}`.

use std::fmt;
use std::str::FromStr;

/// A number of things, or a percentage of all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// So many.
    Count(u64),
    /// So many of a hundred.
    Percent(f64),
}

impl Quantity {
    /// How `count` of `total` compares with it. A share of nothing compares as 0 %.
    fn compare(self, count: u64, total: u64) -> std::cmp::Ordering {
        match self {
            Self::Count(own) => count.cmp(&own),
            Self::Percent(own) => (count as f64 * 100.0).total_cmp(&(own * total as f64)),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(share) => write!(f, "{share}%"),
        }
    }
}

impl FromStr for Quantity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(share) = text.strip_suffix('%') {
            let share: f64 = share.trim().parse().map_err(|_| format!("`{text}` is not a percentage"))?;
            if !(0.0..=100.0).contains(&share) {
                return Err(format!("`{text}` is not between 0% and 100%"));
            }
            return Ok(Self::Percent(share));
        }
        let count = text.parse().map_err(|_| format!("`{text}` is not a count or a percentage"))?;
        Ok(Self::Count(count))
    }
}

/// What a count may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// Every one.
    All,
    /// Not one.
    None,
    /// Just so many.
    Exactly(Quantity),
    /// More than this.
    Above(Quantity),
    /// Less than this.
    Below(Quantity),
    /// At least the first, at most the second.
    Within(Option<Quantity>, Option<Quantity>),
}

impl Amount {
    /// Whether `count` of `total` is right.
    pub fn accepts(&self, count: u64, total: u64) -> bool {
        let compare = |quantity: &Quantity| quantity.compare(count, total);
        match self {
            Self::All => count == total,
            Self::None => count == 0,
            Self::Exactly(own) => compare(own).is_eq(),
            Self::Above(own) => compare(own).is_gt(),
            Self::Below(own) => compare(own).is_lt(),
            Self::Within(min, max) => {
                min.as_ref().is_none_or(|min| compare(min).is_ge())
                    && max.as_ref().is_none_or(|max| compare(max).is_le())
            }
        }
    }

    /// Whether it says nothing when there is nothing to count.
    pub fn needs_samples(&self) -> bool {
        let is_share = |quantity: &Quantity| matches!(quantity, Quantity::Percent(_));
        match self {
            Self::All | Self::None => true,
            Self::Exactly(own) | Self::Above(own) | Self::Below(own) => is_share(own),
            Self::Within(min, max) => min.iter().chain(max).any(is_share),
        }
    }

    /// Whether it is about counts alone.
    pub fn is_count(&self) -> bool {
        !matches!(self, Self::All | Self::None) && !self.needs_samples()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::None => f.write_str("none"),
            Self::Exactly(own) => own.fmt(f),
            Self::Above(own) => write!(f, "> {own}"),
            Self::Below(own) => write!(f, "< {own}"),
            Self::Within(Some(min), Some(max)) => write!(f, "{min}–{max}"),
            Self::Within(Some(min), None) => write!(f, "≥ {min}"),
            Self::Within(None, Some(max)) => write!(f, "≤ {max}"),
            Self::Within(None, None) => f.write_str("any"),
        }
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text {
            "all" => return Ok(Self::All),
            "none" => return Ok(Self::None),
            _ => {}
        }
        if let Some(rest) = text.strip_prefix(">=") {
            Ok(Self::Within(Some(rest.parse()?), None))
        } else if let Some(rest) = text.strip_prefix("<=") {
            Ok(Self::Within(None, Some(rest.parse()?)))
        } else if let Some(rest) = text.strip_prefix('>') {
            Ok(Self::Above(rest.parse()?))
        } else if let Some(rest) = text.strip_prefix('<') {
            Ok(Self::Below(rest.parse()?))
        } else {
            Ok(Self::Exactly(text.parse()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_written_form_accepts_what_it_says() {
        let rows: [(&str, &[u64], &[u64]); 9] = [
            ("all", &[10], &[9, 0]),
            ("none", &[0], &[1, 10]),
            ("3", &[3], &[2, 4]),
            ("50%", &[5], &[4, 6]),
            (">0", &[1, 10], &[0]),
            ("<3", &[0, 2], &[3]),
            (">20%", &[3], &[2]),
            (">=20%", &[2, 3], &[1]),
            ("<= 2", &[0, 2], &[3]),
        ];
        for (text, yes, no) in rows {
            let amount: Amount = text.parse().unwrap();
            assert!(yes.iter().all(|count| amount.accepts(*count, 10)), "{text}");
            assert!(!no.iter().any(|count| amount.accepts(*count, 10)), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "some", "-1", "101%", "1.5", ">", "NaN%", "1 %x"] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }
}
