//! The tank.

pub mod world;
