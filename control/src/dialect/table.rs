//! The table of divergences, rendered from the functions that decide them.

use std::fmt::Write as _;

use super::{DefaultBalancer, DefaultRetries, Dialect, ForwardClientCert, InboundTls, UnknownDestination};

/// One divergence: what it is about, and what a dialect answers.
struct Divergence {
    about: &'static str,
    answer: fn(Dialect) -> String,
}

/// In the order a request meets them.
const DIVERGENCES: &[Divergence] = &[
    Divergence {
        about: "Fields by their protobuf names (`sni_hosts`)",
        answer: |d| yes(d.takes_protobuf_names(), "taken", "an error"),
    },
    Divergence {
        about: "Gateway or host of another namespace",
        answer: |d| yes(d.namespaces_before_slash(), "`namespace/name`", "the full name alone"),
    },
    Divergence {
        about: "`withoutHeaders` with the regular expression `*`",
        answer: |d| yes(d.star_is_presence(), "is not there", "no such field"),
    },
    Divergence {
        about: "Servers of one gateway port, `HTTP` beside `HTTP2` or `GRPC`",
        answer: |d| yes(d.shares_port_among_http(), "all are served", "those with the first one's protocol"),
    },
    Divergence {
        about: "`retries` with 0 attempts",
        answer: |d| yes(d.allows_zero_attempts(), "no retries", "an error"),
    },
    Divergence {
        about: "DestinationRule of a client",
        answer: |d| {
            let today = "the most specific host in the client's namespace, else the service's, else the root's";
            yes(d.rules_are_global(), "the most specific host of all namespaces", today)
        },
    },
    Divergence {
        about: "Port entry of a subset's policy",
        answer: |d| yes(d.subset_ports_replace_all(), "replaces the whole policy", "replaces what it names"),
    },
    Divergence {
        about: "`connectTimeout` and `maxRequestsPerConnection` of the host, beside a subset's connection pool",
        answer: |d| yes(d.subsets_inherit_parts_of_pools(), "stay", "are gone"),
    },
    Divergence {
        about: "`portLevelSettings` on the way in",
        answer: |d| yes(d.inbound_reads_port_entries(), "read", "not read"),
    },
    Divergence {
        about: "Policy of a later DestinationRule without subsets for a host whose first has no policy",
        answer: |d| yes(d.merges_policies_without_subsets(), "holds", "is lost"),
    },
    Divergence {
        about: "Protocol of a port",
        answer: |d| yes(d.protocols_by_name_only(), "by its name", "by `appProtocol`, else by its name"),
    },
    Divergence {
        about: "Call to a destination no service has",
        answer: |d| match d.unknown_destination() {
            UnknownDestination::Refused => "refused: 404 on an HTTP port that a service uses, else reset".into(),
            UnknownDestination::Allowed => "passed through to the address it was opened to".into(),
        },
    },
    Divergence {
        about: "Bytes that are not HTTP, from a sidecar's workload to an HTTP port",
        answer: |d| yes(d.inspects_http_ports(), "passed through to the address they were sent to", "400"),
    },
    Divergence {
        about: "Port with an unknown name",
        answer: |d| yes(d.sniffs_unnamed_ports(), "HTTP if its first bytes are", "TCP"),
    },
    Divergence {
        about: "Domains of the host `a.test` on port 80",
        answer: |d| code(&d.domains("a.test", 80).join(", ")),
    },
    Divergence {
        about: "Port in a request's authority",
        answer: |d| yes(d.ignores_port_of_authority(), "any", "the listener's, or none"),
    },
    Divergence {
        about: "A service's full name with a dot at its end",
        answer: |d| yes(d.knows_absolute_names(), "known", "unknown"),
    },
    Divergence {
        about: "`<pod>.<name>` of a headless service",
        answer: |d| yes(d.knows_pods_of_headless_services(), "known", "unknown"),
    },
    Divergence {
        about: "VirtualService bound to one of a proxy's Gateways",
        answer: |d| {
            let all = "on all servers of the proxy that have its host";
            yes(d.merges_gateways(), all, "on the servers of that Gateway")
        },
    },
    Divergence {
        about: "Host `*` of a VirtualService on a server for `a.test`",
        answer: |d| yes(d.serves_whole_hosts(), "serves `*`", "serves `a.test`"),
    },
    Divergence {
        about: "Port that a gateway listens on",
        answer: |d| yes(d.translates_gateway_ports(), "the target port of its Service", "the server's own"),
    },
    Divergence {
        about: "`sourceLabels`",
        answer: |d| yes(d.labels_need_a_service(), "of sidecars that a Service selects", "of every proxy"),
    },
    Divergence { about: "Regular expression known to take every path", answer: |d| code(d.regex_of_any_path()) },
    Divergence {
        about: "Weights of a split",
        answer: |d| yes(d.weights_are_percent(), "must add up to 100", "relative"),
    },
    Divergence { about: "Retries of a route without `retries`", answer: |d| retries(d.default_retries()) },
    Divergence { about: "Retries of an inbound route", answer: |d| retries(d.inbound_retries()) },
    Divergence {
        about: "`retry_on` of a `retries` block with `retryOn: gateway-error`",
        answer: |d| code(d.retry_on(Some("gateway-error"))),
    },
    Divergence {
        about: "Retries avoid hosts tried before",
        answer: |d| yes(d.retries_avoid_previous_hosts(), "yes, 5 draws", "no"),
    },
    Divergence {
        about: "`x-envoy-attempt-count` to the application",
        answer: |d| yes(d.sends_attempt_count(), "yes", "no"),
    },
    Divergence {
        about: "Load balancing without a policy",
        answer: |d| match d.default_balancer() {
            DefaultBalancer::RoundRobin => code("ROUND_ROBIN"),
            DefaultBalancer::LeastRequest => format!("{}, 2 choices", code("LEAST_REQUEST")),
        },
    },
    Divergence {
        about: "Breakers without a connection pool",
        answer: |d| match d.default_breakers() {
            None => "Envoy's: 1024 connections, 1024 pending, 1024 requests, 3 retries".into(),
            Some(breakers) => format!("{} each", breakers.each),
        },
    },
    Divergence { about: "Connect timeout", answer: |d| format!("{} s", d.connect_timeout().as_secs()) },
    Divergence {
        about: "`outlierDetection.consecutiveErrors`",
        answer: |d| {
            yes(d.counts_consecutive_errors(), "502, 503, 504 and failed connects; no other 5xx counts", "no effect")
        },
    },
    Divergence {
        about: "Outlier detection by success rate",
        answer: |d| yes(d.ejects_by_success_rate(), "on, from 5 endpoints", "off"),
    },
    Divergence {
        about: "`outlierDetection.maxEjectionPercent` smaller than one endpoint",
        answer: |d| yes(d.always_ejects_one(), "one is ejected", "none is ejected"),
    },
    Divergence {
        about: "Longest ejection",
        answer: |d| match d.ejection_time_max() {
            None => "Envoy's: 300 s, or the base".into(),
            Some(max) => format!("{} days, or the base", max.as_secs() / 86_400),
        },
    },
    Divergence {
        about: "Access log without a format",
        answer: |d| match d {
            Dialect::V1_0 => "1.0.3's fields; fewer for TCP".into(),
            Dialect::V1 => "details, transport failure, server name and route besides".into(),
        },
    },
    Divergence {
        about: "Panic threshold with outlier detection",
        answer: |d| match d.outlier_panic_percent() {
            None => "Envoy's: 50 %".into(),
            Some(percent) => format!("{percent} %"),
        },
    },
    Divergence {
        about: "TLS to sidecars without a DestinationRule",
        answer: |d| yes(d.auto_mtls(), "mutual, automatic", "none"),
    },
    Divergence {
        about: "TLS accepted by a sidecar",
        answer: |d| match d.inbound_tls() {
            InboundTls::Plaintext => "plaintext".into(),
            InboundTls::Permissive => "mutual TLS and plaintext (`PERMISSIVE`)".into(),
        },
    },
    Divergence {
        about: "Server name of `ISTIO_MUTUAL`",
        answer: |d| code(&d.mutual_sni(80, "v1", "service-go.default.svc.cluster.local")),
    },
    Divergence { about: "ALPN of `ISTIO_MUTUAL`", answer: |d| code(&d.mutual_alpn().join(",")) },
    Divergence {
        about: "`server` header, inbound and at gateways",
        answer: |d| code(d.server_name().unwrap_or("envoy")),
    },
    Divergence { about: "`x-forwarded-client-cert`, inbound", answer: |d| client_cert(d.inbound_client_cert()) },
    Divergence { about: "`x-forwarded-client-cert`, at gateways", answer: |d| client_cert(d.gateway_client_cert()) },
    Divergence { about: "Path normalization", answer: |d| yes(d.normalizes_paths(), "yes", "no") },
    Divergence {
        about: "Address of a sidecar's own workload",
        answer: |d| yes(d.inbound_to_loopback(), "`127.0.0.1`", "the one the client asked for"),
    },
    Divergence {
        about: "Inbound cluster of port 80",
        answer: |d| code(&d.inbound_cluster(80, "service-go.default.svc.cluster.local")),
    },
];

