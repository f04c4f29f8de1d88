//! Header changes; addresses, schemes and ids; the server's name.

use crate::differential::row::{Row, Step, get};

const FORGED: &str = "x-forwarded-for: 1.1.1.1, 2.2.2.2\r\nx-forwarded-proto: https\r\n\
x-request-id: 11111111-1111-4111-8111-111111111111\r\nx-envoy-external-address: 9.9.9.9\r\n\
x-forwarded-host: z\r\nx-envoy-internal: true\r\nx-envoy-decorator-operation: dd\r\nx-forwarded-port: 1\r\n\
x-forwarded-client-cert: By=spiffe://a;URI=spiffe://forged\r\nx-envoy-retry-on: 5xx\r\nx-envoy-original-path: /o\r\nx-envoy-original-host: oh\r\n\
x-envoy-ip-tags: t\r\nx-envoy-downstream-service-cluster: c\r\nx-envoy-hedge-on-per-try-timeout: true\r\n\
x-envoy-upstream-rq-per-try-timeout-ms: 5\r\nx-envoy-is-timeout-retry: true\r\n\
x-envoy-upstream-alt-stat-name: n\r\nx-envoy-force-trace: true\r\nx-b3-traceid: 1\r\n";

/// A caller that is not the machine itself, whose address Envoy replaces by the machine's.
const OTHER: [u8; 4] = [127, 0, 0, 2];

/// The rows.
pub fn rows() -> Vec<Row> {
    [changes(), hops(), origins(), servers()].concat()
}

fn changes() -> Vec<Row> {
    let sent = "x-level: c\r\nx-add: c\r\nx-abs: c\r\nx-owe: c\r\nx-rm: c\r\nx-rm2: c\r\nx-add2: c\r\n";
    let answer = "HTTP/1.1 200 OK\r\nx-add: u\r\nx-level: u\r\nx-rrm: u\r\nx-rabs: u\r\nserver: us\r\n\
                  content-length: 2\r\n\r\nok";
    vec![
        Row::get("log: odd header", "plain", "/up/", "x-odd: a\"b\\c\td <\u{e9}>\r\nuser-agent: curl/8\r\n"),
        Row::new("log: bytes that are no text", "plain")
            .send(b"GET /up/ HTTP/1.1\r\nhost: a.test\r\nx-odd: a\xffb\xc3(\"\r\n\r\n")
            .step(Step::Answers(1)),
        Row::get("change: on all levels", "hdr", "/", sent).answers(answer),
        Row::get("change: of nothing", "hdr", "/", ""),
        Row::get("change: most specific wins", "hdrms", "/", sent).answers(answer),
        Row::get("change: most specific wins, of nothing", "hdrms", "/", ""),
        Row::get("change: suppressed headers", "suppress", "/up/", FORGED),
        Row::get("change: suppressed headers, refused", "suppress", "/gone/", ""),
        Row::get("change: suppressed headers, overflow", "suppress", "/pending0/", ""),
        Row::get("change: suppressed headers, retried", "suppress", "/r5xx/", "").answers(
            "HTTP/1.1 503 Service Unavailable\r\nx-envoy-x: 1\r\nx-envoy-upstream-service-time: 9\r\ncontent-length: 0\r\n\r\n",
        ),
    ]
}

fn hops() -> Vec<Row> {
    let mixed = "X-Foo: a\r\nX-BAR: b\r\nx-foo: c\r\nCookie: a=1\r\nCookie: b=2\r\nKeep-Alive: x\r\n\
                 Proxy-Connection: keep-alive\r\nConnection: keep-alive, X-Gone\r\nX-Gone: 1\r\nTE: trailers\r\n\
                 X-Empty:\r\nUser-Agent: ua\r\nAccept: */*\r\n";
    let answer = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\n\
                  Server: nginx\r\nKeep-Alive: timeout=5\r\nX-Up: 1\r\nContent-Length: 2\r\n\r\nok";
    let names =
        "HTTP/1.1 200 OK\r\nx-a: 1\r\nconnection: x-a\r\nproxy-connection: y\r\nx-b: 2\r\ncontent-length: 2\r\n\r\nok";
    let forged = "HTTP/1.1 200 OK\r\nx-envoy-upstream-service-time: 7\r\nx-envoy-overloaded: true\r\n\
                  x-envoy-attempt-count: 9\r\nx-request-id: 5\r\nx-a: 1\r\ncontent-length: 2\r\n\r\nok";
    vec![
        Row::get("hop: request", "plain", "/up/", mixed),
        Row::get("hop: response", "plain", "/up/", "").answers(answer),
        Row::get("hop: response names headers", "plain", "/up/", "").answers(names),
        Row::get("hop: response forges", "plain", "/up/", "").answers(forged),
        Row::get("hop: te gzip", "plain", "/up/", "te: gzip\r\n"),
        Row::get("hop: te gzip and trailers", "plain", "/up/", "te: gzip, trailers\r\n"),
        Row::get("hop: connection te", "plain", "/up/", "connection: te\r\nte: trailers\r\n"),
        Row::get("hop: upgrade without connection", "plain", "/up/", "upgrade: foo\r\n"),
        Row::get("hop: proxy-authorization", "plain", "/up/", "proxy-authorization: x\r\nauthorization: y\r\n"),
        Row::get("hop: via and forwarded", "plain", "/up/", "via: 1.1 x\r\nforwarded: for=1\r\nmax-forwards: 1\r\n"),
        Row::get("hop: white space", "plain", "/up/", "x-a:  b \t\r\nx-c:d\r\n"),
        Row::get("hop: Latin-1", "plain", "/up/", "x-a: caf\u{e9}\r\n"),
        Row::get("hop: underscore", "plain", "/up/", "x_y: 1\r\n"),
        Row::get("hop: expect foo", "plain", "/up/", "expect: foo\r\n"),
    ]
}

