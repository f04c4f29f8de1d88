//! Laws of warming: in whatever order resources come, a snapshot is whole.

use envoy_types::pb::envoy::config::cluster::v3 as cds;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as eds;
use envoy_types::pb::envoy::config::listener::v3 as lds;
use envoy_types::pb::envoy::config::route::v3 as rds;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::google::protobuf::{Any, Duration as ProtoDuration};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::xds::shelf::Incoming;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// What a server may say.
#[derive(Debug, Clone)]
enum Said {
    /// All clusters: name, EDS service name, connect timeout in seconds.
    Clusters(Vec<(usize, usize, i64)>),
    /// One assignment.
    Endpoints(usize),
    /// All listeners: name, route configuration name, port.
    Listeners(Vec<(usize, usize, u32)>),
    /// One route configuration.
    Routes(usize),
}

fn said() -> impl Strategy<Value = Said> {
    let name = 0..NAMES.len();
    let unique = |mut all: Vec<(usize, usize, i64)>| {
        all.sort_unstable();
        all.dedup_by_key(|(name, _, _)| *name);
        all
    };
    let triples = proptest::collection::vec((name.clone(), name.clone(), 1..3i64), 0..4).prop_map(unique);
    prop_oneof![
        triples.clone().prop_map(Said::Clusters),
        name.clone().prop_map(Said::Endpoints),
        triples.prop_map(|all| Said::Listeners(all.into_iter().map(|(a, b, c)| (a, b, c as u32)).collect())),
        name.prop_map(Said::Routes),
    ]
}

fn update(said: &Said) -> Update {
    let (kind, resources): (Kind, Vec<Any>) = match said {
        Said::Clusters(all) => (Kind::Cluster, all.iter().map(|(name, eds, t)| cluster(*name, *eds, *t)).collect()),
        Said::Endpoints(name) => (Kind::Assignment, vec![assignment(*name)]),
        Said::Listeners(all) => (Kind::Listener, all.iter().map(|(name, r, p)| listener(*name, *r, *p)).collect()),
        Said::Routes(name) => (Kind::Route, vec![route(*name)]),
    };
    let incoming = |resource| Incoming { name: None, version: "1".into(), resource };
    let resources = resources.into_iter().map(incoming).collect();
    Update { kind, resources, removed: Vec::new(), complete: kind.is_wildcard() }
}

proptest! {
    #[test]
    fn a_snapshot_is_whole_and_nothing_vanishes_while_it_waits(story in proptest::collection::vec(said(), 0..30)) {
        let now = Instant::START;
        let mut inventory = Inventory::new(100);
        let mut last = Snapshot::default();
        for said in &story {
            prop_assert_eq!(inventory.apply(update(said), now), Vec::<String>::new());
            if let Some(next) = inventory.settle(now) {
                prop_assert_eq!(next.version, last.version + 1);
                whole(&next)?;
                last = next;
            }
            prop_assert!(inventory.settle(now).is_none(), "settled twice");
            match said {
                Said::Clusters(all) => {
                    let named = |name: &str| all.iter().any(|(at, _, _)| NAMES[*at] == name);
                    prop_assert!(last.clusters.keys().all(|name| named(name)), "a removed cluster stayed");
                }
                Said::Listeners(all) => {
                    let named = |name: &str| all.iter().any(|(at, _, _)| NAMES[*at] == name);
                    prop_assert!(last.listeners.keys().all(|name| named(name)), "a removed listener stayed");
                }
                Said::Endpoints(_) | Said::Routes(_) => {}
            }
        }
        // When the wait is over, all that was said is used.
        let later = now + FETCH_TIMEOUT;
        last = inventory.settle(later).unwrap_or(last);
        prop_assert_eq!(last.clusters.len(), inventory.clusters.iter().count());
        prop_assert_eq!(last.listeners.len(), inventory.listeners.iter().count());
        prop_assert_eq!(inventory.next_deadline(later), None);
    }
}

proptest! {
    #[test]
    fn noise_is_rejected_and_changes_nothing(
        kind in 0..4usize,
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<proptest::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let mut inventory = Inventory::new(100);
        let now = Instant::START;
        for said in [Said::Clusters(vec![(0, 0, 1)]), Said::Endpoints(0), Said::Listeners(vec![(0, 0, 1)])] {
            inventory.apply(update(&said), now);
        }
        inventory.settle(now);
        let kind = Kind::ALL[kind];
        let mut damaged = [cluster(0, 0, 1), assignment(0), listener(0, 0, 1), route(0)][kind as usize].value.clone();
        let at = at.index(damaged.len());
        damaged[at] ^= flip;
        for value in [bytes, damaged] {
            let resource = Any { type_url: kind.type_url().to_owned(), value };
            let incoming = Incoming { name: Some("a".into()), version: "2".into(), resource };
            let update = Update { kind, resources: vec![incoming], removed: Vec::new(), complete: false };
            let rejected = !inventory.apply(update, now).is_empty();
            let changed = inventory.settle(now).is_some();
            prop_assert!(!(rejected && changed), "a rejected resource changed the snapshot");
        }
    }
}

