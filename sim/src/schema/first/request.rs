//! A request that a match of a route takes, and whether another route takes it first.

use regex::Regex;
use wavetank_control::config::http_match::{HttpMatchSpec, Pattern};
use wavetank_control::config::string_match::StringMatch;
use wavetank_control::config::virtual_service::HttpRouteSpec;

/// What stands for a part of an expression that takes anything.
const ANYTHING: &str = "x";

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) method: String,
    /// With its query.
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
}

/// Whether a route takes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    No,
    /// It depends on what is not known here.
    Unknown,
}

impl Ask {
    /// A plain request for `path`.
    pub(super) fn plain(path: &str) -> Self {
        Self { method: "GET".to_owned(), path: path.to_owned(), headers: Vec::new() }
    }

    /// A request that `rule` takes, for one of `paths` where it takes any. Errs with what only its author knows.
    pub(super) fn taken_by(rule: &HttpMatchSpec, path: &str) -> Result<Self, String> {
        for (is_there, what) in [
            (!rule.source_labels.is_empty() || rule.source_namespace.is_some(), "the caller"),
            (rule.port.is_some(), "the port"),
            (rule.scheme.is_some(), "the scheme"),
            (rule.authority.is_some(), "the authority"),
        ] {
            if is_there {
                return Err(format!("asks for {what}"));
            }
        }
        let mut ask = Self::plain(path);
        if let Some(uri) = &rule.uri {
            ask.path = text_of(uri).ok_or("asks for a path by an expression")?;
            // A prefix that the path fits already leaves it as it is.
            if takes(uri, path, rule.ignore_uri_case) {
                path.clone_into(&mut ask.path);
            }
            if !ask.path.starts_with('/') {
                return Err("asks for a path that does not begin with `/`".to_owned());
            }
        }
        if let Some(method) = &rule.method {
            ask.method = text_of(method).ok_or("asks for a method by an expression")?;
        }
        for (name, pattern) in &rule.headers {
            let value = text_of(pattern).ok_or_else(|| format!("asks for header `{name}` by an expression"))?;
            ask.headers.push((name.to_ascii_lowercase(), value));
        }
        for (at, (name, pattern)) in rule.query_params.iter().enumerate() {
            let value = text_of(pattern).ok_or_else(|| format!("asks for parameter `{name}` by an expression"))?;
            ask.path.push_str(&format!("{}{name}={value}", if at == 0 { '?' } else { '&' }));
        }
        match fit(rule, &ask) {
            Fit::Yes => Ok(ask),
            Fit::No | Fit::Unknown => Err("asks for what is not tried here".to_owned()),
        }
    }
}

/// Whether a route takes `ask`; only matches that `applies` keeps count.
pub(super) fn fits(rule: &HttpRouteSpec, ask: &Ask, applies: impl Fn(&HttpMatchSpec) -> bool) -> Fit {
    if rule.matches.is_empty() {
        return Fit::Yes;
    }
    let fits: Vec<Fit> = rule.matches.iter().filter(|own| applies(own)).map(|own| fit(own, ask)).collect();
    match fits {
        all if all.contains(&Fit::Yes) => Fit::Yes,
        all if all.contains(&Fit::Unknown) => Fit::Unknown,
        _ => Fit::No,
    }
}

