//! How long a request and each of its attempts may take. Envoy: router filter, `finalTimeout`.

use std::time::Duration;

use http::HeaderName;

use crate::http::headers::HeaderList;
use crate::http::names;
use crate::snapshot::route::{Forward, RetryPolicy};

/// The bounds of one request; `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the end of the request to the end of the response, attempts and back-off included.
    pub global: Option<Duration>,
    /// One attempt.
    pub per_try: Option<Duration>,
}

/// Envoy's bound of a route that says nothing.
const ROUTE_DEFAULT: Duration = Duration::from_secs(15);

impl Timeouts {
    /// The bounds by route and retry policy; `x-envoy-upstream-rq-timeout-ms` and
    /// `x-envoy-upstream-rq-per-try-timeout-ms` go before them (they reach this point only from callers
    /// that are trusted). A per-try bound that is not below the global one is none.
    pub fn of(forward: &Forward, retry: Option<&RetryPolicy>, headers: &HeaderList) -> Self {
        let global =
            millis(headers, &names::UPSTREAM_RQ_TIMEOUT).unwrap_or_else(|| forward.timeout.unwrap_or(ROUTE_DEFAULT));
        let per_try = millis(headers, &names::UPSTREAM_RQ_PER_TRY_TIMEOUT)
            .or_else(|| retry.and_then(|policy| policy.per_try_timeout));
        let bound = |duration: Duration| (!duration.is_zero()).then_some(duration);
        let global = bound(global);
        let per_try = per_try.and_then(bound).filter(|per_try| global.is_none_or(|global| *per_try < global));
        Self { global, per_try }
    }

    /// What `x-envoy-expected-rq-timeout-ms` says when `elapsed` of the request has passed, in
    /// milliseconds; `None`: it is not sent.
    pub fn expected_ms(&self, elapsed: Duration) -> Option<u64> {
        let whole = self.per_try.or(self.global)?;
        let left = match self.global {
            Some(global) if elapsed >= global => Duration::from_millis(1),
            Some(global) => whole.min(global - elapsed),
            None => whole,
        };
        u64::try_from(left.as_millis()).ok().map(|ms| ms.max(1))
    }
}

fn millis(headers: &HeaderList, name: &HeaderName) -> Option<Duration> {
    headers.get(name)?.to_str().ok()?.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::snapshot::route::{ClusterChoice, RetryOn};

    fn of(timeout: Option<u64>, per_try: Option<u64>, header: Option<&'static str>) -> Timeouts {
        let mut forward = Forward::to(ClusterChoice::Single("c".into()));
        forward.timeout = timeout.map(Duration::from_millis);
        let mut retry = RetryPolicy::new(RetryOn::default(), 1);
        retry.per_try_timeout = per_try.map(Duration::from_millis);
        let mut headers = HeaderList::new();
        if let Some(value) = header {
            headers.insert(names::UPSTREAM_RQ_TIMEOUT, HeaderValue::from_static(value));
        }
        Timeouts::of(&forward, Some(&retry), &headers)
    }

    #[test]
    fn the_route_is_bounded_by_15_s_unless_it_says_otherwise() {
        assert_eq!(of(None, None, None).global, Some(Duration::from_secs(15)));
        assert_eq!(of(Some(0), None, None).global, None);
        assert_eq!(of(Some(300), None, Some("200")).global, Some(Duration::from_millis(200)));
    }

    #[test]
    fn a_per_try_bound_that_does_not_bind_is_none() {
        assert_eq!(of(Some(300), Some(300), None).per_try, None);
        assert_eq!(of(Some(300), Some(200), None).per_try, Some(Duration::from_millis(200)));
        assert_eq!(of(Some(0), Some(200), None).per_try, Some(Duration::from_millis(200)));
    }

    #[test]
    fn the_expected_timeout_shrinks_with_what_is_left_unless_an_attempt_is_bounded() {
        let ms = Duration::from_millis;
        assert_eq!(of(None, None, None).expected_ms(Duration::ZERO), Some(15_000));
        assert_eq!(of(None, None, None).expected_ms(ms(12)), Some(14_988));
        assert_eq!(of(None, Some(200), None).expected_ms(ms(12)), Some(200));
        assert_eq!(of(Some(500), Some(200), None).expected_ms(ms(400)), Some(100));
        assert_eq!(of(Some(500), None, None).expected_ms(ms(600)), Some(1));
        assert_eq!(of(Some(0), None, None).expected_ms(ms(12)), None);
    }
}
