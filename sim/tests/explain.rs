//! Explanations as people read them, of real runs. Goldens: a change here is a change of what users see.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use wavetank::explain::words::Words;
use wavetank::explain::{proxy, request};
use wavetank::scenario::{Scenario, load};
use wavetank::target::{RunOutcome, tank};

fn scenario(name: &str) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name);
    let mut scenario = load(&path).expect("a scenario of this repository");
    // The same text wherever the repository lies.
    scenario.file = name.to_owned();
    scenario
}

fn explained(scenario: &Scenario, ran: &RunOutcome, traffic: &str) -> String {
    let words = Words { scenario, book: &ran.book, start: ran.log.start() };
    let call = ran.log.calls().find(|call| *call.traffic == *traffic).expect("a call");
    request::request("r1", call, &words)
}

#[test]
fn a_request_is_explained_hop_by_hop() {
    let scenario = scenario("ch07-traffic/decision-table.yaml");
    let ran = tank::run(&scenario, 1).expect("a run");
    // A browser's page through the gateway: two routes are tried before the one that takes it.
    insta::assert_snapshot!("page_of_a_browser", explained(&scenario, &ran, "routes/3.1"));
    // A weighted route, met by a sidecar.
    insta::assert_snapshot!("weighted_route", explained(&scenario, &ran, "routes/4.1"));
}

#[test]
fn a_request_that_no_route_takes_says_why_each_lost() {
    let scenario = scenario("ch07-traffic/decision-table-without-app.yaml");
    let ran = tank::run(&scenario, 1).expect("a run");
    insta::assert_snapshot!("no_route", explained(&scenario, &ran, "routes/3.1"));
}

#[test]
fn what_was_ejected_is_told() {
    let scenario = scenario("ch08-resilience/breaker.yaml");
    let ran = tank::run(&scenario, 1).expect("a run");
    let words = Words { scenario: &scenario, book: &ran.book, start: ran.log.start() };
    let (node, party) = ran
        .book
        .histories
        .keys()
        .find_map(|node| {
            let ip = node.split('~').nth(1)?.parse().ok()?;
            Some((node, ran.book.parties.get(&ip).filter(|party| party.to_string() == "service-node@v1#0")?))
        })
        .expect("the caller's proxy");
    let known = |seconds| {
        let at = ran.log.start() + Duration::from_secs(seconds);
        let whole = proxy::proxy(node, party, at, &ran.log, &words);
        let lines: Vec<&str> = whole.lines().skip_while(|line| !line.contains("outbound|80||service-go.")).collect();
        lines[..3].join("\n")
    };
    // Before the fault, while v2 is out, and when it is back.
    insta::assert_snapshot!("ejected_endpoints", [known(9), known(15), known(60)].join("\n"));
}

#[test]
fn what_a_proxy_knew_is_listed() {
    let scenario = scenario("ch07-traffic/decision-table-without-app.yaml");
    let ran = tank::run(&scenario, 1).expect("a run");
    let words = Words { scenario: &scenario, book: &ran.book, start: ran.log.start() };
    let (node, party) = ran
        .book
        .histories
        .keys()
        .find_map(|node| {
            let ip = node.split('~').nth(1)?.parse().ok()?;
            Some((node, ran.book.parties.get(&ip).filter(|party| &*party.name == "sleep")?))
        })
        .expect("the caller's proxy");
    let at = ran.log.start() + Duration::from_secs(1);
    let known = proxy::proxy(node, party, at, &ran.log, &words);
    // Versions and times of pushes are the control plane's matter, not the explanation's.
    let lines = known.lines().map(|line| match line.split_once(" accepted ") {
        Some((kind, _)) => format!("{} … accepted …", &kind[..6]),
        None => line.to_owned(),
    });
    insta::assert_snapshot!("known_to_a_proxy", lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn an_explanation_begins_with_the_way_of_the_request() {
    let scenario = scenario("ch07-traffic/decision-table.yaml");
    let ran = tank::run(&scenario, 1).expect("a run");
    let text = explained(&scenario, &ran, "routes/1.1");
    let way: Vec<&str> = text.lines().nth(1).expect("a second line").split(['@', '#', ' ']).collect();
    let names: Vec<&str> = way.into_iter().filter(|word| word.contains("service") || *word == "ingress").collect();
    assert_eq!(names, ["ingress", "service-python", "(service-lua", "service-node", "service-go"], "{text}");
    // The gateway's caller is outside; a sidecar's is the program beside it.
    let from: Vec<&str> = text.lines().filter(|line| line.starts_with("   from")).collect();
    assert!(from[0].ends_with("client, plaintext") && from[2].ends_with("its own program, plaintext"), "{text}");
}

/// Exit code, standard output and standard error of `wavetank explain`.
fn command(arguments: &[&str]) -> (Option<i32>, String, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let ran = Command::new(env!("CARGO_BIN_EXE_wavetank")).arg("explain").args(arguments).current_dir(root).output();
    let ran = ran.expect("the command");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (ran.status.code(), text(ran.stdout), text(ran.stderr))
}

#[test]
fn an_invalid_scenario_is_told_with_the_exit_code_that_follows() {
    let (code, out, err) = command(&["failing/nobody.yaml"]);
    assert_eq!((code, out.as_str()), (Some(3), ""));
    assert!(err.ends_with("(exit 3)\n"), "{err}");
}

#[test]
fn failed_requests_that_are_not_explained_are_counted() {
    let (code, out, _) = command(&["failing/killed-without-retries.yaml", "--failed"]);
    let told = out.lines().filter(|line| line.starts_with(" r2")).count();
    let last = out.lines().last().expect("a line");
    assert_eq!(
        (code, told, last),
        (
            Some(0),
            5,
            "… and 1 more failed, the next is r214: wavetank explain failing/killed-without-retries.yaml r214 --seed 1"
        )
    );
}

#[test]
fn a_time_after_the_run_is_said_to_be_one() {
    let (code, out, err) = command(&["ch07-traffic/decision-table-without-app.yaml", "--at", "1h", "sleep"]);
    assert!(code == Some(0) && out.starts_with(" sleep#0  t=3600.000s"), "{out}");
    assert!(err.contains("the run ended by t=0."), "{err}");
}
