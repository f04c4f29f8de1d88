//! Path normalisation, by tables.
