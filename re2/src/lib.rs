//! RE2's regular expressions in the syntax of the `regex` crate, and in words what RE2 does not take.
//! <https://github.com/google/re2/wiki/Syntax>, and Go's `regexp/syntax`, by which Istio validates.
//!
//! The two languages look alike and are not: RE2 takes `{` where no count follows for itself, quotes with `\Q`, knows
//! only ASCII in `\d` and `\w`, and has no sets within classes. The control plane validates by it, the proxy matches
//! by it; the language is RE2's, and no model of the mesh is in it.

mod escape;

use escape::{BACK, escaped, named_set};

/// Largest count of a repetition.
const REPEAT_MAX: u32 = 1000;
/// Names between `[:` and `:]`.
const ASCII_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

const LOOK: &str = "RE2 has no look-ahead and look-behind; match what must be there, and route the exception earlier";
const NESTED: &str = "a repetition of a repetition; put the inner one in parentheses";
const COUNT: &str = "RE2 repeats at most 1000 times";
const CLASS: &str = "a class in `[]` is not closed";
const RANGE: &str = "the end of a range in `[]` lies before its beginning";
const NAMED: &str = "RE2 has no class of that name between `[:` and `:]`";
const GROUP: &str = "RE2 does not know what follows `(?`; its flags are i, m, s and U";
const TWICE: &str = "two groups have one name";

/// Why an expression is none.
pub type Why = &'static str;

/// The same expression for the `regex` crate, which may still refuse it.
///
/// # Errors
/// What RE2 does not take.
pub fn rewrite(text: &str) -> Result<String, Why> {
    let out = String::with_capacity(text.len() + 16);
    let mut rewriter = Rewriter { rest: text, out, before: Before::Other, names: Vec::new() };
    while let Some(next) = rewriter.rest.chars().next() {
        rewriter.step(next)?;
    }
    Ok(rewriter.out)
}

/// What stands before the place that is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Other,
    Repetition,
    LazyRepetition,
}

struct Rewriter<'t> {
    rest: &'t str,
    out: String,
    before: Before,
    names: Vec<&'t str>,
}

impl<'t> Rewriter<'t> {
    fn step(&mut self, next: char) -> Result<(), Why> {
        let before = self.before;
        self.before = Before::Other;
        match next {
            '\\' => self.escape(),
            '[' => self.class(),
            '(' => self.group(),
            '*' | '+' | '?' => self.repetition(1, before),
            '{' => match counted(self.rest) {
                Some((_, count)) if count > REPEAT_MAX => Err(COUNT),
                Some((len, _)) => self.repetition(len, before),
                None => self.literal(next, 1),
            },
            '}' | ']' => self.literal(next, 1),
            _ => self.copy(next.len_utf8()),
        }
    }

    fn copy(&mut self, len: usize) -> Result<(), Why> {
        self.out.push_str(&self.rest[..len]);
        self.rest = &self.rest[len..];
        Ok(())
    }

    /// A character that stands for itself, written in `len` bytes.
    fn literal(&mut self, is: char, len: usize) -> Result<(), Why> {
        push(&mut self.out, is);
        self.rest = &self.rest[len..];
        Ok(())
    }

    fn repetition(&mut self, len: usize, before: Before) -> Result<(), Why> {
        self.before = match before {
            Before::Other => Before::Repetition,
            Before::Repetition if self.rest.starts_with('?') => Before::LazyRepetition,
            Before::Repetition | Before::LazyRepetition => return Err(NESTED),
        };
        self.copy(len)
    }

