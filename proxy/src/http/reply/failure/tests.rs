//! Local replies, by the rows of the Envoy tables.
