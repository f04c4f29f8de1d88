//! A proxy as a process on a core of its own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Failure, measure};

/// Core of the measured proxy.
pub const PROXY_CORE: usize = 0;
/// Core of the load and the program.
pub const LOAD_CORE: usize = 1;

/// Who races.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Envoy as it comes.
    Envoy,
    /// Envoy without what a benchmark can do without.
    Lean,
    /// nginx.
    Nginx,
    /// haproxy.
    Haproxy,
    /// Our proxy.
    Ours,
}

impl Kind {
    /// All, in the order in which they run in a round.
    pub const ALL: [Self; 5] = [Self::Envoy, Self::Ours, Self::Lean, Self::Nginx, Self::Haproxy];

    /// In tables, and as the node id over xDS.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Envoy => "envoy",
            Self::Lean => "envoy-lean",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Ours => "wavetank",
        }
    }

    /// Whether it is configured by xDS.
    pub const fn is_of_the_mesh(self) -> bool {
        matches!(self, Self::Envoy | Self::Lean | Self::Ours)
    }
}

/// What a proxy is run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Around {
    /// Nothing.
    Bare,
    /// Callgrind, which counts its instructions.
    Callgrind,
}

/// A running proxy. It ends when this handle is dropped.
#[derive(Debug)]
pub struct Rival {
    /// Who.
    pub kind: Kind,
    /// Where it listens.
    pub listen: SocketAddr,
    /// When it was started.
    pub started: Instant,
    child: Child,
    folder: PathBuf,
}

impl Rival {
    /// Starts `program` on its core; its output goes into `folder`.
    ///
    /// Errs when it cannot be started.
    pub fn start(
        kind: Kind,
        program: &Path,
        arguments: &[OsString],
        listen: SocketAddr,
        folder: &Path,
        around: Around,
    ) -> Result<Self, Failure> {
        let file = |name: &str| File::create(folder.join(name)).map_err(|error| format!("{name}: {error}"));
        let mut words: Vec<OsString> = Vec::new();
        if pinned() {
            words.extend(["taskset".into(), "-c".into(), PROXY_CORE.to_string().into()]);
        }
        if around != Around::Bare {
            words.extend(callgrind(folder));
        }
        words.push(program.into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command.args(arguments).stdin(Stdio::null()).stdout(file("stdout")?).stderr(file("stderr")?);
        let started = Instant::now();
        let child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(Self { kind, listen, started, child, folder: folder.to_owned() })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it has said on standard error.
    pub fn said(&self) -> String {
        let text = fs::read_to_string(self.folder.join("stderr")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end, waits for that, and returns what callgrind counted.
    ///
    /// Errs when it does not end within a minute, or nothing was counted.
    pub fn end_counted(mut self) -> Result<u64, Failure> {
        measure::terminate(self.pid());
        let bound = Instant::now() + Duration::from_secs(60);
        while !self.has_ended() {
            if Instant::now() > bound {
                return Err(format!("{} does not end", self.kind.name()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let counted = fs::read_to_string(self.folder.join(COUNTED)).map_err(|error| format!("{COUNTED}: {error}"))?;
        measure::instructions(&counted)
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// File of callgrind's output.
const COUNTED: &str = "callgrind.out";

fn callgrind(folder: &Path) -> Vec<OsString> {
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(folder.join(COUNTED));
    vec!["valgrind".into(), "--tool=callgrind".into(), "--quiet".into(), file]
}

/// Whether there are cores to separate a proxy and its load.
pub fn pinned() -> bool {
    measure::is_installed("taskset") && fs::read_dir("/sys/devices/system/cpu/cpu1").is_ok()
}

/// Puts this process, and every thread it starts from now on, on the core of the load.
///
/// Errs when that fails.
pub fn pin_load() -> Result<(), Failure> {
    if !pinned() {
        return Ok(());
    }
    let this = std::process::id().to_string();
    let output = Command::new("taskset").args(["-a", "-cp", &LOAD_CORE.to_string(), &this]).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("taskset: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("taskset: {error}")),
    }
}
