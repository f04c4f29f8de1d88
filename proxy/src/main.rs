//! `wavetank-proxy`: one proxy as a process of its own, and the rules that lead a workload's connections to it.
//! What it does is in [`command`].

mod command;

use std::process::ExitCode;

use clap::Parser;

use command::{Arguments, Command};

/// The smallest memory for each connection, and no slower than the system's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Some(Command::Redirect(redirect)) => command::redirect(redirect),
        None => command::serve(&arguments.serve),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wavetank-proxy: {error}");
            ExitCode::FAILURE
        }
    }
}
