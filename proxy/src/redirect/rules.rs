//! The rules of one family, in table `nat`, with the chains and the order that Istio's sidecars have:
//! `istio-iptables` of Istio.

use super::wanted::{Capture, Redirect};

/// What comes in.
const INBOUND: &str = "ISTIO_INBOUND";
/// What comes in, to the proxy.
const IN_REDIRECT: &str = "ISTIO_IN_REDIRECT";
/// What goes out.
const OUTPUT: &str = "ISTIO_OUTPUT";
/// What goes out, to the proxy.
const REDIRECT: &str = "ISTIO_REDIRECT";

/// All of them.
pub(super) const CHAINS: [&str; 4] = [INBOUND, IN_REDIRECT, OUTPUT, REDIRECT];

/// Metrics, health, and the agent: asked for by those who watch the proxy, not the workload.
const PORTS_OF_THE_PROXY: [u16; 3] = [15090, 15021, 15020];

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// `iptables`.
    V4,
    /// `ip6tables`.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The command of this family; `-save` and `-restore` are added to it.
    pub fn command(self) -> &'static str {
        match self {
            Self::V4 => "iptables",
            Self::V6 => "ip6tables",
        }
    }

    fn loopback(self) -> &'static str {
        match self {
            Self::V4 => "127.0.0.1/32",
            Self::V6 => "::1/128",
        }
    }

    /// Where the proxy calls its own workload from: such a connection has been through it.
    fn inbound_source(self) -> &'static str {
        match self {
            Self::V4 => "127.0.0.6/32",
            Self::V6 => "::6/128",
        }
    }
}

/// The rules that lead from the chains of the kernel into ours.
pub(super) fn jumps(wanted: &Redirect) -> Vec<String> {
    let mut jumps = Vec::new();
    if wanted.inbound_ports != Capture::Only(Vec::new()) {
        jumps.push(format!("-A PREROUTING -p tcp -j {INBOUND}"));
    }
    jumps.push(format!("-A OUTPUT -p tcp -j {OUTPUT}"));
    jumps
}

/// The rules in our chains.
pub(super) fn rules(wanted: &Redirect, family: Family) -> Vec<String> {
    let mut rules = inbound(wanted);
    rules.push(format!("-A {IN_REDIRECT} -p tcp -j REDIRECT --to-ports {}", wanted.inbound_port));
    rules.extend(outbound(wanted, family).into_iter().map(|rule| format!("-A {OUTPUT} {rule}")));
    rules.push(format!("-A {REDIRECT} -p tcp -j REDIRECT --to-ports {}", wanted.outbound_port));
    rules
}

fn inbound(wanted: &Redirect) -> Vec<String> {
    let to = |port: u16, target: &str| format!("-A {INBOUND} -p tcp -m tcp --dport {port} -j {target}");
    let mut rules = vec![to(wanted.tunnel_port, "RETURN")];
    match &wanted.inbound_ports {
        Capture::All => {
            let left_alone = PORTS_OF_THE_PROXY.iter().chain(&wanted.inbound_ports_except);
            rules.extend(left_alone.map(|port| to(*port, "RETURN")));
            rules.push(format!("-A {INBOUND} -p tcp -j {IN_REDIRECT}"));
        }
        Capture::Only(ports) => rules.extend(ports.iter().map(|port| to(*port, IN_REDIRECT))),
    }
    rules
}

fn outbound(wanted: &Redirect, family: Family) -> Vec<String> {
    let is_ours = |network: &&super::Network| network.is_ipv4() == (family == Family::V4);
    let loopback = family.loopback();
    let mut rules: Vec<String> =
        wanted.outbound_ports_except.iter().map(|port| format!("-p tcp -m tcp --dport {port} -j RETURN")).collect();
    rules.push(format!("-s {} -o lo -j RETURN", family.inbound_source()));
    let owners =
        wanted.proxy_uids.iter().map(|uid| ("uid", uid)).chain(wanted.proxy_gids.iter().map(|gid| ("gid", gid)));
    for (kind, owner) in owners {
        // The proxy calls a Service that leads back to its own workload: in by the front door.
        rules.push(format!(
            "! -d {loopback} -o lo -p tcp -m tcp ! --dport {} -m owner --{kind}-owner {owner} -j {IN_REDIRECT}",
            wanted.tunnel_port
        ));
        // The workload calls itself.
        rules.push(format!("-o lo -m owner ! --{kind}-owner {owner} -j RETURN"));
        // What the proxy sends is not captured again.
        rules.push(format!("-m owner --{kind}-owner {owner} -j RETURN"));
    }
    rules.push(format!("-d {loopback} -j RETURN"));
    let except = wanted.outbound_networks_except.iter().filter(is_ours);
    rules.extend(except.map(|network| format!("-d {network} -j RETURN")));
    let ports = wanted.outbound_ports.iter();
    rules.extend(ports.map(|port| format!("-p tcp -m tcp --dport {port} -j {REDIRECT}")));
    match &wanted.outbound_networks {
        Capture::All => rules.push(format!("-j {REDIRECT}")),
        Capture::Only(networks) => {
            rules.extend(networks.iter().filter(is_ours).map(|network| format!("-d {network} -j {REDIRECT}")));
        }
    }
    rules
}
