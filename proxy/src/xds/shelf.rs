//! The accepted resources of one type, and what a response does to them: a bad resource is rejected alone
//! and its last good version stays; the good ones of the same response are taken.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use envoy_types::pb::google::protobuf::Any;
use sha2::{Digest, Sha256};

use super::kind::Kind;
use super::resource;

/// What a response says about one type, in either protocol variant.
#[derive(Debug)]
pub(super) struct Update {
    /// Type of all of it.
    pub(super) kind: Kind,
    /// Resources added or changed.
    pub(super) resources: Vec<Incoming>,
    /// Names removed.
    pub(super) removed: Vec<String>,
    /// The resources are all there are: what is not among them is gone.
    pub(super) complete: bool,
}

/// One resource of a response.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Name beside the resource (delta); `None`: its own alone counts.
    pub(super) name: Option<String>,
    /// Version of the resource (delta) or of the response.
    pub(super) version: String,
    /// The resource.
    pub(super) resource: Any,
}

/// A resource that parsed, with its own name.
pub(super) type Decoded<T> = (Arc<str>, T);

/// A resource that did not parse: its name, if that much was clear, and what is wrong where.
#[derive(Debug)]
pub(super) struct Undecodable {
    pub(super) name: Option<String>,
    pub(super) reason: String,
}

/// Resources of one type by name.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    kind: Kind,
    items: BTreeMap<Arc<str>, Held<T>>,
}

#[derive(Debug)]
struct Held<T> {
    /// Empty when the server has since removed it and it is kept nevertheless.
    version: String,
    /// Of its bytes: equal bytes are not parsed again.
    bytes: [u8; 32],
    value: Arc<T>,
}

