//! Colour, or none.

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paint {
    /// Plain text.
    #[default]
    Plain,
    /// ANSI colours.
    Ansi,
}

/// A colour with a meaning.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ink {
    /// Passed.
    Green,
    /// Failed.
    Red,
    /// Warned.
    Yellow,
    /// Frame of a snippet.
    Blue,
    /// Headline.
    Bold,
}

impl Paint {
    /// `text` in `ink`.
    pub(super) fn ink(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Green => "32",
            Ink::Red => "31",
            Ink::Yellow => "33",
            Ink::Blue => "34",
            Ink::Bold => "1",
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}
