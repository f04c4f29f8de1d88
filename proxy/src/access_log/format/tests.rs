//! Lines of whole formats, of a request that was answered and of one that is not understood.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use wavetank_platform::{Instant, UnixTime};

use super::{Format, Json, Shape, text};
use crate::access_log::Wanted;
use crate::access_log::capture::Captured;
use crate::access_log::entry::{Entry, Kind, Wire};
use crate::http::headers::HeaderList;
use crate::listener::accepted::Facts;
use crate::record::{Attempt, Direction, Flag, Leg, Protocol, Provenance, Record, TlsState};
use crate::route::RequestHead;
use crate::snapshot::Cluster;
use crate::snapshot::cluster::Discovery;

fn at(port: u16) -> SocketAddr {
    ([10, 0, 0, 1], port).into()
}

fn leg(local: u16, remote: u16) -> Leg {
    Leg { local: at(local), remote: at(remote), tls: TlsState::Plaintext }
}

fn ms(count: u64) -> Instant {
    Instant::from_start(Duration::from_millis(count))
}

fn facts() -> Facts {
    Facts {
        id: 7,
        start: ms(0),
        direction: Direction::Inbound,
        listener: "l".into(),
        listener_from: None,
        filter_chain: Some("".into()),
        leg: leg(80, 4000),
        original_dst: None,
        session: None,
        logged: false,
        told: std::sync::OnceLock::new(),
        sni: None,
        config_version: 1,
    }
}

/// A request that took 40 ms, whose second attempt was answered after 30 of them.
fn answered(facts: &Facts) -> Record {
    let mut record = facts.record(&"node".into(), ms(1000), Protocol::Http1);
    record.duration = Duration::from_millis(40);
    record.status = 200;
    record.flags = vec![Flag::URX, Flag::UF];
    record.details = "via upstream".into();
    record.bytes_received = 12;
    record.bytes_sent = 34;
    record.decision.route = Some("r".into());
    record.decision.route_from = Some(Provenance { file: "a \"b\".yaml".into(), line: 7, column: 3 });
    let attempt = |number, start, duration, status, upstream| Attempt {
        number,
        cluster: "c".into(),
        endpoint: Some(at(9)),
        start: ms(start),
        duration: Duration::from_millis(duration),
        status,
        upstream,
        failure: None,
        workload: None,
        transport_failure: Some("no such host".into()).filter(|_| number == 1),
    };
    record.attempts = vec![attempt(1, 1000, 5, None, None), attempt(2, 1010, 20, Some(200), Some(leg(5000, 9)))];
    record
}

/// The line of a format, of the request above; with `known` false of one that was refused unread.
fn line(shape: impl Fn(&mut Wanted) -> Shape, omit_empty: bool, known: bool) -> String {
    let mut wanted = Wanted::default();
    let format = Format::new("", shape(&mut wanted), omit_empty);
    let facts = facts();
    let mut heads = Captured::default();
    let mut record = facts.record(&"node".into(), ms(1000), Protocol::Http1);
    let cluster = Arc::new(Cluster::new("c", Discovery::OriginalDst));
    if known {
        record = answered(&facts);
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", HeaderValue::from_static("curl/8"));
        headers.insert("x-odd", HeaderValue::from_bytes(b"a\"\t\\\xff").unwrap());
        let list = HeaderList::from(headers.clone());
        let (path_and_query, authority) = ("/p?q", "a.test");
        let head = RequestHead { method: "GET", path_and_query, authority, scheme: "http", headers: &list };
        heads.request(&wanted, &head, true);
        heads.response(&wanted, StatusCode::OK, |name| headers.get(name));
    }
    let entry = Entry {
        heads: &heads,
        cluster: known.then_some(&cluster),
        attempt: record.attempts.last(),
        upstream: Wire { id: if known { 8 } else { 0 }, session: None },
        sent_whole: known,
        received_at: known.then_some(ms(1004)),
        ..Entry::of(Kind::Request, &record, &facts, UnixTime::from_epoch(Duration::from_millis(1_795_935_355_294)))
    };
    let mut line = Vec::new();
    format.write(&entry, &mut line);
    String::from_utf8(line).unwrap()
}

