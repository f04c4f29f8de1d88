//! Istio `HTTPMatchRequest` and `StringMatch`, as written.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::dialect::Dialect;

use super::codes;
use super::decode::{Decoder, Fields};
use super::string_match::StringMatch;
use super::table::{Row, Table};
use super::values;
use super::yaml::Node;

/// A comparison and the place of its pattern.
pub type Pattern = Spanned<StringMatch>;

/// One entry of `match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpMatchSpec {
    /// Name.
    pub name: Option<String>,
    /// `uri`.
    pub uri: Option<Pattern>,
    /// `ignoreUriCase`.
    pub ignore_uri_case: bool,
    /// `scheme`.
    pub scheme: Option<Pattern>,
    /// `method`.
    pub method: Option<Pattern>,
    /// `authority`.
    pub authority: Option<Pattern>,
    /// `headers`, in the order written, names in lower case.
    pub headers: IndexMap<String, Pattern>,
    /// `withoutHeaders`, in the order written, names in lower case.
    pub without_headers: IndexMap<String, Pattern>,
    /// Names of `headers` and `withoutHeaders` as written, with their places.
    pub header_names: Vec<Spanned<String>>,
    /// `queryParams`, in the order written.
    pub query_params: IndexMap<String, Pattern>,
    /// `port`.
    pub port: Option<u16>,
    /// `sourceLabels`.
    pub source_labels: BTreeMap<String, String>,
    /// `sourceNamespace`.
    pub source_namespace: Option<String>,
    /// `gateways` as written.
    pub gateways: Vec<Spanned<String>>,
    /// Where the entry is written.
    pub span: Span,
}

/// Fields of one entry of `match`.
pub static HTTP_MATCH: Table = Table {
    name: "HTTPMatchRequest",
    rows: &[
        Row::read("name", "second part of `Route.name`").v1(),
        Row::nested("uri", &STRING_MATCH, "`path`, `prefix` or `safe_regex`; without the query"),
        Row::read("ignoreUriCase", "`case_sensitive: false` for exact and prefix").v1(),
        Row::nested("scheme", &STRING_MATCH, "`HeaderMatcher` `:scheme`"),
        Row::nested("method", &STRING_MATCH, "`HeaderMatcher` `:method`"),
        Row::nested("authority", &STRING_MATCH, "`HeaderMatcher` `:authority`"),
        Row::map("headers", &STRING_MATCH, "`HeaderMatcher`; an empty match is presence"),
        Row::map("withoutHeaders", &STRING_MATCH, "`HeaderMatcher` with `invert_match`").v1(),
        Row::map("queryParams", &STRING_MATCH, "`QueryParameterMatcher`; an empty match is presence").v1(),
        Row::read("port", "compared with the listener's port when routes are made"),
        Row::read("sourceLabels", "compared with the client's labels when routes are made"),
        Row::read("sourceNamespace", "compared with the client's namespace when routes are made").v1(),
        Row::read("gateways", "stands for the VirtualService's `gateways`"),
        Row::not_yet("statPrefix").v1(),
    ],
};

static STRING_MATCH: Table = Table {
    name: "StringMatch",
    rows: &[
        Row::read("exact", "equal"),
        Row::read("prefix", "starts with; no whole segments"),
        Row::read("regex", "the whole value matches, RE2"),
    ],
};

pub(crate) fn decode(node: &Node, decoder: &mut Decoder) -> Option<HttpMatchSpec> {
    let fields = Fields::open(node, &HTTP_MATCH, decoder)?;
    let pattern = |field, decoder: &mut Decoder| fields.optional(field, decoder, needed_pattern);
    let uri = pattern("uri", decoder);
    let scheme = pattern("scheme", decoder);
    let method = pattern("method", decoder);
    let authority = pattern("authority", decoder);
    let mut header_names = Vec::new();
    let headers =
        fields.optional("headers", decoder, |node, decoder| header_patterns(node, &mut header_names, decoder));
    let without_headers = fields.optional("withoutHeaders", decoder, |node, decoder| {
        let mut patterns = header_patterns(node, &mut header_names, decoder)?;
        let is_star = |pattern: &Pattern| matches!(&pattern.value, StringMatch::Regex(regex) if regex == "*");
        for star in patterns.values_mut().filter(|pattern| decoder.dialect.star_is_presence() && is_star(pattern)) {
            star.value = StringMatch::Present;
        }
        Some(patterns)
    });
    if let Some(entry) = fields.entry("headers").filter(|_| decoder.dialect == Dialect::V1) {
        not_null(&entry.value, decoder);
    }
    Some(HttpMatchSpec {
        name: fields.optional("name", decoder, values::string).filter(|name| !name.is_empty()),
        uri,
        ignore_uri_case: fields.optional("ignoreUriCase", decoder, values::boolean).unwrap_or(false),
        scheme,
        method,
        authority,
        headers: headers.unwrap_or_default(),
        without_headers: without_headers.unwrap_or_default(),
        header_names,
        query_params: fields.optional("queryParams", decoder, patterns).unwrap_or_default(),
        port: fields.optional("port", decoder, values::port_or_none),
        source_labels: fields.optional("sourceLabels", decoder, values::istio_labels).unwrap_or_default(),
        source_namespace: fields.optional("sourceNamespace", decoder, source_namespace),
        gateways: fields.list("gateways", decoder, values::spanned_string),
        span: node.span.clone(),
    })
}

