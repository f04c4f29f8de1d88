//! What one side did with a row, with what may vary taken out.

use wavetank_proxy::record::{Flag, Protocol, Record, TlsState};

use super::shapes::LOG_MARK;

/// What our record calls a failed handshake of the caller; Envoy's log has a field for its reason.
const HANDSHAKE: &str = "downstream_transport_failure{";

/// Fields of an access log line, in the order of the format. The path is not one: the log's is the one that
/// was sent on, the record's the one that came.
const FIELDS: [&str; 17] = [
    "code",
    "flags",
    "details",
    "attempts",
    "cluster",
    "host",
    "route",
    "protocol",
    "method",
    "authority",
    "received",
    "sent",
    "sni",
    "peer",
    "upstream peer",
    "upstream transport failure",
    "downstream transport failure",
];

/// One access log line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line(Vec<String>);

impl Line {
    /// A line of Envoy's log; `None` when it is another line.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(LOG_MARK)?;
        let fields: Vec<String> = rest.split('\t').map(|field| or_none(field).to_owned()).collect();
        (fields.len() == FIELDS.len()).then_some(Self(fields))
    }

    /// Names endpoints by the order in which they come: `1`, `2`.
    pub fn number_hosts(lines: &mut [Self]) {
        let mut known: Vec<String> = Vec::new();
        let Some(at) = FIELDS.iter().position(|field| *field == "host") else { return };
        for host in lines.iter_mut().filter_map(|line| line.0.get_mut(at)).filter(|host| *host != "-") {
            let number = known.iter().position(|own| own == host).unwrap_or_else(|| {
                known.push(host.clone());
                known.len() - 1
            });
            *host = (number + 1).to_string();
        }
    }

    /// What our record says of the same.
    pub fn of(record: &Record) -> Self {
        let or = |text: Option<&str>| or_none(text.unwrap_or_default()).to_owned();
        let handshake = record.details.strip_prefix(HANDSHAKE).and_then(|rest| rest.strip_suffix('}'));
        let details = handshake.is_none().then_some(&*record.details);
        let flags = record.flags.iter().map(Flag::to_string).collect::<Vec<_>>().join(",");
        let decision = &record.decision;
        // The log's cluster is the one that was there; the record's is the one that was asked for.
        let cluster = decision.cluster.as_deref().filter(|_| !record.flags.contains(&Flag::NC));
        let peer = |tls: &TlsState| match tls {
            TlsState::Mutual { peer } => peer.to_string(),
            TlsState::Plaintext | TlsState::Simple => "-".to_owned(),
        };
        let protocol = match record.protocol {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
            Protocol::Tcp => "-",
        };
        let last = record.attempts.last();
        Self(vec![
            record.status.to_string(),
            or(Some(&flags)),
            or(details),
            record.attempts.len().to_string(),
            or(cluster),
            record.endpoint().map_or_else(|| "-".to_owned(), |endpoint| endpoint.to_string()),
            or(decision.route.as_deref()),
            protocol.to_owned(),
            or(Some(&record.method)),
            or(Some(&record.authority)),
            record.bytes_received.to_string(),
            record.bytes_sent.to_string(),
            or(record.sni.as_deref()),
            peer(&record.downstream.tls),
            record.upstream().map_or_else(|| "-".to_owned(), |leg| peer(&leg.tls)),
            or(last.and_then(|attempt| attempt.transport_failure.as_deref())),
            or(handshake),
        ])
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// What one side did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What the caller got.
    pub downstream: String,
    /// What the upstream got, by request.
    pub upstream: Vec<String>,
    /// What was recorded; of Envoy, its log.
    pub lines: Vec<Line>,
    /// What was logged.
    pub logged: Vec<Line>,
}

impl Outcome {
    /// Takes out what may vary: dates, durations, made-up ids, what is left of a timeout.
    #[must_use]
    pub fn masked(self) -> Self {
        let mut upstream: Vec<String> = self.upstream.iter().map(|text| masked(text)).collect();
        // What is left of the timeout for a further attempt depends on the back-off, which is random.
        upstream.iter_mut().skip(1).for_each(|text| *text = without_timeout(text));
        Self { downstream: masked(&self.downstream), upstream, ..self }
    }

    /// What differs from `other`, one line for each place; empty when nothing does.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.downstream != other.downstream {
            found.push(format!("downstream\n    {:?}\n    {:?}", self.downstream, other.downstream));
        }
        if self.upstream != other.upstream {
            found.push(format!("upstream\n    {:?}\n    {:?}", self.upstream, other.upstream));
        }
        differing("record", &self.lines, &other.lines, &mut found);
        differing("log", &self.logged, &other.logged, &mut found);
        found
    }
}

fn differing(what: &str, ones: &[Line], others: &[Line], found: &mut Vec<String>) {
    if ones.len() != others.len() {
        found.push(format!("{what}: lines\n    {ones:?}\n    {others:?}"));
    }
    for (one, other) in ones.iter().zip(others) {
        for (field, (one, other)) in FIELDS.iter().zip(one.0.iter().zip(&other.0)) {
            if one != other {
                found.push(format!("{what}, {field}: {one} / {other}"));
            }
        }
    }
}

/// Name of a header, and whether a value of it varies.
type Varying = (&'static str, fn(&str) -> bool);

const VARYING: &[Varying] = &[
    // Dates that an upstream of these rows writes are of 2001.
    ("date", |value| !value.contains(" 2001 ")),
    ("x-envoy-upstream-service-time", |_| true),
    // Ids that a caller of these rows sends are of ones.
    ("x-request-id", |value| value.len() == 36 && !value.starts_with("1111")),
];

/// Takes out what varies, and moves repeated headers to the first of their name: the order of fields of
/// different names means nothing (RFC 9110, section 5.3), and our header maps do not keep it.
fn masked(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut head = 0;
    for line in text.split("\r\n").map(blanked) {
        let name = |line: &str| line.split_once(": ").map(|(name, _)| name.to_owned());
        let same = lines.iter().skip(head).rposition(|earlier| name(earlier).is_some() && name(earlier) == name(&line));
        if line.is_empty() {
            head = lines.len() + 1;
        }
        match same {
            Some(at) => lines.insert(head + at + 1, line),
            None => lines.push(line),
        }
    }
    lines.join("\r\n")
}

fn without_timeout(text: &str) -> String {
    let is_timeout = |line: &&str| line.starts_with("x-envoy-expected-rq-timeout-ms: ");
    text.split("\r\n").filter(|line| !is_timeout(line)).collect::<Vec<_>>().join("\r\n")
}

fn blanked(line: &str) -> String {
    match line.split_once(": ") {
        Some((name, value)) if VARYING.iter().any(|(varying, varies)| *varying == name && varies(value)) => {
            format!("{name}: ~")
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_masked_and_nothing_else() {
        let text = "HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 19:43:43 GMT\r\nx-envoy-upstream-service-time: 3\r\n\
                    x-request-id: abc\r\n\r\ndate";
        let shown = "HTTP/1.1 200 OK\r\ndate: ~\r\nx-envoy-upstream-service-time: ~\r\nx-request-id: abc\r\n\r\ndate";
        assert_eq!(masked(text), shown);
    }

    #[test]
    fn lines_of_the_log_are_told_from_others() {
        let fields =
            ["row", "503", "UF", "d", "1", "c", "-", "r", "HTTP/1.1", "GET", "a", "0", "9", "-", "-", "-", "-", "x"];
        let line = Line::parse(&fields.join("\t")).expect("a line");
        assert_eq!(line.0.last().map(String::as_str), Some("x"));
        assert_eq!(Line::parse("[warning] something"), None);
    }
}
