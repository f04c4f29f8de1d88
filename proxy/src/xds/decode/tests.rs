//! Decoding, by tables, and of arbitrary bytes.