/// Where today's shape stands in both dialects, because the 1.0.3 outcome has no other expression in
/// today's xDS or shows no difference to a caller.
const SAME_IN_BOTH: &[&str] = &[
    "Of two VirtualServices for one host in the mesh the older counts; the proxy of 1.0.3 refused the routes of \
        the whole port.",
    "A gateway without VirtualServices has no route (404, `NR`); 1.0.3 gave it a route that answers 404.",
    "Inbound traffic is captured on `virtualInbound` (15006); 1.0.3 used one listener per port behind 15001.",
    "A route to a missing cluster is `503` with flag `NC`; the proxy of 1.0.3 said `NR`.",
    "xDS is v3; 1.0.3 spoke v2.",
    "Beyond the first, no endpoint is ejected that would bring the share above `maxEjectionPercent`: of 4 endpoints \
     at 30 % one; the proxy of 1.0.3 looked at the share before, and ejected two.",
    "Each interval without an ejection shortens an endpoint's next one by the base; in the proxy of 1.0.3 an \
     ejection always lasted the base times all ejections so far.",
    "A regular expression is RE2; 1.0.3 used ECMAScript's. Both must match the whole value.",
];

fn yes(holds: bool, then: &str, otherwise: &str) -> String {
    if holds { then } else { otherwise }.to_owned()
}

