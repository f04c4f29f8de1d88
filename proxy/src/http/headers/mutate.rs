//! The header changes that configuration asks for. Envoy: `HeaderParser::evaluateHeaders`.

use http::HeaderName;

use super::list::HeaderList;
use crate::snapshot::RouteConfig;
use crate::snapshot::route::{HeaderChange, HeaderChangeMode, HeaderMutations, Route, VirtualHost, WeightedCluster};

/// The levels of header changes of one request, in the order in which they are applied: arm of the split,
/// route, virtual host, route configuration; turned round when the most specific is to win. So the last
/// word on an overwrite is the route configuration's, unless the most specific wins.
pub fn levels<'a>(
    config: &'a RouteConfig,
    host: &'a VirtualHost,
    route: &'a Route,
    arm: Option<&'a WeightedCluster>,
) -> Vec<&'a HeaderMutations> {
    let mut levels: Vec<_> = arm.map(|arm| &arm.headers).into_iter().collect();
    levels.extend([&route.headers, &host.headers, &config.headers]);
    if config.most_specific_header_mutations_wins {
        levels.reverse();
    }
    levels
}

/// Changes a request by these levels, one after the other.
pub fn request(headers: &mut HeaderList, levels: &[&HeaderMutations]) {
    for level in levels {
        apply(headers, &level.request_remove, &level.request_add);
    }
}

/// Changes a response by these levels, one after the other.
pub fn response(headers: &mut HeaderList, levels: &[&HeaderMutations]) {
    for level in levels {
        apply(headers, &level.response_remove, &level.response_add);
    }
}

/// One level: removals, then overwrites, then appends. Whether a header is there is judged after the
/// removals and before any addition. An overwritten header moves to the end.
fn apply(headers: &mut HeaderList, removals: &[HeaderName], additions: &[HeaderChange]) {
    if !removals.is_empty() {
        headers.retain(|name| !removals.contains(name));
    }
    let mut overwrites = Vec::new();
    let mut appends = Vec::new();
    for change in additions {
        let there = headers.contains_key(&change.name);
        match change.mode {
            HeaderChangeMode::Append => appends.push(change),
            HeaderChangeMode::AddIfAbsent if !there => appends.push(change),
            HeaderChangeMode::Overwrite => overwrites.push(change),
            HeaderChangeMode::OverwriteIfExists if there => overwrites.push(change),
            HeaderChangeMode::AddIfAbsent | HeaderChangeMode::OverwriteIfExists => {}
        }
    }
    for change in overwrites {
        headers.move_to_end(&change.name, change.value.clone());
    }
    for change in appends {
        headers.append(change.name.clone(), change.value.clone());
    }
}
