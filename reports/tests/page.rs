//! The page, byte for byte: `WAVETANK_BLESS=1` writes it anew.

use std::fs;
use std::path::Path;

use wavetank_reports::html::{
    self, Band, Bar, Evidence, GraphEdge, Latencies, LatencyBin, Manifest, Page, ProxyRow, RateBin, SplitLine,
    SplitPicture, SplitPoint, Timeline, TlsCounts, Try, Waterfall,
};
use wavetank_reports::{
    CheckResult, CheckVerdict, Diagnostic, FaultResult, Place, RunReport, ScenarioResult, ScenarioVerdict, Snippet,
};

/// Text that would leave its element if it could.
const HOSTILE: &str = "\"><script>alert('x')</script><!-- & ]]>\u{0}\u{1b}[31m\u{202e}";

fn edge(from: &str, to: &str, requests: u64, errors: u64, mutual: bool) -> GraphEdge {
    let tls = if mutual {
        TlsCounts { mutual: requests, ..TlsCounts::default() }
    } else {
        TlsCounts { plaintext: requests, ..TlsCounts::default() }
    };
    let (from, to) = (from.to_owned(), to.to_owned());
    GraphEdge { from, to, requests, errors, tls, arms: Vec::new(), faults: Vec::new() }
}

fn evidence(text: &str) -> Evidence {
    let arms = vec![("v1".to_owned(), 14), ("v2".to_owned(), 6)];
    let bar = |depth, label: &str, from_ms, took_ms| Bar {
        depth,
        label: format!("{label}{text}"),
        from_ms,
        took_ms,
        note: format!("200 · mTLS{text}"),
        decided: Some(format!("go.yaml:3{text}")),
        failed: depth == 2,
        tries: Vec::new(),
    };
    let one_try = |number: usize, from_ms, failed| Try {
        label: format!("try {number}: service-go@v1#0 200{text}"),
        from_ms,
        took_ms: 1.0,
        failed,
    };
    Evidence {
        graph: vec![
            edge(&format!("client{text}"), "ingress", 20, 0, false),
            edge("ingress", "service-node", 20, 2, true),
            GraphEdge {
                arms,
                faults: vec![format!("loss service-node <-> service-go{text}")],
                ..edge("service-node", "service-go", 20, 0, true)
            },
        ],
        faulted: vec![("service-go".to_owned(), vec![format!("kill service-go{text}")])],
        timeline: Timeline {
            from_ms: -40.0,
            to_ms: 2000.0,
            bands: vec![
                Band { label: format!("step one{text}"), is_fault: false, from_ms: 0.0, to_ms: 1000.0 },
                Band { label: "kill service-go".to_owned(), is_fault: true, from_ms: 500.0, to_ms: 800.0 },
            ],
            bin_ms: 500.0,
            rates: vec![
                RateBin { fine: 5, ..RateBin::default() },
                RateBin { fine: 3, failed: 2, refused: 1, lost: 1 },
                RateBin { fine: 8, ..RateBin::default() },
            ],
            splits: vec![SplitLine {
                edge: format!("service-node -> service-go{text}"),
                arm: "v1".to_owned(),
                percent: 70.0,
                points: vec![
                    SplitPoint { at_ms: 400, n: 10, count: 6, accepted: (1, 10) },
                    SplitPoint { at_ms: 1900, n: 20, count: 14, accepted: (4, 20) },
                ],
            }],
            latencies: vec![
                LatencyBin { from_ms: 0.0, to_ms: 500.0, quantiles: [6.0, 9.0, 21.0] },
                LatencyBin { from_ms: 1000.0, to_ms: 1500.0, quantiles: [5.0, 6.0, 6.0] },
            ],
            proxies: vec![ProxyRow {
                name: format!("service-node@v1#0{text}"),
                pushes: vec![-40.0, -39.9, 500.0],
                acks: vec![-38.0, 502.0],
                nacks: vec![900.0],
            }],
            proxies_left_out: 2,
            earlier: 3,
        },
        splits: vec![SplitPicture {
            edge: format!("service-node -> service-go{text}"),
            arm: "v1".to_owned(),
            percent: 70.0,
            n: 20,
            count: 14,
            accepted: (4, 20),
            alpha: 1e-6,
            sees_points: Some(66.0),
            curve: vec![(10, 0.03), (12, 0.11), (14, 0.19), (16, 0.13), (18, 0.03), (20, 0.001)],
        }],
        latencies: vec![Latencies {
            edge: format!("client → ingress{text}"),
            n: 20,
            curve: vec![(5.0, 0.25), (6.5, 0.75), (21.0, 1.0)],
            quantiles: [6.0, 9.0, 21.0, 21.0, 21.0],
        }],
        requests: vec![Waterfall {
            number: 7,
            target: format!("GET /env{text}"),
            at_ms: 120.5,
            took_ms: 21.0,
            answer: "200".to_owned(),
            failed: false,
            why: "slow, 14 of this way".to_owned(),
            bars: vec![
                bar(0, "client → ingress", 0.0, 21.0),
                bar(1, "ingress → service-node", 4.0, 12.5),
                Bar {
                    tries: vec![one_try(1, 6.0, true), one_try(2, 7.5, false)], ..bar(2, "node → go v1", 6.0, 3.0)
                },
            ],
        }],
        requests_total: 20,
        manifests: vec![
            Manifest {
                file: format!("go.yaml{text}"),
                text: format!("kind: VirtualService\nspec:\n  hosts: [service-go]{text}\n  http: []\n"),
                decided: vec![(3, 20)],
                never: vec![4],
            },
            Manifest {
                file: "unused.yaml".to_owned(),
                text: "kind: Gateway\n".to_owned(),
                decided: Vec::new(),
                never: Vec::new(),
            },
        ],
    }
}

