//! What `wavetank-proxy redirect` would do, from what is wanted and what is there.

use wavetank_proxy::redirect::{Capture, Family, Redirect, install, remove};

const EMPTY: &str = "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n";

/// The table after `plan` has been put into [`EMPTY`], as `iptables-save` prints it.
fn saved_after(plan: &str) -> String {
    plan.replace("*nat\n", "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n")
}

#[test]
fn the_standard_rules_of_a_sidecar() {
    let [v4, v6] = Family::ALL.map(|family| install(&Redirect::default(), family, EMPTY).to_string());
    insta::assert_snapshot!(v4, @r"
    *nat
    :ISTIO_INBOUND - [0:0]
    :ISTIO_IN_REDIRECT - [0:0]
    :ISTIO_OUTPUT - [0:0]
    :ISTIO_REDIRECT - [0:0]
    -A ISTIO_INBOUND -p tcp -m tcp --dport 15008 -j RETURN
    -A ISTIO_INBOUND -p tcp -m tcp --dport 15090 -j RETURN
    -A ISTIO_INBOUND -p tcp -m tcp --dport 15021 -j RETURN
    -A ISTIO_INBOUND -p tcp -m tcp --dport 15020 -j RETURN
    -A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT
    -A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006
    -A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN
    -A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT
    -A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN
    -A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN
    -A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT
    -A ISTIO_OUTPUT -o lo -m owner ! --gid-owner 1337 -j RETURN
    -A ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN
    -A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN
    -A ISTIO_OUTPUT -j ISTIO_REDIRECT
    -A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001
    -A PREROUTING -p tcp -j ISTIO_INBOUND
    -A OUTPUT -p tcp -j ISTIO_OUTPUT
    COMMIT
    ");
    let as_v6 = v4.replace("127.0.0.1/32", "::1/128").replace("127.0.0.6/32", "::6/128");
    assert_eq!(v6, as_v6);
}

#[test]
fn what_is_left_out_and_what_is_picked() {
    let wanted = Redirect {
        proxy_gids: Vec::new(),
        outbound_networks: Capture::Only(["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap()).into()),
        outbound_networks_except: vec!["10.9.0.0/16".parse().unwrap()],
        outbound_ports: vec![9999],
        outbound_ports_except: vec![5432],
        inbound_ports: Capture::Only(vec![80, 8080]),
        ..Redirect::default()
    };
    insta::assert_snapshot!(install(&wanted, Family::V4, EMPTY).to_string(), @r"
    *nat
    :ISTIO_INBOUND - [0:0]
    :ISTIO_IN_REDIRECT - [0:0]
    :ISTIO_OUTPUT - [0:0]
    :ISTIO_REDIRECT - [0:0]
    -A ISTIO_INBOUND -p tcp -m tcp --dport 15008 -j RETURN
    -A ISTIO_INBOUND -p tcp -m tcp --dport 80 -j ISTIO_IN_REDIRECT
    -A ISTIO_INBOUND -p tcp -m tcp --dport 8080 -j ISTIO_IN_REDIRECT
    -A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006
    -A ISTIO_OUTPUT -p tcp -m tcp --dport 5432 -j RETURN
    -A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN
    -A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT
    -A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN
    -A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN
    -A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN
    -A ISTIO_OUTPUT -d 10.9.0.0/16 -j RETURN
    -A ISTIO_OUTPUT -p tcp -m tcp --dport 9999 -j ISTIO_REDIRECT
    -A ISTIO_OUTPUT -d 10.0.0.0/8 -j ISTIO_REDIRECT
    -A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001
    -A PREROUTING -p tcp -j ISTIO_INBOUND
    -A OUTPUT -p tcp -j ISTIO_OUTPUT
    COMMIT
    ");
    let v6 = install(&wanted, Family::V6, EMPTY).to_string();
    assert!(v6.contains("-d fd00::/8 -j ISTIO_REDIRECT") && !v6.contains("10."), "{v6}");
}

#[test]
fn no_inbound_port_means_no_way_in() {
    let wanted = Redirect { inbound_ports: Capture::Only(Vec::new()), ..Redirect::default() };
    let plan = install(&wanted, Family::V4, EMPTY).to_string();
    assert!(!plan.contains("-A PREROUTING"), "{plan}");
}

#[test]
fn a_second_install_keeps_its_jumps_and_a_changed_one_takes_the_old_away() {
    let first = install(&Redirect::default(), Family::V4, EMPTY).to_string();
    let second = install(&Redirect::default(), Family::V4, &saved_after(&first)).to_string();
    let without_jumps: String = first
        .lines()
        .filter(|line| !line.starts_with("-A PRE") && !line.starts_with("-A OUTPUT"))
        .fold(String::new(), |text, line| text + line + "\n");
    assert_eq!(second, without_jumps);
    let doubled = saved_after(&first) + "*nat\n-A PREROUTING -p tcp -j ISTIO_INBOUND\n";
    let healed = install(&Redirect::default(), Family::V4, &doubled).to_string();
    assert!(healed.contains("-D PREROUTING -p tcp -j ISTIO_INBOUND"), "{healed}");
    let no_inbound = Redirect { inbound_ports: Capture::Only(Vec::new()), ..Redirect::default() };
    let changed = install(&no_inbound, Family::V4, &saved_after(&first)).to_string();
    assert!(changed.contains("-D PREROUTING -p tcp -j ISTIO_INBOUND"), "{changed}");
}

#[test]
fn removal_takes_what_is_ours_and_nothing_else() {
    assert_eq!(remove(EMPTY), None);
    let others = "-A OUTPUT -p tcp -j KUBE_SERVICES\n";
    let first = install(&Redirect::default(), Family::V4, EMPTY).to_string();
    let saved = saved_after(&first).replace("COMMIT\n", &format!("{others}COMMIT\n"));
    insta::assert_snapshot!(remove(&saved).expect("something is there").to_string(), @r"
    *nat
    -D PREROUTING -p tcp -j ISTIO_INBOUND
    -D OUTPUT -p tcp -j ISTIO_OUTPUT
    -F ISTIO_INBOUND
    -F ISTIO_IN_REDIRECT
    -F ISTIO_OUTPUT
    -F ISTIO_REDIRECT
    -X ISTIO_INBOUND
    -X ISTIO_IN_REDIRECT
    -X ISTIO_OUTPUT
    -X ISTIO_REDIRECT
    COMMIT
    ");
    let other_table = "*mangle\n:ISTIO_INBOUND - [0:0]\nCOMMIT\n";
    assert_eq!(remove(other_table), None);
}
