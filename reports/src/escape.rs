//! Text made safe for the languages that reports are written in.
//!
//! Everything that reaches a report may come from a user's file or from a peer's bytes: no text is put
//! into markup but through one of these.

/// `text` as the content of an XML or HTML element, or of an attribute in double quotes.
///
/// Control characters that XML 1.0 does not allow become U+FFFD, and so do those that turn the direction of
/// text, for they would show a name as another.
pub fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(c),
            c if c.is_control() || turns(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Whether it is one of Unicode's explicit directional controls.
fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` in one cell of a Markdown table. What stands between single backticks stays code.
pub fn markdown(text: &str) -> String {
    let text = text.replace("``", "''");
    let ticks = text.matches('`').count();
    let parts = text.split('`').enumerate();
    parts.fold(String::with_capacity(text.len() + 8), |mut out, (at, part)| {
        if at > 0 {
            // The last of an odd number opens nothing.
            out.push_str(if at == ticks && ticks % 2 == 1 { "\\`" } else { "`" });
        }
        let is_code = at % 2 == 1 && at < ticks;
        part.chars().for_each(|c| push_markdown(&mut out, c, is_code));
        out
    })
}

fn push_markdown(out: &mut String, c: char, is_code: bool) {
    match c {
        '\n' if is_code => out.push(' '),
        '\n' => out.push_str("<br>"),
        '|' => out.push_str("\\|"),
        c if c.is_control() => out.push(' '),
        c if is_code => out.push(c),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '&' => out.push_str("&amp;"),
        '*' | '_' | '[' | ']' | '\\' | '~' | '#' => {
            out.push('\\');
            out.push(c);
        }
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_leaves_no_way_out_of_an_element_or_an_attribute() {
        assert_eq!(
            markup("<b a=\"x\" c='y'>&\u{0}\u{1b}\n"),
            "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;\u{fffd}\u{fffd}\n"
        );
    }

    #[test]
    fn a_cell_of_a_table_stays_one_cell() {
        assert_eq!(markdown("a|b\n<img> *x*"), "a\\|b<br>&lt;img&gt; \\*x\\*");
        assert_eq!(markdown("on `a -> b|c` <i>"), "on `a -> b\\|c` &lt;i&gt;");
        assert_eq!(markdown("one ` <i>"), "one \\` &lt;i&gt;");
    }
}
