//! Programs of the field, run to their ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wavetank_platform::Platform;

use crate::bench::measure;

/// Bound on a program's run.
const RUN_MAX: Duration = Duration::from_secs(300);

/// What a program has said.
#[derive(Debug, Clone)]
pub struct Said {
    /// On standard output.
    pub out: String,
    /// On standard error.
    pub err: String,
    /// Whether it ended well.
    pub success: bool,
}

/// Runs a program to its end, while this runtime runs on.
///
/// # Panics
/// When it cannot be run, or does not end.
pub async fn run(platform: &Platform, mut command: Command) -> Said {
    let what = format!("{command:?}");
    let (told, telling) = tokio::sync::oneshot::channel();
    command.stdin(Stdio::null());
    std::thread::spawn(move || {
        // Nobody waits any more when the test is over.
        let _over = told.send(command.output());
    });
    let output = platform.clock.timeout(RUN_MAX, telling).await.unwrap_or_else(|_| panic!("{what} does not end"));
    let output = output.expect("the thread tells").unwrap_or_else(|error| panic!("{what}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { out: text(output.stdout), err: text(output.stderr), success: output.status.success() }
}

/// A process that ends when this is dropped.
#[derive(Debug)]
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Whether a program is there; else a line that says that its test is skipped.
pub fn is_installed(program: &str) -> bool {
    let found = measure::is_installed(program);
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// The Python that `WAVETANK_PYTHON` names, else the system's; `None`, and a line that says so, where that has not
/// `module`.
///
/// # Panics
/// When the one that is named has not.
pub fn python_with(module: &str) -> Option<PathBuf> {
    let named = std::env::var_os("WAVETANK_PYTHON").map(PathBuf::from);
    let python = named.clone().unwrap_or_else(|| "python3".into());
    let mut command = Command::new(&python);
    command.args(["-c", &format!("import {module}")]).stderr(Stdio::null());
    if command.status().is_ok_and(|status| status.success()) {
        return Some(python);
    }
    assert_eq!(named, None, "WAVETANK_PYTHON has no {module}");
    println!("skipped: python3 has no {module}; WAVETANK_PYTHON may name one that has");
    None
}

/// A binary of this workspace, beside the one of this crate; `None`, and a line that says so, where it is not built.
pub fn beside(own: &str, name: &str) -> Option<PathBuf> {
    let path = Path::new(own).with_file_name(name);
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: {name} is not built");
    None
}