impl<T: PartialEq> Shelf<T> {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, items: BTreeMap::new() }
    }

    /// Takes in the resources of `update`, at most `max` in all, and returns why some were not.
    ///
    /// `wanted` limits what is kept; `None` keeps all. Values that did not change keep their `Arc`.
    pub(super) fn apply(
        &mut self,
        update: Update,
        decode: impl Fn(&Any, Option<&T>) -> Result<Decoded<T>, Undecodable>,
        wanted: Option<&BTreeSet<Arc<str>>>,
        max: usize,
    ) -> Vec<String> {
        let mut rejections = Vec::new();
        let mut named = BTreeSet::new();
        let mut nameless = false;
        for incoming in update.resources {
            match self.take(incoming, &decode, wanted, max, &named) {
                Ok(name) => {
                    named.insert(name);
                }
                Err(Undecodable { name, reason }) => {
                    rejections.push(format!("{} {}: {reason}", self.kind, name.as_deref().unwrap_or("without a name")));
                    match name {
                        Some(name) => {
                            named.insert(name.into());
                        }
                        None => nameless = true,
                    }
                }
            }
        }
        // A resource without a name could be any of those not named.
        if update.complete && !nameless {
            self.items.retain(|name, _| named.contains(name));
        }
        for name in update.removed.iter().filter(|name| !named.contains(name.as_str())) {
            self.remove(name);
        }
        rejections
    }

    fn take(
        &mut self,
        incoming: Incoming,
        decode: impl Fn(&Any, Option<&T>) -> Result<Decoded<T>, Undecodable>,
        wanted: Option<&BTreeSet<Arc<str>>>,
        max: usize,
        earlier: &BTreeSet<Arc<str>>,
    ) -> Result<Arc<str>, Undecodable> {
        let bytes: [u8; 32] = Sha256::digest(&incoming.resource.value).into();
        if let Some(name) = self.unchanged(&incoming, bytes) {
            return self.renew(name, incoming.version, earlier);
        }
        let (name, value) = self.decode_as(&incoming, decode)?;
        once(&name, earlier)?;
        if wanted.is_some_and(|wanted| !wanted.contains(&name)) {
            return Ok(name);
        }
        if !self.items.contains_key(&name) && self.items.len() >= max {
            let reason = format!("there are {max} of this type already, the most that are kept");
            return Err(Undecodable { name: Some(name.to_string()), reason });
        }
        self.put(name.clone(), incoming.version, bytes, value);
        Ok(name)
    }

    /// The name of what is held already, of these very bytes.
    fn unchanged(&self, incoming: &Incoming, bytes: [u8; 32]) -> Option<Arc<str>> {
        if incoming.resource.type_url != self.kind.type_url() {
            return None;
        }
        let own = || resource::own_name(&incoming.resource).map(Cow::Owned);
        let name = incoming.name.as_deref().map(Cow::Borrowed).or_else(own)?;
        let (name, held) = self.items.get_key_value(&*name)?;
        (held.bytes == bytes).then(|| name.clone())
    }

    fn renew(
        &mut self,
        name: Arc<str>,
        version: String,
        earlier: &BTreeSet<Arc<str>>,
    ) -> Result<Arc<str>, Undecodable> {
        once(&name, earlier)?;
        if let Some(held) = self.items.get_mut(&name) {
            held.version = version;
        }
        Ok(name)
    }

    fn decode_as(
        &self,
        incoming: &Incoming,
        decode: impl Fn(&Any, Option<&T>) -> Result<Decoded<T>, Undecodable>,
    ) -> Result<Decoded<T>, Undecodable> {
        let outer = incoming.name.clone();
        if incoming.resource.type_url != self.kind.type_url() {
            let reason = format!("type_url is `{}`", incoming.resource.type_url);
            return Err(Undecodable { name: outer, reason });
        }
        let own = || resource::own_name(&incoming.resource);
        let before = outer.clone().or_else(own).and_then(|name| self.get(&name));
        let (name, value) = decode(&incoming.resource, before.map(|value| &**value))
            .map_err(|error| Undecodable { name: outer.clone().or(error.name), reason: error.reason })?;
        match &outer {
            Some(outer) if **outer != *name => {
                let reason = format!("the resource calls itself `{name}`");
                Err(Undecodable { name: Some(outer.clone()), reason })
            }
            _ if name.is_empty() => Err(Undecodable { name: None, reason: "name is empty".into() }),
            _ => Ok((name, value)),
        }
    }

    fn put(&mut self, name: Arc<str>, version: String, bytes: [u8; 32], value: T) {
        match self.items.get_mut(&name) {
            // It says the same in other bytes, such as those of a map in another order.
            Some(held) if *held.value == value => {
                held.version = version;
                held.bytes = bytes;
            }
            _ => {
                self.items.insert(name, Held { version, bytes, value: Arc::new(value) });
            }
        }
    }

    /// A removed listener or cluster goes; removed endpoints and routes stay, as in Envoy, until nobody
    /// wants them.
    fn remove(&mut self, name: &str) {
        if self.kind.is_wildcard() {
            self.items.remove(name);
        } else if let Some(held) = self.items.get_mut(name) {
            held.version.clear();
        }
    }

    /// Drops what is not wanted any more.
    pub(super) fn keep(&mut self, wanted: &BTreeSet<Arc<str>>) {
        self.items.retain(|name, _| wanted.contains(name));
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<T>> {
        self.items.get(name).map(|held| &held.value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<T>)> {
        self.items.iter().map(|(name, held)| (name, &held.value))
    }

    /// Names and versions held, for a server that meets us again.
    pub(super) fn versions(&self) -> BTreeMap<String, String> {
        let held = self.items.iter().filter(|(_, held)| !held.version.is_empty());
        held.map(|(name, held)| (name.to_string(), held.version.clone())).collect()
    }
}

fn once(name: &Arc<str>, earlier: &BTreeSet<Arc<str>>) -> Result<(), Undecodable> {
    if earlier.contains(name) {
        return Err(Undecodable { name: Some(name.to_string()), reason: "named twice in one response".into() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use prost::Message;

    /// A resource of a name and nothing else.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Named {
        #[prost(string, tag = "1")]
        name: String,
    }

    /// A toy resource: `name=value`; `!` in the value is an error.
    fn decode(any: &Any, _before: Option<&String>) -> Result<Decoded<String>, Undecodable> {
        let text = String::from_utf8_lossy(&any.value).into_owned();
        let (name, value) = text.split_once('=').ok_or(Undecodable { name: None, reason: "no name".into() })?;
        if value.contains('!') {
            return Err(Undecodable { name: Some(name.to_owned()), reason: "value: is loud".into() });
        }
        Ok((name.into(), value.to_owned()))
    }

    fn incoming(text: &str) -> Incoming {
        let resource = Any { type_url: Kind::Cluster.type_url().into(), value: text.as_bytes().to_vec() };
        Incoming { name: None, version: "1".into(), resource }
    }

    fn update(resources: &[&str], complete: bool) -> Update {
        let resources = resources.iter().map(|text| incoming(text)).collect();
        Update { kind: Kind::Cluster, resources, removed: Vec::new(), complete }
    }

    fn names(shelf: &Shelf<String>) -> Vec<String> {
        shelf.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn a_bad_resource_keeps_its_last_good_version_and_does_not_stop_the_others() {
        let mut shelf = Shelf::new(Kind::Cluster);
        assert!(shelf.apply(update(&["a=1", "b=1"], true), decode, None, 10).is_empty());
        let rejected = shelf.apply(update(&["a=2!", "b=2"], true), decode, None, 10);
        assert_eq!(rejected, ["cluster a: value: is loud"]);
        assert_eq!(names(&shelf), ["a=1", "b=2"]);
    }

    #[test]
    fn a_complete_update_removes_what_it_does_not_name() {
        let mut shelf = Shelf::new(Kind::Cluster);
        shelf.apply(update(&["a=1", "b=1"], true), decode, None, 10);
        shelf.apply(update(&["b=1"], true), decode, None, 10);
        assert_eq!(names(&shelf), ["b=1"]);
        let rejected = shelf.apply(update(&["garbage"], true), decode, None, 10);
        assert_eq!(rejected, ["cluster without a name: no name"]);
        assert_eq!(names(&shelf), ["b=1"], "a nameless resource removes nothing");
    }

    #[test]
    fn an_unchanged_value_keeps_its_arc() {
        let mut shelf = Shelf::new(Kind::Cluster);
        shelf.apply(update(&["a=1"], true), decode, None, 10);
        let before = shelf.get("a").unwrap().clone();
        shelf.apply(update(&["a=1"], true), decode, None, 10);
        assert!(Arc::ptr_eq(&before, shelf.get("a").unwrap()));
        shelf.apply(update(&["a=2"], true), decode, None, 10);
        assert!(!Arc::ptr_eq(&before, shelf.get("a").unwrap()));
    }

    #[test]
    fn what_is_said_in_the_same_bytes_is_not_decoded_again() {
        let named = |name: &str, version: &str| {
            let value = Named { name: name.to_owned() }.encode_to_vec();
            let resource = Any { type_url: Kind::Cluster.type_url().into(), value };
            Incoming { name: None, version: version.into(), resource }
        };
        let update = |resources| Update { kind: Kind::Cluster, resources, removed: Vec::new(), complete: true };
        let decoded = RefCell::new(Vec::new());
        let decode = |any: &Any, _: Option<&String>| {
            let name = resource::own_name(any).unwrap();
            decoded.borrow_mut().push(name.clone());
            Ok((name.as_str().into(), name))
        };
        let mut shelf = Shelf::new(Kind::Cluster);
        shelf.apply(update(vec![named("a", "1"), named("b", "1")]), decode, None, 10);
        shelf.apply(update(vec![named("a", "2"), named("b", "2"), named("c", "2")]), decode, None, 10);
        assert_eq!(*decoded.borrow(), ["a", "b", "c"]);
        assert_eq!(shelf.versions().into_values().collect::<Vec<_>>(), ["2", "2", "2"]);
        let twice = shelf.apply(update(vec![named("a", "3"), named("a", "3")]), decode, None, 10);
        assert_eq!(twice, ["cluster a: named twice in one response"]);
        let outer = Incoming { name: Some("a".into()), ..named("a", "4") };
        let again = Incoming { name: Some("a".into()), ..named("a", "4") };
        let twice = shelf.apply(update(vec![outer, again]), decode, None, 10);
        assert_eq!(twice, ["cluster a: named twice in one response"]);
        let mut other = named("a", "5");
        other.resource.type_url = Kind::Route.type_url().into();
        let refused = shelf.apply(update(vec![other]), decode, None, 10);
        assert_eq!(refused, [format!("cluster without a name: type_url is `{}`", Kind::Route.type_url())]);
    }

    #[test]
    fn limits_and_duplicates_are_rejected() {
        let mut shelf = Shelf::new(Kind::Cluster);
        let rejected = shelf.apply(update(&["a=1", "b=1", "c=1"], true), decode, None, 2);
        assert_eq!(rejected, ["cluster c: there are 2 of this type already, the most that are kept"]);
        let rejected = shelf.apply(update(&["a=1", "a=2"], false), decode, None, 2);
        assert_eq!(rejected, ["cluster a: named twice in one response"]);
        assert_eq!(names(&shelf), ["a=1", "b=1"]);
    }

    #[test]
    fn a_name_that_differs_from_the_resource_is_rejected() {
        let mut shelf = Shelf::new(Kind::Cluster);
        let named = Incoming { name: Some("x".into()), ..incoming("a=1") };
        let update = Update { kind: Kind::Cluster, resources: vec![named], removed: vec![], complete: false };
        assert_eq!(shelf.apply(update, decode, None, 9), ["cluster x: the resource calls itself `a`"]);
    }
}
