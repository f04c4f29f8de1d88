//! `wavetank-proxy`: one proxy as a process of its own. Reads its bootstrap, serves until SIGTERM or SIGINT,
//! then drains. Its log goes to standard error; records, where they are asked for, as lines of JSON to a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use wavetank_platform::{Platform, UnixTime};
use wavetank_proxy::Proxy;
use wavetank_proxy::bootstrap::Bootstrap;
use wavetank_proxy::json_lines::JsonLines;

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
    /// Writes a record of every request and connection to this file, as lines of JSON.
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// What to log, e.g. `info` or `wavetank_proxy=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

/// Holds less for each idle connection than the system's, which also spends more time on it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
    let records = arguments.records.as_deref().map(|file| open_records(&platform, file)).transpose()?;
    let flushing = records.clone().map(|records| {
        let own = platform.clone();
        platform.spawn.go(async move { records.run(&own).await }).abort_on_drop()
    });
    let proxy = Proxy::start(platform, bootstrap, Arc::new(records.clone()))?;
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = report_ready(&proxy) => {}
    }
    tracing::info!(?grace, "draining");
    proxy.drain(grace).await;
    drop(flushing);
    if let Some(records) = records {
        records.flush();
    }
    Ok(())
}

/// The file that records go to, made anew.
fn open_records(platform: &Platform, file: &Path) -> Result<Arc<JsonLines<File>>, Failure> {
    let writer = File::create(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let (now, since_start) = (platform.clock.unix(), platform.clock.now().since_start());
    let origin = UnixTime::from_epoch(now.since_epoch().saturating_sub(since_start));
    Ok(Arc::new(JsonLines::since(writer, origin)))
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