fn check(verdict: CheckVerdict, text: &str) -> CheckResult {
    CheckResult {
        kind: "split".to_owned(),
        edge: format!("service-node -> service-go{text}"),
        verdict,
        expected: "70%".to_owned(),
        observed: format!("v1 14/20 = 70.0%{text}"),
        allowed: "20.0–100.0%".to_owned(),
        decided_by: Vec::new(),
        message: "14 of 20".to_owned(),
        power: Some(format!("sees shifts ≥ 66.0 pt{text}")),
        summary: format!("split v1 70%, v2 30%{text}"),
        asked_at: Place::new("canary.yaml", 4, 5),
    }
}

fn scenario(text: &str) -> ScenarioResult {
    let place = Place::new(format!("canary.yaml{text}"), 4, 5);
    let source = format!("\n\n\n    split: {{v1: 70, v2: 30}}{text}\n");
    let snippet = Snippet::of(&source, &place, Some(5), format!("got v1 14{text}"));
    ScenarioResult {
        file: format!("canary.yaml{text}"),
        name: format!("70/30 canary{text}"),
        compat: "v1".to_owned(),
        target: "tank".to_owned(),
        seed: 1,
        verdict: ScenarioVerdict::Fail,
        decisions_hash: Some("5f1c9e0ab2".repeat(6) + "abcd"),
        packets_hash: Some("77ab03d1c4".repeat(6) + "abcd"),
        simulated_ms: 2013,
        checks: vec![check(CheckVerdict::Pass, text), check(CheckVerdict::Fail, text)],
        faults: vec![
            FaultResult {
                kind: "kill".to_owned(),
                on: format!("service-go{text}"),
                from_ms: 500,
                to_ms: 800,
                touched: 12,
            },
            FaultResult { kind: "partition".to_owned(), on: "a <-> b".to_owned(), from_ms: 0, to_ms: 10, touched: 0 },
        ],
        diagnostics: vec![
            Diagnostic::error("MS1001", place.clone(), format!("traffic split is 50/50{text}"))
                .with_snippet(snippet)
                .with_help(format!("use the short name{text}")),
            Diagnostic::warning("MS0210", place, format!("apiVersion is old{text}")),
        ],
        flow: Vec::new(),
        elapsed: Some("0.41s".to_owned()),
    }
}

