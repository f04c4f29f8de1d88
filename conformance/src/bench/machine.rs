//! Where a race was run: processor, cores, kernel, and the version of each program in it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// What a reader must know to compare figures.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Model of the processor.
    pub processor: String,
    /// Cores online.
    pub cores: usize,
    /// Kernel release.
    pub kernel: String,
    /// Memory in MB.
    pub memory_mb: u64,
    /// UTC, to the second.
    pub date: String,
    /// Load average before the race: what else was running.
    pub load_before: String,
    /// Programs by name, with what they say of their version.
    pub versions: Vec<(String, String)>,
}

impl Machine {
    /// This machine, now, with the programs at these paths.
    pub fn look(programs: &[(&str, &Path)]) -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let field = |name: &str| cpuinfo.lines().find(|line| line.starts_with(name))?.split(':').nth(1);
        let memory = read("/proc/meminfo").split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok());
        let versions = programs.iter().map(|(name, path)| ((*name).to_owned(), version(name, path))).collect();
        Self {
            processor: field("model name").unwrap_or("unknown").trim().to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory_mb: memory.unwrap_or_default() / 1024,
            date: said("date", &["-u", "+%Y-%m-%d %H:%M:%S UTC"]),
            load_before: read("/proc/loadavg").trim().to_owned(),
            versions,
        }
    }

    /// One line.
    pub fn line(&self) -> String {
        let versions: Vec<String> = self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        format!(
            "{}; {} ({} cores, {} MB), Linux {}; load before: {}; {}",
            self.date,
            self.processor,
            self.cores,
            self.memory_mb,
            self.kernel,
            self.load_before,
            versions.join(", ")
        )
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

fn version(name: &str, path: &Path) -> String {
    let flag = if name == "nginx" || name == "haproxy" { "-v" } else { "--version" };
    let Ok(output) = Command::new(path).arg(flag).output() else { return "absent".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("unknown");
    let number = |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
    // Envoy names its path first.
    let line = line.rsplit_once("version: ").map_or(line, |(_, version)| version);
    let word = line.split([' ', '/']).find(number).unwrap_or(line);
    word.to_owned()
}
