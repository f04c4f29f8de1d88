//! Text to marked trees, one for each document, within limits.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span as RawSpan, Tag};

use crate::config::codes;
use crate::config::source::SourceFile;
use crate::diagnostic::{Diagnostic, Span, Spanned};

use super::extent::{self, Cursor};
use super::{Entry, Mapping, Node, Value, scalar, syntax};

/// How much of a text is read before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of a text.
    pub bytes_max: usize,
    /// Nesting of a node.
    pub depth_max: usize,
    /// Nodes of a text, with what its anchors and aliases stand for.
    pub nodes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 8 << 20, depth_max: 100, nodes_max: 1_000_000 }
    }
}

/// What a text holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// Its sound documents in order; an empty document is [`Value::Null`].
    pub documents: Vec<Node>,
    /// What is wrong with the others. Nothing behind a syntax error is read.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads every document of a text.
///
/// A document is left out when a key is written twice in one mapping, when a key is no scalar, or when a tag is not
/// of the core schema. A syntax error or a text beyond its limits ends the reading.
pub fn parse(source: &SourceFile, limits: Limits) -> Parsed {
    if source.text.len() > limits.bytes_max {
        let span = Span::at(source.name.clone(), 1, 1);
        let message = format!("{} bytes of YAML, more than the {} allowed", source.text.len(), limits.bytes_max);
        return Parsed { documents: Vec::new(), diagnostics: vec![Diagnostic::error(codes::LIMIT, &span, message)] };
    }
    let mut builder = Builder::new(source.clone(), limits);
    for event in Parser::new_from_str(&source.text) {
        let step = match event {
            Ok((event, raw)) => builder.event(event, raw),
            Err(error) => Err(builder.syntax_error(&error)),
        };
        if let Err(fatal) = step {
            builder.parsed.diagnostics.push(*fatal);
            break;
        }
    }
    builder.parsed
}

/// A problem that ends the reading.
type Fatal = Box<Diagnostic>;

/// A collection that is being read.
struct Frame {
    start: Span,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    /// `key` is there between a key and its value.
    Mapping {
        mapping: Mapping,
        key: Option<Key>,
        merges: Vec<Node>,
    },
}

enum Key {
    Named(Spanned<String>),
    /// `<<`: the value's fields are taken over where the mapping has none of that name.
    Merge,
    /// A key that was reported; its value is dropped.
    Refused,
}

/// A node that an alias can stand for, with its number of nodes and its nesting.
struct Anchor {
    node: Node,
    nodes: usize,
    depth: usize,
}

struct Builder {
    source: SourceFile,
    cursor: Cursor,
    lines: syntax::Lines,
    /// Line and column behind the last character.
    end: (u32, u32),
    limits: Limits,
    frames: Vec<Frame>,
    anchors: BTreeMap<usize, Anchor>,
    nodes: usize,
    /// Diagnostics of the current document begin here.
    document_from: usize,
    root: Option<Node>,
    parsed: Parsed,
}

impl Builder {
    fn new(source: SourceFile, limits: Limits) -> Self {
        let end = extent::end_of(&source.text);
        Self {
            source,
            end,
            cursor: Cursor::new(),
            lines: syntax::Lines::default(),
            limits,
            frames: Vec::new(),
            anchors: BTreeMap::new(),
            nodes: 0,
            document_from: 0,
            root: None,
            parsed: Parsed::default(),
        }
    }

    fn event(&mut self, event: Event<'_>, raw: RawSpan) -> Result<(), Fatal> {
        let span = self.span(raw);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.document_from = self.parsed.diagnostics.len();
                self.anchors.clear();
                self.root = None;
                Ok(())
            }
            Event::DocumentEnd => {
                let sound = self.parsed.diagnostics.len() == self.document_from;
                if let Some(root) = self.root.take().filter(|_| sound) {
                    self.parsed.documents.push(root);
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let span = self.scalar_span(span, raw, style);
                let node = self.scalar(text, style, tag.as_deref(), span);
                self.place(node, anchor)
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", &span);
                self.open(Frame { start: span, anchor, content: Content::Sequence(Vec::new()) })
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", &span);
                let content = Content::Mapping { mapping: Mapping::default(), key: None, merges: Vec::new() };
                self.open(Frame { start: span, anchor, content })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
        }
    }

