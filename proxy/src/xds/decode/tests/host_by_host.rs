//! Reading only the virtual hosts that changed makes the same of a message as reading it all.

use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3::route::Action as ProtoAction;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost};
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatcher;
use proptest::prelude::*;

use super::super::{DecodeError, route_config, route_config_after};
use super::arbitrary::{delimited, protobuf};
use super::*;
use crate::snapshot::RouteConfig;

/// What a version says of a host; many say something wrong: a domain twice, none, a route without a match.
#[derive(Debug, Clone)]
struct Said {
    name: usize,
    domains: Vec<usize>,
    path: &'static str,
    attempts: bool,
}

const DOMAINS: [&str; 8] = ["a.test", "A.test", "b.test", "*.b.test", "c.*", "*", "", "a.*.test"];

fn said() -> impl Strategy<Value = Said> {
    // Bad domains are rare, or nothing would ever be accepted.
    let domain = prop_oneof![20 => 0..5_usize, 1 => 5..DOMAINS.len()];
    let domains = prop::collection::vec(domain, 0..3);
    let path = prop::sample::select(vec!["/", "/one", "regex", "(", ""]);
    (0..4_usize, domains, path, any::<bool>()).prop_map(|(name, domains, path, attempts)| Said {
        name,
        domains,
        path,
        attempts,
    })
}

/// A version: for the most part hosts with domains of their own, sometimes any.
fn version() -> impl Strategy<Value = Vec<Said>> {
    let good = (0..40_usize, any::<bool>(), prop::sample::select(vec!["/", "/one", "regex"]));
    let apart = prop::collection::vec(good, 0..8).prop_map(|mut hosts| {
        hosts.dedup_by_key(|(name, _, _)| *name);
        let host = |(name, attempts, path)| Said { name, domains: vec![100 + name], path, attempts };
        hosts.into_iter().map(host).collect()
    });
    prop_oneof![3 => apart, 1 => prop::collection::vec(said(), 0..5)]
}

fn host(said: &Said) -> VirtualHost {
    let path = match said.path {
        "" => None,
        "regex" | "(" => {
            Some(PathSpecifier::SafeRegex(RegexMatcher { regex: said.path.to_owned(), ..Default::default() }))
        }
        prefix => Some(PathSpecifier::Prefix(prefix.to_owned())),
    };
    let action =
        RouteAction { cluster_specifier: Some(ClusterSpecifier::Cluster("c".to_owned())), ..Default::default() };
    let route = Route {
        r#match: Some(RouteMatch { path_specifier: path, ..Default::default() }),
        action: Some(ProtoAction::Route(action)),
        ..Default::default()
    };
    let domain = |at: &usize| DOMAINS.get(*at).map_or_else(|| format!("host-{at}.test"), |domain| (*domain).to_owned());
    VirtualHost {
        name: format!("host-{}", said.name),
        domains: said.domains.iter().map(domain).collect(),
        routes: vec![route],
        include_request_attempt_count: said.attempts,
        // Three keys, in another order in each message.
        metadata: if said.attempts { from_line_7() } else { None },
        ..Default::default()
    }
}

fn message(hosts: &[Said], ignore_port: bool) -> Any {
    packed(&RouteConfiguration {
        name: "80".to_owned(),
        virtual_hosts: hosts.iter().map(host).collect(),
        ignore_port_in_host_matching: ignore_port,
        ..Default::default()
    })
}

/// Both ways of reading `now` after `before`, which must agree; the last is returned.
fn both(now: &Any, before: Option<&RouteConfig>) -> Result<Result<RouteConfig, DecodeError>, TestCaseError> {
    let (whole, after) = (route_config(now), route_config_after(now, before));
    match (&whole, &after) {
        (Ok(whole), Ok(after)) => {
            prop_assert_eq!(whole, after);
            let texts = |config: &RouteConfig| (json(config), format!("{:?}", config.domains()));
            prop_assert_eq!(texts(whole), texts(after));
        }
        _ => prop_assert_eq!(whole.as_ref().err(), after.as_ref().err()),
    }
    Ok(after)
}

fn json(config: &RouteConfig) -> String {
    serde_json::to_string(config).unwrap()
}

proptest! {
    #[test]
    fn versions_one_after_the_other_read_as_each_by_itself(
        versions in prop::collection::vec((version(), any::<bool>()), 1..6),
    ) {
        let mut held: Option<RouteConfig> = None;
        for (hosts, ignore_port) in &versions {
            if let Ok(config) = both(&message(hosts, *ignore_port), held.as_ref())? {
                held = Some(config);
            }
        }
    }

    #[test]
    fn what_is_said_again_is_shared_wherever_it_stands(version in version(), turn in 0..8_usize, more in said()) {
        let mut hosts: Vec<_> = version.into_iter().map(|said| Said { attempts: false, ..said }).collect();
        let Ok(before) = route_config_after(&message(&hosts, false), None) else { return Ok(()) };
        let at = turn.min(hosts.len());
        hosts.rotate_left(at);
        hosts.insert(at, Said { name: 99, domains: vec![99], ..more });
        let Ok(after) = both(&message(&hosts, false), Some(&before))? else { return Ok(()) };
        for host in before.virtual_hosts() {
            prop_assert!(after.virtual_hosts().iter().any(|own| Arc::ptr_eq(own, host)), "{} was read again", host.name);
        }
    }

    #[test]
    fn bytes_that_no_server_sends_read_the_same(
        hosts in version(),
        fields in prop::collection::vec(prop_oneof![
            protobuf().prop_map(|bytes| delimited(2, &bytes)),
            protobuf(),
            prop::collection::vec(any::<u8>(), 0..6),
        ], 0..5),
    ) {
        let good = message(&hosts, false);
        let before = route_config_after(&good, None).ok();
        let odd = Any { value: [good.value.clone(), fields.concat()].concat(), ..good.clone() };
        // The result is judged inside.
        let _ = both(&odd, before.as_ref())?;
        let turned = Any { value: [fields.concat(), good.value.clone()].concat(), ..good };
        let _ = both(&turned, before.as_ref())?;
    }
}

#[test]
fn the_index_is_shared_as_long_as_no_domain_changes() {
    let said = |name, attempts| Said { name, domains: vec![100 + name], path: "/", attempts };
    let read =
        |hosts: &[Said], before: Option<&RouteConfig>| route_config_after(&message(hosts, false), before).unwrap();
    let first = read(&[said(0, false), said(1, false)], None);
    let changed = read(&[said(0, true), said(1, false)], Some(&first));
    assert!(std::ptr::eq(first.domains(), changed.domains()));
    assert_ne!(first, changed);
    let turned = read(&[said(1, false), said(0, true)], Some(&changed));
    assert_eq!((turned.domains().find("host-101.test"), turned.domains().find("host-100.test")), (Some(0), Some(1)));
}

#[test]
fn another_type_with_the_same_bytes_is_refused() {
    let good = message(&[Said { name: 0, domains: vec![100], path: "/", attempts: false }], false);
    let before = route_config_after(&good, None).unwrap();
    let other = Any { type_url: "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned(), ..good };
    assert_eq!(route_config_after(&other, Some(&before)).err(), route_config(&other).err());
    assert!(route_config(&other).is_err());
}
