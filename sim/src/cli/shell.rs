//! Words that a shell takes as they are meant: the commands that messages show are there to be copied.

/// `word` as a POSIX shell reads it back: as it is where nothing in it is special, else in single quotes.
pub(super) fn quoted(word: &str) -> String {
    let is_plain =
        |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | '=' | ':' | ',' | '@' | '%');
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_change_is_quoted() {
        for (word, wanted) in [
            ("scenarios/a.yaml", "scenarios/a.yaml"),
            ("größe.yaml", "größe.yaml"),
            ("", "''"),
            ("my files/a.yaml", "'my files/a.yaml'"),
            ("it's/$HOME", r"'it'\''s/$HOME'"),
            ("a -> b", "'a -> b'"),
        ] {
            assert_eq!(quoted(word), wanted);
        }
    }
}
