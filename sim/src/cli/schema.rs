//! `wavetank schema`: JSON Schema of the scenario format, for editors.

use std::io::{self, Write};

use super::PASSED;
use crate::schema;

/// Writes the schema.
///
/// # Errors
/// When `out` cannot be written.
pub fn schema(out: &mut dyn Write) -> io::Result<u8> {
    out.write_all(schema::text().as_bytes())?;
    Ok(PASSED)
}
