//! The tables of fields: the page in the docs is theirs, and decoding does with every field what its row says.

use std::collections::BTreeMap;

use serde_yaml::{Mapping, Value};
use wavetank_control::config::table::{Fate, Row, Shape, Table};
use wavetank_control::config::{Kind, SourceFile, decode, supported_table};
use wavetank_control::dialect::Dialect;

/// `UPDATE_DOCS=1` rewrites the page.
#[test]
fn the_page_in_docs_is_these_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/supported.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, supported_table()).expect("docs/supported.md is writable");
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == supported_table(), "docs/supported.md is stale; rerun with UPDATE_DOCS=1");
}

#[test]
fn no_two_tables_share_a_name_and_no_two_rows_a_field() {
    fn visit(table: &'static Table, seen: &mut BTreeMap<&'static str, *const Table>) {
        if seen.insert(table.name, table).is_some_and(|other| other != std::ptr::from_ref(table)) {
            panic!("two tables are named {}", table.name);
        }
        let mut fields: Vec<_> = table.rows.iter().map(|row| row.field).collect();
        fields.sort_unstable();
        fields.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "in {}", table.name));
        for row in table.rows {
            assert!(matches!(row.fate, Fate::NotYet) || !row.note.is_empty(), "{}.{}", table.name, row.field);
            if let Fate::Nested(nested, _) = row.fate {
                visit(nested, seen);
            }
        }
    }
    let mut seen = BTreeMap::new();
    Kind::ALL.into_iter().for_each(|kind| visit(kind.table(), &mut seen));
}

/// Errors of a document, without their places.
fn errors(document: &Value, dialect: Dialect) -> Vec<String> {
    let text = serde_yaml::to_string(document).expect("a value can be written");
    let decoded = decode(&SourceFile::new("f.yaml", text), dialect);
    decoded.diagnostics.iter().filter(|finding| finding.is_error()).map(|finding| finding.message.clone()).collect()
}

/// One step from a mapping to a mapping nested in it.
type Step = (&'static str, Shape);

/// The mapping at the end of a path, made where it is not there.
fn reach<'v>(root: &'v mut Value, path: &[Step]) -> &'v mut Mapping {
    let mut here = root;
    for (field, shape) in path {
        let mapping = here.as_mapping_mut().expect("a mapping");
        let next = mapping.entry((*field).into()).or_insert(match shape {
            Shape::One | Shape::Map => Value::Mapping(Mapping::new()),
            Shape::List => Value::Sequence(vec![Value::Mapping(Mapping::new())]),
        });
        here = match shape {
            Shape::One => next,
            Shape::List => &mut next.as_sequence_mut().expect("a list")[0],
            Shape::Map => {
                let entries = next.as_mapping_mut().expect("a mapping");
                entries.entry("x".into()).or_insert(Value::Mapping(Mapping::new()))
            }
        };
    }
    here.as_mapping_mut().expect("a mapping")
}

fn document_of(kind: Kind) -> Value {
    let text = format!("{{apiVersion: {}, kind: {kind}, metadata: {{name: n}}}}", kind.api_versions()[0]);
    serde_yaml::from_str(&text).expect("YAML")
}

/// Puts nonsense into a field; a new error must come of it unless the field is ignored.
fn check_row(kind: Kind, path: &[Step], table: &Table, row: &Row, dialects: &[Dialect]) {
    let place = format!("{kind} {path:?} {}.{}", table.name, row.field);
    for &dialect in dialects {
        let mut document = document_of(kind);
        reach(&mut document, path);
        let before = errors(&document, dialect);
        let nonsense: Value = serde_yaml::from_str("{zzz: [[]]}").expect("YAML");
        reach(&mut document, path).insert(row.field.into(), nonsense);
        let after = errors(&document, dialect);
        let new: Vec<_> = after.iter().filter(|message| !before.contains(message)).collect();
        match row.fate {
            _ if !row.era.has(dialect) => {
                assert!(new.iter().any(|message| message.contains("has no field")), "{place}: {new:?}");
            }
            Fate::NotYet => {
                assert!(new.iter().any(|message| message.ends_with("not supported yet")), "{place}: {new:?}")
            }
            Fate::Ignored => assert_eq!(new, Vec::<&String>::new(), "{place}"),
            Fate::Read | Fate::Nested(..) => assert!(!new.is_empty(), "{place} is not read"),
        }
    }
}

/// `dialects` are those that have the table itself.
fn check_table(kind: Kind, path: &mut Vec<Step>, table: &'static Table, dialects: &[Dialect]) {
    for row in table.rows {
        check_row(kind, path, table, row, dialects);
        if let Fate::Nested(nested, shape) = row.fate {
            let dialects: Vec<_> = dialects.iter().copied().filter(|dialect| row.era.has(*dialect)).collect();
            path.push((row.field, shape));
            check_table(kind, path, nested, &dialects);
            path.pop();
        }
    }
}

#[test]
fn decoding_does_with_every_field_what_its_row_says() {
    for kind in Kind::ALL {
        check_table(kind, &mut Vec::new(), kind.table(), &Dialect::ALL);
    }
}

#[test]
fn istio_1_0_takes_protobuf_names_and_today_does_not() {
    let text = "{apiVersion: networking.istio.io/v1alpha3, kind: DestinationRule, metadata: {name: n},
        spec: {host: a, traffic_policy: {load_balancer: {simple: RANDOM}}}}";
    let document: Value = serde_yaml::from_str(text).expect("YAML");
    assert_eq!(errors(&document, Dialect::V1_0), Vec::<String>::new());
    assert_eq!(errors(&document, Dialect::V1), ["unknown field `traffic_policy` in DestinationRule.spec"]);
}
