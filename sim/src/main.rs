//! The `wavetank` command.

use std::process::ExitCode;

use wavetank::{cli, target};

/// A run keeps every record; with it a run takes a tenth less time than with the system's allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let platform = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .and_then(|runtime| runtime.block_on(async { wavetank_platform::linux::platform() }));
    match platform {
        Ok(platform) => ExitCode::from(cli::main(std::env::args_os(), &platform, target::tank::run_on)),
        Err(error) => {
            eprintln!("wavetank: cannot start: {error}");
            ExitCode::from(cli::INTERNAL)
        }
    }
}
