//! The hops of one request: what it met at every proxy, in the order of the proxies' records.

use std::net::IpAddr;

use wavetank_proxy::record::{Direction, Record};
use wavetank_proxy::snapshot::Snapshot;
use wavetank_proxy::snapshot::route::Action;

use super::asked::Asked;
use super::candidates::{Candidate, Fate, candidates, route_config, virtual_host, winner};
use super::words::{self, Words};
use crate::check::demand::millis;
use crate::observe::Call;

/// Routes that were not reached and are told all the same.
const NOT_REACHED_MAX: usize = 2;
/// Virtual hosts that are told when none matched.
const HOSTS_MAX: usize = 12;

/// The explanation of one call; `name` is what the user calls it by.
pub fn request(name: &str, call: &Call, words: &Words<'_>) -> String {
    let mut out = Lines::default();
    let answer = match call.failure {
        Some(failure) => format!("no answer ({failure})"),
        None => call.status.to_string(),
    };
    let sent = sent(call, words);
    let records: Vec<&Record> = words.book.records_of(&call.request).collect();
    // A row of a decision table is sent to an address that nobody has; the first proxy knows what was asked for.
    let is_address = call.destination.name.parse::<IpAddr>().is_ok();
    let asked = records.first().filter(|_| is_address);
    let asked = asked.map_or_else(|| call.destination.to_string(), |record| record.authority.to_string());
    out.line(&format!(
        " {name}  {}  {}  {} -> {asked}  {answer} in {}",
        call.target,
        words.when(call.at),
        call.source,
        millis(call.latency)
    ));
    if let Some(path) = path(&records, words) {
        out.field("path", &path);
    }
    let mut met = 0;
    for (at, record) in records.into_iter().enumerate() {
        met = at + 1;
        // What the caller sent is known at the first proxy; what an app sends on is the app's.
        hop(&mut out, met, record, if at == 0 { sent.as_deref() } else { None }, words);
    }
    if met == 0 {
        out.line("   no proxy has a record of this request");
    }
    out.text
}

/// Where the request went, pod by pod: `ingress -> service-python@v1#0 -> (service-lua@v2#0, service-go@v1#0)`.
/// `None` when it met no more than one proxy on its way out.
fn path(records: &[&Record], words: &Words<'_>) -> Option<String> {
    let mut left: Vec<(String, String)> = records
        .iter()
        .filter(|record| record.direction != Direction::Inbound)
        .map(|record| {
            let to = record.endpoint().map_or_else(|| "nowhere".to_owned(), |at| words.who(at.ip()));
            (words.proxy(&record.node), to)
        })
        .collect();
    let first = left.first()?.0.clone();
    (left.len() > 1).then(|| below(&first, &mut left))
}

/// `from` and all that it called, each call told once.
fn below(from: &str, left: &mut Vec<(String, String)>) -> String {
    let mut called = Vec::new();
    while let Some(at) = left.iter().position(|(source, _)| source == from) {
        let (_, to) = left.remove(at);
        called.push(below(&to, left));
    }
    match called.as_slice() {
        [] => from.to_owned(),
        [only] => format!("{from} -> {only}"),
        several => format!("{from} -> ({})", several.join(", ")),
    }
}

/// The headers of the traffic that a call belongs to.
fn sent(call: &Call, words: &Words<'_>) -> Option<Vec<(String, String)>> {
    let traffic = words.scenario.traffic.iter().find(|own| *own.name == *call.traffic)?;
    let mut headers = traffic.headers.clone();
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
        headers.push(("accept".to_owned(), "*/*".to_owned()));
    }
    Some(headers)
}

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// A line with its word in the first column.
    fn field(&mut self, word: &str, value: &str) {
        self.line(&format!("   {word:<9} {value}"));
    }
}

fn hop(out: &mut Lines, number: usize, record: &Record, sent: Option<&[(String, String)]>, words: &Words<'_>) {
    let decision = &record.decision;
    let snapshot = words.book.snapshot_of(record);
    let side = match record.direction {
        _ if record.node.starts_with("router~") => "gateway",
        Direction::Inbound => "sidecar, inbound",
        Direction::Outbound | Direction::Gateway => "sidecar, outbound",
    };
    let since = words.book.in_force_since(record).map_or_else(String::new, |at| format!(", since {}", words.when(at)));
    out.line(&format!(
        " hop {number}  {} ({side})  {} {}{}  {}  config version {}{since}",
        words.proxy(&record.node),
        record.method,
        record.authority,
        record.path,
        words.when(record.start),
        decision.config_version
    ));
    let mut from = words.who(record.downstream.remote.ip());
    if record.direction == Direction::Outbound && from == words.proxy(&record.node) {
        from = "its own program".to_owned();
    }
    out.field("from", &format!("{from}, {}", words::tls(&record.downstream.tls)));
    if let Some(listener) = &decision.listener {
        let chain = decision.filter_chain.as_ref().filter(|name| !name.is_empty());
        let chain = chain.map_or_else(String::new, |name| format!(", filter chain {name}"));
        out.field("listener", &format!("{listener}{chain}"));
    }
    if let Some(snapshot) = snapshot {
        rules(out, record, snapshot, sent, words);
    }
    let flags: Vec<String> = record.flags.iter().map(ToString::to_string).collect();
    let flags = if flags.is_empty() { String::new() } else { format!(" {}", flags.join(",")) };
    cluster(out, record, snapshot.map(|own| &**own), words);
    let status = if record.status == 0 { "nothing".to_owned() } else { record.status.to_string() };
    out.field("answer", &format!("{status}{flags} ({}) in {}", record.details, millis(record.duration)));
}