fn fit(rule: &HttpMatchSpec, ask: &Ask) -> Fit {
    let (path, query) = ask.path.split_once('?').unwrap_or((&ask.path, ""));
    let header = |name: &str| ask.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, v)| &**v);
    let parameter = |name: &str| query.split('&').filter_map(|own| own.split_once('=')).find(|(own, _)| *own == name);
    let known = [
        rule.uri.as_ref().is_none_or(|uri| takes(uri, path, rule.ignore_uri_case)),
        rule.method.as_ref().is_none_or(|method| takes(method, &ask.method, false)),
        rule.headers.iter().all(|(name, own)| header(name).is_some_and(|value| takes(own, value, false))),
        rule.query_params.iter().all(|(name, own)| parameter(name).is_some_and(|(_, value)| takes(own, value, false))),
        !rule.without_headers.iter().any(|(name, own)| header(name).is_some_and(|value| takes(own, value, false))),
    ];
    let depends = rule.port.is_some()
        || rule.scheme.is_some()
        || rule.authority.is_some()
        || rule.source_namespace.is_some()
        || !rule.source_labels.is_empty();
    match (known.iter().all(|own| *own), depends) {
        (false, _) => Fit::No,
        (true, true) => Fit::Unknown,
        (true, false) => Fit::Yes,
    }
}

fn takes(pattern: &Pattern, value: &str, ignore_case: bool) -> bool {
    let (value, fold) = if ignore_case {
        (value.to_lowercase(), str::to_lowercase as fn(&str) -> String)
    } else {
        (value.to_owned(), str::to_owned as fn(&str) -> String)
    };
    match &pattern.value {
        StringMatch::Exact(own) => fold(own) == value,
        StringMatch::Prefix(own) => value.starts_with(&fold(own)),
        StringMatch::Regex(own) => whole(own).is_some_and(|regex| regex.is_match(&value)),
        StringMatch::Present => true,
    }
}

/// A text that a pattern takes; `None` when none comes to mind.
fn text_of(pattern: &Pattern) -> Option<String> {
    match &pattern.value {
        StringMatch::Exact(own) | StringMatch::Prefix(own) => Some(own.clone()),
        StringMatch::Present => Some(ANYTHING.to_owned()),
        StringMatch::Regex(own) => {
            let regex = whole(own)?;
            candidates(own).into_iter().find(|text| !text.is_empty() && regex.is_match(text))
        }
    }
}

fn whole(expression: &str) -> Option<Regex> {
    Regex::new(&format!("^(?:{expression})$")).ok()
}

/// Texts that an expression may take: what is left of it without its marks.
fn candidates(expression: &str) -> Vec<String> {
    let stand_ins =
        [(r"\d+", "1"), (r"\d", "1"), (r"\w+", ANYTHING), ("[0-9]+", "1"), ("[^/]+", ANYTHING), (".+", ANYTHING)];
    let mut text = expression.to_owned();
    for (part, instead) in stand_ins {
        text = text.replace(part, instead);
    }
    for part in [".*?", ".*", "(?i)", "(?:"] {
        text = text.replace(part, "");
    }
    // What may be missing is left out.
    while let Some(end) = text.find(")?") {
        let Some(start) = text[..end].rfind('(') else { break };
        text.replace_range(start..end + 2, "");
    }
    let first = |text: &str| {
        // Of alternatives in brackets the first, and what stands around them.
        let Some((before, rest)) = text.split_once('(') else { return text.split('|').next().unwrap_or("").to_owned() };
        let (inner, after) = rest.split_once(')').unwrap_or((rest, ""));
        format!("{before}{}{after}", inner.split('|').next().unwrap_or(inner))
    };
    let bare = |text: &str| text.replace(['^', '$', '(', ')', '?', '\\', '*', '+'], "");
    vec![bare(&first(&text)), bare(&text), ANYTHING.to_owned(), "1".to_owned(), "/".to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_that_an_expression_takes() {
        for (expression, wanted) in [
            (".*?(Firefox).*?", Some("Firefox")),
            ("react", Some("react")),
            ("^(.*?;)?(user=jason)(;.*)?$", Some("user=jason")),
            (r"/api/v\d+/.*", Some("/api/v1/")),
            ("(a|b)c", Some("ac")),
            (r"[a-f]{7}[0-9]{3}", None),
        ] {
            let found = candidates(expression).into_iter().find(|text| whole(expression).unwrap().is_match(text));
            assert_eq!(found.as_deref(), wanted, "{expression}");
        }
    }
}
