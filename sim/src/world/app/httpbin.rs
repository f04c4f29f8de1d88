//! httpbin: a service that answers what it is asked to. The paths served are `/status/N`, `/delay/N`
//! (at most 10 s), `/headers`, `/ip`, `/get` and `/anything`; replies are JSON with sorted keys, indented
//! by two, with header names as `Each-Word`. Unlike the public site it shows the headers of proxies too.

use std::time::Duration;

use http::{HeaderMap, Method, Uri};
use serde_json::{Map, Value, json};
use wavetank_platform::Platform;

use super::serve::{Asked, Said};

/// The longest `/delay/N`.
const DELAY_MAX: f64 = 10.0;

/// The answer to one request.
pub(super) async fn answer(platform: &Platform, asked: &Asked) -> Said {
    let path = asked.uri.path();
    let is_get = matches!(asked.method, Method::GET | Method::HEAD);
    if let Some(code) = path.strip_prefix("/status/") {
        return status(code);
    }
    if let Some(seconds) = path.strip_prefix("/delay/") {
        return delay(platform, seconds, asked).await;
    }
    match path {
        "/anything" => pretty(anything(asked)),
        _ if path.starts_with("/anything/") => pretty(anything(asked)),
        "/headers" | "/ip" | "/get" | "/" if !is_get => Said {
            headers: vec![("allow", "GET, HEAD, OPTIONS")],
            ..Said::typed(405, "text/html", "<h1>Method Not Allowed</h1>\n")
        },
        "/" => Said::typed(200, "text/html; charset=utf-8", "<!doctype html>\n<title>httpbin</title>\n"),
        "/headers" => pretty(json!({ "headers": headers(&asked.headers) })),
        "/ip" => pretty(json!({ "origin": origin(asked) })),
        "/get" => pretty(get(asked)),
        _ => Said::typed(404, "text/html", "<h1>Not Found</h1>\n"),
    }
}

fn status(code: &str) -> Said {
    match code.parse::<u16>() {
        Ok(code @ 200..=599) => Said::typed(code, "text/html; charset=utf-8", ""),
        _ => Said::typed(400, "text/plain", "Invalid status code"),
    }
}

async fn delay(platform: &Platform, seconds: &str, asked: &Asked) -> Said {
    let Ok(seconds) = seconds.parse::<f64>() else {
        return Said::typed(404, "text/html", "<h1>Not Found</h1>\n");
    };
    let seconds = if seconds.is_nan() { 0.0 } else { seconds.clamp(0.0, DELAY_MAX) };
    platform.clock.sleep(Duration::from_secs_f64(seconds)).await;
    let mut said = get(asked);
    add_body(&mut said, asked);
    pretty(said)
}

fn get(asked: &Asked) -> Value {
    json!({
        "args": args(&asked.uri),
        "headers": headers(&asked.headers),
        "origin": origin(asked),
        "url": url(asked),
    })
}

fn anything(asked: &Asked) -> Value {
    let mut said = get(asked);
    add_body(&mut said, asked);
    said["method"] = json!(asked.method.as_str());
    said["json"] = serde_json::from_slice(&asked.body).unwrap_or(Value::Null);
    said
}

fn add_body(said: &mut Value, asked: &Asked) {
    said["data"] = json!(String::from_utf8_lossy(&asked.body));
    said["files"] = json!({});
    said["form"] = json!({});
}

fn pretty(value: Value) -> Said {
    Said::typed(200, "application/json", format!("{value:#}\n"))
}

/// Header names as `Each-Word`; the values of a repeated field are joined with a comma.
fn headers(received: &HeaderMap) -> Map<String, Value> {
    let mut shown = Map::new();
    for name in received.keys() {
        let values: Vec<_> = received.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        shown.insert(each_word(name.as_str()), json!(values.join(",")));
    }
    shown
}

fn each_word(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join("-")
}

/// The query's parameters, undecoded; a name given twice has a list.
fn args(uri: &Uri) -> Map<String, Value> {
    let mut args: Map<String, Value> = Map::new();
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match args.get_mut(name) {
            Some(Value::Array(values)) => values.push(json!(value)),
            Some(first) => *first = json!([first.clone(), value]),
            None => {
                args.insert(name.to_owned(), json!(value));
            }
        }
    }
    args
}

fn origin(asked: &Asked) -> String {
    match asked.headers.get("x-forwarded-for") {
        Some(chain) => String::from_utf8_lossy(chain.as_bytes()).into_owned(),
        None => asked.peer.to_string(),
    }
}

fn url(asked: &Asked) -> String {
    let text = |name| asked.headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = text("x-forwarded-proto").unwrap_or("http");
    let host = text("host").unwrap_or_default();
    format!("{scheme}://{host}{}", asked.uri.path_and_query().map_or("/", |path| path.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_are_shown_with_each_word_capital() {
        assert_eq!(each_word("x-b3-traceid"), "X-B3-Traceid");
        assert_eq!(each_word("host"), "Host");
    }

    #[test]
    fn a_repeated_parameter_becomes_a_list() {
        let args = args(&Uri::from_static("/get?a=1&b=&a=2&a=3&c"));
        assert_eq!(Value::Object(args), json!({"a": ["1", "2", "3"], "b": "", "c": ""}));
    }
}