fn code(text: &str) -> String {
    // A bar inside a table cell is escaped, in code spans too.
    format!("`{}`", text.replace('|', "\\|"))
}

fn retries(retries: Option<DefaultRetries>) -> String {
    match retries {
        None => "none".to_owned(),
        Some(retries) => format!("{}, on {}", retries.attempts, code(retries.retry_on)),
    }
}

fn client_cert(mode: ForwardClientCert) -> String {
    code(match mode {
        ForwardClientCert::Sanitize => "SANITIZE",
        ForwardClientCert::AppendForward => "APPEND_FORWARD",
        ForwardClientCert::SanitizeSet => "SANITIZE_SET",
    })
}

/// The text of `docs/divergences.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Where the dialects part\n\n\
         A mesh has `compat: \"1.0\"` (Istio 1.0.3) or `compat: \"v1\"` (today's Istio, the default). \
         This table is rendered from `control/src/dialect.rs`.\n\n\
         | What | `1.0` | `v1` |\n|---|---|---|\n",
    );
    for divergence in DIVERGENCES {
        let [old, new] = Dialect::ALL.map(divergence.answer);
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| {} | {old} | {new} |", divergence.about);
    }
    page.push_str("\nToday's behaviour stands in both dialects for:\n\n");
    for line in SAME_IN_BOTH {
        let _ = writeln!(page, "- {line}");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_divergence() {
        for divergence in DIVERGENCES {
            let [old, new] = Dialect::ALL.map(divergence.answer);
            assert_ne!(old, new, "{}", divergence.about);
        }
    }

    /// `UPDATE_DOCS=1` rewrites the page.
    #[test]
    fn the_page_in_docs_is_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/divergences.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, markdown()).expect("docs/divergences.md is writable");
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == markdown(), "docs/divergences.md is stale; rerun with UPDATE_DOCS=1");
    }
}
