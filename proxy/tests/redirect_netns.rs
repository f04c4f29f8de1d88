//! `wavetank-proxy redirect` in a network namespace of its own, with the kernel's netfilter: connections are led
//! both ways and their original destination is kept, a second install changes nothing, and removal leaves the
//! tables as they were.
//!
//! Needs root, iptables, iproute2 and setpriv. Where one is missing, or namespaces are not allowed, each test
//! says so and passes, unless `WAVETANK_NETNS` asks for it.

use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_wavetank-proxy");

/// A namespace of its own, with a neighbour that is reached through a pair of links.
const WORLD: &str = r#"
set -eu
ip link set lo up
unshare -n sleep 60 > /dev/null 2>&1 & neighbour=$!
trap 'kill $neighbour' EXIT
for _ in $(seq 100); do
    [ "$(readlink /proc/$neighbour/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break
    sleep 0.02
done
ip link add inside type veth peer name outside
ip link set outside netns $neighbour
ip addr add 10.77.0.1/24 dev inside
ip link set inside up
there() { nsenter -t $neighbour -n "$@"; }
there ip link set lo up
there ip addr add 10.77.0.2/24 dev outside
there ip link set outside up
tables() { iptables-save -t nat | grep -v '^#'; ip6tables-save -t nat | grep -v '^#'; }
"#;

/// Runs `script` there; `None`, with the reason told, where that cannot be.
fn in_a_namespace(script: &str) -> Option<String> {
    if let Err(reason) = possible() {
        assert!(std::env::var_os("WAVETANK_NETNS").is_none(), "WAVETANK_NETNS asks for it, but {reason}");
        eprintln!("skipped: {reason}");
        return None;
    }
    let script = format!("{WORLD}\n{script}");
    let output = run("unshare", &["-n", "bash", "-c", &script, BINARY]).expect("unshare runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    Some(said)
}

fn possible() -> Result<(), String> {
    for program in ["iptables-restore", "ip6tables-restore", "ip", "unshare", "nsenter", "setpriv", "python3"] {
        let found = run("sh", &["-c", &format!("command -v {program}")]);
        if !found.is_ok_and(|output| output.status.success()) {
            return Err(format!("{program} is not installed"));
        }
    }
    let tried = run("unshare", &["-n", "iptables-save", "-t", "nat"]).map_err(|error| error.to_string())?;
    if tried.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&tried.stderr).trim().to_owned()) }
}

/// Runs a program of the system's own: one in a user's folder could not be run as another user.
fn run(program: &str, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(program).args(arguments).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output()
}

#[test]
fn installing_twice_is_installing_once_and_removal_leaves_the_tables_as_before() {
    in_a_namespace(
        r#"
        iptables -t nat -A OUTPUT -p tcp -d 10.9.9.9 -j RETURN
        before=$(tables)
        "$0" redirect remove
        [ "$(tables)" = "$before" ] || { echo "removal of nothing changed something"; exit 1; }
        "$0" redirect install
        once=$(tables)
        "$0" redirect install
        [ "$(tables)" = "$once" ] || { echo "twice is not once"; tables; exit 1; }
        "$0" redirect install --include-inbound-ports 80 --exclude-outbound-ports 5432
        "$0" redirect install
        [ "$(tables)" = "$once" ] || { echo "the way back is another"; tables; exit 1; }
        "$0" redirect remove
        [ "$(tables)" = "$before" ] || { echo "something is left"; tables; exit 1; }
        "#,
    );
}

#[test]
fn what_is_shown_is_what_is_installed() {
    in_a_namespace(
        r#"
        "$0" redirect install --exclude-outbound-networks 10.9.0.0/16
        installed=$(tables)
        "$0" redirect remove
        "$0" redirect show --exclude-outbound-networks 10.9.0.0/16 | bash
        [ "$(tables)" = "$installed" ] || { echo "$installed"; tables; exit 1; }
        "#,
    );
}

/// A listener that says where each connection was meant to go, by `SO_ORIGINAL_DST`: what the kernel follows
/// connections in tells it also where that is the listener; the neighbour's does not.
const LISTENER: &str = r#"
import socket, struct, sys
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("0.0.0.0", int(sys.argv[1])))
server.listen()
print("up", flush=True)
while True:
    connection, _ = server.accept()
    try:
        destination = connection.getsockopt(socket.SOL_IP, 80, 16)
        port, ip = struct.unpack("!2xH4s8x", destination)
        said = f"{socket.inet_ntoa(ip)}:{port}"
    except OSError:
        said = "itself"
    connection.sendall(f"{sys.argv[2]} {said}\n".encode())
    connection.close()
"#;

/// Prints what whoever answers says.
const CALLER: &str = r#"
import socket, sys
try:
    print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).recv(100).decode().strip())
except OSError as error:
    print(type(error).__name__)
"#;

#[test]
fn connections_are_led_both_ways_and_keep_their_destination() {
    let script = format!(
        r#"
        listen() {{ setpriv --reuid $3 --regid $3 --clear-groups python3 -c '{LISTENER}' $1 $2 > /tmp/up.$$.$2 2>&1 & }}
        call() {{ setpriv --reuid $3 --regid $3 --clear-groups python3 -c '{CALLER}' $1 $2; }}
        trap 'kill $(jobs -p)' EXIT
        listen 15001 outbound 1337
        listen 15006 inbound 1337
        listen 8080 app 1000
        listen 15021 health 1337
        there python3 -c '{LISTENER}' 8080 neighbour > /tmp/up.$$.neighbour 2>&1 &
        for name in outbound inbound app health neighbour; do
            for _ in $(seq 250); do grep -q up /tmp/up.$$.$name 2>/dev/null && break; sleep 0.02; done
            rm /tmp/up.$$.$name
        done
        "$0" redirect install --exclude-outbound-ports 8080
        echo "excluded port: $(call 10.77.0.2 8080 1000)"
        "$0" redirect install
        echo "workload out: $(call 10.77.0.2 8080 1000)"
        echo "proxy out: $(call 10.77.0.2 8080 1337)"
        echo "in: $(there python3 -c '{CALLER}' 10.77.0.1 8080)"
        echo "health: $(there python3 -c '{CALLER}' 10.77.0.1 15021)"
        echo "workload to itself: $(call 10.77.0.1 8080 1000)"
        echo "proxy to its workload by Service: $(call 10.77.0.1 8080 1337)"
        echo "proxy to its workload: $(call 127.0.0.1 8080 1337)"
        "$0" redirect remove
        echo "removed: $(call 10.77.0.2 8080 1000)"
        "#
    );
    let Some(said) = in_a_namespace(&script) else { return };
    let expected = "\
excluded port: neighbour itself
workload out: outbound 10.77.0.2:8080
proxy out: neighbour itself
in: inbound 10.77.0.1:8080
health: health 10.77.0.1:15021
workload to itself: app 10.77.0.1:8080
proxy to its workload by Service: inbound 10.77.0.1:8080
proxy to its workload: app 127.0.0.1:8080
removed: neighbour itself
";
    assert_eq!(said, expected);
}
