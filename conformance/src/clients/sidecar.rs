//! The proxy as a process: ours, configured over xDS, or an Envoy with the same resources.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use wavetank_platform::Platform;

use super::mesh::Mesh;
use super::program::Running;
use crate::envoy::Envoy;
use crate::http1;
use crate::live::{free_port, loopback, within};
use crate::script::{Server, Stream};

/// A running proxy. It ends when this handle is dropped.
#[derive(Debug)]
pub enum Sidecar {
    /// Ours.
    Ours(Box<Ours>),
    /// Envoy.
    Envoy(Envoy),
}

/// Our proxy, and the xDS stream by which it lives.
#[derive(Debug)]
pub struct Ours {
    running: Running,
    _stream: Stream,
    _server: Server,
}

impl Sidecar {
    /// Starts our proxy and waits until it listens at `at`; `launch` comes before the program's name, to run it as
    /// someone else.
    ///
    /// # Panics
    /// When it does not start, or refuses its configuration.
    pub async fn ours(
        platform: &Platform,
        program: &Path,
        launch: &[&str],
        mesh: &Mesh,
        at: SocketAddr,
        more: &[&str],
    ) -> Self {
        let mut server = Server::start(platform).await;
        let (xds, admin) = (server.address().to_string(), loopback(free_port(platform).await).to_string());
        let program = program.display().to_string();
        let mut words = launch.to_vec();
        words.extend([program.as_str(), "--node", "sidecar~127.0.0.1~clients.a~a.svc.cluster.local", "--xds", &xds]);
        words.extend(["--admin", &admin, "--agent", "off", "--health", "off", "--stats", "off", "--log", "warn"]);
        words.extend(more);
        let mut command = Command::new(words[0]);
        let running = Running(command.args(&words[1..]).stdin(Stdio::null()).spawn().expect("the proxy runs"));
        let mut stream = server.stream().await;
        for refused in within(platform, "the configuration", stream.replay(&mesh.pages())).await {
            assert_eq!(refused, None);
        }
        http1::listens(platform, at).await;
        Self::Ours(Box::new(Ours { running, _stream: stream, _server: server }))
    }

    /// Starts an Envoy and waits until it listens at `at`.
    ///
    /// # Panics
    /// When it does not.
    pub async fn envoy(platform: &Platform, binary: &OsString, mesh: &Mesh, at: SocketAddr) -> Self {
        let bootstrap = mesh.bootstrap(loopback(free_port(platform).await));
        if let Err(said) = crate::envoy::validate(binary, &bootstrap) {
            panic!("Envoy refuses the configuration: {said}");
        }
        let envoy = Envoy::start(binary, &bootstrap);
        http1::listens(platform, at).await;
        Self::Envoy(envoy)
    }

    /// Who it is.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ours(_) => "ours",
            Self::Envoy(_) => "Envoy",
        }
    }

    /// What our process holds, and has held at most, in KiB; `None` of Envoy's.
    ///
    /// # Panics
    /// When it has ended.
    pub fn memory(&self) -> Option<(u64, u64)> {
        let Self::Ours(ours) = self else { return None };
        let status = fs::read_to_string(format!("/proc/{}/status", ours.running.0.id())).expect("it runs");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).expect("a field of the kernel's")
        };
        Some((field("VmRSS:"), field("VmHWM:")))
    }
}
