//! What all rivals of a race share: the program, the xDS server, the authority; and how each of them is started.

use std::ffi::OsString;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use envoy_types::pb::envoy::config::bootstrap::v3::Bootstrap as EnvoyBootstrap;
use envoy_types::pb::envoy::config::core::v3::api_config_source::ApiType;
use prost::Message;
use tokio::runtime::Runtime;
use wavetank::target::live::agent;
use wavetank_control::ads::NoObserver;
use wavetank_control::{Control, ControlConfig, ca};
use wavetank_platform::linux;
use wavetank_proxy::bootstrap::{Bootstrap, NodeIdentity, XdsMode, XdsSecurity, XdsServer};

use super::ads::Ads;
use super::caller::{Aim, Line, Talk, get};
use super::origin::{self, Origins, SMALL};
use super::pki::Pki;
use super::rival::{Around, Kind, Rival};
use super::world::{self, Manner, Places, Shape};
use super::{Failure, measure, others};
use crate::edge::ca_config;
use crate::live::loopback;

/// Bound on the start of a rival.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Our proxy.
    pub ours: PathBuf,
    /// Envoy, where there is one.
    pub envoy: Option<PathBuf>,
}

impl Programs {
    /// The path of a rival's program; `None`: it is absent.
    pub fn of(&self, kind: Kind) -> Option<PathBuf> {
        match kind {
            Kind::Ours => Some(self.ours.clone()),
            Kind::Envoy | Kind::Lean => self.envoy.clone(),
            Kind::Nginx | Kind::Haproxy => measure::is_installed(kind.name()).then(|| kind.name().into()),
        }
    }
}

/// The ground of a race.
pub struct Ground {
    /// Runs the load.
    pub runtime: Runtime,
    /// Configures rivals.
    pub ads: Arc<Ads>,
    /// Where the program listens.
    pub origins: Origins,
    /// Certificates.
    pub pki: Pki,
    control: Arc<Control>,
    programs: Programs,
    folder: PathBuf,
}