/// The virtual host and its routes.
fn rules(out: &mut Lines, record: &Record, snapshot: &Snapshot, sent: Option<&[(String, String)]>, words: &Words<'_>) {
    let Some(host) = virtual_host(snapshot, record) else {
        let Some(config) = route_config(snapshot, record) else { return };
        out.field("vhost", &format!("none of route configuration {} has host `{}`", config.name, record.authority));
        for host in config.virtual_hosts().iter().take(HOSTS_MAX) {
            out.field("", &format!("✗ {}", host.domains.join(", ")));
        }
        return;
    };
    out.field("vhost", &format!("{}  {}", host.name, words.place(host.provenance.as_ref())));
    let asked = Asked::of(record, sent);
    let mut word = "routes";
    let mut skipped = 0;
    for (at, candidate) in candidates(host, &asked, record.decision.route_index).iter().enumerate() {
        skipped += usize::from(candidate.fate == Fate::NotReached);
        if skipped > NOT_REACHED_MAX {
            continue;
        }
        out.field(word, &format!("{}. {}", at + 1, candidate_line(candidate, words)));
        word = "";
    }
    if skipped > NOT_REACHED_MAX {
        out.field("", &format!("and {} more that were not reached", skipped - NOT_REACHED_MAX));
    }
    if record.decision.arm_from.is_some() {
        let chosen = record.decision.cluster.as_deref().map(super::candidates::short).unwrap_or_default();
        out.field("weight", &format!("{chosen}  {}", words.place(record.decision.arm_from.as_ref())));
    }
}

fn candidate_line(candidate: &Candidate, words: &Words<'_>) -> String {
    let fate = match &candidate.fate {
        Fate::Took => "✓ took it".to_owned(),
        Fate::Lost(why) => format!("✗ {why}"),
        Fate::NotReached => "· not reached".to_owned(),
    };
    let place = words.place(candidate.from.as_ref());
    let place = if place.is_empty() { String::new() } else { format!("  {place}") };
    format!("{} → {}{place}  {fate}", candidate.rule, candidate.action)
}

/// The cluster, the endpoints that were tried, and what tries were allowed.
fn cluster(out: &mut Lines, record: &Record, snapshot: Option<&Snapshot>, words: &Words<'_>) {
    let Some(name) = &record.decision.cluster else { return };
    let known = snapshot.and_then(|snapshot| Some((snapshot, snapshot.clusters.get(name)?)));
    match known {
        Some((snapshot, cluster)) => {
            let place = words.place(cluster.provenance.as_ref());
            let balancer = words::balancer(cluster.balancer);
            out.field("cluster", &format!("{name}  {}, {balancer}  {place}", words::choice(snapshot, cluster)));
        }
        None => out.field("cluster", &format!("{name}  does not exist")),
    }
    for attempt in &record.attempts {
        let endpoint = attempt.endpoint.map_or_else(|| "no endpoint".to_owned(), |address| words.endpoint(address));
        let result = match (attempt.status, &attempt.failure) {
            (Some(status), _) => status.to_string(),
            (None, Some(failure)) => failure.to_string(),
            (None, None) => "no response".to_owned(),
        };
        let tls = attempt.upstream.as_ref().map_or_else(String::new, |leg| format!("  {}", words::tls(&leg.tls)));
        out.field(
            if attempt.number == 1 { "attempts" } else { "" },
            &format!("{}. {endpoint}  {result} in {}{tls}", attempt.number, millis(attempt.duration)),
        );
    }
    let route = snapshot.and_then(|snapshot| winner(snapshot, record));
    if let Some(Action::Forward(forward)) = route.map(|route| &route.action) {
        let host = snapshot.and_then(|snapshot| virtual_host(snapshot, record));
        let policy = forward.retry_policy.as_ref().or(host.and_then(|host| host.retry_policy.as_ref()));
        let timeout = match forward.timeout {
            None => "15s".to_owned(),
            Some(none) if none.is_zero() => "none".to_owned(),
            Some(bound) => words::seconds(bound),
        };
        let retries = words::retries(policy.map(|own| &**own));
        let used = if retries != "none" && record.attempts.len() < 2 { ", not used" } else { "" };
        out.field("policy", &format!("retries {retries}{used}; timeout {timeout}"));
    }
}