fn shown(format: &str) -> String {
    line(|wanted| Shape::Text(text(format, wanted).unwrap()), false, true)
}

#[test]
fn each_operator_says_what_it_is_named_for() {
    for (format, wanted) in [
        ("100%% %PROTOCOL%", "100% HTTP/1.1"),
        ("[%START_TIME%] %START_TIME(%s.%3f)% %EMIT_TIME(%S.%3f)%", "[2026-11-29T06:55:55.294Z] 1795935355.294 55.334"),
        ("%REQ(:METHOD)% %REQ(:path)% %REQ(HOST)% %REQ(:scheme)%", "GET /p?q a.test http"),
        ("%REQ(x?User-Agent)% %REQ(USER-AGENT):3% %REQ(x?y)% %REQ(x)%", "curl/8 cur - -"),
        ("%REQ(USER-AGENT):0%|%REQ(:nonsense)%", "|-"),
        ("%RESP(:STATUS)% %RESP(x?user-agent)% %TRAILER(x)%", "200 curl/8 -"),
        ("%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT%", "200 URX,UF 12 34"),
        ("%RESPONSE_CODE_DETAILS% %RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%", "via_upstream via upstream"),
        ("%DURATION% %REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%", "40 4 30 10"),
        ("%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)% %COMMON_DURATION(US_TX_BEG:US_RX_BEG)%", "40000 20"),
        (
            "%UPSTREAM_CLUSTER% %UPSTREAM_CLUSTER_RAW% %UPSTREAM_HOST% %UPSTREAM_REQUEST_ATTEMPT_COUNT%",
            "c c 10.0.0.1:9 2",
        ),
        ("%UPSTREAM_LOCAL_ADDRESS% %UPSTREAM_REMOTE_PORT% %UPSTREAM_TRANSPORT_FAILURE_REASON%", "10.0.0.1:5000 9 -"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%", "10.0.0.1 80"),
        ("%CONNECTION_ID% %UPSTREAM_CONNECTION_ID% %LISTENER_NAME% %FILTER_CHAIN_NAME% %ROUTE_NAME%", "7 8 l - r"),
        ("%METADATA(ROUTE:wavetank:file)% %METADATA(ROUTE:wavetank:line)%", "a \"b\".yaml 7"),
        ("%METADATA(ROUTE:wavetank)% %METADATA(CLUSTER:wavetank)%", r#"{"column":3,"file":"a \"b\".yaml","line":7} -"#),
        ("%METADATA(ROUTE:wavetank):6%|%DYNAMIC_METADATA(a:b)%|%VIRTUAL_CLUSTER_NAME%", "{\"colu|-|-"),
        ("%DOWNSTREAM_PEER_URI_SAN% %UPSTREAM_TLS_VERSION% %DOWNSTREAM_PEER_CERT_V_END%", "- - -"),
    ] {
        assert_eq!(shown(format), wanted, "{format}");
    }
}

#[test]
fn what_is_not_known_is_a_dash_or_nothing() {
    let format = "%REQ(:METHOD)%|%RESPONSE_CODE%|%UPSTREAM_HOST%|%REQUEST_DURATION%|%RESPONSE_FLAGS%";
    let refused = |omit| line(|wanted| Shape::Text(text(format, wanted).unwrap()), omit, false);
    assert_eq!(refused(false), "-|0|-|-|-");
    assert_eq!(refused(true), "|0|||-");
}

fn object(wanted: &mut Wanted) -> Shape {
    let mut value = |source: &str| Json::text(text(source, wanted).unwrap());
    let members = vec![
        ("n", value("%DURATION%")),
        ("a", value("%REQ(x)%")),
        ("t", value("t%REQ(x)%/%RESPONSE_CODE%")),
        ("odd \"", value("%REQ(x-odd)%")),
        ("in", Json::object(vec![("p", value("%UPSTREAM_REMOTE_PORT%"))])),
        ("list", Json::Array(vec![value("%REQ(x)%"), value("%%"), Json::Null])),
        ("m", value("%METADATA(ROUTE:wavetank)%")),
    ];
    Shape::Json(Json::object(members))
}

#[test]
fn json_has_numbers_for_numbers_and_null_for_what_is_not_known() {
    assert_eq!(
        line(object, false, true),
        concat!(
            r#"{"a":null,"in":{"p":9},"list":[null,"%",null],"m":{"column":3,"file":"a \"b\".yaml","line":7},"n":40,"#,
            r#""odd \"":"a\u0022\u0009\u005c\u00ff","t":"t-/200"}"#,
            "\n"
        )
    );
}

/// As Envoy 1.40 shows these numbers.
#[test]
fn numbers_of_a_format_are_written_as_envoy_writes_them() {
    for (number, wanted) in
        [(1.0, "1"), (-12.0, "-12"), (0.5, "0.5"), (1e14, "100000000000000"), (1e21, "1e+21"), (1e-7, "1e-07")]
    {
        assert_eq!(Json::number(number), Json::Literal(wanted.into()));
    }
    assert_eq!(Json::number(f64::NAN), Json::Null);
}

#[test]
fn json_leaves_out_what_is_not_known_where_it_shall() {
    assert_eq!(line(object, true, false), "{\"list\":[\"%\"],\"n\":0,\"t\":\"t/0\"}\n");
    let nothing =
        |wanted: &mut Wanted| Shape::Json(Json::object(vec![("a", Json::text(text("%REQ(x)%", wanted).unwrap()))]));
    assert_eq!(line(nothing, true, true), "{}\n");
}

#[test]
fn a_command_that_is_wrong_is_named_with_its_column() {
    for (format, fault) in [
        ("é %NOPE% x", "`%NOPE%` at column 3: not a command operator that is supported"),
        ("%REQ%", "`%REQ%` at column 1: wants parameters"),
        ("%REQ(a?b?c)%", "`%REQ(a?b?c)%` at column 1: has more than one alternative"),
        ("%REQ(a b)%", "`%REQ(a b)%` at column 1: names a header with white space"),
        ("a %REQ(a):x% b", "`%REQ(a):x% b` at column 3: no command operator begins here"),
        ("100%", "`%` at column 4: no command operator begins here"),
        ("%%%", "`%` at column 3: no command operator begins here"),
        ("%DURATION:3%", "`%DURATION:3%` at column 1: takes neither parameters nor a length"),
        ("%START_TIME(%n)%", "`%START_TIME(%n)%` at column 1: `%n` is not supported"),
        ("%START_TIME:3%", "`%START_TIME:3%` at column 1: takes no length"),
        ("%METADATA(FOO:x)%", "`%METADATA(FOO:x)%` at column 1: metadata of `FOO` is not supported"),
        (
            "%METADATA(ROUTE:istio)%",
            "`%METADATA(ROUTE:istio)%` at column 1: metadata but `wavetank` and its fields is not supported",
        ),
        ("%COMMON_DURATION(DS_RX_BEG:X)%", "`%COMMON_DURATION(DS_RX_BEG:X)%` at column 1: point `X` is not supported"),
    ] {
        assert_eq!(text(format, &mut Wanted::default()).unwrap_err().to_string(), fault, "{format}");
    }
}

#[test]
fn parameters_may_hold_brackets() {
    assert_eq!(shown("%START_TIME(a)b%S)%)"), "a)b55)");
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_parser(format: String, command in "%[A-Z_]{0,12}[(]?[A-Za-z:?%0-9]{0,9}[)]?:?[0-9]{0,3}%?") {
        let _parsed = text(&format, &mut Wanted::default());
        let _parsed = text(&format!("{format}{command}"), &mut Wanted::default());
    }
}
