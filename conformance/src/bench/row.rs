//! The rows of the race: what is served, what is asked, what is counted, and the goal.

use super::multiplex::Call;
use super::world::Shape;

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Name on the command line.
    pub id: &'static str,
    /// In tables.
    pub title: &'static str,
    /// Of its figures.
    pub unit: &'static str,
    /// What is hoped for.
    pub goal: Option<Goal>,
    /// How it is measured.
    pub method: Method,
    /// What a reader must know of it.
    pub note: &'static str,
}

/// What a figure of ours is to be, at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// This share of Envoy's.
    OfEnvoy(f64),
    /// This.
    Figure(f64),
}

/// How a row is measured.
#[derive(Debug, Clone, Copy)]
pub enum Method {
    /// CPU for each request, in paired rounds.
    Cpu(Shape, Asked),
    /// Median latency added to that without a proxy, at this rate.
    Latency(Shape, u32),
    /// System calls for each request.
    Syscalls(Shape),
    /// Instructions in user space for each request.
    Instructions(Shape),
    /// Memory for each idle connection.
    Idle(Shape, usize),
    /// Memory of the whole process.
    Memory(Shape),
    /// From the start to the first 200; with the listener in a file, or over xDS.
    Start(Shape, bool),
    /// CPU for a new version of one virtual host.
    Push(Shape),
    /// CPU for each request with so many hosts and paths, divided by that with one.
    Lookup(usize),
}

/// What is asked, in closed loop.
#[derive(Debug, Clone, Copy)]
pub enum Asked {
    /// What the shape suggests, on so many connections.
    Suited(usize),
    /// Large bodies, on so many connections.
    Large(usize),
    /// New connections for each request, by so many callers.
    Connections(usize),
    /// HTTP/2: connections, and streams on each.
    Http2(Call, usize, usize),
}

const PLAIN: Shape = Shape::Plain { http2_up: false };
const MULTIPLEXED: Shape = Shape::Plain { http2_up: true };
const SIDECAR: Shape = Shape::Sidecar { hosts: 100, mutual: false };
const MUTUAL: Shape = Shape::Sidecar { hosts: 100, mutual: true };

const fn row(
    (id, title): (&'static str, &'static str),
    unit: &'static str,
    goal: Option<Goal>,
    method: Method,
    note: &'static str,
) -> Row {
    Row { id, title, unit, goal, method, note }
}

const CPU: &str = "µs CPU/request";