/// Every reference is answered, and nothing is there that none refers to.
fn whole(snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let eds: BTreeSet<_> = snapshot.clusters.values().filter_map(|cluster| eds_name(cluster).cloned()).collect();
    let rds: BTreeSet<_> =
        snapshot.listeners.values().flat_map(|listener| rds_names(listener).cloned().collect::<Vec<_>>()).collect();
    prop_assert_eq!(snapshot.assignments.keys().cloned().collect::<BTreeSet<_>>(), eds);
    prop_assert_eq!(snapshot.routes.keys().cloned().collect::<BTreeSet<_>>(), rds);
    Ok(())
}

fn packed<M: Message>(kind: Kind, message: &M) -> Any {
    Any { type_url: kind.type_url().to_owned(), value: message.encode_to_vec() }
}

fn ads() -> Option<core::ConfigSource> {
    let ads = core::config_source::ConfigSourceSpecifier::Ads(core::AggregatedConfigSource {});
    Some(core::ConfigSource {
        config_source_specifier: Some(ads),
        resource_api_version: core::ApiVersion::V3 as i32,
        ..Default::default()
    })
}

#[test]
fn what_is_wanted_is_one_set_until_its_names_change() {
    let now = Instant::START;
    let mut inventory = Inventory::new(100);
    let mut wanted_after = |said: Said| {
        inventory.apply(update(&said), now);
        inventory.wanted(Kind::Assignment)
    };
    let first = wanted_after(Said::Clusters(vec![(0, 0, 1), (1, 1, 1)]));
    assert_eq!(first.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "b"]);
    for same in [Said::Endpoints(0), Said::Clusters(vec![(0, 1, 2), (1, 0, 1)]), Said::Listeners(vec![(0, 0, 1)])] {
        assert!(Arc::ptr_eq(&first, &wanted_after(same)));
    }
    let other = wanted_after(Said::Clusters(vec![(0, 0, 1), (1, 2, 1)]));
    assert_eq!(other.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "c"]);
}

fn cluster(name: usize, eds: usize, seconds: i64) -> Any {
    let kind = cds::cluster::ClusterDiscoveryType::Type(cds::cluster::DiscoveryType::Eds as i32);
    let eds = cds::cluster::EdsClusterConfig { eds_config: ads(), service_name: NAMES[eds].to_owned() };
    let cluster = cds::Cluster {
        name: NAMES[name].to_owned(),
        cluster_discovery_type: Some(kind),
        eds_cluster_config: Some(eds),
        connect_timeout: Some(ProtoDuration { seconds, nanos: 0 }),
        ..Default::default()
    };
    packed(Kind::Cluster, &cluster)
}

fn assignment(name: usize) -> Any {
    let assignment = eds::ClusterLoadAssignment { cluster_name: NAMES[name].to_owned(), ..Default::default() };
    packed(Kind::Assignment, &assignment)
}

fn listener(name: usize, routes: usize, port: u32) -> Any {
    let manager = hcm::HttpConnectionManager {
        stat_prefix: "http".to_owned(),
        route_specifier: Some(hcm::http_connection_manager::RouteSpecifier::Rds(hcm::Rds {
            route_config_name: NAMES[routes].to_owned(),
            config_source: ads(),
        })),
        http_filters: vec![hcm::HttpFilter {
            name: "envoy.filters.http.router".to_owned(),
            config_type: Some(hcm::http_filter::ConfigType::TypedConfig(Any {
                type_url: "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router".to_owned(),
                value: Vec::new(),
            })),
            ..Default::default()
        }],
        ..Default::default()
    };
    let manager = Any {
        type_url: "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.\
                   HttpConnectionManager"
            .to_owned(),
        value: manager.encode_to_vec(),
    };
    let filter = lds::Filter {
        name: "envoy.filters.network.http_connection_manager".to_owned(),
        config_type: Some(lds::filter::ConfigType::TypedConfig(manager)),
    };
    let socket = core::SocketAddress {
        address: "0.0.0.0".to_owned(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(15_000 + port)),
        ..Default::default()
    };
    let listener = lds::Listener {
        name: NAMES[name].to_owned(),
        address: Some(core::Address { address: Some(core::address::Address::SocketAddress(socket)) }),
        filter_chains: vec![lds::FilterChain { filters: vec![filter], ..Default::default() }],
        ..Default::default()
    };
    packed(Kind::Listener, &listener)
}

fn route(name: usize) -> Any {
    packed(Kind::Route, &rds::RouteConfiguration { name: NAMES[name].to_owned(), ..Default::default() })
}