    fn span(&self, raw: RawSpan) -> Span {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        // The scanner sees a newline behind a last line that has none.
        let place = |mark: Marker| (number(mark.line()), number(mark.col() + 1)).min(self.end);
        let ((line, column), (end_line, end_column)) = (place(raw.start), place(raw.end));
        Span { file: self.source.name.clone(), line, column, end_line, end_column }
    }

    fn scalar_span(&mut self, span: Span, raw: RawSpan, style: ScalarStyle) -> Span {
        if !matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
            return span;
        }
        let text = self.cursor.text_from(&self.source.text, raw.start.index());
        match extent::end(text, span.line, span.column) {
            Some((end_line, end_column)) => Span { end_line, end_column, ..span },
            None => span,
        }
    }

    fn syntax_error(&self, error: &ScanError) -> Fatal {
        let at = error.marker();
        let span = self.span(RawSpan::empty(*at));
        let open = self.frames.last().map(|frame| &frame.start);
        Box::new(syntax::error(&self.source.text, error.info(), &span, open))
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.parsed.diagnostics.push(diagnostic);
    }

    fn check_tag(&mut self, tag: Option<&Tag>, wanted: &str, span: &Span) {
        let known = |tag: &Tag| tag.is_yaml_core_schema() && tag.suffix == wanted;
        if let Some(tag) = tag.filter(|tag| !known(tag)) {
            let message = format!("the tag `{}{}` is not supported here", tag.handle, tag.suffix);
            self.report(Diagnostic::error(codes::TAG, span, message));
        }
    }

    fn scalar(&mut self, text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Node {
        let plain = style == ScalarStyle::Plain;
        let value = match tag {
            None if plain => scalar::resolve(&text),
            None => Value::String(text.clone().into_owned()),
            Some(tag) => {
                let suffix = if tag.is_yaml_core_schema() { tag.suffix.as_str() } else { "" };
                let non_specific = tag.handle.is_empty() && tag.suffix == "!";
                let value = scalar::resolve(&text);
                match (suffix, &value) {
                    _ if non_specific => Value::String(text.clone().into_owned()),
                    ("str", _) => Value::String(text.clone().into_owned()),
                    ("null", Value::Null) | ("bool", Value::Bool(_)) | ("int", Value::Integer(_)) => value,
                    ("float", Value::Integer(number)) => Value::Float(*number as f64),
                    ("float", Value::Float(_)) => value,
                    _ => {
                        let message = format!("the tag `{}{}` does not fit `{text}`", tag.handle, tag.suffix);
                        self.report(Diagnostic::error(codes::TAG, &span, message));
                        Value::Null
                    }
                }
            }
        };
        Node { value, span, plain: plain.then(|| text.into()) }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Fatal> {
        let Some(known) = self.anchors.get(&anchor) else {
            let message = "an alias inside the node it stands for";
            return Err(Box::new(Diagnostic::error(codes::SYNTAX, &span, message)));
        };
        let (nodes, depth) = (known.nodes, known.depth);
        self.spend(nodes, &span)?;
        self.check_depth(self.frames.len() + depth, &span)?;
        let known = self.anchors.get(&anchor).map(|anchor| anchor.node.clone());
        known.map_or(Ok(()), |node| self.place(Node { span, ..node }, 0))
    }

    fn spend(&mut self, nodes: usize, span: &Span) -> Result<(), Fatal> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= self.limits.nodes_max {
            return Ok(());
        }
        let message = format!("more than {} nodes, counting what aliases stand for", self.limits.nodes_max);
        Err(Box::new(Diagnostic::error(codes::LIMIT, span, message)))
    }

    fn check_depth(&self, depth: usize, span: &Span) -> Result<(), Fatal> {
        if depth <= self.limits.depth_max {
            return Ok(());
        }
        let message = format!("nested more than {} deep", self.limits.depth_max);
        Err(Box::new(Diagnostic::error(codes::LIMIT, span, message)))
    }

    fn open(&mut self, frame: Frame) -> Result<(), Fatal> {
        self.check_depth(self.frames.len() + 1, &frame.start)?;
        self.frames.push(frame);
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Fatal> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        let (value, last) = match frame.content {
            Content::Sequence(items) => {
                let last = items.last().map(|item| item.span.clone());
                (Value::Sequence(items), last)
            }
            Content::Mapping { mut mapping, merges, .. } => {
                let last = mapping.iter().last().map(|(_, entry)| entry.value.span.clone());
                for merge in merges {
                    self.merge(&mut mapping, &merge);
                }
                (Value::Mapping(mapping), last)
            }
        };
        // A block collection ends where its last node does; only brackets have an end of their own.
        let bracket = (end.line, end.column) != (end.end_line, end.end_column);
        let span = frame.start.to(last.as_ref().filter(|_| !bracket).unwrap_or(&end));
        self.place(Node { value, span, plain: None }, frame.anchor)
    }

    fn merge(&mut self, into: &mut Mapping, node: &Node) {
        let sources = node.as_sequence().unwrap_or(std::slice::from_ref(node));
        for source in sources {
            let Some(fields) = source.as_mapping() else {
                let message = format!("`<<` takes a mapping or a list of them, not {}", source.kind_name());
                self.report(Diagnostic::error(codes::KEY, &source.span, message));
                continue;
            };
            for (name, entry) in fields.iter() {
                into.insert(name.to_owned(), entry.clone());
            }
        }
    }

    /// Puts a finished node where it belongs: into the innermost open collection, or as the document.
    fn place(&mut self, node: Node, anchor: usize) -> Result<(), Fatal> {
        self.spend(1, &node.span)?;
        if anchor != 0 {
            let (nodes, depth) = measure(&node);
            // The copy kept for aliases costs as much as the node.
            self.spend(nodes, &node.span)?;
            self.anchors.insert(anchor, Anchor { node: node.clone(), nodes, depth });
        }
        match self.frames.last_mut().map(|frame| &mut frame.content) {
            None => self.root = Some(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { mapping, key, merges }) => match key.take() {
                None => {
                    let (read, problem) = read_key(&node);
                    *key = Some(read);
                    self.parsed.diagnostics.extend(problem.map(|found| {
                        match self.lines.template(&self.source.text, node.span.line) {
                            Some(help) => found.with_help(help),
                            None => found,
                        }
                    }));
                }
                Some(Key::Refused) => {}
                Some(Key::Merge) => merges.push(node),
                Some(Key::Named(name)) => {
                    let entry = Entry { key: name.span.clone(), value: node };
                    if let Some(first) = mapping.insert(name.value.clone(), entry) {
                        let message = format!("the key `{}` is written twice", name.value);
                        let twice = Diagnostic::error(codes::DUPLICATE_KEY, &name.span, message);
                        self.report(twice.with_related(&first, "first written here"));
                    }
                }
            },
        }
        Ok(())
    }
}

fn read_key(node: &Node) -> (Key, Option<Diagnostic>) {
    match (&node.value, node.plain.as_deref()) {
        (_, Some("<<")) => (Key::Merge, None),
        (Value::String(text), _) => (Key::Named(Spanned::new(text.clone(), node.span.clone())), None),
        (Value::Bool(_) | Value::Integer(_) | Value::Float(_), Some(text)) => {
            (Key::Named(Spanned::new(text.to_owned(), node.span.clone())), None)
        }
        _ => {
            let message = format!("a key is a word or a number, not {}", node.kind_name());
            (Key::Refused, Some(Diagnostic::error(codes::KEY, &node.span, message)))
        }
    }
}

/// Number of nodes in a tree, and its nesting: 1 and 0 for a scalar.
fn measure(node: &Node) -> (usize, usize) {
    let fold = |total: (usize, usize), child: &Node| {
        let (nodes, depth) = measure(child);
        (total.0 + nodes, total.1.max(depth + 1))
    };
    match &node.value {
        Value::Sequence(items) => items.iter().fold((1, 1), fold),
        Value::Mapping(mapping) => mapping.iter().map(|(_, entry)| &entry.value).fold((1, 1), fold),
        _ => (1, 0),
    }
}