fn page(text: &str) -> Page {
    Page {
        report: RunReport::new("wavetank 0.1.0", vec![scenario(text)]),
        exit: 1,
        evidence: vec![Some(evidence(text))],
        sweep: None,
    }
}

#[test]
fn the_page_is_the_same_byte_for_byte() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page.html");
    let page = html::render(&page(""));
    if std::env::var_os("WAVETANK_BLESS").is_some() {
        fs::write(&golden, &page).unwrap();
    }
    assert!(
        fs::read_to_string(golden).unwrap() == page,
        "the page changed; WAVETANK_BLESS=1 writes tests/page.html anew"
    );
    assert!(!page.contains("0.41s"), "a wall-clock time");
}

#[test]
fn no_text_leaves_its_element() {
    let page = html::render(&page(HOSTILE));
    assert!(!page.contains("<script") && !page.contains("alert('x')") && !page.contains("<!-- "));
    assert!(!page.contains(['\u{0}', '\u{1b}', '\u{202e}']));
    // Whatever the text, the same elements stand there.
    let tags = |page: &str| page.matches('<').count();
    assert_eq!(tags(&page), tags(&html::render(&self::page("x"))));
}

#[test]
fn the_page_needs_nothing_but_itself() {
    let page = html::render(&page(""));
    for word in ["<script", "<link", "<img", "<iframe", "http://", "https://", "url(h", "@import", "onclick", "src="] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("Content-Security-Policy"));
}

fn many(verdicts: &[ScenarioVerdict]) -> Page {
    let named = |(at, verdict): (usize, &ScenarioVerdict)| ScenarioResult {
        verdict: *verdict,
        seed: at as u64 + 1,
        decisions_hash: (*verdict != ScenarioVerdict::Invalid).then(|| "ab".repeat(32)),
        ..scenario("")
    };
    let scenarios: Vec<_> = verdicts.iter().enumerate().map(named).collect();
    let evidence =
        verdicts.iter().map(|verdict| (*verdict != ScenarioVerdict::Invalid).then(|| evidence(""))).collect();
    Page { report: RunReport::new("wavetank 0.1.0", scenarios), exit: 3, evidence, sweep: None }
}

#[test]
fn several_scenarios_are_listed_failures_first_and_those_that_passed_are_folded() {
    let page = html::render(&many(&[ScenarioVerdict::Pass, ScenarioVerdict::Invalid]));
    assert!(page.contains("id=\"s0\">") && page.contains("id=\"s1\" open>"));
    let place = |text: &str| page.find(text).unwrap();
    assert!(place("href=\"#s1\"") < place("href=\"#s0\"") && place("id=\"s1\"") < place("id=\"s0\""));
    assert!(page.contains("1 of 2 scenarios passed"));
}

#[test]
fn a_sweep_says_what_all_seeds_showed_and_folds_each() {
    let verdicts = [ScenarioVerdict::Fail, ScenarioVerdict::Pass];
    let text = "   ✗ split, all seeds together   v1 <6993>/10000\n";
    let page = html::render(&Page { sweep: Some(text.to_owned()), evidence: Vec::new(), ..many(&verdicts) });
    assert!(page.contains("all seeds together   v1 &lt;6993&gt;/10000"));
    assert!(page.contains("canary.yaml seed 2</a>") && !page.contains("class=\"sheet\" id=\"s0\" open"));
    let most = html::render(&Page { sweep: Some(text.to_owned()), ..many(&[ScenarioVerdict::Fail; 1000]) });
    assert!(most.len() < 1_000_000 && most.contains("800 more are left out"), "{}", most.len());
}