fn origins() -> Vec<Row> {
    let mut rows = Vec::new();
    for listener in ["xf_f", "xf_t", "xf_fi", "xf_ti", "xf_h1", "xf_fh1", "xf_skip", "rid_pres"] {
        rows.push(Row::get(format!("{listener}: no headers"), listener, "/up/", "").from(OTHER));
        rows.push(Row::get(format!("{listener}: forged headers"), listener, "/up/", FORGED).from(OTHER));
    }
    let xff = |name: &str, listener, value: &str| {
        Row::get(name, listener, "/up/", &format!("x-forwarded-for: {value}\r\n")).from(OTHER)
    };
    let id = |name: &str, listener| Row::get(name, listener, "/up/", "x-request-id: abc\r\n").from(OTHER);
    rows.extend([
        Row::get("xf_t: from this machine", "xf_t", "/up/", ""),
        xff("xf_fi: internal XFF", "xf_fi", "127.0.0.9"),
        xff("xf_fi: two internal XFF", "xf_fi", "127.0.0.9, 127.0.0.8"),
        xff("xf_fi: XFF no address", "xf_fi", "unknown"),
        xff("xf_f: XFF no address", "xf_f", "unknown"),
        xff("xf_h1: XFF of one", "xf_h1", "3.3.3.3"),
        xff("xf_h1: XFF no address", "xf_h1", "unknown"),
        xff("xf_t: XFF with white space", "xf_t", " 1.1.1.1 ,2.2.2.2"),
        Row::get("xf_t: two XFF", "xf_t", "/up/", "x-forwarded-for: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\n")
            .from(OTHER),
        Row::get("xf_f: proto ftp", "xf_f", "/up/", "x-forwarded-proto: ftp\r\n").from(OTHER),
        Row::get("xf_h1: proto ftp", "xf_h1", "/up/", "x-forwarded-proto: ftp\r\n").from(OTHER),
        Row::get("xf_f: redirect to https behind https", "xf_f", "/rd-https/", "x-forwarded-proto: https\r\n")
            .from(OTHER),
        Row::get(
            "xf_ti: retries asked from inside",
            "xf_ti",
            "/up/",
            "x-envoy-retry-on: 5xx\r\nx-envoy-max-retries: 2\r\n\
            x-envoy-upstream-rq-timeout-ms: 9000\r\nx-envoy-upstream-rq-per-try-timeout-ms: 8000\r\n\
            x-envoy-retriable-status-codes: 409\r\nx-envoy-retry-grpc-on: cancelled\r\n\
            x-envoy-hedge-on-per-try-timeout: false\r\nx-envoy-upstream-rq-timeout-alt-response: x\r\n\
            x-envoy-retriable-header-names: x-a\r\nx-envoy-upstream-alt-stat-name: s\r\n",
        )
        .from(OTHER)
        .answers("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno"),
        id("rid_pres: text is kept", "rid_pres"),
        id("xf_t: id that is no UUID", "xf_t"),
        id("xf_f: id that is no UUID", "xf_f"),
        Row::get("rid_pres: own answer", "rid_pres", "/none", "x-request-id: abc\r\n").from(OTHER),
        Row::get("rid_pres: empty id", "rid_pres", "/up/", "x-request-id:\r\n").from(OTHER),
    ]);
    rows
}

fn servers() -> Vec<Row> {
    let mut rows = Vec::new();
    let named = "HTTP/1.1 200 OK\r\nserver: up\r\ncontent-length: 2\r\n\r\nok";
    for listener in ["plain", "srv_append", "srv_pass", "srvname"] {
        rows.push(Row::get(format!("server {listener}: upstream has one"), listener, "/up/", "").answers(named));
        rows.push(Row::get(format!("server {listener}: upstream has none"), listener, "/up/", ""));
        rows.push(
            Row::get(format!("server {listener}: own answers"), listener, "/none", "")
                .send(get("/direct", ""))
                .step(Step::Answers(1))
                .send("GET / HTTP/1.1\r\n\r\n")
                .step(Step::Answers(1))
                .logs(3),
        );
    }
    let decorated = "HTTP/1.1 200 OK\r\nx-envoy-decorator-operation: op\r\ncontent-length: 2\r\n\r\nok";
    rows.push(Row::get("decorator from the upstream", "plain", "/up/", "").answers(decorated));
    rows
}
