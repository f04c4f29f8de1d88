//! Prometheus's text format, version 0.0.4: Istio's standard metrics, and Envoy's with the tags of Istio's
//! bootstrap taken out of their names.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::envoy::{Scope, Stat, Value};
use super::histogram::Histogram;
use super::mesh::{self, Labels, Workload};
use super::worker::{Tables, Traffic};
use crate::snapshot::Snapshot;

/// The media type of the text.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Families by name: a kind, and the lines of their samples.
#[derive(Default)]
struct Families(BTreeMap<String, (&'static str, String)>);

impl Families {
    fn number(&mut self, name: &str, kind: &'static str, labels: &Labels, value: u64) {
        let lines = &mut self.0.entry(name.to_owned()).or_insert((kind, String::new())).1;
        sample(lines, name, labels, None, value as f64);
    }

    fn histogram(&mut self, name: &str, labels: &Labels, values: &Histogram) {
        let lines = &mut self.0.entry(name.to_owned()).or_insert(("histogram", String::new())).1;
        let bucket = format!("{name}_bucket");
        for (bound, count) in values.cumulative() {
            sample(lines, &bucket, labels, Some(&bound.to_string()), count as f64);
        }
        sample(lines, &bucket, labels, Some("+Inf"), values.count() as f64);
        sample(lines, &format!("{name}_sum"), labels, None, values.sum());
        sample(lines, &format!("{name}_count"), labels, None, values.count() as f64);
    }

    fn text(self) -> String {
        let mut text = String::new();
        for (name, (kind, lines)) in self.0 {
            // Writing to a string does not fail.
            let _written = writeln!(text, "# TYPE {name} {kind}");
            text.push_str(&lines);
        }
        text
    }
}

fn sample(lines: &mut String, name: &str, labels: &Labels, bound: Option<&str>, value: f64) {
    lines.push_str(name);
    let bound = bound.map(|bound| ("le", bound));
    let all = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(bound);
    let mut before = '{';
    for (name, value) in all {
        lines.push(before);
        before = ',';
        lines.push_str(name);
        lines.push_str("=\"");
        escape(lines, value);
        lines.push('"');
    }
    if before == ',' {
        lines.push('}');
    }
    // Writing to a string does not fail.
    let _written = writeln!(lines, " {value}");
}

fn escape(lines: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => lines.push_str("\\\\"),
            '"' => lines.push_str("\\\""),
            '\n' => lines.push_str("\\n"),
            other => lines.push(other),
        }
    }
}

/// All metrics. `snapshot` knows the Services of clusters.
pub(crate) fn text(counts: &Tables, stats: &[Stat], own: &Workload, snapshot: &Snapshot) -> String {
    let mut families = Families::default();
    // More is told apart while counting than labels tell.
    let mut by_labels: BTreeMap<(bool, Labels), Traffic> = BTreeMap::new();
    for (key, traffic) in &counts.mesh {
        let service = snapshot.clusters.get(key.seen().cluster).and_then(|cluster| cluster.service.as_deref());
        by_labels.entry((mesh::is_http(key), mesh::labels(key, own, service))).or_default().add(traffic);
    }
    for ((is_http, labels), traffic) in &by_labels {
        if *is_http {
            families.number("istio_requests_total", "counter", labels, traffic.count);
            families.histogram("istio_request_duration_milliseconds", labels, &traffic.duration);
            families.histogram("istio_request_bytes", labels, &traffic.received);
            families.histogram("istio_response_bytes", labels, &traffic.sent);
        } else {
            let (sent, received) = mesh::bytes(traffic);
            families.number("istio_tcp_connections_opened_total", "counter", labels, traffic.count);
            families.number("istio_tcp_connections_closed_total", "counter", labels, traffic.count);
            families.number("istio_tcp_sent_bytes_total", "counter", labels, sent);
            families.number("istio_tcp_received_bytes_total", "counter", labels, received);
        }
    }
    let build = vec![
        ("component".to_owned(), "proxy".to_owned()),
        ("tag".to_owned(), concat!("wavetank-", env!("CARGO_PKG_VERSION")).to_owned()),
    ];
    families.number("istio_build", "gauge", &build, 1);
    for stat in stats {
        envoys(&mut families, stat);
    }
    families.text()
}

fn envoys(families: &mut Families, stat: &Stat) {
    let (group, label) = match &stat.scope {
        Scope::Cluster(name) => ("cluster", Some(("cluster_name", name.to_string()))),
        Scope::Http(prefix) => ("http", Some(("http_conn_manager_prefix", prefix.to_string()))),
        Scope::Listener(address) => ("listener", Some(("listener_address", address.to_string().replace(':', "_")))),
        Scope::Whole(group) => (*group, None),
    };
    let class = stat.class.map(|class| ("response_code_class", format!("{class}xx")));
    let labels: Labels = class.into_iter().chain(label).map(|(name, value)| (name.to_owned(), value)).collect();
    let name = format!("envoy_{group}_{}", stat.name.replace('.', "_"));
    match &stat.value {
        Value::Counter(value) => families.number(&name, "counter", &labels, *value),
        Value::Gauge(value) => families.number(&name, "gauge", &labels, *value),
        Value::Histogram(values) => families.histogram(&name, &labels, values),
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::{FlagSet, Key, Seen};
    use super::*;
    use crate::record::{Direction, Protocol};

    #[test]
    fn label_values_are_escaped_and_families_stand_together() {
        let mut families = Families::default();
        let labels = |value: &str| vec![("a".to_owned(), value.to_owned())];
        families.number("b_total", "counter", &labels("x\"\\\n"), 2);
        families.number("a", "gauge", &Labels::new(), 1);
        families.number("b_total", "counter", &labels("y"), 3);
        let expected =
            "# TYPE a gauge\na 1\n# TYPE b_total counter\nb_total{a=\"x\\\"\\\\\\n\"} 2\nb_total{a=\"y\"} 3\n";
        assert_eq!(families.text(), expected);
    }

    #[test]
    fn what_labels_do_not_tell_apart_is_one_sample() {
        let mut counts = Tables::default();
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let seen = Seen {
                direction: Direction::Outbound,
                protocol,
                status: 200,
                flags: FlagSet::default(),
                cluster: "c",
                downstream: None,
                upstream: None,
                workload: None,
                grpc: None,
            };
            counts.mesh.entry(Key::keep(&seen)).or_default().count += 1;
        }
        let bootstrap = serde_json::from_str(r#"{"node": {"id": "n"}, "xds": {"host": "h", "port": 1}}"#).unwrap();
        let text = text(&counts, &[], &Workload::of(&bootstrap), &Snapshot::default());
        let samples: Vec<_> = text.lines().filter(|line| line.starts_with("istio_requests_total{")).collect();
        assert!(samples.len() == 1 && samples[0].ends_with(" 2"), "{samples:?}");
    }

    #[test]
    fn a_histogram_has_all_its_buckets_a_sum_and_a_count() {
        let mut families = Families::default();
        let mut values = Histogram::default();
        values.note(7.0);
        families.histogram("t", &Labels::new(), &values);
        let text = families.text();
        for line in
            ["t_bucket{le=\"0.5\"} 0", "t_bucket{le=\"10\"} 1", "t_bucket{le=\"+Inf\"} 1", "t_sum 7", "t_count 1"]
        {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
    }
}
