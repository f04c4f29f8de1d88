//! How many values fell into each of Envoy's default buckets, which Istio's metrics use too.

/// Upper bounds of the buckets, in whatever is measured: milliseconds or bytes.
pub(crate) const BOUNDS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1000.0,
    2500.0,
    5000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// A distribution.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Histogram {
    /// By bucket, each for itself; the last is beyond all bounds.
    buckets: [u64; BOUNDS.len() + 1],
    sum: f64,
}

impl Histogram {
    /// Counts one value.
    pub(crate) fn note(&mut self, value: f64) {
        let bucket = BOUNDS.iter().position(|bound| value <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket] += 1;
        self.sum += value;
    }

    /// Counts all that `other` counted.
    pub(crate) fn add(&mut self, other: &Self) {
        for (own, more) in self.buckets.iter_mut().zip(other.buckets) {
            *own += more;
        }
        self.sum += other.sum;
    }

    /// Bounds with how many values are not above them, in ascending order, without the last: that is
    /// [`Self::count`].
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let mut so_far = 0;
        BOUNDS.iter().zip(self.buckets).map(move |(bound, count)| {
            so_far += count;
            (*bound, so_far)
        })
    }

    /// How many values there were.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum of all values.
    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_is_not_above_it_and_nothing_is_beyond_counting() {
        let mut histogram = Histogram::default();
        for value in [0.0, 0.5, 0.6, 1e9] {
            histogram.note(value);
        }
        let cumulative: Vec<_> = histogram.cumulative().collect();
        assert_eq!(cumulative[..3], [(0.5, 2), (1.0, 3), (5.0, 3)]);
        assert_eq!(cumulative[BOUNDS.len() - 1].1, 3);
        assert_eq!(histogram.count(), 4);
        let mut twice = histogram.clone();
        twice.add(&histogram);
        assert_eq!((twice.count(), twice.sum()), (8, 2.0 * histogram.sum()));
    }
}
