//! `wavetank-control`: the control plane as a process of its own. Serves the manifests of a folder, which it
//! watches, until SIGTERM or SIGINT. Its log goes to standard error.

mod watch;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use watch::{Beside, Folder};
use wavetank_control::ads::{NoObserver, Observer};
use wavetank_control::ca::{CaConfig, KeyType, RootPem};
use wavetank_control::config::access_log::{AccessLog, AccessLogs, ObservationLogs};
use wavetank_control::config::{MeshConfig, SourceFile};
use wavetank_control::diagnostic::Severity;
use wavetank_control::journal::Journal;
use wavetank_control::status_page::StatusPage;
use wavetank_control::{Control, ControlConfig, Dialect};
use wavetank_platform::Platform;

/// How often the folder and the files beside it are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Control plane of a mesh: Istio YAML in, xDS v3 and certificates out.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Folder of manifests, searched for *.yaml and *.yml; it is watched
    #[arg(long, value_name = "FOLDER")]
    config: PathBuf,
    /// Which Istio the manifests are read as
    #[arg(long, value_name = "DIALECT", default_value = "v1")]
    compat: Compat,
    /// Address that all ports listen on
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    listen: IpAddr,
    /// Port of xDS without TLS
    #[arg(long, value_name = "PORT", default_value_t = 15010)]
    plaintext_port: u16,
    /// Port of xDS and certificates, over TLS
    #[arg(long, value_name = "PORT", default_value_t = 15012)]
    secure_port: u16,
    /// Port of /ready and /status
    #[arg(long, value_name = "PORT", default_value_t = 15014)]
    status_port: u16,
    /// Folder that keeps the root of trust, root-cert.pem and root-key.pem, which are made when they are not there
    /// [default: a new root for this process]
    #[arg(long, value_name = "FOLDER")]
    ca: Option<PathBuf>,
    /// Keys of the root and of this server
    #[arg(long, value_name = "TYPE", default_value = "p256")]
    keys: Keys,
    /// Tokens by which proxies prove who they are, watched: lines of `TOKEN NAMESPACE SERVICE-ACCOUNT`; one that was
    /// there proves it for as long as this process runs
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Addresses of Services that name none, watched: lines of `NAMESPACE NAME IP`
    #[arg(long, value_name = "FILE")]
    addresses: Option<PathBuf>,
    /// Have proxies write an access log to this file, as Istio's accessLogFile does: /dev/stdout
    #[arg(long, value_name = "FILE", default_value = "")]
    access_log_file: String,
    /// What a line says, with Envoy's command operators [default: Istio's]
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    access_log_format: String,
    /// TEXT, or JSON with a format that is an object
    #[arg(long, value_name = "ENCODING", default_value = "TEXT")]
    access_log_encoding: String,
    /// Have proxies write every request and every attempt as lines of JSON to FOLDER/NODE.jsonl, where they run; for
    /// those that keep no records of their own
    #[arg(long, value_name = "FOLDER")]
    observe: Option<PathBuf>,
    /// Write every push, ACK and NACK as a line of JSON
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// What to log, e.g. `info` or `wavetank_control=debug`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Compat {
    /// Istio 1.0.3
    #[value(name = "1.0")]
    V1_0,
    /// Today's Istio
    V1,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Keys {
    /// ECDSA on P-256, which every proxy understands
    P256,
    /// Ed25519, which Envoy does not offer
    Ed25519,
}

