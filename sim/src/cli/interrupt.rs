//! An interrupt ends the command with its own exit code.

use std::io::{IsTerminal, Write};
use std::{io, process, thread};

use super::INTERRUPTED;
use super::surroundings::is_dumb;

/// From now on an interrupt (Ctrl-C) says so and ends the process with 130, whatever it is at. Where the
/// signal cannot be watched, the system's own way of ending stands.
pub fn watch() {
    let wait = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let interrupted = runtime.and_then(|runtime| runtime.block_on(tokio::signal::ctrl_c()));
        if interrupted.is_ok() {
            let mut err = io::stderr();
            let clear = if err.is_terminal() && !is_dumb() { "\r\x1b[2K" } else { "" };
            let _ = writeln!(err, "{clear}wavetank: interrupted; nothing was reported");
            process::exit(i32::from(INTERRUPTED));
        }
    };
    let _ = thread::Builder::new().name("interrupt".to_owned()).spawn(wait);
}
