//! The programs that a live run starts.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::outcome::RunError;
use super::LiveOptions;

/// Where the programs are, and how they are started.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    /// The command, which apps are.
    pub(super) wavetank: PathBuf,
    pub(super) control: PathBuf,
    pub(super) proxy: PathBuf,
    /// Envoy, where it is the proxy.
    pub(super) envoy: Option<PathBuf>,
}

impl Tools {
    /// Finds the programs beside this one, and those of the system.
    ///
    /// Errs with what is missing.
    pub(super) fn find(options: &LiveOptions) -> Result<Self, RunError> {
        let own = env::current_exe().map_err(|error| missing(&format!("this program's own file: {error}")))?;
        let folder = own.parent().unwrap_or(Path::new("."));
        let beside = |name: &str| {
            let path = folder.join(name);
            if path.is_file() { Ok(path) } else { Err(missing(&format!("{} is not there", path.display()))) }
        };
        for (program, package) in [("ip", "iproute2"), ("iptables", "iptables"), ("setpriv", "util-linux")] {
            let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            let is_there = !matches!(&found, Err(error) if error.kind() == io::ErrorKind::NotFound);
            if !is_there {
                return Err(missing(&format!("`{program}` is not installed (package {package})")));
            }
        }
        if let Some(envoy) = &options.envoy {
            let found = Command::new(envoy).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !found.is_ok_and(|status| status.success()) {
                return Err(missing(&format!("`{}` is no Envoy that runs here; --envoy names one", envoy.display())));
            }
        }
        Ok(Self {
            control: beside("wavetank-control")?,
            proxy: beside("wavetank-proxy")?,
            envoy: options.envoy.clone(),
            wavetank: beside("wavetank")?,
        })
    }
}

fn missing(what: &str) -> RunError {
    RunError::Scenario(format!("a live run cannot start: {what}"))
}
