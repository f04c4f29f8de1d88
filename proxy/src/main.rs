//! `wavetank-proxy`: one proxy as a process of its own. Reads its bootstrap, serves until SIGTERM or SIGINT,
//! then drains. Records go to standard output as lines of JSON, its own log to standard error.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use wavetank_proxy::Proxy;
use wavetank_proxy::bootstrap::Bootstrap;
use wavetank_proxy::json_lines::JsonLines;
use wavetank_proxy::record::Recorder;

/// Sidecar and gateway proxy, configured by xDS v3 alone.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Bootstrap file, JSON: node, xDS server, certificate authority, limits.
    #[arg(long, value_name = "FILE")]
    bootstrap: PathBuf,
    /// Node id, instead of the file's.
    #[arg(long, value_name = "ID")]
    node: Option<String>,
    /// Host and port of the xDS server, instead of the file's.
    #[arg(long, value_name = "HOST:PORT")]
    xds: Option<String>,
    /// Write a line of JSON for each request and connection, to this file instead of standard output; the first line
    /// says when its clock begins.
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// What to log, e.g. `info` or `wavetank_proxy=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

/// Why a proxy did not start, or could not be told to stop.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::new(&arguments.log);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let served = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(serve(&arguments)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let bootstrap = read(arguments)?;
    let grace = bootstrap.drain;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let platform = wavetank_platform::linux::platform()?;
    let recorder: Arc<dyn Recorder> = match &arguments.records {
        None => Arc::new(JsonLines::new(std::io::stdout())),
        Some(path) => {
            let mut file = std::fs::File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let zero = platform.clock.unix().since_epoch().saturating_sub(platform.clock.now().since_start());
            writeln!(file, "{}", serde_json::json!({ "origin": { "unixNanos": zero.as_nanos() as u64 } }))?;
            Arc::new(JsonLines::new(file))
        }
    };
    let proxy = Proxy::start(platform, bootstrap, recorder)?;
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = report_ready(&proxy) => {}
    }
    tracing::info!(?grace, "draining");
    proxy.drain(grace).await;
    Ok(())
}

/// Says once that the proxy serves; never returns.
async fn report_ready(proxy: &Proxy) {
    proxy.ready().await;
    for (name, address) in proxy.listening() {
        tracing::info!(listener = %name, %address, "listening");
    }
    std::future::pending().await
}

/// The bootstrap file with what the command line overrides.
fn read(arguments: &Arguments) -> Result<Bootstrap, Failure> {
    let path = arguments.bootstrap.display();
    let text = std::fs::read_to_string(&arguments.bootstrap).map_err(|error| format!("{path}: {error}"))?;
    let mut bootstrap: Bootstrap = serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
    if let Some(node) = &arguments.node {
        bootstrap.node.id.clone_from(node);
    }
    if let Some(server) = &arguments.xds {
        let (host, port) = server.rsplit_once(':').ok_or_else(|| format!("`{server}` is not HOST:PORT"))?;
        bootstrap.xds.host = host.trim_matches(['[', ']']).into();
        bootstrap.xds.port = port.parse().map_err(|_| format!("`{port}` is not a port"))?;
    }
    Ok(bootstrap)
}
