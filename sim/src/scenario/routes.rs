//! Decision tables: the rows of `routes`, each a cross product of requests and where all of them must go.

use wavetank_control::config::SourceFile;
use wavetank_control::config::yaml::{Mapping, Node};
use wavetank_control::diagnostic::Span;
use wavetank_reports::Place;

use super::fields::{Findings, Keys};
use super::traffic::METHODS;
use crate::observe::Selector;
use crate::routes::{CALLER, Case, Goal, PREFIX, Row, Target};

pub(super) const ROUTE: Keys = Keys {
    of: "a row of routes",
    known: &[
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "host", "headers", "from", "goes_to",
        "status",
    ],
    later: &["CONNECT", "as", "jwt", "denied_by", "rewritten_to", "redirects_to"],
};

/// Requests of all rows together at most.
const CASES_MAX: usize = 10_000;

/// Reads `routes`: one row or a list of them.
pub(super) fn read(node: Option<&Node>, config: &[SourceFile], findings: &mut Findings) -> Vec<Row> {
    let Some(node) = node else { return Vec::new() };
    let from = if config.iter().any(has_gateway) { "ingress" } else { CALLER };
    let mut rows = Vec::new();
    let mut cases = 0;
    for item in findings.items(node) {
        let Some(row) = row(item, rows.len() + 1, from, findings) else { continue };
        cases += row.cases.len();
        if cases > CASES_MAX {
            findings.wrong(&item.span, format!("routes ask for more than {CASES_MAX} requests"));
            break;
        }
        rows.push(row);
    }
    rows
}

/// Whether there is a Gateway among these manifests, as its text shows.
fn has_gateway(file: &SourceFile) -> bool {
    let is_gateway = |line: &str| line.trim().strip_prefix("kind:").is_some_and(|kind| kind.trim() == "Gateway");
    file.text.lines().any(is_gateway)
}

fn row(node: &Node, number: usize, from: &str, findings: &mut Findings) -> Option<Row> {
    let mapping = findings.mapping(node, &ROUTE)?;
    let requests = requests(mapping, findings);
    if requests.is_empty() && !METHODS.iter().any(|method| mapping.get(method).is_some()) {
        findings.missing(&node.span, "a row of routes needs a method with its paths, like `GET: /users`");
        return None;
    }
    let from = match mapping.get("from") {
        Some(node) => texts(node, "from", findings, caller),
        None => vec![from.parse().unwrap_or(Selector::ANY)],
    };
    let hosts = match mapping.get("host") {
        Some(node) => texts(node, "host", findings, authority),
        None => Vec::new(),
    };
    if hosts.is_empty() && mapping.get("host").is_none() && from.iter().any(|own| own.name() != Some("ingress")) {
        findings.missing(&node.span, "this row needs the key `host`: a caller in the mesh asks for some host");
    }
    let headers = match mapping.get("headers") {
        Some(node) => findings.items(node).iter().map(|item| super::traffic::headers(item, findings)).collect(),
        None => vec![Vec::new()],
    };
    let goal = mapping.get("goes_to").and_then(|node| goal(node, findings));
    let status = mapping.get("status").and_then(|node| findings.whole(node, "status", 100, 599));
    let asks = mapping.entry("goes_to").or(mapping.entry("status"));
    let Some(asks) = asks else {
        findings.missing(&node.span, "a row of routes needs `goes_to`, `status` or both");
        return None;
    };
    let (asked_at, width) = place(&asks.key, &asks.value.span);
    let mut row =
        Row { number, asked_at, width, cases: Vec::new(), goal, status: status.and_then(|own| own.try_into().ok()) };
    let hosts = if hosts.is_empty() { vec![("ingress".to_owned(), 80)] } else { hosts };
    if from.len() * hosts.len() * headers.len() * requests.len() > CASES_MAX {
        findings.wrong(&node.span, format!("routes ask for more than {CASES_MAX} requests"));
        return None;
    }
    for from in &from {
        for (host, port) in &hosts {
            for headers in &headers {
                for (method, path) in &requests {
                    let name = format!("{PREFIX}{number}.{}", row.cases.len() + 1);
                    row.cases.push(Case {
                        traffic: name,
                        from: from.clone(),
                        method: method.clone(),
                        host: host.clone(),
                        port: *port,
                        path: path.clone(),
                        headers: headers.clone(),
                    });
                }
            }
        }
    }
    Some(row)
}