impl Ground {
    /// Starts the program, the xDS server and the authority on a thread of their own; files go into `folder`.
    ///
    /// Errs when there is no folder or no runtime.
    pub fn prepare(programs: Programs, folder: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let (ready, prepared) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let runtime = runtime()?;
            runtime.block_on(async {
                let platform = linux::platform().map_err(|error| error.to_string())?;
                let config = ControlConfig {
                    ca: ca::CaConfig { key_type: ca::KeyType::EcdsaP256, ..ca::CaConfig::default() },
                    listen: loopback(0).ip(),
                    plaintext_port: 0,
                    secure_port: 0,
                    ..ControlConfig::default()
                };
                let control = Control::start(platform.clone(), config, Arc::new(NoObserver)).await;
                let control = Arc::new(control.map_err(|error| format!("authority: {error}"))?);
                let pki = Pki::issue(&platform, &control);
                let origins = origin::start(&pki).await.map_err(|error| format!("origin: {error}"))?;
                let ads = Arc::new(Ads::start(&platform).await);
                // Nobody waits when the race is over already.
                let _waiting = ready.send((ads, origins, pki, control));
                std::future::pending::<Result<(), Failure>>().await
            })
        });
        let (ads, origins, pki, control) = prepared.recv().map_err(|_| "the ground could not be prepared")?;
        Ok(Self { runtime: runtime()?, ads, origins, pki, control, programs, folder: folder.to_owned() })
    }

    /// Whether a rival is there, and can serve this.
    pub fn has(&self, kind: Kind, shape: Shape) -> bool {
        let nowhere = loopback(1);
        let able = match kind {
            Kind::Nginx => others::nginx(shape, nowhere, nowhere, &self.folder).is_some(),
            Kind::Haproxy => others::haproxy(shape, nowhere, nowhere, &self.folder).is_some(),
            _ => true,
        };
        able && self.programs.of(kind).is_some()
    }

    /// Where a shape's cluster leads, unless a row says otherwise.
    pub fn origin(&self, shape: Shape) -> SocketAddr {
        match shape {
            Shape::Plain { http2_up: true } => self.origins.http2,
            Shape::Sidecar { mutual: true, .. } => self.origins.secure,
            Shape::Tcp => self.origins.echo,
            _ => self.origins.http1,
        }
    }

    /// The aim of a load that suits a shape.
    pub fn aim(&self, shape: Shape, address: SocketAddr) -> Aim {
        let talk = match shape {
            Shape::Tcp => Talk::Echo(SMALL),
            Shape::Sidecar { hosts, .. } => {
                get(&world::host_name(hosts / 2), "/", "x-version: v4\r\nx-a: 1\r\nx-b: 2\r\n")
            }
            Shape::Lookup(count) => get(&world::host_name(count - 1), &format!("/{}", count - 1), ""),
            _ => get("bench.test", "/", ""),
        };
        Aim { address, tls: shape.is_secure().then(|| self.pki.tls.clone()), talk }
    }

    /// Starts a rival and waits until it serves.
    ///
    /// Errs when it does not, with what it said.
    pub fn start(&self, kind: Kind, shape: Shape, origin: SocketAddr, around: Around) -> Result<Rival, Failure> {
        let mut rival = self.launch(kind, shape, origin, around, false)?;
        self.serves(&mut rival, shape)?;
        Ok(rival)
    }

    /// Starts a rival; `file`: with its listener in its own configuration file instead of over xDS.
    ///
    /// Errs when it cannot be started.
    pub fn launch(
        &self,
        kind: Kind,
        shape: Shape,
        origin: SocketAddr,
        around: Around,
        file: bool,
    ) -> Result<Rival, Failure> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let program = self.programs.of(kind).ok_or_else(|| format!("{} is absent", kind.name()))?;
        let folder = self.folder.join(format!("{}-{}", NUMBER.fetch_add(1, Ordering::Relaxed), kind.name()));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let places = Places { listen: free_address()?, origin };
        let log = folder.join("access.log").display().to_string();
        let manner = Manner { lean: kind == Kind::Lean, log };
        if kind.is_of_the_mesh() {
            self.ads.hold(kind.name(), world::resources(shape, places, &manner));
        }
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok::<_, Failure>(path.into_os_string())
        };
        let arguments: Vec<OsString> = match kind {
            Kind::Ours => {
                let text = serde_json::to_vec(&self.bootstrap(shape)).map_err(|error| error.to_string())?;
                vec!["--log".into(), "warn".into(), "--bootstrap".into(), write("bootstrap.json", &text)?]
            }
            Kind::Envoy | Kind::Lean => {
                let bootstrap = self.envoys(kind, file.then_some((shape, places, &manner)));
                let fixed = ["--disable-hot-restart", "-l", "error", "--concurrency", "1", "-c"];
                let fixed = fixed.iter().map(OsString::from);
                fixed.chain([write("bootstrap.pb", &bootstrap.encode_to_vec())?]).collect()
            }
            Kind::Nginx | Kind::Haproxy => {
                let Pki { chain_pem, key_pem, roots_pem, .. } = &self.pki;
                write("chain.pem", chain_pem.as_bytes())?;
                write("key.pem", key_pem.as_bytes())?;
                write("both.pem", format!("{chain_pem}{key_pem}").as_bytes())?;
                write("roots.pem", roots_pem.as_bytes())?;
                let of = if kind == Kind::Nginx { others::nginx } else { others::haproxy };
                let text = of(shape, places.listen, origin, &folder).ok_or("it cannot be said")?;
                let flag = if kind == Kind::Nginx { "-c" } else { "-f" };
                vec![flag.into(), write("conf", text.as_bytes())?]
            }
        };
        Rival::start(kind, &program, &arguments, places.listen, &folder, around)
    }

    /// Waits until a rival answers, and returns how long that took since its start.
    ///
    /// Errs when it ends or does not answer, with what it said.
    pub fn serves(&self, rival: &mut Rival, shape: Shape) -> Result<Duration, Failure> {
        let aim = self.aim(shape, rival.listen);
        loop {
            let asked = self.runtime.block_on(async {
                let mut line = Line::open(&aim).await?;
                let asking = line.exchange(&aim.talk);
                tokio::time::timeout(PATIENCE, asking).await.map_err(|_| "no answer")?
            });
            let Err(error) = asked else { return Ok(rival.started.elapsed()) };
            let heard = self.ads.heard(rival.kind.name());
            if rival.has_ended() || rival.started.elapsed() > PATIENCE || !heard.refused.is_empty() {
                let name = rival.kind.name();
                return Err(format!(
                    "{name} does not serve: {error}; refused {:?}; it said: {}",
                    heard.refused,
                    rival.said()
                ));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn bootstrap(&self, shape: Shape) -> Bootstrap {
        let node = NodeIdentity { id: Kind::Ours.name().to_owned(), ..NodeIdentity::default() };
        let at = self.ads.address();
        let xds = XdsServer {
            host: at.ip().to_string(),
            port: at.port(),
            mode: XdsMode::Delta,
            security: XdsSecurity::Plaintext,
        };
        let ca = shape.is_secure().then(|| ca_config(&self.control, "default", "bench"));
        Bootstrap { ca, drain: Duration::from_secs(1), ..Bootstrap::new(node, xds) }
    }

    fn envoys(&self, kind: Kind, file: Option<(Shape, Places, &Manner)>) -> EnvoyBootstrap {
        let at = self.ads.address();
        let mut bootstrap = crate::envoy::bootstrap(kind.name(), ApiType::DeltaGrpc, at, at);
        let statics = bootstrap.static_resources.get_or_insert_default();
        let Pki { chain_pem, key_pem, roots_pem, .. } = &self.pki;
        statics.secrets = agent::secrets(chain_pem.clone(), key_pem.clone(), roots_pem.clone()).into();
        if let Some((shape, places, manner)) = file {
            bootstrap.dynamic_resources = None;
            statics.listeners = vec![world::inlined(shape, places.listen, manner)];
            statics.clusters = world::clusters(shape, places.origin);
        }
        bootstrap
    }
}

fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| format!("runtime: {error}"))
}

fn free_address() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind(loopback(0)).map_err(|error| format!("no free port: {error}"))?;
    listener.local_addr().map_err(|error| error.to_string())
}
