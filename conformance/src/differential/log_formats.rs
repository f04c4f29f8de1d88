//! Logs of connection managers that differ in their form or in what they are for: Istio's formats, JSON of every kind
//! of value, and every filter.

use envoy_types::pb::envoy::config::accesslog::v3 as log;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::route::v3 as rds;
use envoy_types::pb::envoy::r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern};
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::google::protobuf::{ListValue, Struct, Value, value::Kind};
use log::access_log_filter::FilterSpecifier as Filter;
use rds::header_matcher::HeaderMatchSpecifier as Header;
use wavetank_control::Dialect;
use wavetank_control::generate::access_log::ISTIO_JSON;

use super::logged::MARK;
use super::shapes::{stderr_format, stderr_log};

/// What JSON lines begin with: a key before all others, whose value is the name of the log.
pub const JSON_MARK: &str = "{\"!log\":\"";

/// Keys whose values vary.
const VARYING: [&str; 8] = [
    "downstream_local_address",
    "downstream_remote_address",
    "duration",
    "request_id",
    "start_time",
    "upstream_local_address",
    "upstream_service_time",
    "connection",
];

/// All such logs.
pub fn logs() -> Vec<log::AccessLog> {
    let istio = Dialect::V1.access_log_text(true);
    let mut all = vec![
        stderr_log(&format!("{MARK}istio\t{istio}")),
        json("istio", false, ISTIO_JSON.iter().map(|(key, format)| (*key, text(format))).collect()),
        json("kinds", false, kinds()),
        json("kinds, empty left out", true, kinds()),
    ];
    all.extend(filters().into_iter().map(|(name, filter)| log::AccessLog {
        filter: Some(log::AccessLogFilter { filter_specifier: Some(filter) }),
        ..stderr_log(&format!("{MARK}filter {name}\t%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS%\n"))
    }));
    all
}

fn kinds() -> Vec<(&'static str, Value)> {
    let number = |value| of(Kind::NumberValue(value));
    let object = |members: Vec<(&str, Value)>| of(Kind::StructValue(fields(members)));
    let list = |values| of(Kind::ListValue(ListValue { values }));
    let null = || of(Kind::NullValue(0));
    vec![
        ("number", text("%RESPONSE_CODE%")),
        ("numbers", text("%RESPONSE_CODE%%BYTES_SENT%")),
        ("words", text("a %RESPONSE_CODE% \"b\" \\ \u{e9} %REQ(X-NOT-THERE)% %% \u{1} \u{7f} \t <>&/")),
        ("header", text("%REQ(X-ODD)%")),
        ("agent", text("%REQ(USER-AGENT):4%")),
        ("missing", text("%REQ(X-NOT-THERE)%")),
        ("missing and words", text("-%REQ(X-NOT-THERE)%-")),
        ("missing twice", text("%REQ(X-NOT-THERE)%%REQ(X-NOT-THERE)%")),
        ("port", text("%UPSTREAM_REMOTE_PORT%")),
        ("connection", text("%CONNECTION_ID%")),
        ("place", text("%METADATA(ROUTE:wavetank)%")),
        ("place's line", text("%METADATA(ROUTE:wavetank:line)%")),
        ("place's file", text("%METADATA(ROUTE:wavetank:file)%")),
        ("place in words", text("at %METADATA(ROUTE:wavetank)%")),
        ("empty", text("")),
        ("null", null()),
        ("on", of(Kind::BoolValue(true))),
        ("one", number(1.0)),
        ("half", number(0.5)),
        ("minus", number(-12.0)),
        ("large", number(1e21)),
        ("small", number(1e-7)),
        ("key \"\\\n", text("k")),
        ("object", object(vec![("z", text("%REQ(X-NOT-THERE)%")), ("a", text("%BYTES_SENT%"))])),
        ("object of nothing", object(vec![("a", text("%REQ(X-NOT-THERE)%"))])),
        ("no object", object(Vec::new())),
        ("list", list(vec![text("%REQ(X-NOT-THERE)%"), null(), number(2.0), text("%BYTES_SENT%"), list(Vec::new())])),
        ("list of nothing", list(vec![text("%REQ(X-NOT-THERE)%")])),
    ]
}

