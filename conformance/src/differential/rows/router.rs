//! Routes, clusters, endpoints, breakers, and what upstreams do.

use crate::differential::row::{Act, Row, Step, get};

const OK: &str = crate::differential::row::OK;

/// An answer whose length is told by the end of the connection alone.
const NO_FRAME: &str = "HTTP/1.1 200 OK\r\n\r\nold";

/// The rows.
pub fn rows() -> Vec<Row> {
    [routes(), clusters(), upstreams(), answers(), own_answers()].concat()
}

fn routes() -> Vec<Row> {
    let at = |name: &str, host: &str| {
        Row::raw(format!("host: {name}"), "plain", &format!("GET /up/ HTTP/1.1\r\nhost: {host}\r\n\r\n"))
    };
    vec![
        Row::get("baseline", "plain", "/up/", "").logs(1),
        Row::get("NR no route in vhost", "plain", "/none", ""),
        at("unknown", "zzz.test"),
        at("with port", "a.test:8080"),
        at("upper case", "A.TEST"),
        at("suffix wildcard", "x.wild.test"),
        at("suffix wildcard itself", "wild.test"),
        at("suffix wildcard deeper", "x.y.wild.test"),
        at("port in the domain", "b.test:81"),
        at("IPv6 literal", "[::1]"),
        at("IPv4 literal", "1.2.3.4"),
        at("trailing dot", "a.test."),
        Row::get("NR no vhosts", "nohosts", "/", ""),
        Row::raw("no host header", "plain", "GET /up/ HTTP/1.1\r\n\r\n"),
        Row::get("path case matters", "plain", "/UP/", ""),
        Row::get("query is no path", "plain", "/up/?a=/none", ""),
        Row::get("exact path", "plain", "/direct", ""),
        Row::get("exact path with query", "plain", "/direct?x=1", ""),
        Row::get("exact path, longer", "plain", "/directx", ""),
        Row::get("prefix rewrite", "plain", "/rewrite/a/b?c=d", ""),
        Row::get("host rewrite", "plain", "/host/x", ""),
    ]
}

fn clusters() -> Vec<Row> {
    let mut rows: Vec<Row> = [
        "nc",
        "nc404",
        "empty",
        "sick",
        "panic",
        "draining",
        "gone",
        "closing",
        "pending0",
        "requests0",
        "connections0",
        "half-missing",
        "none-but-missing",
        "cluster-header",
    ]
    .into_iter()
    .map(|name| Row::get(format!("cluster: {name}"), "plain", &format!("/{name}/"), ""))
    .collect();
    rows.extend([
        Row::get("cluster-header names one", "plain", "/cluster-header/", "x-cluster: up\r\n"),
        Row::get("cluster-header names none", "plain", "/cluster-header/", "x-cluster: zzz\r\n"),
        Row::raw("HEAD refused", "plain", "HEAD /gone/ HTTP/1.1\r\nhost: a.test\r\n\r\n"),
        Row::raw("HEAD no route", "plain", "HEAD /none HTTP/1.1\r\nhost: a.test\r\n\r\n"),
        Row::raw("HEAD direct", "plain", "HEAD /direct HTTP/1.1\r\nhost: a.test\r\n\r\n"),
        Row::raw("POST refused, body whole", "plain", &post("/gone/", "hello")),
        Row::raw("POST no route, body whole", "plain", &post("/none", "hello")),
        Row::raw(
            "POST no route, body missing",
            "plain",
            "POST /none HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\n\r\n",
        )
        .ends(),
        Row::raw(
            "POST direct, body missing",
            "plain",
            "POST /direct HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\n\r\n",
        )
        .ends(),
        Row::get("grpc refused", "plain", "/gone/", "content-type: application/grpc\r\n"),
        Row::get("grpc no route", "plain", "/none", "content-type: application/grpc\r\n"),
        Row::get("grpc empty", "plain", "/empty/", "content-type: application/grpc\r\n"),
        Row::get("grpc overflow", "plain", "/pending0/", "content-type: application/grpc+proto\r\n"),
        Row::get("one request for each connection", "plain", "/once/", "")
            .send(get("/once/", ""))
            .step(Step::Answers(1))
            .logs(2),
    ]);
    rows
}

