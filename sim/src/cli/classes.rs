//! Groups of findings by what they mean, for `--deny` and `--allow`.

use wavetank_control::config::suggest;
use wavetank_reports::{Diagnostic, Severity};

use super::codes;

/// Names of groups, and the codes that are in them.
const GROUPS: [(&str, &[&str]); 5] = [
    ("deprecated", &["MS0210", "MS0223", "MS0235"]),
    ("weak", &["MS0220", "MS0401"]),
    ("unknown", &["MS0211", "MS0212", "MS0213", "MS0214", "MS0215", "MS0219", "MS0226", "MS0227", "MS0231"]),
    ("unreachable", &["MS0216", "MS0224", "MS0228", "MS0229", "MS0230"]),
    ("conflict", &["MS0218", "MS0225"]),
];

/// A group of findings, or one code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Every warning.
    Warnings,
    /// Every warning and every note.
    All,
    /// A group by its name.
    Group(&'static str),
    /// One code.
    Code(String),
}

impl Class {
    /// Reads a group's name or a code.
    ///
    /// # Errors
    /// With the names there are, when it is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let names = || GROUPS.iter().map(|(name, _)| *name).chain(["warnings", "all"]);
        match text {
            "warnings" => return Ok(Self::Warnings),
            "all" => return Ok(Self::All),
            _ => {}
        }
        if let Some((name, _)) = GROUPS.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Group(name));
        }
        if let Some(entry) = codes::entry(text) {
            return Ok(Self::Code(entry.code.to_owned()));
        }
        let all = names().collect::<Vec<_>>().join(", ");
        Err(match suggest::nearest(text, names()) {
            Some(near) => format!("did you mean `{near}`? A group is one of {all}; or give a code like MS0210"),
            None => format!("a group is one of {all}; or give a code like MS0210"),
        })
    }

    /// Whether a finding is in it.
    pub fn has(&self, found: &Diagnostic) -> bool {
        match self {
            Self::All => true,
            Self::Warnings => found.severity == Severity::Warning,
            Self::Group(name) => {
                GROUPS.iter().any(|(group, codes)| group == name && codes.contains(&found.code.as_str()))
            }
            Self::Code(code) => found.code == *code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_a_group_is_explained() {
        for code in GROUPS.iter().flat_map(|(_, codes)| *codes) {
            assert!(codes::entry(code).is_some(), "{code}");
        }
    }

    #[test]
    fn a_class_is_a_group_or_a_code() {
        assert_eq!(Class::parse("deprecated"), Ok(Class::Group("deprecated")));
        assert_eq!(Class::parse("ms0210"), Ok(Class::Code("MS0210".to_owned())));
        assert!(Class::parse("depricated").unwrap_err().contains("did you mean `deprecated`?"));
    }
}
