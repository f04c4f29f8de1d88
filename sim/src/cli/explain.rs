//! `wavetank explain`: runs a scenario and tells why requests went where they went.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use wavetank_control::config::duration;

use super::run::Runner;
use super::shell::quoted;
use super::{FAILED, INTERNAL, INTERRUPTED, INVALID, NOTHING, PASSED, USAGE, outcome};
use crate::explain::words::Words;
use crate::explain::{proxy, request};
use crate::observe::{Call, ObservationLog, Selector};
use crate::scenario::load::shown;
use crate::scenario::{Invalid, Request, Scenario, Traffic, load};
use crate::target::{RunError, RunOutcome, TargetKind};
use crate::traffic::Load;

/// Failed requests that `--failed` explains at most.
const FAILED_MAX: usize = 5;

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The scenario file
    pub scenario: PathBuf,
    /// `GET ingress/env` to send this one request, or `r17` for the 17th request of the run [default: the
    /// first that failed, else the first]
    #[arg(num_args = 0..)]
    pub request: Vec<String>,
    /// A header of the request, like `user-agent:Firefox`
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE")]
    pub headers: Vec<String>,
    /// Who sends the request
    #[arg(long, value_name = "WORKLOAD", default_value = "client")]
    pub from: Selector,
    /// Explain requests of the run that failed
    #[arg(long, conflicts_with = "request")]
    pub failed: bool,
    /// Show what the proxies of WORKLOAD knew at TIME
    #[arg(long, num_args = 2, value_names = ["TIME", "WORKLOAD"], conflicts_with_all = ["request", "failed"])]
    pub at: Vec<String>,
    /// Seed of every random stream [default: the scenario's own, else 1]
    #[arg(long)]
    pub seed: Option<u64>,
}

/// What is to be explained.
enum Subject {
    /// A request that is sent for it.
    Own(Box<Traffic>),
    /// The request of this position in the run, from 1.
    Numbered(usize),
    /// All that failed.
    Failed,
    /// The first that failed, else the first.
    Any,
    /// What proxies knew at a time.
    Proxy(Duration, Selector),
}

/// Explains what `args` ask for, and returns the exit code.
///
/// # Errors
/// When `out` or `err` cannot be written.
pub fn explain(args: &ExplainArgs, runner: &Runner<'_>, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let subject = match subject(args) {
        Ok(subject) => subject,
        Err(why) => {
            writeln!(err, "wavetank: {why}")?;
            return Ok(USAGE);
        }
    };
    let mut scenario = match load(&args.scenario) {
        Ok(scenario) => scenario,
        Err(wrong) => return tell_invalid(&wrong, err),
    };
    if let Subject::Own(traffic) = &subject {
        scenario.traffic = vec![(**traffic).clone()];
    }
    let seed = args.seed.or(scenario.seed).unwrap_or(1);
    let ran = match runner(&scenario, seed) {
        Ok(ran) => ran,
        Err(error) => return tell_broken(&scenario, seed, &error, err),
    };
    let words = Words { scenario: &scenario, book: &ran.book, start: ran.log.start() };
    if let Subject::Proxy(at, workload) = &subject {
        return proxies(*at, workload, &ran, &words, out, err);
    }
    let calls: Vec<(usize, &Call)> = ran.log.calls().enumerate().map(|(at, call)| (at + 1, call)).collect();
    let chosen = choose(&subject, &calls);
    if chosen.is_empty() {
        let why = match subject {
            Subject::Numbered(number) => format!("the run has {} requests, no r{number}", calls.len()),
            Subject::Failed => {
                let all = calls.len();
                format!("none of {all} requests failed; `r1` to `r{all}` explain any of them")
            }
            _ => "the run sent no request".to_owned(),
        };
        writeln!(err, "wavetank: {why}")?;
        return Ok(NOTHING);
    }
    for (number, call) in &chosen {
        out.write_all(request::request(&format!("r{number}"), call, &words).as_bytes())?;
    }
    if let (Subject::Failed, Some((last, _))) = (&subject, chosen.last()) {
        let rest: Vec<usize> =
            calls.iter().filter(|(at, call)| at > last && has_failed(call)).map(|(at, _)| *at).collect();
        if let Some(next) = rest.first() {
            let file = quoted(&shown(&args.scenario));
            let more = format!("… and {} more failed, the next is r{next}", rest.len());
            writeln!(out, "{more}: wavetank explain {file} r{next} --seed {seed}")?;
        }
    }
    Ok(PASSED)
}

