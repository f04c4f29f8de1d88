//! `HeaderValueOption` and the lists of names to remove.

use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::google::protobuf::BoolValue;
use http::{HeaderName, HeaderValue};

use super::fault::{Fault, Within, each};
use super::matcher::header_name;
use super::value::required;
use crate::snapshot::mutation::{HeaderChange, HeaderChangeMode, HeaderMutations};

/// The header changes of one level, from its four fields.
pub fn level(
    request_add: &[HeaderValueOption],
    request_remove: &[String],
    response_add: &[HeaderValueOption],
    response_remove: &[String],
) -> Result<HeaderMutations, Fault> {
    Ok(HeaderMutations {
        request_add: additions("request_headers_to_add", request_add)?,
        request_remove: each("request_headers_to_remove", request_remove, |name| removable(name))?,
        response_add: additions("response_headers_to_add", response_add)?,
        response_remove: each("response_headers_to_remove", response_remove, |name| removable(name))?,
    })
}

fn additions(field: &str, options: &[HeaderValueOption]) -> Result<Vec<HeaderChange>, Fault> {
    Ok(each(field, options, change)?.into_iter().flatten().collect())
}

/// `None`: an empty value that is not to be kept adds nothing.
fn change(option: &HeaderValueOption) -> Result<Option<HeaderChange>, Fault> {
    let header = required("header", option.header.as_ref())?;
    let name = removable(&header.key).within("header.key")?;
    let value = if header.raw_value.is_empty() { header.value.as_bytes() } else { &header.raw_value };
    let value = literal(value)?;
    if value.is_empty() && !option.keep_empty_value {
        return Ok(None);
    }
    let value = HeaderValue::from_bytes(&value)
        .map_err(|_| Fault::new("header.value", "a header value", String::from_utf8_lossy(&value)))?;
    let mode = match (option.append, option.append_action) {
        (Some(BoolValue { value: true }), 0) | (None, 0) => HeaderChangeMode::Append,
        (Some(BoolValue { value: false }), 0) | (None, 2) => HeaderChangeMode::Overwrite,
        (None, 1) => HeaderChangeMode::AddIfAbsent,
        (None, 3) => HeaderChangeMode::OverwriteIfExists,
        (None, other) => return Err(Fault::new("append_action", "0 to 3", other)),
        (Some(_), _) => return Err(Fault::new("append", "nothing beside append_action", "a value")),
    };
    Ok(Some(HeaderChange { name, value, mode }))
}

/// `%%` stands for `%`. Command operators (`%REQ(x)%`) are not supported.
fn literal(text: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut literal = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == b'%' && bytes.next() != Some(b'%') {
            let got = String::from_utf8_lossy(text);
            return Err(Fault::new("header.value", "a literal (command operators are not supported)", got));
        }
        literal.push(byte);
    }
    Ok(literal)
}

/// A header that configuration may change: no pseudo-header, and not Host.
fn removable(name: &str) -> Result<HeaderName, Fault> {
    let name = header_name(&name.to_ascii_lowercase())?;
    if name == http::header::HOST {
        return Err(Fault::new("", "a header other than host", "host"));
    }
    Ok(name)
}
