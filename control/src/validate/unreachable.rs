//! Routes of one VirtualService that no request reaches, because an earlier one takes all that they would.

use crate::config::http_match::HttpMatchSpec;
use crate::config::virtual_service::{HttpRouteSpec, VirtualServiceSpec};
use crate::diagnostic::{Diagnostic, Span};

use super::codes;
use super::covering::{Covering, Places, asks_nothing};

/// Matches that later ones are compared with, and of these the catch-alls.
const SEEN_MAX: usize = 500;

pub(super) fn check(spec: &VirtualServiceSpec, found: &mut Vec<Diagnostic>) {
    let places: Places = match spec.gateways.as_slice() {
        [] => vec!["mesh".to_owned()],
        named => named.iter().map(|gateway| gateway.value.clone()).collect(),
    };
    let mut seen = Seen { covering: Covering::new(places.clone()), places, takers: Vec::new() };
    for (index, route) in spec.http.iter().enumerate() {
        if route.matches.is_empty() {
            found.extend(seen.taker_of_all().map(|taker| dead_route(route, taker)));
            seen.add(index, route, None);
            continue;
        }
        let by: Vec<Option<Taker<'_>>> = route.matches.iter().map(|block| seen.taker_of(block)).collect();
        match by.first().and_then(Option::as_ref).filter(|_| by.iter().all(Option::is_some)) {
            Some(taker) => found.push(dead_route(route, taker)),
            None => {
                dead_matches(route, &by, found);
                seen.idle_matches(route, &by, found);
            }
        }
        route.matches.iter().for_each(|block| seen.add(index, route, Some(block)));
    }
}

/// The matches so far.
struct Seen<'s> {
    covering: Covering,
    places: Places,
    takers: Vec<Taker<'s>>,
}

/// A match that takes requests away from later ones.
#[derive(Clone)]
struct Taker<'s> {
    /// `None`: its route has no match and takes what comes.
    block: Option<&'s HttpMatchSpec>,
    route: usize,
    span: &'s Span,
}

impl<'s> Seen<'s> {
    fn add(&mut self, index: usize, route: &'s HttpRouteSpec, block: Option<&'s HttpMatchSpec>) {
        if self.takers.len() < SEEN_MAX {
            let span = block.map_or(&route.span, |block| &block.span);
            self.takers.push(Taker { block, route: index, span });
        }
    }

    fn taker_of(&mut self, block: &HttpMatchSpec) -> Option<Taker<'s>> {
        let Self { covering, takers, .. } = self;
        let taker = takers.iter().find(|taker| match taker.block {
            Some(earlier) => covering.covers(earlier, block),
            None => !covering.places_of(block).is_empty(),
        });
        taker.cloned()
    }

    /// Who takes everything wherever the VirtualService applies.
    fn taker_of_all(&self) -> Option<&Taker<'s>> {
        self.takers.iter().find(|taker| match taker.block {
            None => true,
            Some(block) => {
                let at = self.covering.places_of(block);
                asks_nothing(block) && self.places.iter().all(|place| at.contains(&place.as_str()))
            }
        })
    }

    /// A match that another of its own route covers does no harm, and nothing.
    fn idle_matches(&mut self, route: &HttpRouteSpec, by: &[Option<Taker<'_>>], found: &mut Vec<Diagnostic>) {
        for (index, block) in route.matches.iter().enumerate().filter(|(index, _)| by[*index].is_none()) {
            let earlier = route.matches[..index].iter().take(SEEN_MAX);
            if let Some(earlier) = earlier.into_iter().find(|earlier| self.covering.covers(earlier, block)) {
                let message = "this match adds nothing: an earlier one of the same route takes its requests";
                let finding = Diagnostic::note(codes::UNREACHABLE_ROUTE, &block.span, message);
                found.push(finding.with_related(&earlier.span, "the earlier match"));
            }
        }
    }
}

fn dead_route(route: &HttpRouteSpec, taker: &Taker<'_>) -> Diagnostic {
    let finding = Diagnostic::warning(codes::UNREACHABLE_ROUTE, &route.span, "no request reaches this route");
    finding.with_related(taker.span, told(taker))
}

fn told(taker: &Taker<'_>) -> String {
    let route = taker.route + 1;
    if taker.block.is_none_or(asks_nothing) {
        format!("route {route}, before it, takes every request")
    } else {
        format!("this match of route {route}, before it, takes them")
    }
}

fn dead_matches(route: &HttpRouteSpec, by: &[Option<Taker<'_>>], found: &mut Vec<Diagnostic>) {
    for (block, taker) in route.matches.iter().zip(by) {
        if let Some(taker) = taker {
            let message = "no request reaches this match; the route's other matches may be reached";
            let finding = Diagnostic::warning(codes::UNREACHABLE_ROUTE, &block.span, message);
            found.push(finding.with_related(taker.span, told(taker)));
        }
    }
}
