//! Corners of HTTP/1.1.

use crate::differential::row::{Act, OK, Row, Step, get};

/// The rows.
pub fn rows() -> Vec<Row> {
    [versions(), upgrades(), methods(), trailers(), refused(), lenient(), connections(), paths()].concat()
}

/// Raw bytes at the listener with every route; the virtual host of `a` takes all paths.
fn raw(name: &str, bytes: &str) -> Row {
    Row::raw(format!("h1: {name}"), "plain", bytes)
}

fn versions() -> Vec<Row> {
    let expects = "POST /up/ HTTP/1.1\r\nhost: a.test\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let early = |name: &str, answer: &str| Row::raw(name, "exp", expects).acts([Act::Early(answer.to_owned())]).ends();
    vec![
        early("expect passed on, refused", "HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n"),
        early("expect passed on, answered", OK),
        raw("1.0", "GET / HTTP/1.0\r\nhost: a\r\n\r\n").ends(),
        raw("1.0 without host", "GET / HTTP/1.0\r\n\r\n").ends(),
        raw("0.9", "GET /\r\n\r\n").ends(),
        raw("1.2", "GET / HTTP/1.2\r\nhost: a\r\n\r\n").ends(),
        raw("2.0", "GET / HTTP/2.0\r\nhost: a\r\n\r\n").ends(),
        raw("http/1.1 in small letters", "GET / http/1.1\r\nhost: a\r\n\r\n").ends(),
        raw("expect 100", "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
            .steps_of_continue(),
        raw(
            "expect 100, body at once",
            "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello",
        ),
        raw(
            "expect 100, refused",
            "POST /none HTTP/1.1\r\nhost: a.test\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
        )
        .ends(),
    ]
}

impl Row {
    /// Sends the body once it is told to go on.
    fn steps_of_continue(mut self) -> Self {
        self.steps.pop();
        self.step(Step::Until("100 Continue\r\n\r\n")).send("hello").step(Step::Answers(1))
    }
}

fn upgrades() -> Vec<Row> {
    let ask = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
               sec-websocket-version: 13\r\n";
    let accepted = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
                    sec-websocket-accept: x\r\n\r\n";
    vec![
        Row::get("upgrade: not configured", "plain", "/up/", ask).ends(),
        Row::get("upgrade: not configured, no route", "plain", "/none", ask).ends(),
        Row::get("upgrade: passes", "ws", "/up/", ask)
            .acts([Act::Echo(accepted.to_owned())])
            .send("ping")
            .step(Step::Until("ping"))
            .step(Step::Leave),
        Row::get("upgrade: upstream answers 200", "ws", "/up/", ask).ends(),
        Row::get("upgrade: upstream answers 403", "ws", "/up/", ask)
            .answers("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
            .ends(),
        Row::get("upgrade: foo", "ws", "/up/", "connection: upgrade\r\nupgrade: foo\r\n").ends(),
        Row::get(
            "upgrade: h2c",
            "plain",
            "/up/",
            "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
        ),
        Row::get("upgrade: no route", "ws", "/none", ask).ends(),
        Row::get("upgrade: refused", "ws", "/gone/", ask).ends(),
        Row::get("upgrade: upstream closes", "ws", "/up/", ask).acts([Act::Last(String::new())]).ends(),
        raw("CONNECT", "CONNECT a.test:80 HTTP/1.1\r\nhost: a.test:80\r\n\r\n").ends(),
    ]
}

fn methods() -> Vec<Row> {
    let of =
        |name: &str, method: &str| raw(&format!("method {name}"), &format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n"));
    vec![
        of("TRACE", "TRACE"),
        of("unknown", "FOO").ends(),
        of("in small letters", "get").ends(),
        of("with a bad letter", "G(T").ends(),
        of("PROPFIND", "PROPFIND"),
        of("PURGE", "PURGE"),
        raw("OPTIONS *", "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"),
        raw("absolute URI", "GET http://b.test/up/x HTTP/1.1\r\nhost: a.test\r\n\r\n"),
        raw("absolute URI without path", "GET http://a HTTP/1.1\r\nhost: b\r\n\r\n"),
        raw("absolute https URI", "GET https://a/x HTTP/1.1\r\nhost: b\r\n\r\n"),
        raw("absolute URI with user", "GET http://u:p@a/x HTTP/1.1\r\nhost: a\r\n\r\n"),
    ]
}

fn trailers() -> Vec<Row> {
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n2\r\nok\r\n0\r\nx-t: tv\r\n\r\n";
    vec![
        Row::raw("trailers of the upstream", "plain", &get("/up/", "te: trailers\r\n")).answers(chunked),
        raw(
            "trailers of the caller",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-tr: 1\r\n\r\n",
        ),
    ]
}

fn refused() -> Vec<Row> {
    let get = |name: &str, lines: &str| raw(name, &format!("GET / HTTP/1.1\r\nhost: a\r\n{lines}\r\n")).ends();
    let post = |name: &str, rest: &str| raw(name, &format!("POST / HTTP/1.1\r\nhost: a\r\n{rest}")).ends();
    let many: String = (0..101).map(|number| format!("x-{number}: 1\r\n")).collect();
    vec![
        post("length and chunks", "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        post("two lengths", "content-length: 2\r\ncontent-length: 3\r\n\r\nhi"),
        post("two equal lengths", "content-length: 2\r\ncontent-length: 2\r\n\r\nhi"),
        post("length list", "content-length: 2, 2\r\n\r\nhi"),
        post("negative length", "content-length: -2\r\n\r\nhi"),
        post("length with plus", "content-length: +2\r\n\r\nhi"),
        post("length is no number", "content-length: x\r\n\r\nhi"),
        post("huge length", "content-length: 99999999999999999999\r\n\r\nhi"),
        post("transfer-encoding gzip", "transfer-encoding: gzip\r\n\r\nhi"),
        post("transfer-encoding gzip, chunked", "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        post("transfer-encoding identity", "transfer-encoding: identity\r\n\r\n"),
        post("transfer-encoding twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        post("transfer-encoding Chunked", "transfer-encoding: Chunked\r\n\r\n0\r\n\r\n"),
        post("bad chunk", "transfer-encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n"),
        post("huge chunk size", "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nhi\r\n0\r\n\r\n"),
        raw("garbage", "garbage\r\n\r\n").ends(),
        raw("zeros", "\0\0\0\0\r\n\r\n").ends(),
        get("bad header name", "x y: 1\r\n"),
        get("space before the colon", "x : 1\r\n"),
        get("no colon", "xyz\r\n"),
        get("empty name", ": 1\r\n"),
        get("NUL in a value", "x: a\0b\r\n"),
        get("control in a value", "x: a\x01b\r\n"),
        get("carriage return in a value", "x: a\rb\r\n"),
        get("101 headers", &many),
        get("large header", &format!("x-big: {}\r\n", "a".repeat(70_000))),
        get("pseudo header", ":path: /x\r\n"),
        raw("large path", &format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(70_000))).ends(),
        raw("no host", "GET / HTTP/1.1\r\n\r\n").ends(),
        raw("no host, absolute URI", "GET http://a/ HTTP/1.1\r\n\r\n").ends(),
        raw("invalid host", "GET / HTTP/1.1\r\nhost: a b\r\n\r\n").ends(),
        raw("host with a path", "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n").ends(),
        raw("host with a user", "GET / HTTP/1.1\r\nhost: u@a\r\n\r\n").ends(),
        raw("host with a bad port", "GET / HTTP/1.1\r\nhost: a:x\r\n\r\n").ends(),
        raw("path without slash", "GET x HTTP/1.1\r\nhost: a\r\n\r\n").ends(),
        raw("path not ASCII", "GET /\u{e9} HTTP/1.1\r\nhost: a\r\n\r\n").ends(),
        raw("space in the path", "GET /a b HTTP/1.1\r\nhost: a\r\n\r\n").ends(),
        raw("NUL in the path", "GET /a\0b HTTP/1.1\r\nhost: a\r\n\r\n").ends(),
        raw("tabs in the request line", "GET\t/\tHTTP/1.1\r\nhost: a\r\n\r\n").ends(),
        raw("fragment", "GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n").ends(),
        raw("TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n").ends(),
    ]
}

fn lenient() -> Vec<Row> {
    vec![
        raw("obs-fold", "GET / HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n"),
        raw("two hosts", "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"),
        raw("bare line feeds", "GET / HTTP/1.1\nhost: a\n\n"),
        raw("one bare line feed", "GET / HTTP/1.1\r\nhost: a\nx: 1\r\n\r\n"),
        raw("escaped slash", "GET /a%2fb HTTP/1.1\r\nhost: a\r\n\r\n"),
        raw("escaped escape", "GET /a%252fb HTTP/1.1\r\nhost: a\r\n\r\n"),
        raw("escaped NUL", "GET /a%00b HTTP/1.1\r\nhost: a\r\n\r\n"),
        raw("broken escape", "GET /a%zzb HTTP/1.1\r\nhost: a\r\n\r\n"),
        raw("empty host", "GET / HTTP/1.1\r\nhost:\r\n\r\n"),
        raw("empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        raw("long path", &format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(9000))),
        raw("strange but legal path", "GET /a;b=c,d/~e!$&'()*+%7b?x={y}|[z] HTTP/1.1\r\nhost: a\r\n\r\n"),
        raw("double slash", "GET //x//y HTTP/1.1\r\nhost: a\r\n\r\n"),
        raw("dots are kept", "GET /a/../b HTTP/1.1\r\nhost: a\r\n\r\n"),
        raw("question mark alone", "GET /? HTTP/1.1\r\nhost: a\r\n\r\n"),
        raw(
            "99 headers",
            &format!(
                "GET / HTTP/1.1\r\nhost: a\r\n{}\r\n",
                (0..98).map(|n| format!("x-{n}: 1\r\n")).collect::<String>()
            ),
        ),
    ]
}

fn connections() -> Vec<Row> {
    let two = |path: &str| {
        format!("GET {path}1 HTTP/1.1\r\nhost: a.test\r\n\r\nGET {path}2 HTTP/1.1\r\nhost: a.test\r\n\r\n")
    };
    vec![
        Row::get("connection: close", "plain", "/up/", "connection: close\r\n").ends(),
        Row::get("connection: CLOSE", "plain", "/up/", "connection: CLOSE\r\n").ends(),
        Row::get("connection: close, own answer", "plain", "/none", "connection: close\r\n").ends(),
        Row::get("connection: keep-alive", "plain", "/up/", "connection: keep-alive\r\n"),
        Row::get("proxy-connection: close", "plain", "/up/", "proxy-connection: close\r\n"),
        Row::new("pipelined", "plain").send(two("/up/")).step(Step::Answers(2)).logs(2),
        Row::new("pipelined, own answers", "plain").send(two("/none")).step(Step::Answers(2)).logs(2),
        Row::new("pipelined, first closes", "plain")
            .send(format!("{}{}", get("/up/1", "connection: close\r\n"), get("/up/2", "")))
            .step(Step::Answers(1))
            .ends(),
        raw("tls at a plaintext port", "\x16\x03\x01\x00\x05hello").ends(),
        Row::raw("h2 preface at an HTTP/1 listener", "h1only", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").ends(),
        Row::raw("h1 at an HTTP/2 listener", "h2only", &get("/up/", "")).ends().logs(0),
    ]
}

fn paths() -> Vec<Row> {
    let mut rows = Vec::new();
    for listener in ["norm", "rejes", "unesc"] {
        for path in [
            "/a/../b",
            "/a//b",
            "/a%2fb",
            "/a%2Fb",
            "/a/./b",
            "/%61",
            "/a\\b",
            "/a%5cb",
            "/../a",
            "/a/..",
            "/a/.",
            "/a?b/../c",
            "/a%2e%2e/b",
            "/%2e%2e/b",
            "/a%00b",
            "/a%zzb",
            "/a%2",
            "/a%252fb",
            "/a//b?c//d",
            "/~a",
            "/a%7eb",
            "//",
            "/a#b",
        ] {
            rows.push(Row::get(format!("{listener}: {path}"), listener, path, ""));
        }
    }
    for host in ["a.test:1", "a.test", "[::1]:80", "a.test:"] {
        let bytes = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
        rows.push(Row::raw(format!("stripany: {host}"), "stripany", &bytes));
    }
    rows.push(Row { acts: vec![Act::Answer(OK.to_owned())], ..Row::get("norm: baseline", "norm", "/", "") });
    rows
}
