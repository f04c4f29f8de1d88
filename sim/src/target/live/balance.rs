//! kube-proxy of a live run: an address and port of a Service lead to one of its endpoints, at random for each
//! connection; without any, connections are refused.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use super::network::{Host, run_within};

/// Endpoints by a Service's address and port.
pub(super) type Table = BTreeMap<(Ipv4Addr, u16), Vec<SocketAddr>>;

/// Makes the node's firewall ask the tables that follow.
///
/// Errs when the firewall refuses.
pub(super) fn prepare(node: &Host) -> io::Result<()> {
    let rules = "*nat\n:services - [0:0]\n-A PREROUTING -j services\n-A OUTPUT -j services\nCOMMIT\n\
                 *filter\n:no-endpoints - [0:0]\n-A FORWARD -j no-endpoints\nCOMMIT\n";
    run_within(node, "iptables-restore", &["--noflush", "--wait"], rules).map(|_| ())
}

/// Puts a table in force in the node.
///
/// Errs when the firewall refuses.
pub(super) fn put_in_force(node: &Host, table: &Table) -> io::Result<()> {
    run_within(node, "iptables-restore", &["--noflush", "--wait"], &rules(table)).map(|_| ())
}

fn rules(table: &Table) -> String {
    let (mut leads, mut refused) = (String::new(), String::new());
    for ((ip, port), endpoints) in table {
        for (at, endpoint) in endpoints.iter().enumerate() {
            let left = endpoints.len() - at;
            let chance = match left {
                1 => String::new(),
                _ => format!(" -m statistic --mode random --probability {:.10}", 1.0 / left as f64),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                leads,
                "-A services -d {ip} -p tcp --dport {port}{chance} -j DNAT --to-destination {endpoint}"
            );
        }
        if endpoints.is_empty() {
            let _ =
                writeln!(refused, "-A no-endpoints -d {ip} -p tcp --dport {port} -j REJECT --reject-with tcp-reset");
        }
    }
    // Naming a chain empties it.
    format!("*nat\n:services - [0:0]\n{leads}COMMIT\n*filter\n:no-endpoints - [0:0]\n{refused}COMMIT\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_has_its_equal_share_and_none_is_refused() {
        let ip = Ipv4Addr::new(10, 96, 0, 1);
        let endpoint = |last: u8| SocketAddr::new(Ipv4Addr::new(10, 244, 0, last).into(), 80);
        let table = Table::from([((ip, 80), vec![endpoint(1), endpoint(2)]), ((ip, 81), Vec::new())]);
        let rules = rules(&table);
        let lines: Vec<&str> = rules.lines().filter(|line| line.contains("--dport")).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].contains("--probability 0.5000000000 -j DNAT --to-destination 10.244.0.1:80"), "{rules}");
        assert!(lines[1].ends_with("--dport 80 -j DNAT --to-destination 10.244.0.2:80"), "{rules}");
        assert!(lines[2].starts_with("-A no-endpoints -d 10.96.0.1 -p tcp --dport 81"), "{rules}");
    }
}