    fn escape(&mut self) -> Result<(), Why> {
        if let Some(quoted) = self.rest.strip_prefix("\\Q") {
            let (text, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            text.chars().for_each(|c| push(&mut self.out, c));
            self.rest = rest;
            return Ok(());
        }
        if let Some((set, rest)) = named_set(self.rest)? {
            self.out.push_str(&set);
            self.rest = rest;
            return Ok(());
        }
        let word = match self.rest.as_bytes().get(1) {
            Some(b'A' | b'z') => return self.copy(2),
            Some(b'b') => "(?-u:\\b)",
            Some(b'B') => "(?-u:\\B)",
            _ => {
                let (is, len) = escaped(self.rest)?;
                return self.literal(is, len);
            }
        };
        self.out.push_str(word);
        self.rest = &self.rest[2..];
        Ok(())
    }

    fn class(&mut self) -> Result<(), Why> {
        let mut rest = &self.rest[1..];
        self.out.push('[');
        if let Some(after) = rest.strip_prefix('^') {
            self.out.push('^');
            rest = after;
        }
        let mut first = true;
        loop {
            match rest.strip_prefix(']') {
                Some(after) if !first => {
                    self.out.push(']');
                    self.rest = after;
                    return Ok(());
                }
                _ => first = false,
            }
            rest = self.class_item(rest)?;
        }
    }

    /// Writes the first item of what is left of a class, and returns the rest.
    fn class_item<'r>(&mut self, rest: &'r str) -> Result<&'r str, Why> {
        if let Some((name, after)) = rest.strip_prefix("[:").and_then(|named| named.split_once(":]")) {
            if !ASCII_CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
                return Err(NAMED);
            }
            self.out.push_str(&rest[..name.len() + 4]);
            return Ok(after);
        }
        if let Some((set, after)) = named_set(rest)? {
            self.out.push_str(&set);
            return Ok(after);
        }
        let (low, rest) = class_character(rest)?;
        push(&mut self.out, low);
        let high = rest.strip_prefix('-').filter(|high| !high.is_empty() && !high.starts_with(']'));
        let Some(high) = high else { return Ok(rest) };
        let (high, rest) = class_character(high)?;
        if high < low {
            return Err(RANGE);
        }
        self.out.push('-');
        push(&mut self.out, high);
        Ok(rest)
    }

    fn group(&mut self) -> Result<(), Why> {
        let Some(special) = self.rest.strip_prefix("(?") else { return self.copy(1) };
        if ["=", "!", "<=", "<!"].iter().any(|look| special.starts_with(look)) {
            return Err(LOOK);
        }
        if special.starts_with("P=") {
            return Err(BACK);
        }
        if let Some(named) = special.strip_prefix("P<").or_else(|| special.strip_prefix('<')) {
            let (name, rest) = named.split_once('>').ok_or(GROUP)?;
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                return Err(GROUP);
            }
            if self.names.contains(&name) {
                return Err(TWICE);
            }
            self.names.push(name);
            // Nobody asks for what it captures.
            self.out.push('(');
            self.rest = rest;
            return Ok(());
        }
        let end = special.find([':', ')']).ok_or(GROUP)?;
        let (on, off) = special[..end].split_once('-').unwrap_or((&special[..end], "i"));
        let flags = |text: &str| text.bytes().all(|c| b"imsU".contains(&c));
        if !flags(on) || !flags(off) || off.is_empty() {
            return Err(GROUP);
        }
        if let Some(rest) = special.strip_prefix(')') {
            self.rest = rest;
            return Ok(());
        }
        self.copy(2 + end + 1)
    }
}

/// Writes a character so that it stands for itself, within a class and without.
fn push(out: &mut String, is: char) {
    out.push_str(&regex::escape(is.encode_utf8(&mut [0; 4])));
}

/// A character of a class and what follows it.
fn class_character(text: &str) -> Result<(char, &str), Why> {
    let first = text.chars().next().ok_or(CLASS)?;
    let (is, len) = if first == '\\' { escaped(text)? } else { (first, first.len_utf8()) };
    Ok((is, &text[len..]))
}

