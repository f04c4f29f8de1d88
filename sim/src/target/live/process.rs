//! Processes in the network of a live run. They end with the run, also when it is killed.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::network::Host;

/// User and group of proxies, whose own connections are not captured.
pub(super) const PROXY_USER: u32 = 1337;

/// A running process; it is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

/// How a process is started.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub(super) program: &'a Path,
    pub(super) args: Vec<String>,
    /// Whether it runs as the user of proxies; root otherwise.
    pub(super) as_proxy: bool,
    /// Where its standard error goes, and its standard output unless that is read.
    pub(super) log: &'a Path,
    /// Whether we write its standard input and read its standard output.
    pub(super) spoken_with: bool,
}

impl Process {
    /// Starts a process in `host`'s namespace, where it finds the cluster's name server.
    ///
    /// Errs when the program or the tools that put it there are missing.
    pub(super) fn start(host: &Host, start: &Start<'_>) -> io::Result<Self> {
        let failed = |error: io::Error| io::Error::other(format!("{}: {error}", start.program.display()));
        let log = File::options().create(true).append(true).open(start.log).map_err(failed)?;
        let mut command = Command::new("ip");
        // Should this process be killed, its children are as well.
        command.args(["netns", "exec", &host.name, "setpriv", "--pdeathsig", "KILL"]);
        if start.as_proxy {
            let user = PROXY_USER.to_string();
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        }
        // It may have been killed before it was asked to be: then a process has another parent.
        let launcher = std::process::id().to_string();
        command.args(["--", "sh", "-c", r#"[ "$PPID" = "$0" ] && exec "$@""#, &launcher]);
        command.arg(start.program).args(&start.args).stderr(log.try_clone()?);
        if start.spoken_with {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
        } else {
            command.stdin(Stdio::null()).stdout(log);
        }
        Ok(Self { child: command.spawn().map_err(failed)? })
    }

    /// Its standard output, once.
    pub(super) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Writes a line to its standard input. One that is gone does not read it.
    pub(super) fn tell(&mut self, line: &str) {
        if let Some(stdin) = &mut self.child.stdin {
            let _ = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
        }
    }

    /// Asks it to end, by SIGTERM. One that has ended does not hear it.
    ///
    /// Errs when there is no shell.
    pub(super) fn ask_to_end(&self) -> io::Result<()> {
        let pid = self.child.id().to_string();
        Command::new("sh").args(["-c", r#"kill -TERM "$0""#, &pid]).status().map(|_| ())
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL; it is gone by the time it was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
