//! Links that are cut, by rules of the node's firewall; the rules count what they touch.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::network::{Host, run_within};

/// One direction: from, to; `None` is anyone.
pub(super) type Way = (Option<Ipv4Addr>, Option<Ipv4Addr>);

/// The links that are cut, by who asked for it.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Packets that were touched by what is over.
    over: Mutex<BTreeMap<String, u64>>,
}

impl Links {
    /// Drops all packets on these ways, until [`mend`](Self::mend) is called with this name.
    ///
    /// Errs when the firewall refuses.
    pub(super) fn cut(&self, node: &Host, name: &str, ways: &[Way]) -> io::Result<()> {
        let mut rules = format!("*filter\n:{name} - [0:0]\n");
        for (from, to) in ways {
            let end = |flag: &str, ip: &Option<Ipv4Addr>| ip.map(|ip| format!(" {flag} {ip}")).unwrap_or_default();
            rules += &format!("-A {name}{}{} -j DROP\n", end("-s", from), end("-d", to));
        }
        rules += &format!("-I FORWARD -j {name}\nCOMMIT\n");
        run_within(node, "iptables-restore", &["--noflush", "--wait"], &rules).map(|_| ())
    }

    /// Ends what was asked for under this name; does nothing when nothing was.
    ///
    /// Errs when the firewall refuses.
    pub(super) fn mend(&self, node: &Host, name: &str) -> io::Result<()> {
        let Ok(touched) = counted(node, name) else { return Ok(()) };
        *self.over().entry(name.to_owned()).or_default() += touched;
        let rules = format!("*filter\n-D FORWARD -j {name}\n-F {name}\n-X {name}\nCOMMIT\n");
        run_within(node, "iptables-restore", &["--noflush", "--wait"], &rules).map(|_| ())
    }

    /// Packets touched under this name so far.
    pub(super) fn touched(&self, node: &Host, name: &str) -> u64 {
        let over = self.over().get(name).copied().unwrap_or(0);
        over + counted(node, name).unwrap_or(0)
    }

    fn over(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The packets that the rules of a chain counted.
///
/// Errs when there is no such chain.
fn counted(node: &Host, chain: &str) -> io::Result<u64> {
    let listed = run_within(node, "iptables", &["-w", "-nvxL", chain], "")?;
    Ok(packets(&listed))
}

/// The sum of the first column of a listing with two lines of heading.
fn packets(listed: &str) -> u64 {
    let rows = listed.lines().skip(2);
    rows.filter_map(|row| row.split_whitespace().next()?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::packets;

    #[test]
    fn packets_are_the_first_column() {
        let listed = "Chain fault-1 (1 references)\n    pkts      bytes target     prot opt in     out     source               destination\n       3      180 DROP       all  --  *      *       10.244.0.3           10.244.0.4\n      12      720 DROP       all  --  *      *       10.244.0.4           10.244.0.3\n";
        assert_eq!(packets(listed), 15);
        assert_eq!(packets("Chain x (0 references)\n pkts bytes\n"), 0);
    }
}
