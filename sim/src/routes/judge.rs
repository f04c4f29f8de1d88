//! The verdict on each row of a decision table. Nothing here is statistical: a row holds for all its
//! requests, and for every place to which a weight may send them.

use wavetank_reports::{CheckResult, CheckVerdict, Diagnostic, Note, Place, Snippet};

use super::decision::{Traces, Went};
use super::row::{Case, Goal, Row};
use crate::check::{Judgement, Sources, explain as why};
use crate::explain::Book;
use crate::explain::asked::Asked;
use crate::explain::candidates::{Candidate, Fate, candidates, virtual_host};
use crate::observe::ObservationLog;

/// Requests of a failing row that are told one by one.
const TOLD_MAX: usize = 3;
/// Routes that lost and are told for a request.
const LOST_MAX: usize = 6;

/// Judges `rows` on a run, in their order.
pub fn judge(rows: &[Row], log: &ObservationLog, book: &Book, sources: &Sources) -> Vec<Judgement> {
    if rows.is_empty() {
        return Vec::new();
    }
    let traces = Traces::new(log, book);
    rows.iter().map(|row| judge_row(row, &traces, book, sources)).collect()
}

/// One case that did not go as the row says.
struct Wrong<'a> {
    case: &'a Case,
    went: Option<Went<'a>>,
    message: String,
    observed: String,
}

fn judge_row(row: &Row, traces: &Traces<'_>, book: &Book, sources: &Sources) -> Judgement {
    let mut decided = Vec::new();
    let mut wrong: Vec<Wrong<'_>> = Vec::new();
    for case in &row.cases {
        let went = traces.went(case);
        decided.extend(went.as_ref().and_then(|went| went.hop));
        if let Some((message, observed)) = fault(row, case, went.as_ref()) {
            wrong.push(Wrong { case, went, message, observed });
        }
    }
    let evidence =
        if wrong.is_empty() { decided } else { wrong.iter().filter_map(|own| own.went.as_ref()?.hop).collect() };
    let expected = wanted(row);
    let verdict = if wrong.is_empty() { CheckVerdict::Pass } else { CheckVerdict::Fail };
    let first = wrong.first();
    let result = CheckResult {
        kind: "routes".to_owned(),
        edge: requests(row),
        verdict,
        observed: first.map_or_else(|| expected.clone(), |own| own.observed.clone()),
        allowed: String::new(),
        decided_by: why::decided_by(&evidence),
        message: first.map_or_else(|| "as expected".to_owned(), |own| own.message.clone()),
        power: None,
        summary: format!("→ {expected}"),
        expected,
        asked_at: row.asked_at.clone(),
    };
    let diagnostic = first.map(|_| diagnose(row, &wrong, book, sources));
    Judgement { result, diagnostic, example: None }
}

/// What is wrong with a case, as a sentence and as what was seen; `None` when nothing is.
fn fault(row: &Row, case: &Case, went: Option<&Went<'_>>) -> Option<(String, String)> {
    let Some(went) = went else {
        return Some((format!("`{case}` was never sent"), "nothing was sent".to_owned()));
    };
    if let Some(goal) = &row.goal
        && !went.reaches(goal)
    {
        if let Some(seen) = went.unnamed(goal) {
            return Some((format!("`{case}` also goes to {seen}, which the row does not name"), went.in_words()));
        }
        let seen = went.in_words();
        let not = match goal {
            Goal::Nothing => "it must go nowhere".to_owned(),
            Goal::Only(_) => format!("not to {goal}"),
        };
        return Some((format!("`{case}` goes to {seen}, {not}"), seen));
    }
    let wanted = row.status.filter(|wanted| went.call.status != *wanted)?;
    let seen = match (went.call.status, went.call.failure) {
        (0, Some(failure)) => format!("not answered ({failure})"),
        (status, _) => format!("answered {status}"),
    };
    Some((format!("`{case}` is {seen}, not {wanted}"), seen))
}

fn diagnose(row: &Row, wrong: &[Wrong<'_>], book: &Book, sources: &Sources) -> Diagnostic {
    let first = &wrong[0];
    let place = row.asked_at.clone();
    let more = match (wrong.len(), row.cases.len()) {
        (1, 1) => String::new(),
        (count, all) => format!("{count} of {all} requests of this row went wrong"),
    };
    let snippet = sources.text(&place.file).and_then(|text| Snippet::of(text, &place, Some(row.width), more));
    let mut found = Diagnostic::error("MS1010", place, first.message.clone()).with_snippet(snippet);
    for other in wrong.iter().skip(1).take(TOLD_MAX - 1) {
        found.related.push(Note { message: format!("{}, too", other.message), place: None, snippet: None });
    }
    let Some(went) = &first.went else { return found };
    found.related.extend(rules(first.case, went, book, sources));
    if let Some(hop) = went.hop {
        found.help = why::help(&[hop]);
    }
    found
}

/// The route that won, and those before it that lost.
fn rules(case: &Case, went: &Went<'_>, book: &Book, sources: &Sources) -> Vec<Note> {
    let reason = || went.hop.map(|hop| why::notes(&[hop], sources)).unwrap_or_default();
    let Some(record) = went.record else { return reason() };
    let host = book.snapshot_of(record).and_then(|snapshot| virtual_host(snapshot, record));
    let Some(host) = host else { return reason() };
    let asked = Asked::of(record, Some(&case.headers));
    let met = candidates(host, &asked, record.decision.route_index);
    let mut notes: Vec<Note> = met.iter().filter(|own| own.fate == Fate::Took).map(|own| note(own, sources)).collect();
    if notes.is_empty() {
        let message = format!("no route of virtual host `{}` took it", host.name);
        notes.push(Note { message, place: None, snippet: None });
    }
    let lost: Vec<&Candidate> = met.iter().filter(|own| matches!(own.fate, Fate::Lost(_))).collect();
    notes.extend(lost.iter().take(LOST_MAX).map(|own| note(own, sources)));
    if lost.len() > LOST_MAX {
        let message = format!("{} more routes lost before it", lost.len() - LOST_MAX);
        notes.push(Note { message, place: None, snippet: None });
    }
    notes
}

fn note(candidate: &Candidate, sources: &Sources) -> Note {
    let (message, label) = match &candidate.fate {
        Fate::Lost(why) => (format!("this route lost: {why}"), String::new()),
        Fate::Took | Fate::NotReached => {
            let does = format!("{} → {}", candidate.rule, candidate.action);
            let made = candidate.from.is_none().then(|| format!("the proxy's own route won: {does}"));
            (made.unwrap_or_else(|| "this route won".to_owned()), does)
        }
    };
    let place = candidate.from.as_ref().map(|from| Place::new(from.file.to_string(), from.line, from.column));
    let snippet = place.as_ref().and_then(|place| Snippet::of(sources.text(&place.file)?, place, None, label));
    Note { message, place, snippet }
}

fn wanted(row: &Row) -> String {
    let status = row.status.map(|status| format!("status {status}"));
    let parts: Vec<String> = row.goal.as_ref().map(Goal::to_string).into_iter().chain(status).collect();
    parts.join(", ")
}

/// The row's requests in a few words.
fn requests(row: &Row) -> String {
    let first = row.cases.first().map(Case::to_string).unwrap_or_default();
    match row.cases.len() {
        0 | 1 => first,
        count => format!("{first} and {} more", count - 1),
    }
}
