//! The network of a live run: a namespace for the node, with a bridge, and one for each pod and each caller outside.
//!
//! A pod's address is alone on its link, as with most of Kubernetes' networks: whatever it sends goes through the
//! node, which forwards it, gives Services their endpoints, and cuts what is to be cut. Nothing is changed outside of
//! the namespaces that are made here, and they are gone when the network is dropped.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wavetank_platform::linux::Namespace;

use super::super::side::Seat;
use crate::world::cast::{Cast, OUTSIDE};

/// The node's address: every pod's gateway and name server.
pub(super) const NODE: Ipv4Addr = Ipv4Addr::new(10, 244, 255, 254);
/// The range that Services have their addresses in.
const SERVICES: &str = "10.96.0.0/16";
/// What namespaces' names begin with; a process number follows.
const PREFIX: &str = "wavetank-";
/// Where `ip` keeps namespaces, and what processes in them find instead of files in /etc.
const NAMESPACES: &str = "/run/netns";
const OVERLAYS: &str = "/etc/netns";

/// A place in the network.
#[derive(Debug, Clone)]
pub(super) struct Host {
    /// The namespace's name.
    pub(super) name: String,
    pub(super) ip: Ipv4Addr,
    pub(super) namespace: Namespace,
    /// The Kubernetes namespace whose Services it knows by their short names.
    pub(super) kubernetes: String,
}

/// A network of its own.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) node: Host,
    hosts: BTreeMap<Seat, Host>,
}

impl Network {
    /// Makes the network of `cast`. What an earlier run left that has ended is taken away first.
    ///
    /// Errs when this is not root, and when `ip` is missing or refuses.
    pub(super) fn make(cast: &Cast) -> io::Result<Self> {
        clear_leftovers()?;
        let mut network = Self { node: host("node", NODE, "")?, hosts: BTreeMap::new() };
        let pods = cast.all_pods().enumerate().map(|(index, pod)| (Seat::Pod(index), pod.ip, pod.namespace.as_str()));
        let outside = cast.outside().enumerate().map(|(index, (_, ip))| (Seat::Outside(index), ip, OUTSIDE));
        for (number, (seat, ip, kubernetes)) in pods.chain(outside).enumerate() {
            network.hosts.insert(seat, host(&number.to_string(), ip, kubernetes)?);
        }
        network.connect()?;
        Ok(network)
    }

    /// A seat's place.
    ///
    /// # Panics
    /// When the seat is of another cast.
    pub(super) fn host(&self, seat: Seat) -> &Host {
        &self.hosts[&seat]
    }

    fn connect(&self) -> io::Result<()> {
        let mut node = format!(
            "link set lo up\nlink add br0 type bridge\naddr add {NODE}/32 dev br0\nlink set br0 up\n\
             route add {SERVICES} dev br0\n"
        );
        for (number, host) in self.hosts.values().enumerate() {
            // Writing to a String cannot fail.
            let _ = writeln!(node, "link add v{number} type veth peer name eth0 netns {}", host.name);
            let _ = writeln!(node, "link set v{number} master br0 up\nroute add {}/32 dev br0", host.ip);
        }
        batch(&self.node.name, &node)?;
        sysctl(&self.node, &[("ip_forward", "1"), ("conf/all/send_redirects", "0"), ("conf/br0/send_redirects", "0")])?;
        for host in self.hosts.values() {
            let ip = host.ip;
            let commands = format!(
                "link set lo up\naddr add {ip}/32 dev eth0\nlink set eth0 up\nroute add {NODE}/32 dev eth0\n\
                 route add default via {NODE} dev eth0 src {ip}\n"
            );
            batch(&host.name, &commands)?;
            // A gateway listens on port 80 and is not root.
            sysctl(host, &[("ip_unprivileged_port_start", "0")])?;
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in self.hosts.values().chain([&self.node]) {
            remove(&host.name);
        }
    }
}

/// Makes a namespace, and the files that processes in it find.
fn host(name: &str, ip: Ipv4Addr, kubernetes: &str) -> io::Result<Host> {
    let name = format!("{PREFIX}{}-{name}", std::process::id());
    run("ip", &["netns", "add", &name], "")?;
    let made = (|| {
        let overlay = Path::new(OVERLAYS).join(&name);
        fs::create_dir_all(&overlay)?;
        let search = format!("search {kubernetes}.svc.cluster.local svc.cluster.local cluster.local\n");
        let search = if kubernetes == OUTSIDE || kubernetes.is_empty() { "" } else { &search };
        let names = format!("nameserver {NODE}\n{search}options ndots:5 timeout:1 attempts:3\n");
        fs::write(overlay.join("resolv.conf"), names)?;
        Namespace::open(&Path::new(NAMESPACES).join(&name))
    })();
    match made {
        Ok(namespace) => Ok(Host { name, ip, namespace, kubernetes: kubernetes.to_owned() }),
        Err(error) => {
            remove(&name);
            Err(error)
        }
    }
}

/// Takes a namespace away, as far as it is there.
fn remove(name: &str) {
    let _ = Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status();
    let _ = fs::remove_dir_all(Path::new(OVERLAYS).join(name));
    // Not empty while another run is on.
    let _ = fs::remove_dir(OVERLAYS);
}

/// Takes away the namespaces of runs whose process is gone.
fn clear_leftovers() -> io::Result<()> {
    let mut names: Vec<String> = Vec::new();
    for folder in [NAMESPACES, OVERLAYS] {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            names.extend(entry?.file_name().into_string());
        }
    }
    names.sort();
    names.dedup();
    for name in names {
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).map(|(process, _)| process);
        if process.is_some_and(is_gone) {
            remove(&name);
        }
    }
    Ok(())
}

/// Whether a process of this number was, and is no more.
pub(super) fn is_gone(process: &str) -> bool {
    let is_number = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
    is_number && !PathBuf::from("/proc").join(process).exists()
}

/// Sets switches of a namespace's IPv4.
fn sysctl(host: &Host, switches: &[(&str, &str)]) -> io::Result<()> {
    host.namespace.within(|| {
        for (name, value) in switches {
            fs::write(format!("/proc/sys/net/ipv4/{name}"), value)?;
        }
        Ok(())
    })
}

fn batch(namespace: &str, commands: &str) -> io::Result<()> {
    run("ip", &["-n", namespace, "-batch", "-"], commands).map(|_| ())
}

/// Runs a command in the node's or a pod's namespace, and returns what it printed.
///
/// Errs with what it said when it failed.
pub(super) fn run_within(host: &Host, program: &str, args: &[&str], input: &str) -> io::Result<String> {
    let all: Vec<&str> = ["netns", "exec", &host.name, program].iter().chain(args).copied().collect();
    run("ip", &all, input)
}

fn run(program: &str, args: &[&str], input: &str) -> io::Result<String> {
    let failed = |why: &str| io::Error::other(format!("`{program} {}`: {why}", args.join(" ")));
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(&error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // It says itself why it did not read on.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
