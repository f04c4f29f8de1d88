//! Marked YAML: places, limits, duplicate keys, anchors; and that no text makes the parser panic.

use proptest::prelude::*;
use wavetank_control::config::SourceFile;
use wavetank_control::config::yaml::{Limits, Node, Parsed, Value, parse};

fn read(text: &str) -> Parsed {
    parse(&SourceFile::new("f.yaml", text), Limits::default())
}

fn one(text: &str) -> Node {
    let parsed = read(text);
    assert_eq!(parsed.diagnostics, [], "{text}");
    parsed.documents.into_iter().next().expect("a document")
}

fn findings(text: &str) -> Vec<String> {
    read(text).diagnostics.iter().map(ToString::to_string).collect()
}

/// The text a span covers; spans of several lines keep their newlines.
fn covered(text: &str, node: &Node) -> String {
    let span = &node.span;
    let mut out = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index as u32 + 1;
        if number < span.line || number > span.end_line {
            continue;
        }
        let from = if number == span.line { span.column as usize - 1 } else { 0 };
        let to = if number == span.end_line { span.end_column as usize - 1 } else { usize::MAX };
        out.push(line.chars().take(to).skip(from).collect::<String>());
    }
    out.join("\n")
}

#[test]
fn a_span_covers_its_node_and_no_more() {
    let text = "näme: \"ä b\"  # remark\nlist:\n- one two\n- {x: 1, y: [2, 3]}\n\nlast: |\n  block\n  text\n";
    let root = one(text);
    let at = |name: &str| covered(text, root.get(name).unwrap());
    assert_eq!(at("näme"), "\"ä b\"");
    // A list that is not indented starts at its first item.
    assert_eq!(at("list"), "one two\n- {x: 1, y: [2, 3]}");
    let list = root.get("list").unwrap().as_sequence().unwrap();
    assert_eq!(covered(text, &list[0]), "one two");
    assert_eq!(covered(text, &list[1]), "{x: 1, y: [2, 3]}");
    assert_eq!(covered(text, list[1].get("y").unwrap()), "[2, 3]");
    let key = &root.as_mapping().unwrap().entry("last").unwrap().key;
    assert_eq!((key.line, key.column, key.end_column), (6, 1, 5));
    assert_eq!((root.span.line, root.span.column), (1, 1));
}

#[test]
fn a_key_written_twice_is_an_error_with_both_places() {
    let parsed = read("a: 1\nb: {c: 1, c: 2}\na: 3\n---\nfine: 1\n");
    let shown: Vec<_> = parsed.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "f.yaml:2:11: error[MS0003]: the key `c` is written twice",
            "f.yaml:3:1: error[MS0003]: the key `a` is written twice"
        ]
    );
    assert_eq!(parsed.diagnostics[1].related[0].span.to_string(), "f.yaml:1:1");
    assert_eq!(parsed.documents.len(), 1, "the other document is sound");
    assert!(parsed.documents[0].get("fine").is_some());
}

#[test]
fn documents_are_read_one_by_one() {
    let parsed = read("# only a remark\n---\na: 1\n---\n---\nb: 2\n...\n");
    assert_eq!(parsed.diagnostics, []);
    let present: Vec<_> = parsed.documents.iter().filter(|node| !node.is_null()).collect();
    assert_eq!(present.len(), 2);
    assert_eq!(read("").documents.iter().filter(|node| !node.is_null()).count(), 0);
}

#[test]
fn documents_before_a_syntax_error_are_kept() {
    let parsed = read("a: 1\n---\nb: [1, 2\n");
    assert_eq!(parsed.documents.len(), 1);
    assert_eq!(parsed.diagnostics.len(), 1);
    assert!(parsed.diagnostics[0].to_string().contains("error[MS0001]: not YAML"), "{:?}", parsed.diagnostics);
}

#[test]
fn aliases_stand_for_their_anchor_at_the_place_of_their_use() {
    let root = one("base: &b {x: 1}\nuse: *b\nmerged:\n  <<: *b\n  y: 2\nover:\n  x: 9\n  <<: [*b]\n");
    let used = root.get("use").unwrap();
    assert_eq!(used.get("x").and_then(Node::as_i64), Some(1));
    assert_eq!(used.span.to_string(), "f.yaml:2:6");
    let merged = root.get("merged").unwrap();
    assert_eq!((merged.get("x").and_then(Node::as_i64), merged.get("y").and_then(Node::as_i64)), (Some(1), Some(2)));
    assert_eq!(root.get("over").unwrap().get("x").and_then(Node::as_i64), Some(9));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let below = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", [below.as_str(); 9].join(", ")));
    }
    let shown = findings(&text);
    assert_eq!(shown.len(), 1);
    assert!(shown[0].contains("error[MS0002]: more than 1000000 nodes"), "{shown:?}");
}

