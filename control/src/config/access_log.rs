//! Which access logs the proxies of a mesh write. Istio: `accessLogFile`, `accessLogFormat` and
//! `accessLogEncoding` of its mesh configuration.

use serde_yaml::Value;

/// The access logs of every proxy. None unless one is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLogs {
    /// Istio's access log.
    pub requests: Option<AccessLog>,
    /// What a reader needs to know of each request and each attempt.
    pub observation: Option<ObservationLogs>,
}

/// Istio's access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// File that it is written to, `/dev/stdout`.
    pub file: String,
    /// What a line says.
    pub format: LogFormat,
}

/// What a line of an access log says, with Envoy's command operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A text; `None`: Istio's default.
    Text(Option<String>),
    /// A JSON object of these keys and values; `None`: Istio's default.
    Json(Option<Vec<(String, String)>>),
}

/// Logs of JSON lines with all that a proxy's own record of a request holds, for what watches an Envoy.
///
/// `{node}` in a path stands for the node id of the proxy, whose logs are then its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservationLogs {
    /// File with a line for each request, each TCP connection proxied, and each connection accepted.
    pub requests: String,
    /// File with a line for each attempt at an endpoint.
    pub attempts: String,
}

impl AccessLog {
    /// The log that Istio's three settings ask for; `None` when `file` is empty.
    ///
    /// # Errors
    /// When `encoding` is neither empty, `TEXT` nor `JSON`, or a JSON format is no object of texts.
    pub fn of(file: &str, format: &str, encoding: &str) -> Result<Option<Self>, String> {
        let text = || (!format.is_empty()).then(|| format.to_owned());
        let format = match encoding {
            "" | "TEXT" => LogFormat::Text(text()),
            "JSON" if format.is_empty() => LogFormat::Json(None),
            "JSON" => LogFormat::Json(Some(entries(format)?)),
            other => return Err(format!("accessLogEncoding `{other}` is neither TEXT nor JSON")),
        };
        Ok((!file.is_empty()).then(|| Self { file: file.to_owned(), format }))
    }
}

fn entries(format: &str) -> Result<Vec<(String, String)>, String> {
    let read: Value = serde_yaml::from_str(format).map_err(|error| format!("accessLogFormat: {error}"))?;
    let Value::Mapping(fields) = read else { return Err("accessLogFormat is no JSON object".to_owned()) };
    let entry = |(key, value): (Value, Value)| match (key, value) {
        (Value::String(key), Value::String(value)) => Ok((key, value)),
        (key, _) => Err(format!("accessLogFormat: the value of {key:?} is no text")),
    };
    fields.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_settings_are_one_log() {
        let log = |format| Ok(Some(AccessLog { file: "/dev/stdout".to_owned(), format }));
        assert_eq!(AccessLog::of("", "", ""), Ok(None));
        assert_eq!(AccessLog::of("/dev/stdout", "", "TEXT"), log(LogFormat::Text(None)));
        assert_eq!(AccessLog::of("/dev/stdout", "x", ""), log(LogFormat::Text(Some("x".to_owned()))));
        let entry = ("a".to_owned(), "%DURATION%".to_owned());
        assert_eq!(
            AccessLog::of("/dev/stdout", r#"{"a": "%DURATION%"}"#, "JSON"),
            log(LogFormat::Json(Some(vec![entry])))
        );
        for (format, encoding) in [("", "XML"), ("[]", "JSON"), (r#"{"a": 1}"#, "JSON"), ("{", "JSON")] {
            assert!(AccessLog::of("/dev/stdout", format, encoding).is_err(), "{format}");
        }
    }
}
