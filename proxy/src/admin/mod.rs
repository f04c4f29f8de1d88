//! What a platform engineer can ask a running proxy, on ports of its own: never on those of the mesh.
//!
//! - [`view`]: what can be seen of the process
//! - [`page`]: the answer to a request, by the port it came to, its method and its path
//! - [`clusters`], [`config_dump`]: the longer answers
//! - [`app_metrics`]: the application's metrics behind the proxy's own
//! - [`server`]: the ports themselves, bounded in number, size and time

mod app_metrics;
mod clusters;
mod config_dump;
pub mod page;
mod server;
mod view;

pub use server::Admin;
pub use view::View;
