//! What a proxy knew at some moment: configuration versions, listeners, routes, clusters and endpoints.

use std::collections::BTreeMap;

use wavetank_platform::Instant;
use wavetank_proxy::ejection::{Ejection, EjectionAction};
use wavetank_proxy::snapshot::Snapshot;

use super::candidates::action;
use super::ejected;
use super::rule::in_words;
use super::words::{self, Words};
use crate::observe::{Observation, ObservationLog, Party};

/// What the proxy of `party` (with node id `node`) had in force at `at`.
pub fn proxy(node: &str, party: &Party, at: Instant, log: &ObservationLog, words: &Words<'_>) -> String {
    let mut out = format!(" {party}  {}\n", words.when(at));
    let Some((since, snapshot)) = words.book.known_at(node, at) else {
        out.push_str("   it had not started\n");
        return out;
    };
    out.push_str(&format!("   config version {} in force since {}\n", snapshot.version, words.when(*since)));
    exchanges(&mut out, party, at, log, words);
    listeners(&mut out, snapshot, words);
    routes(&mut out, snapshot, words);
    clusters(&mut out, (node, at), snapshot, words);
    out
}

/// The last version of each kind that was sent to the proxy, and what it answered.
fn exchanges(out: &mut String, party: &Party, at: Instant, log: &ObservationLog, words: &Words<'_>) {
    let mut last: BTreeMap<&str, String> = BTreeMap::new();
    for entry in log.entries().iter().take_while(|entry| entry.at() <= at) {
        match entry {
            Observation::Push(push) if push.proxy == *party => {
                last.insert(&push.kind, format!("{} sent {}, not answered", push.version, words.when(push.at)));
            }
            Observation::Ack(ack) if ack.proxy == *party => {
                let answer = match &ack.refused {
                    None => format!("{} accepted {}", ack.version, words.when(ack.at)),
                    Some(why) => format!("{} refused {}: {why}", ack.version, words.when(ack.at)),
                };
                last.insert(&ack.kind, answer);
            }
            _ => {}
        }
    }
    for (kind, text) in last {
        out.push_str(&format!("   {kind}  {text}\n"));
    }
}

fn listeners(out: &mut String, snapshot: &Snapshot, words: &Words<'_>) {
    out.push_str(" listeners\n");
    for (name, listener) in &snapshot.listeners {
        let place = words.place(listener.provenance.as_ref());
        let chains = match listener.filter_chains.len() {
            1 => "1 filter chain".to_owned(),
            count => format!("{count} filter chains"),
        };
        let line = format!("   {name}  {}  {chains}  {place}", listener.address);
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

fn routes(out: &mut String, snapshot: &Snapshot, words: &Words<'_>) {
    out.push_str(" routes\n");
    for (name, config) in &snapshot.routes {
        out.push_str(&format!("   {name}\n"));
        for host in config.virtual_hosts() {
            let line = format!("     {}  {}", host.name, words.place(host.provenance.as_ref()));
            out.push_str(line.trim_end());
            out.push('\n');
            for (at, route) in host.routes().iter().enumerate() {
                let place = words.place(route.provenance.as_ref());
                let line =
                    format!("       {}. {} → {}  {place}", at + 1, in_words(&route.matches), action(&route.action));
                out.push_str(line.trim_end());
                out.push('\n');
            }
        }
    }
}

fn clusters(out: &mut String, (node, at): (&str, Instant), snapshot: &Snapshot, words: &Words<'_>) {
    out.push_str(" clusters\n");
    for (name, cluster) in &snapshot.clusters {
        let ejected = ejected::out(words.book, node, name, at);
        let choice = match words::assignment(snapshot, cluster).filter(|_| !ejected.is_empty()) {
            Some(own) => words::healthy(&own.without(|address| ejected.contains_key(&address)), ejected.len()),
            None => words::choice(snapshot, cluster),
        };
        let line = format!("   {name}  {choice}  {}", words.place(cluster.provenance.as_ref()));
        out.push_str(line.trim_end());
        out.push('\n');
        for endpoint in words::assignment(snapshot, cluster).map(|own| own.endpoints()).unwrap_or_default() {
            let health = if endpoint.healthy { "" } else { "  unhealthy" };
            let ejection = ejected.get(&endpoint.address).map(|report| ejection(report, words)).unwrap_or_default();
            out.push_str(&format!("     {}{health}{ejection}\n", words.endpoint(endpoint.address)));
        }
    }
}

/// `  ejected since 31.204s by consecutive_5xx, ejection number 2`.
fn ejection(report: &Ejection, words: &Words<'_>) -> String {
    let EjectionAction::Eject { kind, .. } = report.action else { return String::new() };
    let times = match report.ejections {
        1 => String::new(),
        times => format!(", ejection number {times}"),
    };
    format!("  ejected since {} by {kind}{times}", words.when(report.at))
}
