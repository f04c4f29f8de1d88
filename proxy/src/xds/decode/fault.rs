//! What is wrong with a message, and where.

use std::fmt::{self, Debug, Display};

use envoy_types::pb::google::protobuf::BoolValue;

/// A resource that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{}`: {fault}", name.as_deref().unwrap_or("?"))]
pub struct DecodeError {
    /// What it is, e.g. `cluster`.
    pub kind: &'static str,
    /// Its name, if the message could be read that far.
    pub name: Option<String>,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path of the field, e.g. `virtual_hosts[2].routes[0].match.headers[1].name`; empty: the whole.
    pub field: String,
    /// What would be right.
    pub wanted: String,
    /// What is there.
    pub got: String,
}

impl Fault {
    /// A fault of this field.
    pub fn new(field: impl Display, wanted: impl Display, got: impl Display) -> Self {
        Self { field: field.to_string(), wanted: wanted.to_string(), got: shortened(got.to_string()) }
    }

    /// The same fault, seen from the resource it is in.
    pub fn of(self, kind: &'static str, name: &str) -> DecodeError {
        DecodeError { kind, name: Some(name.to_owned()), fault: self }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "wanted {}, got {}", self.wanted, self.got)
    }
}

/// Longest text of a peer's that a message repeats, in characters.
const GOT_CHARS_MAX: usize = 120;

fn shortened(text: String) -> String {
    if text.chars().count() <= GOT_CHARS_MAX {
        return text;
    }
    let head: String = text.chars().take(GOT_CHARS_MAX).collect();
    format!("{head}…")
}

/// Puts a fault into the field it was found in.
pub trait Within {
    /// The same, with the fault's path below `field`.
    fn within(self, field: impl Display) -> Self;

    /// The same, with the fault's path below item `index` of the list `field`.
    fn within_item(self, field: &str, index: usize) -> Self;
}

impl<T> Within for Result<T, Fault> {
    fn within(self, field: impl Display) -> Self {
        self.map_err(|fault| match fault.field.as_str() {
            "" => Fault { field: field.to_string(), ..fault },
            inner => Fault { field: format!("{field}.{inner}"), ..fault },
        })
    }

    fn within_item(self, field: &str, index: usize) -> Self {
        self.within(format_args!("{field}[{index}]"))
    }
}

/// Decodes each item of the list `field`.
pub fn each<'a, T, U>(
    field: &str,
    items: &'a [T],
    decode: impl Fn(&'a T) -> Result<U, Fault>,
) -> Result<Vec<U>, Fault> {
    items.iter().enumerate().map(|(index, item)| decode(item).within_item(field, index)).collect()
}

/// Faults a field that is set.
pub fn refuse<T: Default + PartialEq + Debug>(field: &str, value: &T) -> Result<(), Fault> {
    if *value == T::default() {
        return Ok(());
    }
    // Messages hold maps without order, whose text would differ from run to run.
    let text = format!("{value:?}");
    let plain = text.len() < 40 && !text.contains(['{', '(', '[']);
    Err(Fault::new(field, "nothing (the field is not supported)", if plain { &text } else { "a value" }))
}

/// Faults a switch that is on.
pub fn refuse_on(field: &str, value: Option<&BoolValue>) -> Result<(), Fault> {
    match value {
        Some(BoolValue { value: true }) => Err(Fault::new(field, "false (true is not supported)", "true")),
        _ => Ok(()),
    }
}

/// Takes a message apart completely: fields that are used, fields that are harmless, fields that are
/// refused when they are set, and switches that are refused when they are on. A field of the message that
/// is in no list does not compile.
macro_rules! fields {
    ($message:expr => $Type:path {
        used: [$($used:ident),* $(,)?],
        harmless: [$($harmless:ident),* $(,)?],
        refused: [$($refused:ident),* $(,)?],
        refused_on: [$($switch:ident),* $(,)?] $(,)?
    }) => {
        let $Type { $($used: _,)* $($harmless: _,)* $($refused,)* $($switch,)* } = $message;
        $($crate::xds::decode::fault::refuse(stringify!($refused), $refused)?;)*
        $($crate::xds::decode::fault::refuse_on(stringify!($switch), $switch.as_ref())?;)*
    };
}
pub(crate) use fields;
