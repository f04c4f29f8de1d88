//! The header `date`, which changes once a second.

use std::sync::{Mutex, PoisonError};

use http::HeaderValue;
use wavetank_platform::UnixTime;

use super::list::text;

/// Writes dates, each once for all responses of its second.
#[derive(Debug, Default)]
pub struct Dates(Mutex<Option<(u64, HeaderValue)>>);

impl Dates {
    /// None written yet.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The date of `now` in the form of RFC 9110, section 5.6.7.
    pub fn at(&self, now: UnixTime) -> HeaderValue {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((second, date)) if *second == now.as_secs() => date.clone(),
            _ => {
                let date = text(&httpdate::fmt_http_date(now.to_system_time()));
                *last = Some((now.as_secs(), date.clone()));
                date
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_second_has_its_own_date() {
        let dates = Dates::new();
        let at = |millis| dates.at(UnixTime::from_epoch(Duration::from_millis(millis)));
        assert_eq!(at(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_777_999), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_778_000), "Sun, 06 Nov 1994 08:49:38 GMT");
        // A wall clock may be set back.
        assert_eq!(at(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
