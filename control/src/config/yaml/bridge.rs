//! From the marked tree to serde: as a `serde_yaml::Value`, or into a type with each error at its node.

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::config::codes;
use crate::diagnostic::{Diagnostic, Span};

use super::{Entry, Node, Value};

impl Node {
    /// The same tree without places. Keys are strings.
    pub fn to_value(&self) -> serde_yaml::Value {
        match &self.value {
            Value::Null => serde_yaml::Value::Null,
            Value::Bool(truth) => serde_yaml::Value::Bool(*truth),
            Value::Integer(number) => serde_yaml::Value::Number((*number).into()),
            Value::Float(number) => serde_yaml::Value::Number((*number).into()),
            Value::String(text) => serde_yaml::Value::String(text.clone()),
            Value::Sequence(items) => serde_yaml::Value::Sequence(items.iter().map(Node::to_value).collect()),
            Value::Mapping(mapping) => serde_yaml::Value::Mapping(
                mapping.iter().map(|(name, entry)| (name.into(), entry.value.to_value())).collect(),
            ),
        }
    }

    /// Decodes the tree into a serde type.
    ///
    /// # Errors
    /// The first problem serde finds, at the innermost node it belongs to: an unknown field at its key, a wrong
    /// value at the value, a missing field at the mapping. Inside untagged enums and flattened structs, at the
    /// outermost node of those.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Diagnostic> {
        T::deserialize(NodeDeserializer(self)).map_err(|error| {
            let span = error.span.as_ref().unwrap_or(&self.span);
            Diagnostic::error(codes::VALUE, span, error.message.clone())
        })
    }
}

/// What serde says, and the innermost node it said it about.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Located {
    message: String,
    span: Option<Span>,
}

impl Located {
    fn or_at(mut self, span: &Span) -> Self {
        self.span.get_or_insert_with(|| span.clone());
        self
    }
}

impl serde::de::Error for Located {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), span: None }
    }
}

impl From<serde_yaml::Error> for Located {
    fn from(error: serde_yaml::Error) -> Self {
        Self::custom(error)
    }
}

struct NodeDeserializer<'n>(&'n Node);

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = Located;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Located> {
        let node = self.0;
        match &node.value {
            Value::Sequence(items) => visitor.visit_seq(Items(items.iter())),
            Value::Mapping(mapping) => visitor.visit_map(Fields { entries: mapping.iter(), value: None }),
            _ => node.to_value().deserialize_any(visitor).map_err(Located::from),
        }
        .map_err(|error| error.or_at(&node.span))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Located> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Located> {
        visitor.visit_newtype_struct(self)
    }

    /// A bare word is a unit variant; a mapping of one field, a variant with content.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Located> {
        let node = self.0;
        match &node.value {
            Value::String(word) => visitor.visit_enum(word.as_str().into_deserializer()),
            Value::Mapping(mapping) if mapping.len() == 1 => match mapping.iter().next() {
                Some((name, entry)) => visitor.visit_enum(Variant { name, entry }),
                None => Err(Located::custom("a mapping of one field is empty")),
            },
            _ => Err(Located::custom(format!("expected a word or a mapping of one field, found {}", node.kind_name()))),
        }
        .map_err(|error| error.or_at(&node.span))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Items<'n>(std::slice::Iter<'n, Node>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Located;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Located> {
        self.0.next().map(|node| seed.deserialize(NodeDeserializer(node))).transpose()
    }
}

struct Fields<'n, I> {
    entries: I,
    value: Option<&'n Node>,
}

impl<'de, 'n, I: Iterator<Item = (&'n str, &'n Entry)>> MapAccess<'de> for Fields<'n, I> {
    type Error = Located;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Located> {
        let Some((name, entry)) = self.entries.next() else { return Ok(None) };
        self.value = Some(&entry.value);
        let key: StringDeserializer<Located> = name.to_owned().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.or_at(&entry.key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Located> {
        let node = self.value.take().ok_or_else(|| Located::custom("a value was asked for before its key"))?;
        seed.deserialize(NodeDeserializer(node))
    }
}

struct Variant<'n> {
    name: &'n str,
    entry: &'n Entry,
}

impl<'de, 'n> EnumAccess<'de> for Variant<'n> {
    type Error = Located;
    type Variant = Content<'n>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<'n>), Located> {
        let name: StringDeserializer<Located> = self.name.to_owned().into_deserializer();
        let variant = seed.deserialize(name).map_err(|error| error.or_at(&self.entry.key))?;
        Ok((variant, Content(&self.entry.value)))
    }
}

struct Content<'n>(&'n Node);

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Located;

    fn unit_variant(self) -> Result<(), Located> {
        if self.0.is_null() {
            return Ok(());
        }
        Err(Located::invalid_type(Unexpected::Other(self.0.kind_name()), &"nothing").or_at(&self.0.span))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Located> {
        seed.deserialize(NodeDeserializer(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Located> {
        NodeDeserializer(self.0).deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Located> {
        NodeDeserializer(self.0).deserialize_any(visitor)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::config::source::SourceFile;

    use super::super::{Limits, parse};

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Shape {
        name: String,
        #[serde(default)]
        sides: Vec<Side>,
        color: Option<Color>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Side {
        length: u16,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Color {
        Red,
        Mix { red: u8 },
        Named(String),
    }

    fn decode(text: &str) -> Result<Shape, String> {
        let parsed = parse(&SourceFile::new("s.yaml", text), Limits::default());
        parsed.documents[0].decode().map_err(|error| error.to_string())
    }

    #[test]
    fn serde_types_are_fed_from_the_tree() {
        let shape = decode("name: box\nsides: [{length: 3}, {length: 4}]\ncolor: red\n").unwrap();
        assert_eq!(shape.sides, [Side { length: 3 }, Side { length: 4 }]);
        assert_eq!(shape.color, Some(Color::Red));
        assert_eq!(decode("name: a\ncolor: {mix: {red: 7}}").unwrap().color, Some(Color::Mix { red: 7 }));
        assert_eq!(decode("name: a\ncolor: {named: teal}").unwrap().color, Some(Color::Named("teal".into())));
        assert_eq!(decode("name: a\ncolor:").unwrap().color, None);
    }

    #[test]
    fn an_error_of_serde_names_the_innermost_node() {
        let place = |text| decode(text).unwrap_err();
        assert!(place("name: a\nsides:\n- length: 3\n- length: 70000\n").starts_with("s.yaml:4:11: error[MS0101]"));
        assert!(place("name: a\nsides:\n- lenght: 3\n").starts_with("s.yaml:3:3: error[MS0101]: unknown field"));
        assert!(place("sides: []\n").starts_with("s.yaml:1:1: error[MS0101]: missing field `name`"));
        assert!(place("name: a\ncolor: green\n").starts_with("s.yaml:2:8: error[MS0101]: unknown variant"));
        assert!(place("name: a\ncolor: {mix: {red: x}}\n").starts_with("s.yaml:2:20:"));
    }
}