/// A POST with its length.
pub fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: a.test\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn upstreams() -> Vec<Row> {
    let up = |name: &str, act: Act| Row::get(format!("upstream {name}"), "plain", "/up/", "").acts([act]);
    let part = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789";
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n";
    let many: String = (0..150).map(|number| format!("x-{number}: 1\r\n")).collect();
    vec![
        up("closes", Act::Last(String::new())),
        up("resets", Act::Reset(String::new())),
        up("half a head", Act::Last("HTTP/1.1 200 OK\r\ncont".to_owned())),
        up("garbage", Act::Last("garbage\r\n\r\n".to_owned())),
        up("bad content-length", Act::Last("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nok".to_owned())),
        up("half a body", Act::Last(part.to_owned())).ends(),
        up("half a chunk", Act::Last(chunk.to_owned())).ends(),
        up("reset in the body", Act::Reset(part.to_owned())).ends(),
        up("HTTP/1.0", Act::Last("HTTP/1.0 200 OK\r\n\r\nold".to_owned())),
        up("unframed", Act::Last(NO_FRAME.to_owned())),
        up("hints first", Act::Answer(format!("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{OK}"))),
        up("100 first", Act::Answer(format!("HTTP/1.1 100 Continue\r\n\r\n{OK}"))),
        up("closes after", Act::Last("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok".to_owned())),
        up(
            "large header",
            Act::Answer(format!("HTTP/1.1 200 OK\r\nx-big: {}\r\ncontent-length: 0\r\n\r\n", "a".repeat(50_000))),
        ),
        up("many headers", Act::Answer(format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n"))),
        up(
            "two content-lengths",
            Act::Last("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok".to_owned()),
        ),
        up(
            "length and chunks",
            Act::Last(
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
                    .to_owned(),
            ),
        ),
        up("bad chunk", Act::Last("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n".to_owned()))
            .ends(),
        up("unknown status", Act::Answer("HTTP/1.1 299 Whatever\r\ncontent-length: 2\r\n\r\nok".to_owned())),
        up("status 600", Act::Last("HTTP/1.1 600 Whatever\r\ncontent-length: 2\r\n\r\nok".to_owned())),
        up("status 99", Act::Last("HTTP/1.1 99 X\r\ncontent-length: 2\r\n\r\nok".to_owned())),
        up("bare line feeds", Act::Last("HTTP/1.1 200 OK\ncontent-length: 2\n\nok".to_owned())),
        up("no reason phrase", Act::Answer("HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok".to_owned())),
        up("space before colon", Act::Last("HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok".to_owned())),
        up("surplus bytes", Act::Last(format!("{OK}surplus"))),
        Row::raw(
            "upstream answers early",
            "plain",
            "POST /up/ HTTP/1.1\r\nhost: a.test\r\ncontent-length: 100\r\n\r\nabc",
        )
        .acts([Act::Early("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly".to_owned())])
        .ends(),
    ]
}

fn answers() -> Vec<Row> {
    let of = |name: &str, bytes: &str| Row::get(format!("answer {name}"), "plain", "/up/", "").answers(bytes);
    let status = |status: &str| of(status, &format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok"));
    vec![
        of("204", "HTTP/1.1 204 No Content\r\n\r\n"),
        of("304", "HTTP/1.1 304 Not Modified\r\n\r\n"),
        of("304 with length", "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n"),
        status("201 Created"),
        status("404 Not Found"),
        status("404 Gone Fishing"),
        status("418 I'm a teapot"),
        status("500 Internal Server Error"),
        status("503 Service Unavailable"),
        statuses(),
        of("empty", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        of("chunked", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        of("chunked, empty", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        of("chunk extension", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n"),
        Row::raw("answer to HEAD", "plain", "HEAD /up/ HTTP/1.1\r\nhost: a.test\r\n\r\n")
            .answers("HTTP/1.1 200 OK\r\ncontent-length: 77\r\n\r\n"),
        Row::raw("answer to HEAD, chunked", "plain", "HEAD /up/ HTTP/1.1\r\nhost: a.test\r\n\r\n")
            .answers("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        Row::raw("answer to HEAD, unframed", "plain", "HEAD /up/ HTTP/1.1\r\nhost: a.test\r\n\r\n")
            .answers("HTTP/1.1 200 OK\r\n\r\n"),
        Row::raw("POST", "plain", &post("/up/", "hello")),
        Row::raw("POST, empty", "plain", &post("/up/", "")),
        Row::raw("POST, no length", "plain", "POST /up/ HTTP/1.1\r\nhost: a.test\r\n\r\n"),
        Row::raw(
            "POST, chunked",
            "plain",
            "POST /up/ HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        ),
        Row::raw(
            "POST, chunked and empty",
            "plain",
            "POST /up/ HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        Row::raw("GET with a body", "plain", "GET /up/ HTTP/1.1\r\nhost: a.test\r\ncontent-length: 2\r\n\r\nhi"),
        Row::raw("GET with length 0", "plain", "GET /up/ HTTP/1.1\r\nhost: a.test\r\ncontent-length: 0\r\n\r\n"),
        Row::raw("DELETE", "plain", "DELETE /up/ HTTP/1.1\r\nhost: a.test\r\n\r\n"),
        Row::raw(
            "PUT, chunked",
            "plain",
            "PUT /up/ HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ),
        Row::raw("OPTIONS", "plain", "OPTIONS /up/ HTTP/1.1\r\nhost: a.test\r\n\r\n"),
        Row::raw("PATCH", "plain", "PATCH /up/ HTTP/1.1\r\nhost: a.test\r\ncontent-length: 1\r\n\r\nx"),
    ]
}

fn own_answers() -> Vec<Row> {
    let at = |name: &str| Row::get(format!("own: {name}"), "plain", &format!("/{name}/a?b=1"), "");
    vec![
        Row::get("own: direct", "plain", "/direct", ""),
        Row::get("own: direct, empty", "plain", "/direct-empty", ""),
        Row::get("own: direct, grpc", "plain", "/direct", "content-type: application/grpc\r\n"),
        at("rd-host"),
        at("rd-path"),
        at("rd-prefix"),
        at("rd-https"),
        at("rd-port"),
        at("rd-strip"),
        Row::raw("own: redirect keeps the port", "plain", "GET /rd-path/ HTTP/1.1\r\nhost: a.test:99\r\n\r\n"),
    ]
}

/// One answer for each status that means anything to somebody.
fn statuses() -> Row {
    let all: Vec<u16> = [200..=208, 226..=226, 300..=308, 400..=431, 451..=451, 500..=511, 599..=599]
        .into_iter()
        .flatten()
        .filter(|status| ![204, 205, 304].contains(status))
        .collect();
    let act = |status: &u16| Act::Answer(format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nok"));
    let row = Row::new("answer of every status", "plain").acts(all.iter().map(act)).logs(all.len());
    all.iter().fold(row, |row, _| row.send(get("/up/", "")).step(Step::Answers(1)))
}
