//! Filter chain choice, by tables and against a naive reading of Envoy.