/// Methods with their paths, in the order written.
fn requests(mapping: &Mapping, findings: &mut Findings) -> Vec<(String, String)> {
    let mut requests = Vec::new();
    for (method, entry) in mapping.iter().filter(|(name, _)| METHODS.contains(name) && ROUTE.known.contains(name)) {
        for path in texts(&entry.value, method, findings, path) {
            requests.push((method.to_owned(), path));
        }
    }
    requests
}

fn texts<T>(node: &Node, what: &str, findings: &mut Findings, read: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
    findings.items(node).iter().filter_map(|item| findings.read(item, what, &read)).collect()
}

fn path(text: &str) -> Result<String, String> {
    let is_path = text.starts_with('/') && text.parse::<http::uri::PathAndQuery>().is_ok();
    if is_path { Ok(text.to_owned()) } else { Err(format!("`{text}` is not a path like `/users`")) }
}

/// `example.com`, `example.com:8080`.
fn authority(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("`{text}` is not a host like `example.com`");
    let authority: http::uri::Authority = text.parse().map_err(|_| wrong())?;
    if authority.host().is_empty() || text.contains('@') {
        return Err(wrong());
    }
    Ok((authority.host().to_owned(), authority.port_u16().unwrap_or(80)))
}

fn caller(text: &str) -> Result<Selector, String> {
    match text {
        "client" => Err("requests from outside come in through `ingress`; write `from: ingress`".to_owned()),
        "*" | "control-plane" => Err(format!("`{text}` is not a workload, nor `ingress`")),
        _ => text.parse(),
    }
}

fn goal(node: &Node, findings: &mut Findings) -> Option<Goal> {
    if node.as_str() == Some("nothing") {
        return Some(Goal::Nothing);
    }
    let targets: Vec<Target> = texts(node, "goes_to", findings, |text| match text {
        "nothing" => Err("`nothing` stands alone".to_owned()),
        _ => Target::parse(text),
    });
    (!targets.is_empty()).then_some(Goal::Only(targets))
}

/// From the start of one span to the end of another, cut at the end of the line.
fn place(from: &Span, to: &Span) -> (Place, usize) {
    let width = if to.end_line == from.line { to.end_column.saturating_sub(from.column) as usize } else { usize::MAX };
    (Place::new(from.file.to_string(), from.line, from.column), width)
}

#[cfg(test)]
mod tests {
    use wavetank_control::config::SourceFile;

    use crate::scenario::{Manifests, Scenario, parse};

    struct None;

    impl Manifests for None {
        fn read(&self, path: &str) -> Result<Vec<SourceFile>, String> {
            Err(format!("no {path} here"))
        }
    }

    fn read(rows: &str) -> Result<Scenario, Vec<String>> {
        let text = format!("scenario: s\nroutes:\n{rows}");
        let parsed = parse(&SourceFile::new("s.yaml", text), &None);
        parsed.map_err(|found| {
            found.iter().map(|own| format!("{}:{} {}", own.span.line, own.span.column, own.message)).collect()
        })
    }

    #[test]
    fn a_row_is_a_cross_product() {
        let row =
            "  - {GET: [/a, /b], POST: /c, host: [x.test, y.test:81], headers: [{k: v}, {}], from: [a, b], goes_to: s}";
        let scenario = read(row).unwrap();
        let cases = &scenario.routes[0].cases;
        assert_eq!((cases.len(), scenario.traffic.len()), (24, 24));
        assert_eq!(cases[0].to_string(), "GET x.test/a -H k:v from a");
        assert_eq!(cases[23].to_string(), "POST y.test:81/c from b");
        assert_eq!(scenario.traffic[23].request.host, "240.240.0.1");
        assert_eq!(scenario.traffic[23].headers[0], ("host".to_owned(), "y.test:81".to_owned()));
    }

    #[test]
    fn what_is_wrong_with_rows_is_told_at_its_place() {
        let rows = concat!(
            "  - {GET: /a, as: sa/default/guest, goes_to: s}\n",
            "  - {GET: a, host: x, goes_to: s}\n",
            "  - {host: x, goes_to: s}\n",
            "  - {GET: /a, host: x}\n",
            "  - {GET: /a, goes_to: s}\n",
            "  - {GET: /a, host: x, goes_to: [s, nothing]}\n",
            "  - {GET: /a, from: client, goes_to: s, gose_to: s}\n",
        );
        insta::assert_snapshot!(read(rows).unwrap_err().join("\n"));
    }
}
