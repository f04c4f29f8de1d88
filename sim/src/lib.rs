//! The tank.

pub mod world;
pub mod traffic;
