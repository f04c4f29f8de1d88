//! What a person and a program see of a passing, a failing and an invalid run.

use wavetank_reports::terminal::{self, Detail, Paint};
use wavetank_reports::{
    CheckResult, CheckVerdict, Diagnostic, Flow, Note, Place, RunReport, ScenarioResult, ScenarioVerdict, Snippet,
    github, json, junit, markdown,
};

fn check(kind: &str, edge: &str, summary: &str) -> CheckResult {
    CheckResult {
        kind: kind.to_owned(),
        edge: edge.to_owned(),
        verdict: CheckVerdict::Pass,
        expected: "all".to_owned(),
        observed: "2000 of 2000".to_owned(),
        allowed: "2000".to_owned(),
        decided_by: Vec::new(),
        message: "as expected".to_owned(),
        power: None,
        summary: summary.to_owned(),
        asked_at: Place::new("scenarios/canary.yaml", 18, 5),
    }
}

fn split(v1: u64, verdict: CheckVerdict) -> CheckResult {
    CheckResult {
        verdict,
        expected: "v1 70%".to_owned(),
        observed: format!("v1 {v1}/2000 = {:.1}%", v1 as f64 / 20.0),
        allowed: "64.9–75.0%".to_owned(),
        decided_by: vec![Place::new("istio/canary.yaml", 21, 5)],
        power: Some("sees shifts ≥ 7.7 pt".to_owned()),
        asked_at: Place::new("scenarios/canary.yaml", 18, 12),
        ..check("split", "service-node -> service-go", "split v1 70%, v2 30%")
    }
}

fn never() -> CheckResult {
    CheckResult {
        observed: "0 of 2000".to_owned(),
        expected: "none".to_owned(),
        power: Some("a 0.23% leak would show".to_owned()),
        ..check("never", "service-python -> service-go", "never status 5xx")
    }
}

fn flow() -> Flow {
    let arm = |name: &str, share: &str| Flow::leaf(name, Some(share.to_owned()));
    let node = Flow {
        name: "service-node".to_owned(),
        label: None,
        children: vec![arm("service-go v1", "69.6%"), arm("service-go v2", "30.4%")],
    };
    let ingress = Flow { name: "ingress".to_owned(), label: Some("2000".to_owned()), children: vec![node] };
    Flow { name: "client".to_owned(), label: None, children: vec![ingress] }
}

fn scenario(checks: Vec<CheckResult>) -> ScenarioResult {
    ScenarioResult {
        file: "scenarios/canary.yaml".to_owned(),
        name: "70/30 canary of service-go".to_owned(),
        compat: "v1".to_owned(),
        target: "tank".to_owned(),
        seed: 1,
        verdict: ScenarioResult::verdict_of(&checks),
        decisions_hash: Some("5f1c9e0ab2".repeat(6) + "abcd"),
        packets_hash: Some("77ab03d1c4".repeat(6) + "abcd"),
        simulated_ms: 20_013,
        checks,
        faults: Vec::new(),
        diagnostics: Vec::new(),
        flow: vec![flow()],
        elapsed: None,
    }
}

fn passing() -> ScenarioResult {
    let mut passing = scenario(vec![
        split(1392, CheckVerdict::Pass),
        check("status", "service-node -> service-go", "status 200 all"),
        check("tls", "service-node -> service-go", "mtls"),
        check("attempts", "service-node -> service-go", "attempts ≤ 1"),
        check("status", "client -> ingress", "status 200 all"),
        never(),
    ]);
    passing.diagnostics.push(Diagnostic::warning(
        "MS0210",
        Place::new("istio/canary.yaml", 1, 13),
        "apiVersion networking.istio.io/v1alpha3 is old; use networking.istio.io/v1",
    ));
    passing
}

fn failing() -> ScenarioResult {
    let mut failing =
        scenario(vec![split(1003, CheckVerdict::Fail), check("status", "client -> ingress", "status 200 all")]);
    let place = Place::new("scenarios/canary.yaml", 18, 12);
    let source = "\n".repeat(17) + "    split: {v1: 70, v2: 30}\n";
    let snippet = Snippet::of(&source, &place, Some(16), "got v1 1003, v2 997 of 2000 decisions");
    let from = Place::new("istio/canary.yaml", 21, 5);
    let manifest = "\n".repeat(20) + "  - service-go.default\n";
    let mut found = Diagnostic::error("MS1001", place, "traffic split on `service-node -> service-go` is 50/50")
        .with_snippet(snippet)
        .with_note(Note {
            message: "all 2000 decisions were made by the default route".to_owned(),
            snippet: Snippet::of(&manifest, &from, None, "this host has a dot,\nso it is taken as a full name"),
            place: Some(from),
        })
        .with_note(Note {
            message: "the default route balances over all endpoints of the service".to_owned(),
            place: None,
            snippet: None,
        })
        .with_help("use the short or the full name");
    found.again = Some("wavetank run scenarios/canary.yaml --seed 1".to_owned());
    found.see = Some("wavetank explain scenarios/canary.yaml r17 --seed 1   wavetank help MS1001".to_owned());
    failing.diagnostics.push(found);
    failing
}