fn of(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn text(value: &str) -> Value {
    of(Kind::StringValue(value.to_owned()))
}

fn fields(members: Vec<(&str, Value)>) -> Struct {
    Struct { fields: members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect() }
}

fn json(name: &str, omit_empty_values: bool, mut members: Vec<(&str, Value)>) -> log::AccessLog {
    members.push(("!log", text(name)));
    let format = Some(core::substitution_format_string::Format::JsonFormat(fields(members)));
    stderr_format(core::SubstitutionFormatString { format, omit_empty_values, ..Default::default() })
}

fn filters() -> Vec<(&'static str, Filter)> {
    use log::comparison_filter::Op;
    let comparison = |op: Op, value| {
        let value = core::RuntimeUInt32 { default_value: value, runtime_key: "none".to_owned() };
        Some(log::ComparisonFilter { op: op as i32, value: Some(value) })
    };
    let status = |op, value| Filter::StatusCodeFilter(log::StatusCodeFilter { comparison: comparison(op, value) });
    let duration = |op, value| Filter::DurationFilter(log::DurationFilter { comparison: comparison(op, value) });
    let flags = |flags: &[&str]| {
        Filter::ResponseFlagFilter(log::ResponseFlagFilter { flags: flags.iter().map(|&flag| flag.into()).collect() })
    };
    let several = |filters: Vec<Filter>| {
        filters.into_iter().map(|filter| log::AccessLogFilter { filter_specifier: Some(filter) }).collect()
    };
    let header = |name: &str, header_match_specifier, invert_match| {
        let matcher = rds::HeaderMatcher {
            name: name.to_owned(),
            header_match_specifier: Some(header_match_specifier),
            invert_match,
            ..Default::default()
        };
        Filter::HeaderFilter(log::HeaderFilter { header: Some(matcher) })
    };
    let sampled = |percent: Option<u32>| {
        Filter::RuntimeFilter(log::RuntimeFilter {
            runtime_key: "none".to_owned(),
            percent_sampled: percent.map(|numerator| FractionalPercent { numerator, denominator: 0 }),
            ..Default::default()
        })
    };
    let string = |pattern| Header::StringMatch(StringMatcher { match_pattern: Some(pattern), ..Default::default() });
    let exact = |value: &str| string(MatchPattern::Exact(value.to_owned()));
    vec![
        ("status = 200", status(Op::Eq, 200)),
        ("status >= 500", status(Op::Ge, 500)),
        ("status <= 299", status(Op::Le, 299)),
        ("status != 200", status(Op::Ne, 200)),
        ("duration >= 0", duration(Op::Ge, 0)),
        ("duration <= 1 h", duration(Op::Le, 3_600_000)),
        ("duration >= 1 h", duration(Op::Ge, 3_600_000)),
        ("NR or UF", flags(&["NR", "UF"])),
        ("any flag", flags(&[])),
        ("a flag never set", flags(&["LH"])),
        ("no health check", Filter::NotHealthCheckFilter(log::NotHealthCheckFilter {})),
        ("sampled, unsaid", sampled(None)),
        ("sampled, all", sampled(Some(100))),
        ("sampled, none", sampled(Some(0))),
        ("and", Filter::AndFilter(log::AndFilter { filters: several(vec![status(Op::Ge, 400), flags(&["NR"])]) })),
        ("or", Filter::OrFilter(log::OrFilter { filters: several(vec![status(Op::Eq, 200), flags(&["NR"])]) })),
        ("POST", header(":method", exact("POST"), false)),
        ("not POST", header(":method", exact("POST"), true)),
        ("has an agent", header("user-agent", Header::PresentMatch(true), false)),
        ("has no agent", header("user-agent", Header::PresentMatch(false), false)),
        ("sent on as new", header(":path", string(MatchPattern::Prefix("/new/".to_owned())), false)),
    ]
}

/// The name of a log, and its line with what may vary taken out; `None` when it is another line.
pub fn masked_json(text: &str) -> Option<(String, String)> {
    let name = text.strip_prefix(JSON_MARK)?.split('"').next()?.to_owned();
    let mut line = text.to_owned();
    for key in VARYING {
        let mark = format!("\"{key}\":");
        let Some(begin) = line.find(&mark).map(|at| at + mark.len()) else { continue };
        let end = line[begin..].find([',', '}']).map_or(line.len(), |at| begin + at);
        if &line[begin..end] != "null" {
            line.replace_range(begin..end, "~");
        }
    }
    Some((name, line))
}

/// Istio's line with times and ports taken out.
pub fn masked_istio(text: &str) -> String {
    let words = text.split(' ').enumerate().map(|(at, word)| match word.rsplit_once(':') {
        // The begin, the duration, and the upstream's time.
        _ if at == 0 || (matches!(at, 11 | 12) && word != "-") => "~".to_owned(),
        // A request id in quotation marks.
        _ if word.len() == 38 && word.bytes().filter(|byte| *byte == b'-').count() == 4 => "~".to_owned(),
        Some((address, port)) if !word.contains('"') && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{address}:~")
        }
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_masked() {
        let line = r#"{"!log":"istio","duration":12,"request_id":null,"upstream_local_address":"127.0.0.1:5"}"#;
        let shown = r#"{"!log":"istio","duration":~,"request_id":null,"upstream_local_address":~}"#;
        assert_eq!(masked_json(line), Some(("istio".to_owned(), shown.to_owned())));
        assert_eq!(masked_json("[info]"), None);
        let line = r#"[T] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 2 1 3 "-" 127.0.0.1:5"#;
        assert_eq!(masked_istio(line), r#"~ "GET / HTTP/1.1" 200 - via_upstream - "-" 0 2 ~ ~ "-" 127.0.0.1:~"#);
    }
}
