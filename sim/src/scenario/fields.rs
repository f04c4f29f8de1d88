//! Reads the fields of a mapping and gathers everything that is wrong with them.

use std::fmt::Display;
use std::time::Duration;

use wavetank_control::config::codes;
use wavetank_control::config::yaml::{Mapping, Node};
use wavetank_control::config::{duration, suggest};
use wavetank_control::diagnostic::{Diagnostic, Span};

use super::mention::{Mention, Role};
use crate::fault::Link;
use crate::observe::{Edge, Selector};

/// What is wrong so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: Vec<Diagnostic>,
    mentions: Vec<Mention>,
}

/// The keys of one mapping.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    /// What the mapping is, for messages: `a scenario`.
    pub of: &'static str,
    /// Keys that are read.
    pub known: &'static [&'static str],
    /// Keys of the format that are not supported yet.
    pub later: &'static [&'static str],
}

impl Findings {
    /// All findings in the order of their places.
    pub(super) fn into_vec(mut self) -> Vec<Diagnostic> {
        self.found.sort_by(|a, b| a.span.cmp(&b.span));
        self.found
    }

    /// The names that were read.
    pub(super) fn take_mentions(&mut self) -> Vec<Mention> {
        std::mem::take(&mut self.mentions)
    }

    /// Drops findings that were made twice: what every step shares is read once for each.
    pub(super) fn once(&mut self) {
        let mut kept: Vec<Diagnostic> = Vec::new();
        for found in self.found.drain(..) {
            if !kept.contains(&found) {
                kept.push(found);
            }
        }
        self.found = kept;
    }

    /// Adds findings of others.
    pub(super) fn extend(&mut self, others: Vec<Diagnostic>) {
        self.found.extend(others);
    }

    /// Adds a finding about a value.
    pub(super) fn wrong(&mut self, span: &Span, message: impl Into<String>) {
        self.found.push(Diagnostic::error(codes::VALUE, span, message));
    }

    /// Adds a finding about something the format has and this version does not.
    pub(super) fn later(&mut self, span: &Span, what: impl Display) {
        self.found.push(Diagnostic::error(codes::FIELD_NOT_YET, span, format!("{what} is not supported yet")));
    }

    /// Whether anything was found wrong just here.
    pub(super) fn is_at(&self, span: &Span) -> bool {
        self.found.iter().any(|found| found.span == *span)
    }

    /// Adds a finding about a key that must be there.
    pub(super) fn missing(&mut self, span: &Span, message: impl Into<String>) {
        self.found.push(Diagnostic::error(codes::MISSING_FIELD, span, message));
    }

    /// The fields of `node` when it is a mapping; keys that are not in `keys` are findings.
    pub(super) fn mapping<'n>(&mut self, node: &'n Node, keys: &Keys) -> Option<&'n Mapping> {
        let Some(mapping) = node.as_mapping() else {
            self.wrong(&node.span, format!("{} is a mapping, not {}", keys.of, node.kind_name()));
            return None;
        };
        for (name, entry) in mapping.iter() {
            if keys.known.contains(&name) {
                continue;
            }
            if keys.later.contains(&name) {
                self.later(&entry.key, format!("key `{name}`"));
                continue;
            }
            let message = format!("{} has no key `{name}`", keys.of);
            let mut found = Diagnostic::error(codes::UNKNOWN_FIELD, &entry.key, message);
            let candidates = keys.known.iter().chain(keys.later).copied();
            found = match suggest::nearest(name, candidates) {
                Some(near) => found.with_help(format!("did you mean `{near}`?")),
                None => found.with_help(format!("known keys are {}", keys.known.join(", "))),
            };
            self.found.push(found);
        }
        Some(mapping)
    }

    /// The text of a scalar.
    pub(super) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        let text = node.scalar_text();
        if text.is_none() {
            self.wrong(&node.span, format!("{what} is text, not {}", node.kind_name()));
        }
        text
    }

    /// A scalar read by `read`, whose error is the finding.
    pub(super) fn read<T>(
        &mut self,
        node: &Node,
        what: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(node, what)?;
        match read(text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong(&node.span, format!("{what}: {why}"));
                None
            }
        }
    }

    /// The name of who calls, or whose something is.
    pub(super) fn party(&mut self, node: &Node, what: &str) -> Option<Selector> {
        let named = self.read(node, what, str::parse)?;
        self.mention(node, Role::Party, &named);
        Some(named)
    }

    /// The name of what is called.
    pub(super) fn destination(&mut self, node: &Node, what: &str) -> Option<Selector> {
        let named = self.read(node, what, str::parse)?;
        self.mention(node, Role::Destination, &named);
        Some(named)
    }

    /// `a -> b`.
    pub(super) fn edge(&mut self, node: &Node, what: &str) -> Option<Edge> {
        let edge: Edge = self.read(node, what, str::parse)?;
        self.mention(node, Role::Party, &edge.source);
        self.mention(node, Role::Destination, &edge.destination);
        Some(edge)
    }

    /// `a <-> b`, `a -> b`.
    pub(super) fn link(&mut self, node: &Node, what: &str) -> Option<Link> {
        let link: Link = self.read(node, what, str::parse)?;
        self.mention(node, Role::Party, &link.a);
        self.mention(node, Role::Party, &link.b);
        Some(link)
    }

    fn mention(&mut self, node: &Node, role: Role, selector: &Selector) {
        self.mentions.push(Mention { selector: selector.clone(), role, span: node.span.clone() });
    }

    /// A duration with its unit.
    pub(super) fn duration(&mut self, node: &Node, what: &str) -> Option<Duration> {
        self.read(node, what, duration::parse)
    }

    /// A whole number from `min` to `max`.
    pub(super) fn whole(&mut self, node: &Node, what: &str, min: u64, max: u64) -> Option<u64> {
        let number = node.as_i64().and_then(|number| u64::try_from(number).ok());
        let found = number.filter(|number| (min..=max).contains(number));
        if found.is_none() {
            self.wrong(&node.span, format!("{what} is a whole number from {min} to {max}"));
        }
        found
    }

    /// A list, or the one item that stands for a list of one.
    pub(super) fn items<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        node.as_sequence().unwrap_or(std::slice::from_ref(node))
    }
}
