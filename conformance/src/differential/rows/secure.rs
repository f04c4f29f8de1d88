//! Certificates on either side.

use crate::differential::row::{Act, Row, Step, Tls, get};

const MESH: Tls = Tls { certificate: Some("client"), sni: Some("a.test"), alpn: &[] };
const NONE: Tls = Tls { certificate: None, sni: Some("a.test"), alpn: &[] };
const FORGED: &str = "x-forwarded-client-cert: By=spiffe://a;URI=spiffe://forged\r\n";

/// The rows.
pub fn rows() -> Vec<Row> {
    [certs_in_headers(), upstream(), downstream()].concat()
}

fn certs_in_headers() -> Vec<Row> {
    let mut rows = Vec::new();
    for listener in ["xfcc_sanitize", "xfcc_forward", "xfcc_append", "xfcc_set", "xfcc_always"] {
        rows.extend([
            Row::get(format!("{listener}: mTLS, none sent"), listener, "/", "").tls(MESH),
            Row::get(format!("{listener}: mTLS, one sent"), listener, "/", FORGED).tls(MESH),
            Row::get(format!("{listener}: plaintext, one sent"), listener, "/", FORGED),
        ]);
    }
    rows.push(Row::get("xfcc_uri: none sent", "xfcc_uri", "/", "").tls(MESH));
    rows.push(Row::get("xfcc_uri: one sent", "xfcc_uri", "/", FORGED).tls(MESH));
    rows
}

fn upstream() -> Vec<Row> {
    [
        "u-ok",
        "u-wrongca",
        "u-san",
        "u-exp",
        "u-mtls",
        "u-nocert",
        "u-badcert",
        "u-expcert",
        "u-otherca",
        "u-toplain",
        "u-plaintotls",
    ]
    .into_iter()
    .map(|name| Row::get(name, "plain", &format!("/{name}/"), ""))
    .collect()
}

fn downstream() -> Vec<Row> {
    let sni = |name: &str, sni| Row::get(format!("sni: {name}"), "sni", "/up/", "").tls(Tls { sni, ..NONE });
    let none = |name: &str, sni| Row::get(format!("snil: {name}"), "snil", "/up/", "").tls(Tls { sni, ..NONE });
    let log = |name: &str, listener, certificate| {
        Row::get(format!("{listener}: {name}"), listener, "/up/", "").tls(Tls { certificate, ..NONE })
    };
    let alpn = |name: &str, alpn| Row::get(format!("alpn: {name}"), "tls", "/up/", "").tls(Tls { alpn, ..NONE });
    vec![
        sni("exact", Some("a.test")),
        sni("wildcard", Some("x.b.test")),
        sni("wildcard, deeper", Some("x.y.b.test")),
        sni("in capitals", Some("A.TEST")),
        none("wildcard itself", Some("b.test")),
        none("unknown", Some("zzz.test")),
        none("none", None),
        Row::raw("snil: plaintext", "snil", &get("/up/", "")).ends(),
        Row::new("snil: leaves", "snil").step(Step::HalfClose).ends(),
        Row::get("sni: authority is another", "sni", "/up/", "x-a: 1\r\n").tls(Tls { sni: Some("x.b.test"), ..NONE }),
        Row::get("tls: no certificate asked", "tls", "/up/", "").tls(NONE),
        Row::get("tls: certificate shown", "tls", "/up/", "").tls(MESH),
        Row::get("tls: forged scheme", "tls", "/up/", "x-forwarded-proto: http\r\n").tls(NONE),
        Row::get("tls: own answer", "tls", "/none", "").tls(NONE),
        Row::get("tls: redirect to https", "tls", "/rd-https/", "").tls(NONE),
        Row::get("tls: redirect keeps https", "tls", "/rd-host/", "").tls(NONE),
        Row::get("tls: connection: close", "tls", "/up/", "connection: close\r\n").tls(NONE).ends(),
        Row::get("tls: upstream stalls", "tls", "/t300/", "").tls(NONE).acts([Act::Stall(String::new())]),
        Row::get("mtls: to mTLS", "mtls", "/u-mtls/", "").tls(MESH),
        alpn("h2 offered, h1 spoken", &["h2", "http/1.1"]),
        alpn("h1 alone", &["http/1.1"]),
        alpn("unknown", &["zzz"]),
        log("no certificate", "mtlsl", None),
        log("a stranger's", "mtlsl", Some("stranger")),
        log("expired", "mtlsl", Some("expired")),
        log("another name", "mtlssanl", Some("client")),
        log("no certificate", "mtlssanl", None),
        Row::raw("mtlsl: plaintext", "mtlsl", &get("/up/", "")).ends(),
        Row::raw("mtlsl: garbage", "mtlsl", "garbage garbage garbage\r\n\r\n").ends(),
    ]
}
