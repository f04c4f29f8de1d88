//! What RE2 refuses, told in words that help. <https://github.com/google/re2/wiki/Syntax>

/// Largest count of a repetition.
const REPEAT_MAX: u32 = 1000;

/// Why RE2 refuses an expression, of the reasons that have a name; `None`: the compiler decides.
pub(super) fn refuses(text: &str) -> Option<&'static str> {
    const LOOK: &str = "RE2 has no look-ahead and look-behind; match what must be there, and route the exception \
                        earlier";
    const BACK: &str = "RE2 has no references back to a group";
    const NESTED: &str = "a repetition of a repetition; put the inner one in parentheses";
    const COUNT: &str = "RE2 repeats at most 1000 times";
    let bytes = text.as_bytes();
    let (mut at, mut repeated, mut lazy) = (0, false, false);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let mut width = 1;
        match rest[0] {
            b'\\' => {
                if rest.get(1).is_some_and(|c| (b'1'..=b'9').contains(c)) || rest.starts_with(b"\\k<") {
                    return Some(BACK);
                }
                width = 2;
                repeated = false;
            }
            b'[' => {
                width = class_len(rest);
                repeated = false;
            }
            b'(' => {
                if [&b"(?="[..], b"(?!", b"(?<=", b"(?<!"].iter().any(|look| rest.starts_with(look)) {
                    return Some(LOOK);
                }
                width = if rest.starts_with(b"(?") { 2 } else { 1 };
                repeated = false;
            }
            b'?' if repeated && !lazy => lazy = true,
            b'*' | b'+' | b'?' if repeated => return Some(NESTED),
            b'*' | b'+' | b'?' => (repeated, lazy) = (true, false),
            b'{' => match counted(rest) {
                Some(_) if repeated => return Some(NESTED),
                Some((_, count)) if count > REPEAT_MAX => return Some(COUNT),
                Some((len, _)) => (width, repeated, lazy) = (len, true, false),
                None => repeated = false,
            },
            _ => repeated = false,
        }
        at += width;
    }
    None
}

/// Length of a class in brackets, or of what is left where it is not closed.
fn class_len(rest: &[u8]) -> usize {
    let mut at = if rest.get(1) == Some(&b'^') { 2 } else { 1 };
    let first = at;
    while at < rest.len() {
        match rest[at] {
            b']' if at > first => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Length and larger count of `{n}`, `{n,}` or `{n,m}`.
fn counted(rest: &[u8]) -> Option<(usize, u32)> {
    let end = rest.iter().position(|c| *c == b'}')?;
    let inner = std::str::from_utf8(&rest[1..end]).ok()?;
    let (from, to) = inner.split_once(',').unwrap_or((inner, inner));
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u32::MAX))
    };
    let from = number(from)?;
    let to = if to.is_empty() { from } else { number(to)? };
    Some((end + 1, from.max(to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_re2_does_not_have_is_named() {
        for (text, word) in [
            ("(?!x).*", "look-ahead"),
            ("(?<=x)y", "look-ahead"),
            (r"(a)\1", "references back"),
            ("a**", "parentheses"),
            ("a{2}{3}", "parentheses"),
            ("a+?+", "parentheses"),
            ("a{1001}", "1000"),
            ("a{2,99999999999}", "1000"),
        ] {
            assert!(refuses(text).is_some_and(|why| why.contains(word)), "{text}");
        }
        for fine in
            ["a*?", "(a*)*", r"a\++", "[*+]+", "[]+*]*", "(?i)a", "(?:a+)+", "a{2}?", r"\(?!", "x{y}", "{", "\\", "["]
        {
            assert_eq!(refuses(fine), None, "{fine}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a(?!<=){},0-9*+\\\\\\[\\]^]{0,24}|\\PC{0,12}") {
            let _ = refuses(&text);
        }
    }
}
