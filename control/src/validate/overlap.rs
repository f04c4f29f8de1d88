//! Hosts of one VirtualService that overlap: a host twice, or a wildcard and what it covers.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Spanned};

use super::codes;

/// Reports every host that overlaps one before it.
pub(super) fn check(hosts: &[Spanned<String>], found: &mut Vec<Diagnostic>) {
    // Istio compares them as they are written; of two that differ by case alone the second is dropped.
    let names: Vec<&str> = hosts.iter().map(|host| host.value.as_str()).collect();
    let (mut exact, mut wildcards) = (BTreeMap::new(), BTreeMap::new());
    for (index, name) in names.iter().enumerate() {
        match name.strip_prefix('*') {
            Some(suffix) => wildcards.entry(suffix).or_insert(index),
            None => exact.entry(*name).or_insert(index),
        };
    }
    for (index, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        let covering = name.char_indices().map(|(at, _)| &name[at..]).chain([""]);
        let covering = covering.filter_map(|suffix| wildcards.get(suffix)).filter(|other| **other != index);
        let other = exact.get(*name).filter(|first| **first != index).into_iter().chain(covering).min();
        let Some(other) = other else { continue };
        let (first, second) = (&hosts[index.min(*other)], &hosts[index.max(*other)]);
        let message = format!("the host `{}` overlaps `{}`", second.value, first.value);
        let overlap = Diagnostic::error(codes::OVERLAPPING_HOSTS, &second.span, message);
        found.push(overlap.with_related(&first.span, format!("`{}` is here", first.value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Span;

    #[test]
    fn a_host_twice_and_a_wildcard_with_what_it_covers_overlap() {
        for (hosts, wanted) in [
            (&["a", "a"][..], &["the host `a` overlaps `a`"][..]),
            (&["a.com", "A.com"], &[]),
            (&["a.foo.com", "*.foo.com"], &["the host `*.foo.com` overlaps `a.foo.com`"]),
            (&["*.foo.com", "a.foo.com"], &["the host `a.foo.com` overlaps `*.foo.com`"]),
            (&["*.foo.com", "*.b.foo.com"], &["the host `*.b.foo.com` overlaps `*.foo.com`"]),
            (&["*", "a"], &["the host `a` overlaps `*`"]),
            (&["*.foo.com", "foo.com", "bar.com", ""], &[]),
        ] {
            let hosts = hosts
                .iter()
                .enumerate()
                .map(|(line, host)| Spanned::new((*host).to_owned(), Span::at("t", u32::try_from(line).unwrap(), 1)));
            let mut found = Vec::new();
            check(&hosts.collect::<Vec<_>>(), &mut found);
            assert_eq!(found.into_iter().map(|found| found.message).collect::<Vec<_>>(), wanted);
        }
    }
}
