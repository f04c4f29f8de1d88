//! The `wavetank` command.

use std::process::ExitCode;

use wavetank::{cli, target};

fn main() -> ExitCode {
    cli::interrupt::watch();
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