/// Length and larger count of `{n}`, `{n,}` or `{n,m}`; anything else in braces is text.
fn counted(rest: &str) -> Option<(usize, u32)> {
    let inner = &rest[1..rest.find('}')?];
    let (from, to) = inner.split_once(',').unwrap_or((inner, inner));
    let number = |text: &str| {
        let zeros = text.len() > 1 && text.starts_with('0');
        let digits = !text.is_empty() && !zeros && text.bytes().all(|c| c.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u32::MAX))
    };
    let from = number(from)?;
    let to = if to.is_empty() { from } else { number(to)? };
    Some((inner.len() + 2, from.max(to)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;

    fn whole(text: &str) -> Regex {
        let rewritten = rewrite(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        Regex::new(&format!("^(?:{rewritten})$")).unwrap_or_else(|error| panic!("{text} → {rewritten}: {error}"))
    }

    #[test]
    fn what_re2_does_not_have_is_named() {
        for (text, word) in [
            ("(?!x).*", "look-ahead"),
            ("(?<=x)y", "look-ahead"),
            (r"(a)\1", "references back"),
            (r"(?P<a>b)(?P=a)", "references back"),
            ("a**", "parentheses"),
            ("a{2}{3}", "parentheses"),
            ("a+?+", "parentheses"),
            ("a{1001}", "1000"),
            ("a{2,99999999999}", "1000"),
            ("[[:foo:]]", "no class of that name"),
            ("(?x)a b", "flags"),
            ("(?u)a", "flags"),
            ("(?i-)a", "flags"),
            ("(?P<a", "(?"),
            ("(?<a-b>c)", "(?"),
            ("(?<a>b)(?<a>c)", "one name"),
            (r"\u0041", "follows"),
            (r"\Z", "follows"),
            (r"\x{110000}", "follows"),
            (r"\x4", "follows"),
            (r"\p{alphabetic}", "follows"),
            (r"[\b]", "follows"),
            (r"[a-\d]", "follows"),
            ("a\\", "follows"),
            ("[a", "not closed"),
            ("[", "not closed"),
            ("[z-a]", "beginning"),
        ] {
            assert!(rewrite(text).is_err_and(|why| why.contains(word)), "{text}: {:?}", rewrite(text));
        }
    }

    #[test]
    fn what_re2_takes_means_what_it_means_there() {
        for (text, matched, not) in [
            ("/users/{id}", "/users/{id}", "/users/1"),
            (r"\Qa.b\E.*", "a.bc", "axbc"),
            (r"\Q[a", "[a", "a"),
            ("[^[]*", "abc", "a[c"),
            ("a{,3}", "a{,3}", "aa"),
            ("a{02}", "a{02}", "aa"),
            ("a{2}?", "aa", "a"),
            ("[a-z&&b]", "a", "-"),
            ("[a-z--b]", "a", "c-"),
            ("[+--]", ",", "."),
            ("[a~~b]", "~", "c"),
            (r"\<a", "<a", "a"),
            (r"\d\w\s", "1a ", "١a "),
            (r"[^\D]", "1", "a"),
            (r"[\w-]+", "a-b", "é"),
            (r"\ba\b.", "a!", "ab"),
            (r"a\Bb", "ab", "a b"),
            (r"\101\x42\x{43}\0", "ABC\0", "ABC"),
            (r"\pN+", "12", "ab"),
            (r"\p{Greek}+", "αβ", "ab"),
            (r"\P{^Lu}", "A", "a"),
            ("[[:alpha:][:^digit:]]", "b", "1"),
            ("[]a]+", "]a", "b"),
            ("(?<n>a)(?P<m_1>b)", "ab", "a"),
            ("(?i:a)(?)b", "Ab", "AB"),
            ("(?:a+)+", "aaa", ""),
            ("^a*$", "aa", "b"),
            (r"\(?!", "(!", "("),
            ("x{y}", "x{y}", "x"),
            ("}]", "}]", "}"),
            (r"a\++", "a++", "a"),
        ] {
            let regex = whole(text);
            assert!(regex.is_match(matched), "{text} {regex} {matched}");
            assert!(!regex.is_match(not), "{text} {regex} {not}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z(?!<=){},0-9*+\\\\\\[\\]^:QEpx]{0,24}|\\PC{0,12}") {
            let _ = rewrite(&text).map(|rewritten| Regex::new(&rewritten).is_ok());
        }
    }
}
