//! What the kernel, strace and callgrind say of one process.
//!
//! CPU is on-CPU time of all its threads (`/proc/PID/task/*/schedstat`); memory is `RssAnon`, which leaves out
//! file pages that cost nobody anything, and `VmRSS` beside it.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Failure;

/// Nanoseconds on a CPU, of all living threads of `pid`.
///
/// Errs when the process is gone.
pub fn cpu_nanos(pid: u32) -> Result<u64, Failure> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| format!("process {pid}: {error}"))?;
    let of = |path: &Path| {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    // A thread may end between the listing and the look.
    Ok(tasks.flatten().filter_map(|task| of(&task.path())).sum())
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Anonymous pages.
    pub anonymous: u64,
    /// All resident pages.
    pub resident: u64,
}

/// Memory of `pid`.
///
/// Errs when the process is gone.
pub fn memory(pid: u32) -> Result<Memory, Failure> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| format!("process {pid}: {error}"))?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name}"))?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().map_err(|_| format!("{name}{line}"))?;
        Ok::<_, Failure>(kilobytes * 1024)
    };
    Ok(Memory { anonymous: field("RssAnon:")?, resident: field("VmRSS:")? })
}

/// System calls of `strace -c`'s table, without those of a process that ends.
///
/// Errs when the text is no such table.
pub fn syscalls(table: &str) -> Result<u64, Failure> {
    let total = table.lines().rev().find(|line| line.trim_end().ends_with(" total"));
    let fields: Vec<&str> = total.ok_or("strace wrote no table")?.split_whitespace().collect();
    fields.get(3).and_then(|calls| calls.parse().ok()).ok_or_else(|| format!("strace's total is {fields:?}"))
}

/// The calls that are made most, as `2.0 recvfrom`, by `requests`.
pub fn commonest(table: &str, requests: u64) -> String {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (calls, name) = (fields.get(3)?.parse::<u64>().ok()?, fields.last()?);
        (*name != "total").then(|| (calls, (*name).to_owned()))
    };
    let mut calls: Vec<(u64, String)> = table.lines().filter_map(line).collect();
    calls.sort_by(|a, b| b.cmp(a));
    let share = |calls: u64| calls as f64 / requests.max(1) as f64;
    let shown = calls.iter().filter(|(calls, _)| share(*calls) >= 0.05).take(6);
    shown.map(|(calls, name)| format!("{:.1} {name}", share(*calls))).collect::<Vec<_>>().join(", ")
}

/// Instructions that a callgrind output counts.
///
/// Errs when it names no total.
pub fn instructions(output: &str) -> Result<u64, Failure> {
    let total = output.lines().find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")));
    total.and_then(|total| total.trim().parse().ok()).ok_or_else(|| "callgrind wrote no total".to_owned())
}

/// Asks a process to end.
pub fn terminate(pid: u32) {
    // It may be gone already.
    let _sent = Command::new("kill").args(["-TERM", &pid.to_string()]).status();
}

/// Whether a program is there to be run.
pub fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
        || Path::new("/usr/sbin").join(program).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 50.00    0.010000           5      2000           epoll_wait
 30.00    0.006000           6      1000           recvfrom
 20.00    0.004000           4        20         2 futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.020000           6      3020         2 total
";

    #[test]
    fn reads_straces_table() {
        assert_eq!(syscalls(TABLE), Ok(3020));
        assert_eq!(commonest(TABLE, 1000), "2.0 epoll_wait, 1.0 recvfrom");
        assert!(syscalls("").is_err());
    }

    #[test]
    fn reads_callgrinds_total() {
        assert_eq!(instructions("events: Ir\nfn=main\n1 2\ntotals: 1234\n"), Ok(1234));
        assert!(instructions("events: Ir\n").is_err());
    }

    #[test]
    fn measures_this_process() {
        let pid = std::process::id();
        assert!(cpu_nanos(pid).unwrap() > 0);
        let memory = memory(pid).unwrap();
        assert!(memory.anonymous > 0 && memory.resident >= memory.anonymous);
    }
}