/// All rows, in the order of the table.
pub const ROWS: &[Row] = &[
    row(
        ("h1", "HTTP/1.1, one route"),
        CPU,
        Some(Goal::OfEnvoy(0.40)),
        Method::Cpu(PLAIN, Asked::Suited(64)),
        "64 connections, 1 KiB bodies",
    ),
    row(
        ("side", "sidecar"),
        CPU,
        Some(Goal::OfEnvoy(0.35)),
        Method::Cpu(SIDECAR, Asked::Suited(64)),
        "100 virtual hosts of 5 header routes, 90/10 split, retry policy, access log to a file, statistics; 64 connections",
    ),
    row(
        ("sidemtls", "sidecar, mTLS on both legs"),
        CPU,
        Some(Goal::OfEnvoy(0.38)),
        Method::Cpu(MUTUAL, Asked::Suited(64)),
        "the same behind and before TLS 1.3, P-256, X25519",
    ),
    row(
        ("h2h1", "HTTP/2 to HTTP/1.1"),
        CPU,
        Some(Goal::OfEnvoy(0.55)),
        Method::Cpu(PLAIN, Asked::Http2(Call::Get, 16, 10)),
        "16 connections of 10 streams",
    ),
    row(
        ("h2h2", "HTTP/2 to HTTP/2"),
        CPU,
        None,
        Method::Cpu(MULTIPLEXED, Asked::Http2(Call::Get, 16, 10)),
        "16 connections of 10 streams",
    ),
    row(
        ("grpc", "gRPC unary"),
        CPU,
        None,
        Method::Cpu(MULTIPLEXED, Asked::Http2(Call::Grpc, 16, 10)),
        "messages of 1 KiB both ways",
    ),
    row(
        ("tcp", "TCP, 1 KiB messages"),
        "µs CPU/round trip",
        Some(Goal::OfEnvoy(0.75)),
        Method::Cpu(Shape::Tcp, Asked::Suited(64)),
        "64 connections",
    ),
    row(
        ("bulk", "TCP, bulk"),
        "µs CPU/MiB",
        Some(Goal::OfEnvoy(1.1)),
        Method::Cpu(Shape::Tcp, Asked::Large(8)),
        "1 MiB at a time to the caller, 8 connections",
    ),
    row(("large", "HTTP/1.1, 1 MiB bodies"), "µs CPU/MiB", None, Method::Cpu(PLAIN, Asked::Large(8)), "8 connections"),
    row(
        ("handshake", "mTLS handshake and one request"),
        "µs CPU/handshake",
        Some(Goal::OfEnvoy(0.70)),
        Method::Cpu(Shape::Secure, Asked::Connections(16)),
        "full handshakes, client certificates verified, no resumption; the same certificate each time",
    ),
    row(
        ("connect", "new connection and one request"),
        "µs CPU/connection",
        None,
        Method::Cpu(PLAIN, Asked::Connections(16)),
        "plaintext, closed by the caller",
    ),
    row(
        ("latency", "latency added at 1,000 requests/s"),
        "µs, median",
        None,
        Method::Latency(PLAIN, 1000),
        "open loop, from the moment a request was due; the median without a proxy is taken off",
    ),
    row(
        ("idle", "idle connection"),
        "bytes",
        Some(Goal::OfEnvoy(1.2)),
        Method::Idle(PLAIN, 1000),
        "anonymous memory of 1,000 connections opened one after the other, one request each, with what they left upstream",
    ),
    row(
        ("startfile", "start to first 200, from a file"),
        "ms",
        Some(Goal::OfEnvoy(0.20)),
        Method::Start(PLAIN, true),
        "one route; ours has no static listeners: its file names an xDS server on the loopback, which answers at once",
    ),
    row(
        ("startads", "start to first 200, from ADS"),
        "ms",
        Some(Goal::OfEnvoy(0.20)),
        Method::Start(SIDECAR, false),
        "the sidecar's configuration, from the same server",
    ),
    row(
        ("memory", "base memory, sidecar"),
        "MB resident",
        Some(Goal::Figure(20.0)),
        Method::Memory(SIDECAR),
        "100 virtual hosts loaded, one request served",
    ),
    row(
        ("sysh1", "system calls, one route"),
        "calls/request",
        Some(Goal::Figure(6.0)),
        Method::Syscalls(PLAIN),
        "500 requests/s on 8 connections",
    ),
    row(
        ("sysside", "system calls, sidecar"),
        "calls/request",
        Some(Goal::Figure(6.0)),
        Method::Syscalls(SIDECAR),
        "timers, log and statistics on; 500 requests/s on 8 connections",
    ),
    row(
        ("insh1", "user instructions, one route"),
        "instructions/request",
        None,
        Method::Instructions(PLAIN),
        "callgrind, slope between two request counts",
    ),
    row(
        ("insside", "user instructions, sidecar"),
        "instructions/request",
        Some(Goal::Figure(60_000.0)),
        Method::Instructions(SIDECAR),
        "callgrind, slope between two request counts",
    ),
    row(
        ("push", "push of 1 in 1,000 virtual hosts"),
        "ms CPU",
        Some(Goal::Figure(35.0)),
        Method::Push(Shape::Sidecar { hosts: 1000, mutual: false }),
        "5 routes each; from the change to the acknowledgement and half a second on",
    ),
    row(
        ("lookup", "100,000 virtual hosts and paths"),
        "× of one host and path",
        Some(Goal::Figure(2.0)),
        Method::Lookup(100_000),
        "CPU for each request, the last host's last exact path",
    ),
];
