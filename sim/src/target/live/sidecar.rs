//! A pod's proxy as a process of its own, and the capture of the pod's traffic.

use std::fs;
use std::io;
use std::os::unix::fs::chown;

use wavetank_platform::Platform;
use wavetank_proxy::bootstrap::KeyType;

use super::super::mesh::bootstrap;
use super::network::run_within;
use super::process::{PROXY_USER, Process, Start};
use super::tail::Records;
use super::world::World;
use crate::world::cast::{Pod, Role};

/// A pod's proxy. It may be started again; each process has records of its own.
#[derive(Debug, Default)]
pub(super) struct Sidecar {
    pub(super) process: Option<Process>,
    pub(super) records: Vec<Records>,
    captured: bool,
}

/// Starts the proxy of a pod.
///
/// Errs when it cannot be started.
pub(super) fn start(world: &World, index: usize) -> io::Result<()> {
    let pod = world.cast.pod(index);
    let folder = world.file(pod, "");
    fs::create_dir_all(&folder)?;
    let user: u32 = PROXY_USER.parse().map_err(io::Error::other)?;
    chown(&folder, Some(user), Some(user))?;
    if matches!(pod.role, Role::App { .. }) && !world.pod(index).sidecar.captured {
        run_within(world.host(index), "iptables-restore", &["--noflush", "--wait"], CAPTURE)?;
        world.pod(index).sidecar.captured = true;
    }
    start_own(world, index, pod)
}

/// Starts our own proxy.
fn start_own(world: &World, index: usize, pod: &Pod) -> io::Result<()> {
    let number = world.pod(index).sidecar.records.len();
    let records = world.file(pod, &format!("records-{number}.jsonl"));
    let file = world.file(pod, "bootstrap.json");
    let root = fs::read_to_string(world.folder.join("ca/root-cert.pem"))?;
    let told = bootstrap(pod, token(&world.door, pod), &root, KeyType::EcdsaP256);
    fs::write(&file, serde_json::to_vec_pretty(&told)?)?;
    let mut args = Vec::new();
    for (flag, value) in [("--bootstrap", &file), ("--records", &records)] {
        args.extend([flag.to_owned(), value.display().to_string()]);
    }
    let log = world.file(pod, "proxy.log");
    let start = Start { program: &world.tools.proxy, args, as_proxy: true, log: &log, spoken_with: false };
    let process = Process::start(world.host(index), &start)?;
    let mut own = world.pod(index);
    own.sidecar.records.push(Records::of(&records, world.epoch));
    own.sidecar.process = Some(process);
    Ok(())
}

/// The token of a pod's account.
pub(super) fn token(door: &Platform, pod: &Pod) -> String {
    let mut random = door.entropy.fork("tokens").stream_named(&format!("{}/{}", pod.namespace, pod.service_account));
    format!("{:016x}{:016x}", random.next_u64(), random.next_u64())
}

/// All that enters or leaves goes through the proxy, but for what the proxy itself sends.
const CAPTURE: &str = "*nat
-A PREROUTING -p tcp ! -d 127.0.0.1/32 -j REDIRECT --to-ports 15006
-A OUTPUT -m owner --uid-owner 1337 -j RETURN
-A OUTPUT -d 127.0.0.1/32 -j RETURN
-A OUTPUT -p tcp -j REDIRECT --to-ports 15001
COMMIT
";
