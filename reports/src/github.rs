//! The report as GitHub workflow commands: an annotation on the line of each error and warning.
//!
//! <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>

use crate::{Diagnostic, RunReport, Severity};

/// Annotations that are written at most; GitHub shows ten of each level for a step.
const ANNOTATIONS_MAX: usize = 100;

/// One line for each error and warning of the report.
pub fn annotations(report: &RunReport) -> String {
    let pooled = report.sweeps.iter().flat_map(|sweep| &sweep.diagnostics);
    annotate(pooled.chain(report.scenarios.iter().flat_map(|scenario| &scenario.diagnostics)))
}

/// One line for each error and warning.
pub fn annotate<'d>(found: impl IntoIterator<Item = &'d Diagnostic>) -> String {
    let lines = found.into_iter().filter_map(annotation).take(ANNOTATIONS_MAX);
    lines.map(|line| line + "\n").collect()
}

fn annotation(found: &Diagnostic) -> Option<String> {
    let level = match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => return None,
    };
    let place = &found.place;
    let end = found.snippet.as_ref().map(|snippet| place.column as usize + snippet.width);
    let end = end.map(|end| format!(",endColumn={end}")).unwrap_or_default();
    let mut text = found.message.clone();
    for note in &found.related {
        let at = note.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
        text.push_str(&format!("\nnote: {}{at}", note.message));
    }
    if let Some(help) = &found.help {
        text.push_str(&format!("\nhelp: {help}"));
    }
    let (file, code) = (property(&place.file), property(&found.code));
    Some(format!("::{level} file={file},line={},col={}{end},title={code}::{}", place.line, place.column, data(&text)))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;

    #[test]
    fn no_text_of_a_user_begins_a_command_of_its_own() {
        let place = Place::new("a,b:c.yaml", 3, 5);
        let found = Diagnostic::error("MS1001", place, "100% wrong\n::stop-commands::x").with_help("try\r\nthis");
        let line = annotation(&found).unwrap();
        assert!(!line.contains('\n') && !line.contains('\r'));
        assert_eq!(
            line,
            "::error file=a%2Cb%3Ac.yaml,line=3,col=5,title=MS1001::100%25 wrong%0A::stop-commands::x%0Ahelp: try%0D%0Athis"
        );
    }
}
