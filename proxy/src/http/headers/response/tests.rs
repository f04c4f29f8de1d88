//! Response headers, by the rows of the Envoy tables.
