//! HTTP/2 callers.

use crate::differential::row::{Act, H2, Row, Tls};

/// The rows.
pub fn rows() -> Vec<Row> {
    let on = |name: &str, listener, request: H2| Row::new(format!("h2: {name}"), listener).asks(request);
    let at = |name: &str, path: &str| on(name, "plain", H2::new("GET", path));
    let part = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789";
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let trailer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-t: tv\r\n\r\n";
    let grpc = |path: &str| H2::new("POST", path).header("content-type", "application/grpc");
    let tls = Tls { sni: Some("a.test"), alpn: &["h2", "http/1.1"], certificate: None };
    let host = |mut request: H2, authority: &str| {
        request.uri = request.uri.replace("a.test", authority);
        request
    };
    vec![
        at("baseline", "/up/"),
        at("no route", "/none"),
        at("no cluster", "/nc/"),
        at("refused", "/gone/"),
        at("empty", "/empty/"),
        at("overflow", "/pending0/"),
        at("route timeout", "/t300/").acts([Act::Stall(String::new())]),
        at("direct", "/direct"),
        at("redirect", "/rd-host/a"),
        at("retried", "/istio-gone/"),
        at("chunked upstream", "/up/").answers(chunk),
        at("trailers of the upstream", "/up/").answers(trailer),
        at("half a body", "/up/").acts([Act::Last(part.to_owned())]),
        at("upstream closes", "/up/").acts([Act::Last(String::new())]),
        at("hop-by-hop of the upstream", "/up/").answers(
            "HTTP/1.1 200 OK\r\nconnection: x-a\r\nx-a: 1\r\nkeep-alive: 1\r\nX-Up: 2\r\ncontent-length: 2\r\n\r\nok",
        ),
        on("grpc no healthy", "plain", grpc("/empty/")),
        on("grpc refused", "plain", grpc("/gone/")),
        on("grpc no route", "plain", grpc("/none")),
        on("grpc upstream closes", "plain", grpc("/up/")).acts([Act::Last(String::new())]),
        on("POST", "plain", H2::new("POST", "/up/").body("hello", true)),
        on("POST of unknown length", "plain", H2::new("POST", "/up/").body("hello", false)),
        on("POST without a body", "plain", H2::new("POST", "/up/")),
        on("HEAD", "plain", H2::new("HEAD", "/up/")).answers("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"),
        on("DELETE", "plain", H2::new("DELETE", "/up/")),
        on("TRACE", "plain", H2::new("TRACE", "/up/")),
        on("unknown method", "plain", H2::new("FOO", "/up/")),
        on("headers", "plain", H2::new("GET", "/up/").header("x-a", "1").header("x-b", "2").header("x-a", "3")),
        on("cookies", "plain", H2::new("GET", "/up/").header("cookie", "a=1").header("cookie", "b=2")),
        on("te trailers", "plain", H2::new("GET", "/up/").header("te", "trailers")),
        on("host beside authority", "plain", H2::new("GET", "/up/").header("host", "b.test")),
        on("expect 100", "plain", H2::new("POST", "/up/").header("expect", "100-continue").body("hello", true)),
        on("authority with port", "plain", host(H2::new("GET", "/up/"), "a.test:8080")),
        on("authority in capitals", "plain", host(H2::new("GET", "/up/"), "A.TEST")),
        on("scheme https", "plain", H2 { uri: "https://a.test/up/".to_owned(), ..H2::new("GET", "/up/") }),
        on("many headers", "plain", (0..101).fold(H2::new("GET", "/up/"), |request, _| request.header("x-n", "1"))),
        on("remote address", "xf_t", H2::new("GET", "/up/").header("x-forwarded-for", "1.1.1.1")).from([127, 0, 0, 2]),
        on("attempts are counted", "plain", host(H2::new("GET", "/"), "counted.test")),
        on("normalised", "norm", H2::new("GET", "/a/../b")),
        on("escaped slash", "norm", H2::new("GET", "/a%2fb")),
        on("server name", "srvname", H2::new("GET", "/none")),
        on("only HTTP/2", "h2only", H2::new("GET", "/up/")),
        on("stream idle, body never comes", "sidle", H2::new("GET", "/")).acts([Act::Stall(String::new())]),
        on("two on one connection", "plain", H2::new("GET", "/up/")).asks(H2::new("GET", "/none")).logs(2),
        on("over TLS", "tls", H2::new("GET", "/up/")).tls(tls),
    ]
}
