//! The tank.

pub mod world;
pub mod traffic;
pub mod check;
pub mod observe;
pub mod target;

pub mod engine;
pub mod scenario;
pub mod cli;
