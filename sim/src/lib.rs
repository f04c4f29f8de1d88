//! The tank.