fn subject(args: &ExplainArgs) -> Result<Subject, String> {
    if let [time, workload] = args.at.as_slice() {
        return Ok(Subject::Proxy(duration::parse(time)?, workload.parse()?));
    }
    if args.failed {
        return Ok(Subject::Failed);
    }
    // The whole request may come as one word, its headers in it.
    let text = args.request.join(" ");
    let (text, inner) = text.split_once(" -H ").unwrap_or((&text, ""));
    let inner = inner.split(" -H ").filter(|header| !header.is_empty()).map(str::to_owned);
    match text.strip_prefix('r').map(str::parse) {
        Some(Ok(number)) => return Ok(Subject::Numbered(number)),
        _ if text.is_empty() => return Ok(Subject::Any),
        _ => {}
    }
    let mut headers = Vec::new();
    for header in args.headers.iter().cloned().chain(inner) {
        let (name, value) =
            header.split_once(':').ok_or_else(|| format!("`{header}` is not a header like `name:value`"))?;
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Subject::Own(Box::new(Traffic {
        name: "explain".to_owned(),
        from: args.from.clone(),
        request: text.parse::<Request>()?,
        headers,
        body: bytes::Bytes::new(),
        load: Load::Closed { clients: 1, think: Duration::ZERO },
        count: Some(1),
        duration: None,
        at: Duration::ZERO,
        timeout: Duration::from_secs(60),
    })))
}

fn has_failed(call: &Call) -> bool {
    call.status == 0 || call.status >= 400
}

fn choose<'a>(subject: &Subject, calls: &[(usize, &'a Call)]) -> Vec<(usize, &'a Call)> {
    match subject {
        Subject::Numbered(number) => calls.iter().filter(|(own, _)| own == number).copied().collect(),
        Subject::Failed => calls.iter().filter(|(_, call)| has_failed(call)).take(FAILED_MAX).copied().collect(),
        _ => calls.iter().find(|(_, call)| has_failed(call)).or(calls.first()).copied().into_iter().collect(),
    }
}

fn proxies(
    at: Duration,
    workload: &Selector,
    ran: &RunOutcome,
    words: &Words<'_>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let log: &ObservationLog = &ran.log;
    if let Some(last) = log.entries().last().filter(|last| last.at() < log.start() + at) {
        writeln!(err, "wavetank: the run ended by {}; this is what was known then", words.when(last.at()))?;
    }
    let mut found = BTreeSet::new();
    for node in ran.book.histories.keys() {
        let ip: Option<IpAddr> = node.split('~').nth(1).and_then(|ip| ip.parse().ok());
        let party = ip.and_then(|ip| ran.book.parties.get(&ip));
        if let Some(party) = party.filter(|party| workload.selects_party(party)) {
            found.insert((party, node));
        }
    }
    for (party, node) in &found {
        out.write_all(proxy::proxy(node, party, log.start() + at, log, words).as_bytes())?;
    }
    if found.is_empty() {
        writeln!(err, "wavetank: `{workload}` has no proxy here")?;
        return Ok(NOTHING);
    }
    Ok(PASSED)
}

fn tell_invalid(wrong: &Invalid, err: &mut dyn Write) -> io::Result<u8> {
    outcome::tell(&outcome::invalid(wrong, 1), INVALID, err)?;
    Ok(INVALID)
}

fn tell_broken(scenario: &Scenario, seed: u64, error: &RunError, err: &mut dyn Write) -> io::Result<u8> {
    let exit = match error {
        RunError::Manifests(_) | RunError::Scenario(_) => INVALID,
        RunError::NotConverged(_) => FAILED,
        RunError::Interrupted => INTERRUPTED,
        RunError::Beyond(_) | RunError::Internal(_) => INTERNAL,
    };
    outcome::tell(&outcome::broken(scenario, seed, error, TargetKind::Tank), exit, err)?;
    Ok(exit)
}
