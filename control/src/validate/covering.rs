//! Whether every request that one match takes is taken by an earlier one.
//!
//! Only what is sure counts: a match that two earlier ones cover together is not found.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use regex::{Regex, RegexBuilder};

use crate::config::gateway_ref::GatewayRef;
use crate::config::http_match::{HttpMatchSpec, Pattern};
use crate::config::string_match::StringMatch;
use crate::config::virtual_service::HttpRouteSpec;

use super::known::has_all;
use super::set::Scope;

/// Size of a compiled expression, in bytes.
const REGEX_SIZE_MAX: usize = 1 << 20;
/// Pairs of matches of one VirtualService that are compared.
const COMPARISONS_MAX: usize = 100_000;
/// Expressions of one VirtualService that are compiled.
const REGEXES_MAX: usize = 100;

/// Names in `gateways`.
pub(super) type Places = Vec<String>;
/// Patterns by the name of a header or parameter.
type Patterns = IndexMap<String, Pattern>;

/// Whether a match asks nothing of a request, wherever it applies.
pub(super) fn asks_nothing(block: &HttpMatchSpec) -> bool {
    let none = block.scheme.is_none() && block.method.is_none() && block.authority.is_none();
    let maps = block.headers.is_empty() && block.without_headers.is_empty() && block.query_params.is_empty();
    // Gateways of a match make its conditions on the client count for nothing.
    let source = !block.gateways.is_empty() || (block.source_labels.is_empty() && block.source_namespace.is_none());
    takes_every_uri(block.uri.as_ref()) && none && maps && source && block.port.is_none()
}

/// Whether a route takes every request on a Gateway. `all` is where its VirtualService applies.
pub(super) fn takes_all_on(route: &HttpRouteSpec, all: &[GatewayRef], on: &GatewayRef, scope: &Scope<'_>) -> bool {
    let own = |block: &HttpMatchSpec| block.gateways.iter().any(|written| scope.gateway(&written.value) == *on);
    let applies = |block: &HttpMatchSpec| if block.gateways.is_empty() { all.contains(on) } else { own(block) };
    route.matches.is_empty() || route.matches.iter().any(|block| asks_nothing(block) && applies(block))
}

/// Compares the matches of one VirtualService, as often as is worth while.
pub(super) struct Covering {
    /// The VirtualService's own places.
    places: Places,
    /// Comparisons that are left.
    left: usize,
    /// Expressions that were compiled; `None` for one that is refused.
    regexes: BTreeMap<String, Option<Regex>>,
}

impl Covering {
    pub(super) fn new(places: Places) -> Self {
        Self { places, left: COMPARISONS_MAX, regexes: BTreeMap::new() }
    }

    /// Whether every request that `later` takes is taken by `earlier`, which is asked first.
    pub(super) fn covers(&mut self, earlier: &HttpMatchSpec, later: &HttpMatchSpec) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let (at, there) = (self.places_of(earlier), self.places_of(later));
        !there.is_empty()
            && there.iter().all(|place| at.contains(place))
            && earlier.port.is_none_or(|port| later.port == Some(port))
            && source(earlier, later)
            && self.uri(earlier, later)
            && self.option(earlier.scheme.as_ref(), later.scheme.as_ref())
            && self.option(earlier.method.as_ref(), later.method.as_ref())
            && self.option(earlier.authority.as_ref(), later.authority.as_ref())
            && self.all(&earlier.headers, &later.headers)
            && self.all(&earlier.query_params, &later.query_params)
            && self.none(&earlier.without_headers, &later.without_headers)
    }

    /// Where a match applies: the VirtualService's gateways, and of these its own where it has some.
    pub(super) fn places_of(&self, block: &HttpMatchSpec) -> Vec<&str> {
        let own = |place: &&str| block.gateways.iter().any(|written| written.value == **place);
        let all = self.places.iter().map(String::as_str);
        if block.gateways.is_empty() { all.collect() } else { all.filter(own).collect() }
    }

    fn uri(&mut self, earlier: &HttpMatchSpec, later: &HttpMatchSpec) -> bool {
        if takes_every_uri(earlier.uri.as_ref()) {
            return true;
        }
        let (Some(a), Some(b)) = (&earlier.uri, &later.uri) else { return false };
        match (earlier.ignore_uri_case, later.ignore_uri_case) {
            (true, _) => self.implied(&lower(&a.value), &lower(&b.value)),
            (false, true) => matches!((&a.value, &b.value), (StringMatch::Regex(a), StringMatch::Regex(b)) if a == b),
            (false, false) => self.implied(&a.value, &b.value),
        }
    }

    fn option(&mut self, earlier: Option<&Pattern>, later: Option<&Pattern>) -> bool {
        match (earlier, later) {
            (None, _) => true,
            (Some(a), Some(b)) => self.implied(&a.value, &b.value),
            (Some(_), None) => false,
        }
    }

    fn all(&mut self, earlier: &Patterns, later: &Patterns) -> bool {
        earlier.iter().all(|(name, a)| later.get(name).is_some_and(|b| self.implied(&a.value, &b.value)))
    }

    /// What the earlier match must not find, the later one must not find either.
    fn none(&mut self, earlier: &Patterns, later: &Patterns) -> bool {
        earlier.iter().all(|(name, a)| later.get(name).is_some_and(|b| self.implied(&b.value, &a.value)))
    }

    /// Whether every value that `b` matches is matched by `a`.
    fn implied(&mut self, a: &StringMatch, b: &StringMatch) -> bool {
        use StringMatch::{Exact, Prefix, Present, Regex};
        match (a, b) {
            (Present, _) => true,
            (Regex(a), _) if a == ".*" => true,
            (Exact(a), Exact(b)) => a == b,
            (Prefix(a), Exact(b) | Prefix(b)) => b.starts_with(a.as_str()),
            (Regex(a), Regex(b)) => a == b,
            (Regex(a), Exact(b)) => self.is_whole_match(a, b),
            (Exact(_) | Prefix(_) | Regex(_), _) => false,
        }
    }

    fn is_whole_match(&mut self, regex: &str, value: &str) -> bool {
        if self.regexes.len() >= REGEXES_MAX && !self.regexes.contains_key(regex) {
            return false;
        }
        let compiled = self.regexes.entry(regex.to_owned()).or_insert_with(|| whole(regex));
        compiled.as_ref().is_some_and(|regex| regex.is_match(value))
    }
}

