//! What an unquoted scalar means: the core schema of YAML 1.2 (§10.3.2).
//!
//! Unlike YAML 1.1, `yes`, `no`, `on` and `off` are strings and `017` is seventeen.

use super::Value;

/// The value of an unquoted scalar.
pub fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    number(text).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Whether YAML 1.1 parsers, Kubernetes' among them, take this unquoted text for a boolean.
pub fn is_boolean_in_yaml_1_1(text: &str) -> bool {
    ["y", "n", "yes", "no", "on", "off"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn number(text: &str) -> Option<Value> {
    let radix = [("0x", 16), ("0o", 8)]
        .into_iter()
        .find_map(|(prefix, radix)| text.strip_prefix(prefix).map(|digits| (digits, radix)));
    if let Some((digits, radix)) = radix {
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            return None;
        }
        return Some(match i64::from_str_radix(digits, radix) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::String(text.to_owned()),
        });
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.is_empty() {
        return None;
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let whole = text.parse().map(Value::Integer).ok();
        return whole.or_else(|| text.parse().map(Value::Float).ok());
    }
    is_float(unsigned).then(|| text.parse().map(Value::Float).ok()).flatten()
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let some_digit = !whole.is_empty() || !fraction.is_empty();
    some_digit && digits(whole) && digits(fraction) && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let string = |text: &str| Value::String(text.to_owned());
        for (text, value) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("null", Value::Null),
            ("nULL", string("nULL")),
            ("True", Value::Bool(true)),
            ("yes", string("yes")),
            ("off", string("off")),
            ("17", Value::Integer(17)),
            ("-17", Value::Integer(-17)),
            ("+17", Value::Integer(17)),
            ("017", Value::Integer(17)),
            ("0x1F", Value::Integer(31)),
            ("0o17", Value::Integer(15)),
            ("0o8", string("0o8")),
            ("0x", string("0x")),
            ("99999999999999999999", Value::Float(1e20)),
            ("1.5", Value::Float(1.5)),
            ("1.", Value::Float(1.0)),
            (".5", Value::Float(0.5)),
            ("-1e3", Value::Float(-1000.0)),
            ("1.2.3", string("1.2.3")),
            (".", string(".")),
            ("e5", string("e5")),
            ("1e", string("1e")),
            ("-", string("-")),
            ("10s", string("10s")),
            ("0.1.0", string("0.1.0")),
            ("inf", string("inf")),
            (".inf", Value::Float(f64::INFINITY)),
        ] {
            assert_eq!(resolve(text), value, "{text:?}");
        }
        assert!(matches!(resolve(".nan"), Value::Float(number) if number.is_nan()));
    }
}
