//! The codes of findings about YAML and its decoding.

use crate::diagnostic::Code;

/// The text is not YAML.
pub const SYNTAX: Code = Code(1);
/// The text is larger or deeper than is read.
pub const LIMIT: Code = Code(2);
/// A key is written twice in one mapping.
pub const DUPLICATE_KEY: Code = Code(3);
/// A key is no scalar.
pub const KEY: Code = Code(4);
/// A YAML tag is not of the core schema, or does not fit.
pub const TAG: Code = Code(5);
/// A file that cannot be read.
pub const FILE: Code = Code(6);
/// A value has the wrong type or is out of its range.
pub const VALUE: Code = Code(101);
/// No field of that name.
pub const UNKNOWN_FIELD: Code = Code(102);
/// A field that Istio or Kubernetes has and Wavetank does not yet.
pub const FIELD_NOT_YET: Code = Code(103);
/// A required field is missing.
pub const MISSING_FIELD: Code = Code(104);
/// A field that the dialect's Istio does not have.
pub const NOT_IN_DIALECT: Code = Code(105);
/// No kind of that name, or not in that apiVersion.
pub const UNKNOWN_KIND: Code = Code(106);
/// A kind that Istio or Kubernetes has and Wavetank does not yet.
pub const KIND_NOT_YET: Code = Code(107);
/// A value that Istio has and Wavetank does not yet.
pub const VALUE_NOT_YET: Code = Code(108);