fn takes_every_uri(uri: Option<&Pattern>) -> bool {
    uri.is_none_or(|uri| match &uri.value {
        StringMatch::Prefix(prefix) => prefix.is_empty() || prefix == "/",
        StringMatch::Regex(regex) => regex == ".*" || regex == "/.*",
        StringMatch::Exact(_) | StringMatch::Present => false,
    })
}

/// Case counts in regular expressions, whatever `ignoreUriCase` says.
fn lower(pattern: &StringMatch) -> StringMatch {
    match pattern {
        StringMatch::Exact(text) => StringMatch::Exact(text.to_ascii_lowercase()),
        StringMatch::Prefix(text) => StringMatch::Prefix(text.to_ascii_lowercase()),
        other => other.clone(),
    }
}

/// Whether every client that `later` asks for is one of `earlier`'s. Gateways of a match make its conditions on the
/// client count for nothing.
fn source(earlier: &HttpMatchSpec, later: &HttpMatchSpec) -> bool {
    if !earlier.gateways.is_empty() {
        return true;
    }
    let nothing = BTreeMap::new();
    let (labels, namespace) = match later.gateways.as_slice() {
        [] => (&later.source_labels, later.source_namespace.as_ref()),
        _ => (&nothing, None),
    };
    let namespaces = earlier.source_namespace.is_none() || earlier.source_namespace.as_ref() == namespace;
    namespaces && has_all(labels, &earlier.source_labels)
}

/// An expression that must match the whole value; `None` when it is no expression, or too large a one.
pub(super) fn whole(text: &str) -> Option<Regex> {
    let rewritten = wavetank_re2::rewrite(text).ok()?;
    RegexBuilder::new(&format!("^(?:{rewritten})$")).size_limit(REGEX_SIZE_MAX).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pattern_implies_another_only_when_that_is_sure() {
        use StringMatch::{Exact, Prefix, Present, Regex};
        let mut covering = Covering::new(Vec::new());
        let pattern = |text: &str| match text.split_once(':') {
            Some(("exact", text)) => Exact(text.to_owned()),
            Some(("prefix", text)) => Prefix(text.to_owned()),
            Some(("regex", text)) => Regex(text.to_owned()),
            _ => Present,
        };
        for (a, b, wanted) in [
            ("prefix:/a", "prefix:/ab", true),
            ("prefix:/ab", "prefix:/a", false),
            ("prefix:/a", "exact:/a/b", true),
            ("exact:/a", "prefix:/a", false),
            ("exact:/a", "exact:/a", true),
            ("regex:/a.*", "exact:/abc", true),
            ("regex:a", "exact:abc", false),
            ("regex:/a.*", "prefix:/abc", false),
            ("prefix:/a", "regex:/a.*", false),
            ("regex:x+", "regex:x+", true),
            ("regex:.*", "prefix:x", true),
            ("regex:.*", "present", true),
            ("regex:.+", "present", false),
            ("present", "regex:x+", true),
            ("exact:x", "present", false),
        ] {
            assert_eq!(covering.implied(&pattern(a), &pattern(b)), wanted, "{a} {b}");
        }
    }
}
