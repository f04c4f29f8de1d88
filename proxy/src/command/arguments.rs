//! What can be said on the command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wavetank_proxy::bootstrap;
use wavetank_proxy::redirect::Network;

/// Sidecar and gateway proxy, configured by xDS v3 alone.
///
/// Without a subcommand it serves until SIGTERM or SIGINT: then it asks callers to leave, soon stops accepting, and
/// lets what is under way finish within the drain time. A second signal ends it at once.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lead this host's (or pod's) connections through the proxy, by iptables and ip6tables.
    #[command(subcommand)]
    Redirect(Redirect),
}

/// How to serve. What is said here goes before what the bootstrap file says.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Bootstrap file, JSON: node, xDS server, certificate authority, limits, ports.
    #[arg(long, value_name = "FILE")]
    pub(crate) bootstrap: Option<PathBuf>,
    /// Node id: `sidecar~IP~POD.NAMESPACE~NAMESPACE.svc.cluster.local`.
    #[arg(long, value_name = "ID")]
    pub(crate) node: Option<String>,
    /// Service cluster of the node.
    #[arg(long, value_name = "NAME")]
    pub(crate) node_cluster: Option<String>,
    /// Host and port of the xDS server.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) xds: Option<String>,
    /// Workers, each with a thread of its own [default: the number of cores].
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<NonZeroUsize>,
    /// Time that what is under way gets to finish after a stop is asked for [default: 45s].
    #[arg(long, value_name = "TIME", value_parser = bootstrap::duration)]
    pub(crate) drain: Option<Duration>,
    /// So long of it new connections are taken, from callers who have not heard yet [default: 5s].
    #[arg(long, value_name = "TIME", value_parser = bootstrap::duration)]
    pub(crate) minimum_drain: Option<Duration>,
    /// Where everything can be seen, on the loopback; `off`: nowhere [default: 127.0.0.1:15000].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<Port>,
    /// Where health and metrics are, for an orchestrator; `off`: nowhere [default: 0.0.0.0:15020].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) agent: Option<Port>,
    /// Where health is, for a load balancer; `off`: nowhere [default: 0.0.0.0:15021].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) health: Option<Port>,
    /// Where metrics are, for Prometheus; `off`: nowhere [default: 0.0.0.0:15090].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) stats: Option<Port>,
    /// Port of the application's metrics, which the agent port answers behind the proxy's; else what the environment
    /// variable ISTIO_PROMETHEUS_ANNOTATIONS says.
    #[arg(long, value_name = "PORT")]
    pub(crate) app_metrics_port: Option<u16>,
    /// Path of the application's metrics [default: /metrics].
    #[arg(long, value_name = "PATH", requires = "app_metrics_port")]
    pub(crate) app_metrics_path: Option<String>,
    /// Write a record of every request and connection to this file, as lines of JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) records: Option<PathBuf>,
    /// What to log to standard error, e.g. `info` or `wavetank_proxy=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
    /// How to log.
    #[arg(long, value_name = "FORM", value_enum, default_value_t = LogForm::Text)]
    pub(crate) log_format: LogForm,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// An address, or `off`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Port(pub(crate) Option<SocketAddr>);

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            _ => text.parse().map(|address| Self(Some(address))).map_err(|_| "neither IP:PORT nor `off`".to_owned()),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Redirect {
    /// Put the rules in place, all or none; a second time changes nothing.
    Install(Wanted),
    /// Take the rules away.
    Remove,
    /// Print the commands that `install` would run on a host without such rules.
    Show(Wanted),
}

/// What is led through the proxy.
#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// Where outbound connections are led.
    #[arg(long, value_name = "PORT", default_value_t = 15001)]
    pub(crate) outbound_port: u16,
    /// Where inbound connections are led.
    #[arg(long, value_name = "PORT", default_value_t = 15006)]
    pub(crate) inbound_port: u16,
    /// Users whose connections are the proxy's own.
    #[arg(long, value_name = "UID,…", value_delimiter = ',', default_value = "1337")]
    pub(crate) proxy_uid: Vec<u32>,
    /// Groups whose connections are the proxy's own.
    #[arg(long, value_name = "GID,…", value_delimiter = ',', default_value = "1337")]
    pub(crate) proxy_gid: Vec<u32>,
    /// Destinations that are captured: `*`, or address ranges.
    #[arg(long, value_name = "RANGE,…", value_delimiter = ',', default_value = "*")]
    pub(crate) include_outbound_networks: Vec<String>,
    /// Destinations that are left alone.
    #[arg(long, value_name = "RANGE,…", value_delimiter = ',')]
    pub(crate) exclude_outbound_networks: Vec<Network>,
    /// Destination ports that are captured also where the address is not.
    #[arg(long, value_name = "PORT,…", value_delimiter = ',')]
    pub(crate) include_outbound_ports: Vec<u16>,
    /// Destination ports that are left alone.
    #[arg(long, value_name = "PORT,…", value_delimiter = ',')]
    pub(crate) exclude_outbound_ports: Vec<u16>,
    /// The workload's ports that are captured: `*`, or ports; empty: none.
    #[arg(long, value_name = "PORT,…", default_value = "*")]
    pub(crate) include_inbound_ports: String,
    /// The workload's ports that are left alone.
    #[arg(long, value_name = "PORT,…", value_delimiter = ',')]
    pub(crate) exclude_inbound_ports: Vec<u16>,
}