/// Why a control plane did not start.
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
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let platform = wavetank_platform::linux::platform()?;
    let mut folder = Folder::new(arguments.config.clone());
    let first = folder.look().map_err(|error| error.to_string())?.unwrap_or_default();
    let config = config(arguments)?;
    let kept = arguments.ca.as_deref().filter(|_| config.root.is_some());
    let told = |error: std::io::Error| match kept {
        Some(kept) => format!("{}: {error}", kept.display()),
        None => error.to_string(),
    };
    let started = Control::start(platform.clone(), config, observer(arguments, &platform)?).await;
    let control = Arc::new(started.map_err(told)?);
    if let Some(kept) = &arguments.ca {
        keep_root(kept, &control)?;
    }
    let page = StatusPage::new(control.clone());
    let (status, _page) = page.serve(&platform, SocketAddr::new(arguments.listen, arguments.status_port)).await?;
    let mut beside = Beside::new(arguments.tokens.clone(), arguments.addresses.clone());
    beside.look(&control);
    put_in_force(&control, &page, &first);
    tracing::info!(xds = %control.secure_addr(), plaintext = %control.plaintext_addr(), %status, "serving");
    let mut unreadable = String::new();
    let watching = async {
        loop {
            platform.clock.sleep(LOOK).await;
            beside.look(&control);
            match folder.look() {
                Ok(sources) => {
                    unreadable.clear();
                    if let Some(sources) = sources {
                        put_in_force(&control, &page, &sources);
                    }
                }
                // Told once, and not at every look.
                Err(error) if unreadable == error.to_string() => {}
                Err(error) => {
                    unreadable = error.to_string();
                    tracing::warn!(%error, "the manifests cannot be read; what is in force stays");
                }
            }
        }
    };
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = watching => {}
    }
    tracing::info!("stopping");
    Ok(())
}

fn put_in_force(control: &Control, page: &StatusPage, sources: &[SourceFile]) {
    let before = control.generation();
    let applied = control.replace(sources);
    tracing::info!(manifests = sources.len(), objects_changed = applied.changed.len(), "manifests read");
    for found in &applied.diagnostics {
        match found.severity {
            Severity::Error => tracing::error!("{} {}: {}", found.code, found.span, found.message),
            _ => tracing::info!("{} {}: {}", found.code, found.span, found.message),
        }
    }
    // The push to come is the first with all of them in it.
    let generation = if applied.changed.is_empty() { before } else { before + 1 };
    page.set_read(sources, generation, applied.diagnostics);
}

fn config(arguments: &Arguments) -> Result<ControlConfig, Failure> {
    let key_type = match arguments.keys {
        Keys::P256 => KeyType::EcdsaP256,
        Keys::Ed25519 => KeyType::Ed25519,
    };
    let dialect = match arguments.compat {
        Compat::V1_0 => Dialect::V1_0,
        Compat::V1 => Dialect::V1,
    };
    let root = arguments.ca.as_deref().map(read_root).transpose()?.flatten();
    Ok(ControlConfig {
        dialect,
        mesh: MeshConfig { access_logs: access_logs(arguments)?, ..MeshConfig::default() },
        ca: CaConfig { key_type, ..CaConfig::default() },
        root,
        listen: arguments.listen,
        plaintext_port: arguments.plaintext_port,
        secure_port: arguments.secure_port,
        ..ControlConfig::default()
    })
}

fn access_logs(arguments: &Arguments) -> Result<AccessLogs, String> {
    let Arguments { access_log_file: file, access_log_format: format, access_log_encoding: encoding, .. } = arguments;
    let observation = arguments.observe.as_ref().map(|folder| {
        let path = folder.join("{node}.jsonl").display().to_string();
        ObservationLogs { requests: path.clone(), attempts: path }
    });
    Ok(AccessLogs { requests: AccessLog::of(file, format, encoding)?, observation })
}

fn observer(arguments: &Arguments, platform: &Platform) -> Result<Arc<dyn Observer>, Failure> {
    let Some(path) = &arguments.events else { return Ok(Arc::new(NoObserver)) };
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Arc::new(Journal::new(file, platform.clock.clone())))
}

fn root_files(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("root-cert.pem"), folder.join("root-key.pem"))
}

/// The root that a folder keeps; `None` when it keeps none.
fn read_root(folder: &Path) -> Result<Option<RootPem>, Failure> {
    let (certificate, key) = root_files(folder);
    if !key.exists() {
        return Ok(None);
    }
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    Ok(Some(RootPem { certificate: read(&certificate)?, key: read(&key)? }))
}

/// Keeps the root where there is none yet; the key is last, and only its owner may read it.
fn keep_root(folder: &Path, control: &Control) -> Result<(), Failure> {
    let (certificate, key) = root_files(folder);
    if key.exists() {
        return Ok(());
    }
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let root = control.authority().root_to_keep();
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    fs::write(&certificate, &root.certificate).map_err(|error| failed(&certificate, error))?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key);
    let written = file.and_then(|mut file: File| file.write_all(root.key.as_bytes()));
    Ok(written.map_err(|error| failed(&key, error))?)
}