/// A pattern that must say something: `{}` is refused.
fn needed_pattern(node: &Node, decoder: &mut Decoder) -> Option<Pattern> {
    let pattern = pattern(node, decoder)?;
    if pattern.value == StringMatch::Present {
        decoder.error(codes::MISSING_FIELD, &node.span, "one of `exact`, `prefix`, `regex` is missing in StringMatch");
        return None;
    }
    Some(pattern)
}

fn pattern(node: &Node, decoder: &mut Decoder) -> Option<Pattern> {
    let fields = Fields::open(node, &STRING_MATCH, decoder)?;
    let exact = fields.optional("exact", decoder, values::spanned_string);
    let prefix = fields.optional("prefix", decoder, values::spanned_string);
    let regex = fields.optional("regex", decoder, values::spanned_string);
    let given = [exact.is_some(), prefix.is_some(), regex.is_some()].into_iter().filter(|given| *given).count();
    if given > 1 {
        decoder.error(codes::VALUE, &node.span, "only one of `exact`, `prefix`, `regex` may be given");
        return None;
    }
    if given == 0 && node.as_mapping().is_some_and(|mapping| !mapping.is_empty()) {
        // What is written could not be read, and was reported.
        return None;
    }
    let exact = exact.map(|text| text.map(StringMatch::Exact));
    let prefix = prefix.map(|text| text.map(StringMatch::Prefix));
    let regex = regex.map(|text| text.map(StringMatch::Regex));
    Some(exact.or(prefix).or(regex).unwrap_or_else(|| Spanned::new(StringMatch::Present, node.span.clone())))
}

/// A namespace; nothing is any.
fn source_namespace(node: &Node, decoder: &mut Decoder) -> Option<String> {
    let name = values::string(node, decoder).filter(|name| !name.is_empty())?;
    let inner = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    if name.len() > 63 || !name.bytes().all(inner) || name.starts_with('-') || name.ends_with('-') {
        decoder.error(codes::VALUE, &node.span, format!("`{name}` is no namespace"));
    }
    Some(name)
}

/// Today's Istio refuses a header whose match is null.
fn not_null(node: &Node, decoder: &mut Decoder) {
    let entries = node.as_mapping().into_iter().flat_map(|mapping| mapping.iter());
    for (name, entry) in entries.filter(|(_, entry)| entry.value.is_null()) {
        let message = format!("the match of the header `{name}` is null");
        let finding = Diagnostic::error(codes::VALUE, &entry.key, message);
        decoder.report(finding.with_help("write `{}` for a header that is there, whatever its value"));
    }
}

/// Patterns by name.
fn patterns(node: &Node, decoder: &mut Decoder) -> Option<IndexMap<String, Pattern>> {
    let Some(mapping) = node.as_mapping() else {
        decoder.wrong_type(node, "a mapping of names to StringMatch");
        return None;
    };
    let mut patterns = IndexMap::new();
    for (name, entry) in mapping.iter() {
        if let Some(found) = pattern(&entry.value, decoder) {
            patterns.insert(name.to_owned(), found);
        }
    }
    Some(patterns)
}

/// Patterns by the header's name in lower case. Of a name in several spellings all patterns have to fit, so the later
/// ones keep a spelling that is free: proxies compare names without case.
fn header_patterns(
    node: &Node,
    names: &mut Vec<Spanned<String>>,
    decoder: &mut Decoder,
) -> Option<IndexMap<String, Pattern>> {
    let written = patterns(node, decoder)?;
    let mut patterns = IndexMap::new();
    let mut firsts: BTreeMap<String, Spanned<String>> = BTreeMap::new();
    for (name, entry) in node.as_mapping()?.iter() {
        let name = Spanned::new(name.to_owned(), entry.key.clone());
        names.push(name.clone());
        let Some(pattern) = written.get(&name.value) else { continue };
        let lower = name.value.to_ascii_lowercase();
        let Some(first) = firsts.get(&lower) else {
            firsts.insert(lower.clone(), name);
            patterns.insert(lower, pattern.clone());
            continue;
        };
        let message = format!("the header `{lower}` is asked for in two spellings; both have to fit");
        let twice = Diagnostic::warning(codes::DUPLICATE_KEY, &name.span, message);
        decoder.report(twice.with_related(&first.span, "first written here"));
        let free = if name.value == lower { &first.value } else { &name.value };
        patterns.insert(free.clone(), pattern.clone());
    }
    Some(patterns)
}