#[test]
fn deep_and_large_texts_are_refused() {
    for text in ["[".repeat(5000), "- ".repeat(5000), "{a: ".repeat(5000)] {
        let finding = &findings(&text)[0];
        assert!(finding.contains("nested more than 100 deep") || finding.contains("recursion limit"), "{finding}");
    }
    let limits = Limits { bytes_max: 10, ..Limits::default() };
    let parsed = parse(&SourceFile::new("f.yaml", "a: 1234567890"), limits);
    assert_eq!(
        parsed.diagnostics[0].to_string(),
        "f.yaml:1:1: error[MS0002]: 13 bytes of YAML, more than the 10 allowed"
    );
}

#[test]
fn tags_of_the_core_schema_are_read_and_others_refused() {
    assert_eq!(one("!!str 12").value, Value::String("12".into()));
    assert_eq!(one("!!int 12").value, Value::Integer(12));
    assert_eq!(one("!!float 12").value, Value::Float(12.0));
    assert_eq!(one("! 12").value, Value::String("12".into()));
    assert!(findings("a: !secret x")[0].contains("f.yaml:1:4: error[MS0005]"), "{:?}", findings("a: !secret x"));
    assert!(findings("!!int x")[0].contains("MS0005"));
}

#[test]
fn odd_keys() {
    assert_eq!(
        one("80: a\ntrue: b\n").as_mapping().unwrap().iter().map(|(k, _)| k).collect::<Vec<_>>(),
        ["80", "true"]
    );
    assert!(findings("? [a, b]\n: c\n")[0].contains("MS0004"));
    assert!(findings("a: &x [*x]\n")[0].contains("MS0001"));
    assert_eq!(one("a: 1\r\nb: 2\r\n").get("b").unwrap().span.to_string(), "f.yaml:2:4");
}

/// Every span lies in the text, and a child's in its parent's lines unless it came through an alias.
fn check_spans(node: &Node, lines: u32) {
    let span = &node.span;
    assert!(span.line >= 1 && span.column >= 1, "{span:?}");
    assert!((span.line, span.column) <= (span.end_line, span.end_column), "{span:?}");
    assert!(span.end_line <= lines + 1, "{span:?} of {lines} lines");
    match &node.value {
        Value::Sequence(items) => items.iter().for_each(|item| check_spans(item, lines)),
        Value::Mapping(mapping) => mapping.iter().for_each(|(_, entry)| check_spans(&entry.value, lines)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic(text in "([a-c:\\-\\[\\]{}&*!|>'\"#?,% \n\tä~<.0-9]|---|: |- |\n  ){0,60}") {
        let parsed = read(&text);
        let lines = text.lines().count() as u32;
        for node in &parsed.documents {
            check_spans(node, lines);
            let _ = node.to_value();
        }
        for finding in &parsed.diagnostics {
            prop_assert!(finding.span.line >= 1 && finding.span.line <= lines + 1, "{}", finding);
            finding.render(|_| Some(text.as_str()));
        }
    }
}

/// Place, message and help of the first finding.
fn first(text: &str) -> String {
    let found = read(text).diagnostics.into_iter().next().expect("a finding");
    format!("{}:{} {}; {}", found.span.line, found.span.column, found.message, found.help.as_deref().unwrap_or("-"))
}

#[test]
fn a_tab_in_the_indentation_is_told_where_it_is() {
    let found = first("a:\n  b: 1\n\tc: 2\n");
    assert_eq!(found, "3:1 not YAML: a tab in the indentation, which YAML forbids; indent with spaces");
}

#[test]
fn a_bracket_that_is_never_closed_is_told_where_it_was_opened() {
    assert_eq!(first("a: 1\nb: {c: 1, d: [2]\n"), "2:4 not YAML: this `{` is never closed; -");
    assert_eq!(first("a: [1,\n  2\n"), "1:4 not YAML: this `[` is never closed; -");
}

#[test]
fn a_template_that_was_not_rendered_is_told_as_such() {
    let help = "this is a template; render it first, e.g. with `helm template`";
    for text in ["name: {{ .Values.name }}\n", "a: 1\n{{- if .Values.x }}\nb: 2\n{{- end }}\n"] {
        let found = first(text);
        assert!(found.ends_with(help), "{found}");
    }
}
