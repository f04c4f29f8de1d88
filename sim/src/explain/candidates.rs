//! The routes of a virtual host in the order in which they were tried, and what became of each.

use std::sync::Arc;

use wavetank_proxy::record::{Provenance, Record};
use wavetank_proxy::snapshot::Snapshot;
use wavetank_proxy::snapshot::listener::{Handler, RouteSource};
use wavetank_proxy::snapshot::route::{Action, ClusterChoice, Route, RouteConfig, VirtualHost};

use super::asked::Asked;
use super::rule;

/// A route that a request met, or would have met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name; `default` where it was given none.
    pub name: Arc<str>,
    /// What it asks of a request.
    pub rule: String,
    /// What it does.
    pub action: String,
    /// The line that brought it.
    pub from: Option<Provenance>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It took the request.
    Took,
    /// It did not hold, for this reason.
    Lost(String),
    /// An earlier one took the request.
    NotReached,
}

/// The routes of `host` as the request met them; `took` is the position of the one that took it.
pub fn candidates(host: &VirtualHost, asked: &Asked, took: Option<u32>) -> Vec<Candidate> {
    let fate = |position: usize, route: &Route| match took.map(|took| position.cmp(&(took as usize))) {
        Some(std::cmp::Ordering::Equal) => Fate::Took,
        Some(std::cmp::Ordering::Greater) => Fate::NotReached,
        _ => Fate::Lost(rule::why_lost(&route.matches, asked)),
    };
    let routes = host.routes().iter().enumerate();
    routes
        .map(|(position, route)| Candidate {
            name: route.name.clone(),
            rule: rule::in_words(&route.matches),
            action: action(&route.action),
            from: route.provenance.clone(),
            fate: fate(position, route),
        })
        .collect()
}

/// The route configuration that `record` was decided by.
pub fn route_config<'a>(snapshot: &'a Snapshot, record: &Record) -> Option<&'a RouteConfig> {
    let name = record.decision.route_config.as_ref()?;
    if let Some(found) = snapshot.routes.get(name) {
        return Some(found);
    }
    let listener = snapshot.listeners.get(record.decision.listener.as_ref()?)?;
    listener.filter_chains.iter().chain(&listener.default_filter_chain).find_map(|chain| match &chain.handler {
        Handler::Http(manager) => match &manager.routes {
            RouteSource::Inline(own) if own.name == *name => Some(&**own),
            _ => None,
        },
        Handler::Tcp(_) => None,
    })
}

/// The virtual host that `record` was decided by.
pub fn virtual_host<'a>(snapshot: &'a Snapshot, record: &Record) -> Option<&'a VirtualHost> {
    let name = record.decision.virtual_host.as_ref()?;
    route_config(snapshot, record)?.virtual_hosts().iter().map(|host| &**host).find(|host| host.name == *name)
}

/// The route that took the request of `record`.
pub fn winner<'a>(snapshot: &'a Snapshot, record: &Record) -> Option<&'a Route> {
    virtual_host(snapshot, record)?.routes().get(record.decision.route_index? as usize)
}

/// What a route does: `service-go@v1 70%, service-go@v2 30%`.
pub fn action(action: &Action) -> String {
    match action {
        Action::Direct { status, .. } => format!("answers {status}"),
        Action::Redirect(redirect) => format!("redirects with {}", redirect.status),
        Action::Forward(forward) => match &forward.cluster {
            ClusterChoice::Header(name) => format!("the cluster that header {name} names"),
            choice => {
                let arms = arms(choice);
                let total: u64 = arms.iter().map(|(_, weight)| u64::from(*weight)).sum();
                let share = |weight: u32| f64::from(weight) * 100.0 / total.max(1) as f64;
                let text = |(name, weight): &(Arc<str>, u32)| match arms.len() {
                    1 => short(name),
                    _ => {
                        format!("{} {:.4}", short(name), share(*weight))
                            .trim_end_matches('0')
                            .trim_end_matches('.')
                            .to_owned()
                            + "%"
                    }
                };
                arms.iter().map(text).collect::<Vec<_>>().join(", ")
            }
        },
    }
}

/// The clusters a route may choose, with their weights; an arm of weight 0 is among them.
pub fn arms(choice: &ClusterChoice) -> Vec<(Arc<str>, u32)> {
    match choice {
        ClusterChoice::Single(name) => vec![(name.clone(), 1)],
        ClusterChoice::Weighted(arms) => arms.iter().map(|arm| (arm.name.clone(), arm.weight)).collect(),
        ClusterChoice::Header(_) => Vec::new(),
    }
}

/// A cluster as people call it: `service-go@v1` for `outbound|80|v1|service-go.default.svc.cluster.local`.
pub fn short(cluster: &str) -> String {
    let parts: Vec<&str> = cluster.split('|').collect();
    let [_direction, _port, subset, host] = parts.as_slice() else { return cluster.to_owned() };
    let name = host.strip_suffix(".svc.cluster.local").unwrap_or(host);
    let name = if name == *host { name } else { name.strip_suffix(".default").unwrap_or(name) };
    if host.is_empty() {
        cluster.to_owned()
    } else if subset.is_empty() {
        name.to_owned()
    } else {
        format!("{name}@{subset}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_called_by_service_and_subset() {
        for (cluster, wanted) in [
            ("outbound|80|v1|service-go.default.svc.cluster.local", "service-go@v1"),
            ("outbound|80||users.users.svc.cluster.local", "users.users"),
            ("outbound|443||api.example.com", "api.example.com"),
            ("PassthroughCluster", "PassthroughCluster"),
            ("inbound|80||", "inbound|80||"),
        ] {
            assert_eq!(short(cluster), wanted);
        }
    }
}
