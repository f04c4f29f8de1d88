//! Names of the headers a proxy reads and writes itself, beside those of `http::header`.

use http::HeaderName;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: HeaderName = HeaderName::from_static($text);)*
    };
}

names! {
    /// Addresses a request came through.
    X_FORWARDED_FOR = "x-forwarded-for";
    /// Scheme the client used.
    X_FORWARDED_PROTO = "x-forwarded-proto";
    /// Host the client asked for.
    X_FORWARDED_HOST = "x-forwarded-host";
    /// Certificates of the clients a request came from.
    X_FORWARDED_CLIENT_CERT = "x-forwarded-client-cert";
    /// One id for a request on its way through a mesh.
    X_REQUEST_ID = "x-request-id";
    /// The request came from inside the mesh.
    ENVOY_INTERNAL = "x-envoy-internal";
    /// The client's address, written at the edge.
    ENVOY_EXTERNAL_ADDRESS = "x-envoy-external-address";
    /// Milliseconds the upstream took.
    UPSTREAM_SERVICE_TIME = "x-envoy-upstream-service-time";
    /// Milliseconds the upstream has.
    EXPECTED_RQ_TIMEOUT = "x-envoy-expected-rq-timeout-ms";
    /// Which try this is, from 1.
    ATTEMPT_COUNT = "x-envoy-attempt-count";
    /// Host before a rewrite.
    ORIGINAL_HOST = "x-envoy-original-host";
    /// Path before a rewrite.
    ORIGINAL_PATH = "x-envoy-original-path";
    /// A circuit breaker refused.
    OVERLOADED = "x-envoy-overloaded";
    /// A rate limit refused.
    RATELIMITED = "x-envoy-ratelimited";
    /// Retry conditions.
    RETRY_ON = "x-envoy-retry-on";
    /// Retry conditions on gRPC statuses.
    RETRY_GRPC_ON = "x-envoy-retry-grpc-on";
    /// Number of retries.
    MAX_RETRIES = "x-envoy-max-retries";
    /// Statuses to retry on.
    RETRIABLE_STATUS_CODES = "x-envoy-retriable-status-codes";
    /// Headers to retry on.
    RETRIABLE_HEADER_NAMES = "x-envoy-retriable-header-names";
    /// Bound of the whole request.
    UPSTREAM_RQ_TIMEOUT = "x-envoy-upstream-rq-timeout-ms";
    /// Bound of one attempt.
    UPSTREAM_RQ_PER_TRY_TIMEOUT = "x-envoy-upstream-rq-per-try-timeout-ms";
    /// Answers 204 on a timeout.
    UPSTREAM_RQ_TIMEOUT_ALT_RESPONSE = "x-envoy-upstream-rq-timeout-alt-response";
    /// Another statistics name.
    UPSTREAM_ALT_STAT_NAME = "x-envoy-upstream-alt-stat-name";
    /// Traces this request.
    FORCE_TRACE = "x-envoy-force-trace";
    /// Tags of an address.
    IP_TAGS = "x-envoy-ip-tags";
    /// URL before a redirect was followed.
    ORIGINAL_URL = "x-envoy-original-url";
    /// Hedges on a per-try timeout.
    HEDGE_ON_PER_TRY_TIMEOUT = "x-envoy-hedge-on-per-try-timeout";
    /// Hop-by-hop, HTTP/1.0.
    KEEP_ALIVE = "keep-alive";
    /// Hop-by-hop, never standardised.
    PROXY_CONNECTION = "proxy-connection";
    /// gRPC's status number.
    GRPC_STATUS = "grpc-status";
    /// gRPC's message, percent-encoded.
    GRPC_MESSAGE = "grpc-message";
}

/// Whether it is one of Envoy's own: no other header needs to be looked for among those below.
pub fn is_envoys(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-envoy-")
}

/// What a caller may say about retries, if it is trusted.
pub const ALL_RETRY: [HeaderName; 4] = [RETRY_ON, RETRY_GRPC_ON, MAX_RETRIES, RETRIABLE_STATUS_CODES];

/// What a trusted caller tells the router, and nobody else.
pub const ROUTERS_OWN: [HeaderName; 10] = [
    RETRY_ON,
    RETRY_GRPC_ON,
    MAX_RETRIES,
    RETRIABLE_STATUS_CODES,
    RETRIABLE_HEADER_NAMES,
    UPSTREAM_RQ_TIMEOUT,
    UPSTREAM_RQ_PER_TRY_TIMEOUT,
    UPSTREAM_RQ_TIMEOUT_ALT_RESPONSE,
    HEDGE_ON_PER_TRY_TIMEOUT,
    UPSTREAM_ALT_STAT_NAME,
];
