//! Which VirtualService speaks for a host in a sidecar.

use wavetank_control::Dialect;
use wavetank_control::generate::{ProxyKind, generate};

use crate::mesh::{configuration, host, hosts, mesh, proxy, service, sidecar, virtual_service, ways};

const GO: &str = "go.default.svc.cluster.local:80";

fn go() -> String {
    service("go", "10.96.0.1", "[{name: http, port: 80}]")
}

fn to(subset: &str) -> String {
    format!("http: [{{route: [{{destination: {{host: go, subset: {subset}}}}}]}}]")
}

#[test]
fn the_older_virtual_service_of_a_host_counts() {
    for dialect in Dialect::ALL {
        let older = virtual_service("z", &format!("{{hosts: [go], {}}}", to("older")));
        let younger = virtual_service("a", &format!("{{hosts: [go], {}}}", to("younger")));
        let resources = sidecar(dialect, &[go(), older, younger]);
        assert_eq!(ways(host(&resources, "80", GO)), ["80|older|go"], "{dialect}");
    }
}

#[test]
fn a_younger_virtual_service_counts_where_the_older_has_no_route_for_the_proxy() {
    for dialect in Dialect::ALL {
        let other = "http: [{match: [{sourceLabels: {app: other}}], route: [{destination: {host: go}}]}]";
        let older = virtual_service("older", &format!("{{hosts: [go], {other}}}"));
        let younger = virtual_service("younger", &format!("{{hosts: [go], {}}}", to("younger")));
        let resources = sidecar(dialect, &[go(), older, younger]);
        assert_eq!(ways(host(&resources, "80", GO)), ["80|younger|go"], "{dialect}");
    }
}

#[test]
fn a_full_name_goes_before_a_longer_wildcard_and_that_before_a_shorter() {
    let short = virtual_service("short", &format!("{{hosts: ['*.local'], {}}}", to("short")));
    let long = virtual_service("long", &format!("{{hosts: ['*.svc.cluster.local'], {}}}", to("long")));
    let full = virtual_service("full", &format!("{{hosts: [go], {}}}", to("full")));
    let all = [go(), short, long, full];
    assert_eq!(ways(host(&sidecar(Dialect::V1, &all), "80", GO)), ["80|full|go"]);
    assert_eq!(ways(host(&sidecar(Dialect::V1, &all[..3]), "80", GO)), ["80|long|go"]);
    assert_eq!(ways(host(&sidecar(Dialect::V1, &all[..2]), "80", GO)), ["80|short|go"]);
}

#[test]
fn gateways_of_a_match_bind_nothing_to_the_mesh() {
    for dialect in Dialect::ALL {
        let spec = "{hosts: [go], gateways: [edge], http: [{match: [{gateways: [mesh]}], route: [{destination: {host: go, subset: a}}]}]}";
        let resources = sidecar(dialect, &[go(), virtual_service("go", spec)]);
        assert_eq!(ways(host(&resources, "80", GO)), ["80||go"], "{dialect}");
    }
}

/// A host that no service of the port has is served on port 80, and beside a service of its VirtualService on that
/// one's port.
#[test]
fn a_host_of_no_service_is_served_on_port_80_or_beside_a_service() {
    let other = service("other", "10.96.0.2", "[{name: http, port: 8080}]");
    for dialect in Dialect::ALL {
        let foreign = virtual_service("foreign", &format!("{{hosts: [a.test], {}}}", to("a")));
        let resources = sidecar(dialect, &[go(), other.clone(), foreign]);
        assert!(hosts(&resources, "80").contains(&"a.test:80"));
        assert!(!hosts(&resources, "8080").contains(&"a.test:8080"));
        let beside = virtual_service("beside", &format!("{{hosts: [a.test, other], {}}}", to("a")));
        let resources = sidecar(dialect, &[go(), other.clone(), beside]);
        assert!(hosts(&resources, "8080").contains(&"a.test:8080"));
        assert!(hosts(&resources, "80").contains(&"a.test:80"));
        // It has no port 80, so there it is a host like any.
        assert!(hosts(&resources, "80").contains(&"other.default.svc.cluster.local:80"));
    }
}

#[test]
fn a_host_is_claimed_before_the_short_name_of_a_service() {
    for dialect in Dialect::ALL {
        let dotted = virtual_service("dotted", &format!("{{hosts: [go.default], {}}}", to("dotted")));
        let resources = sidecar(dialect, &[go(), dotted]);
        assert!(host(&resources, "80", "go.default:80").domains.contains(&"go.default".to_owned()));
        assert!(!host(&resources, "80", GO).domains.contains(&"go.default".to_owned()));
    }
}

#[test]
fn what_is_exported_to_fewer_counts_before_what_is_exported_to_all() {
    let spec = |subset: &str, to_whom: &str| {
        format!(
            "{{hosts: [go.default.svc.cluster.local], exportTo: [{to_whom}], \
             http: [{{route: [{{destination: {{host: go.default.svc.cluster.local, subset: {subset}}}}}]}}]}}"
        )
    };
    let texts = [
        go(),
        virtual_service("third/public", &spec("public", "'*'")),
        virtual_service("third/exported", &spec("exported", "default")),
        virtual_service("default/private", &spec("private", "'.'")),
    ];
    let mesh = |count: usize| mesh(Dialect::V1, &texts[..count]);
    let way = |count, namespace| {
        let resources = generate(&mesh(count), &proxy(ProxyKind::Sidecar, namespace, "10.0.0.1"));
        ways(host(&resources, "80", GO)).remove(0)
    };
    assert_eq!(way(4, "default"), "80|private|go");
    assert_eq!(way(3, "default"), "80|exported|go");
    assert_eq!(way(4, "elsewhere"), "80|public|go");
}

/// A port of unknown protocol has a listener of its own, whose one virtual host takes any authority; its host is also
/// known on the number's HTTP listener.
#[test]
fn a_sniffed_port_takes_any_authority() {
    let sniffed = service("raw", "10.96.0.3", "[{port: 80}]");
    let resources = sidecar(Dialect::V1, &[go(), sniffed]);
    let own = configuration(&resources, "raw.default.svc.cluster.local:80");
    assert_eq!(own.virtual_hosts.len(), 1);
    assert_eq!(own.virtual_hosts[0].domains, ["*"]);
    assert!(hosts(&resources, "80").contains(&"raw.default.svc.cluster.local:80"));
}