fn invalid() -> ScenarioResult {
    let place = Place::new("scenarios/typo.yaml", 3, 1);
    let snippet = Snippet::of("\n\nexpct: []\n", &place, Some(5), "");
    ScenarioResult {
        verdict: ScenarioVerdict::Invalid,
        decisions_hash: None,
        packets_hash: None,
        diagnostics: vec![
            Diagnostic::error("MS2002", place, "unknown key `expct`")
                .with_snippet(snippet)
                .with_help("did you mean `expect`?"),
        ],
        file: "scenarios/typo.yaml".to_owned(),
        ..scenario(Vec::new())
    }
}

fn report(scenarios: Vec<ScenarioResult>) -> RunReport {
    RunReport::new("wavetank 0.1.0", scenarios)
}

#[test]
fn a_pass_shows_the_flow_and_every_check() {
    let mut passing = passing();
    insta::assert_snapshot!(terminal::render(&report(vec![passing.clone()]), Detail::Normal, Paint::Plain, 0));
    passing.elapsed = Some("0.41s".to_owned());
    let timed = terminal::render(&report(vec![passing]), Detail::Normal, Paint::Plain, 0);
    assert!(timed.contains("20.0s simulated in 0.41s"), "{timed}");
}

#[test]
fn a_failure_says_what_and_why() {
    insta::assert_snapshot!(terminal::render(&report(vec![failing()]), Detail::Normal, Paint::Plain, 1));
}

#[test]
fn several_scenarios_take_a_line_each_unless_they_fail() {
    let several = report(vec![passing(), failing(), invalid()]);
    insta::assert_snapshot!(terminal::render(&several, Detail::Normal, Paint::Plain, 3));
}

#[test]
fn quiet_shows_only_the_total_of_a_pass() {
    insta::assert_snapshot!(terminal::render(&report(vec![passing()]), Detail::Quiet, Paint::Plain, 0));
}

#[test]
fn json_holds_every_key_of_the_format() {
    insta::assert_snapshot!(json::render(&report(vec![failing()])));
}

#[test]
fn colour_is_ansi_only_when_asked_for() {
    let text = |paint| terminal::render(&report(vec![failing()]), Detail::Normal, paint, 1);
    assert!(!text(Paint::Plain).contains('\x1b'));
    assert!(text(Paint::Ansi).contains("\x1b[31merror[MS1001]\x1b[0m"));
}

#[test]
fn junit_has_a_case_for_every_check() {
    insta::assert_snapshot!(junit::render(&report(vec![passing(), failing(), invalid()])));
}

#[test]
fn markdown_tells_failures_first() {
    insta::assert_snapshot!(markdown::render(&report(vec![passing(), failing(), invalid()])));
}

#[test]
fn annotations_stand_on_the_lines_of_errors_and_warnings() {
    insta::assert_snapshot!(github::annotations(&report(vec![passing(), failing(), invalid()])));
}

#[test]
fn warnings_of_a_failed_scenario_are_shown_in_full() {
    let place = Place::new("istio/canary.yaml", 3, 5);
    let told = Diagnostic::warning("MS0212", place, "subset `v3` is not defined").with_help("define it");
    // What the error shows already takes one line.
    let again = Diagnostic::warning("MS0215", Place::new("istio/canary.yaml", 21, 5), "a dot");
    let mut scenario = failing();
    scenario.diagnostics.extend([told, again]);
    let text = terminal::render(&report(vec![scenario]), Detail::Normal, Paint::Plain, 1);
    assert!(
        text.contains("warning[MS0212]: subset `v3` is not defined\n --> istio/canary.yaml:3:5\n  = help: define it\n"),
        "{text}"
    );
    assert!(text.contains("   ! MS0215 istio/canary.yaml:21  a dot\n") && !text.contains("warning[MS0215]"), "{text}");
    assert!(text.find("warning[MS0212]") < text.find("error[MS1001]"));
}
