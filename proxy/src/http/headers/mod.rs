//! What a proxy takes from, and adds to, the headers of requests and responses. Envoy:
//! `ConnectionManagerUtility`, the router filter, `HeaderParser`.
//!
//! Wire order is Envoy's, but that values of one name stand together.
//!
//! Files, in the order a request meets them:
//! - [`request`]: hop-by-hop headers, trust, `x-forwarded-*`, `x-envoy-internal`
//! - [`client_cert`]: the header `x-forwarded-client-cert`
//! - [`request_id`]: the header `x-request-id`
//! - [`upstream`]: what the router adds, host and path rewrites
//! - [`mutate`]: the header changes of routes, virtual hosts and route configurations
//! - [`response`]: `server`, `date`, `x-envoy-upstream-service-time`, `connection: close`
//! - [`date`]: the header `date`
//! - [`list`]: the headers of one message, in their order

pub mod client_cert;
pub mod date;
pub mod list;
pub mod mutate;
pub mod request;
pub mod request_id;
pub mod response;
pub mod upstream;

pub use date::Dates;
pub use list::HeaderList;
pub use request::{DownstreamFacts, Trust, prepare_request};
pub use response::{ResponseFacts, finish_response, prepare_response};
pub use upstream::{UpstreamRequest, prepare_upstream_request};