#[test]
fn a_full_page_leaves_out_what_passing_scenarios_showed_and_says_how_to_see_it() {
    let mut verdicts = vec![ScenarioVerdict::Pass; 199];
    verdicts.push(ScenarioVerdict::Fail);
    let mut all = many(&verdicts);
    for evidence in all.evidence.iter_mut().flatten() {
        evidence.requests = vec![evidence.requests[0].clone(); 12];
    }
    let page = html::render(&all);
    assert!(page.len() < 1_000_000, "{}", page.len());
    let failed = &page[page.find("id=\"s199\"").unwrap()..page.find("id=\"s0\"").unwrap()];
    assert!(failed.contains("Who called whom"), "the failed one is shown");
    assert!(page.contains("the page is full: <code>wavetank run canary.yaml --seed 199 --report FILE.html</code>"));
}

#[test]
fn headings_go_down_by_one() {
    let page = html::render(&page(""));
    let levels: Vec<u32> =
        page.match_indices("<h").filter_map(|(at, _)| page[at + 2..].chars().next()?.to_digit(10)).collect();
    assert_eq!((levels[0], levels[1]), (1, 2));
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
}

#[test]
fn a_name_without_end_is_cut() {
    let long = ScenarioResult { name: "x".repeat(10_000), file: "it's here.yaml".to_owned(), ..scenario("") };
    let page = html::render(&Page { report: RunReport::new("wavetank 0.1.0", vec![long]), ..page("") });
    assert!(!page.contains(&"x".repeat(300)) && page.contains('…'));
    assert!(page.contains("wavetank run &#39;it&#39;\\&#39;&#39;s here.yaml&#39; --seed 1"), "the shell's quotes");
}

#[test]
fn names_of_bands_do_not_run_into_each_other() {
    let mut short = evidence("");
    let band = |label: &str, from_ms, to_ms| Band { label: label.to_owned(), is_fault: false, from_ms, to_ms };
    short.timeline.bands = vec![band("step fifty percent", 0.0, 60.0), band("aborted", 60.0, 2000.0)];
    let page = html::render(&Page { evidence: vec![Some(short)], ..page("") });
    assert!(!page.contains(">step fifty percent</text>") && page.contains(">aborted</text>"));
    assert!(page.contains("Names without room: step fifty percent, 0 to 60 ms."));
}

#[test]
fn the_largest_page_of_a_run_stays_below_a_megabyte() {
    let mut most = evidence("");
    let bar = most.requests[0].bars[2].clone();
    let bar = Bar { note: format!("{} and some details", bar.note), ..bar };
    // Ten hops and tries of each.
    most.requests[0].bars = vec![Bar { tries: Vec::new(), ..bar.clone() }; 4];
    most.requests[0].bars.extend(vec![bar; 2]);
    most.requests = vec![most.requests[0].clone(); 150];
    most.manifests[0].text = "        - {destination: {host: service-go, subset: v1}, weight: 70}\n".repeat(100_000);
    most.manifests[0].decided = (1..5000).map(|line| (line, 2000)).collect();
    let times: Vec<f64> = (0..5000).map(|at| f64::from(at) * 0.4).collect();
    most.timeline.proxies =
        vec![
            ProxyRow { name: "service-node@v1#0".to_owned(), pushes: times.clone(), acks: times, nacks: Vec::new() };
            30
        ];
    most.timeline.rates = vec![RateBin { fine: 3, failed: 2, refused: 1, lost: 1 }; 160];
    most.timeline.bin_ms = 12.5;
    most.graph = (0..400)
        .map(|at| edge(&format!("service-{at}"), &format!("service-{}", at + 1 + at % 3), 9, 1, true))
        .collect();
    most.splits[0].curve = (0..240).map(|at| (at, 0.004)).collect();
    let most = Page { evidence: vec![Some(Evidence { splits: vec![most.splits[0].clone(); 10], ..most })], ..page("") };
    let size = html::render(&most).len();
    assert!(size < 1_000_000, "{size}");
}
