//! The word that a misspelt one was probably meant to be.

/// The word of a vocabulary nearest to `word`, if one is near: a third of its letters may differ, at least one.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    within(word, candidates, |letters| (letters / 3).max(1))
}

/// The nearest of names that people give: one letter may differ, of eight or more two, and none of a name as short as
/// `v1`. Names that differ more are often two things: `service-go`, `shop-go`.
pub fn nearest_name<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    within(word, candidates, |letters| match letters {
        0..=2 => 0,
        3..=7 => 1,
        _ => 2,
    })
}

fn within<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
    differing_max: impl Fn(usize) -> usize,
) -> Option<&'c str> {
    let word = word.to_lowercase();
    // Longer words than any field's are no misspelling, and would make the comparison slow.
    if word.chars().count() > 64 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= differing_max(candidate.chars().count()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, drop, replace or swap with a neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        let fields = ["hosts", "gateways", "http", "timeout"];
        for (word, meant) in [
            ("host", Some("hosts")),
            ("hsots", Some("hosts")),
            ("HTTP", Some("http")),
            ("gatways", Some("gateways")),
            ("timeOut", Some("timeout")),
            ("retries", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, fields), meant, "{word}");
        }
    }

    #[test]
    fn a_name_is_near_by_one_or_two_letters() {
        let names = ["service-go", "v1", "gate"];
        for (word, meant) in [
            ("service-goo", Some("service-go")),
            ("servcie-g", Some("service-go")),
            ("service-js", Some("service-go")),
            ("service-lua", None),
            ("v2", None),
            ("gatr", Some("gate")),
            ("gaet", Some("gate")),
            ("mate-", None),
        ] {
            assert_eq!(nearest_name(word, names), meant, "{word}");
        }
    }
}
