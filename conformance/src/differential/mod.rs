//! The proxy beside a real Envoy: one static configuration, the same bytes in, what comes out compared.
//!
//! Files, in the order of a run:
//! - [`shapes`]: listeners, routes and clusters as xDS messages
//! - [`routes`]: route configurations
//! - [`detection`]: clusters with outlier detection
//! - [`world`]: the configuration that both serve
//! - [`pki`]: certificates of the mesh, of a stranger, and one that has expired
//! - [`upstream`]: the recording server behind both, which does as a row says
//! - [`row`]: what a caller does, and what the upstream does
//! - [`rows`]: the rows, by the chapter of the field they are about
//! - [`client`]: the caller, raw bytes or HTTP/2
//! - [`sides`]: Envoy, and our proxy
//! - [`outcome`]: what one side did with a row, with what may vary taken out
//! - [`logged`]: access logs with every operator, beside those that rows are compared by
//! - [`log_formats`]: Istio's formats, JSON, and filters
//! - [`ledger`]: differences that are known, each with a reason

pub mod client;
pub mod detection;
pub mod ledger;
pub mod log_formats;
pub mod logged;
pub mod outcome;
pub mod pki;
pub mod routes;
pub mod row;
pub mod rows;
pub mod shapes;
pub mod sides;
pub mod upstream;
pub mod world;
