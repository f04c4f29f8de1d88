//! Virtual host choice, by tables and against a naive reading of Envoy.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn config(hosts: &[&[&str]]) -> RouteConfig {
    let host = |(at, domains): (usize, &&[&str])| Arc::new(VirtualHost::new(at.to_string(), domains, Vec::new()));
    let hosts = hosts.iter().enumerate().map(host);
    RouteConfig::new("r", hosts.collect()).unwrap()
}

fn chosen(config: &RouteConfig, authority: &str) -> Option<String> {
    select_virtual_host(config, authority).map(|host| host.name.to_string())
}

#[test]
fn exact_then_longest_suffix_then_longest_prefix_then_any() {
    let config = config(&[&["*"], &["*.test"], &["*.b.test", "*-b.test"], &["www.*"], &["www.b.*"], &["a.b.test"]]);
    for (authority, wanted) in [
        ("a.b.test", "5"),
        ("x.b.test", "2"),
        ("x-b.test", "2"),
        ("b.test", "1"),
        ("www.b.test", "2"),
        ("www.b.org", "4"),
        ("www.org", "3"),
        ("org", "0"),
        ("", "0"),
    ] {
        assert_eq!(chosen(&config, authority).as_deref(), Some(wanted), "{authority}");
    }
}

#[test]
fn case_does_not_count_and_the_port_does() {
    let mut config = config(&[&["A.test"]]);
    assert_eq!(chosen(&config, "a.TEST").as_deref(), Some("0"));
    assert_eq!(chosen(&config, "a.test:8080"), None);
    config.ignore_port_in_host_matching = true;
    assert_eq!(chosen(&config, "a.test:8080").as_deref(), Some("0"));
}

#[test]
fn a_wildcard_stands_for_at_least_one_character() {
    let config = config(&[&["*.a.test"], &["b.*"]]);
    assert_eq!(chosen(&config, ".a.test"), None);
    assert_eq!(chosen(&config, "b."), None);
}

#[test]
fn a_domain_claimed_twice_is_refused() {
    let host = |name: &str, domains: &[&str]| Arc::new(VirtualHost::new(name, domains, Vec::new()));
    let hosts = vec![host("x", &["a"]), host("y", &["b", "A"])];
    assert_eq!(RouteConfig::new("r", hosts).err().as_deref(), Some("a"));
}

#[test]
fn ports_are_told_from_addresses() {
    for (authority, host) in [
        ("a:80", "a"),
        ("a", "a"),
        ("a:", "a:"),
        ("a:b", "a:b"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("::1", "::1"),
    ] {
        assert_eq!(without_port(authority), host);
    }
}

/// How well a domain serves an authority; greater is better.
fn naive(domain: &str, authority: &str) -> Option<(u8, usize)> {
    if domain == "*" {
        return Some((0, 0));
    }
    match (domain.strip_prefix('*'), domain.strip_suffix('*')) {
        (Some(suffix), _) => {
            (authority.ends_with(suffix) && authority.len() > suffix.len()).then_some((2, suffix.len()))
        }
        (None, Some(prefix)) => {
            (authority.starts_with(prefix) && authority.len() > prefix.len()).then_some((1, prefix.len()))
        }
        (None, None) => (domain == authority).then_some((3, 0)),
    }
}

proptest! {
    #[test]
    fn the_index_finds_what_a_search_of_all_domains_finds(
        domains in prop::collection::btree_set("[*]?[ab.é]{1,3}|[ab.]{1,3}[*]", 0..12),
        authority in "[ab.é]{0,4}",
    ) {
        let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
        let config = config(&domains.iter().map(std::slice::from_ref).collect::<Vec<_>>());
        let best = domains.iter().enumerate().filter_map(|(at, domain)| Some((naive(domain, &authority)?, at))).max();
        prop_assert_eq!(chosen(&config, &authority), best.map(|(_, at)| at.to_string()));
    }
}
