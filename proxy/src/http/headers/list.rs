//! The headers of one message, in their order.
//!
//! A message has a dozen headers or so, and most questions about them are asked of names that are not there: a row
//! that is looked through answers sooner than a [`HeaderMap`] that hashes, and what is removed leaves the others in
//! their order, where [`HeaderMap::remove`] moves the last one into the gap.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers with their values, in the order in which they are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderList(Vec<(HeaderName, HeaderValue)>);

impl HeaderList {
    /// No headers.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// No headers yet, with room for this many.
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first value of `name`.
    pub fn get(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// All values of `name`.
    pub fn get_all<'a, 'n>(&'a self, name: &'n HeaderName) -> impl Iterator<Item = &'a HeaderValue> + use<'a, 'n> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value)
    }

    /// What `name`, a list, names: the parts of all its values, without blanks around them.
    pub fn tokens<'a, 'n>(&'a self, name: &'n HeaderName) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let values = self.get_all(name).filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(str::trim)
    }

    /// Whether `name`, a list, names `token`, in letters of either case.
    pub fn has_token(&self, name: &HeaderName, token: &str) -> bool {
        self.tokens(name).any(|part| part.eq_ignore_ascii_case(token))
    }

    /// Whether `name` has a value.
    pub fn contains_key(&self, name: &HeaderName) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }

    /// All headers.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Gives `name` this value and no other: where its first one stood, else last.
    pub fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        let Some(at) = self.0.iter().position(|(other, _)| *other == name) else {
            return self.append(name, value);
        };
        self.0[at].1 = value;
        let mut place = 0..;
        self.0.retain(|(other, _)| place.next().is_some_and(|place| place <= at) || *other != name);
    }

    /// Gives `name` one value more, last.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push((name, value));
    }

    /// Removes `name` and writes it anew, last.
    pub fn move_to_end(&mut self, name: &HeaderName, value: HeaderValue) {
        self.remove(name);
        self.append(name.clone(), value);
    }

    /// Removes all values of `name`.
    pub fn remove(&mut self, name: &HeaderName) {
        self.retain(|other| other != name);
    }

    /// Keeps the headers whose name satisfies `keep`.
    pub fn retain(&mut self, keep: impl Fn(&HeaderName) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    /// Adds all headers to `map`, in which values of one name stand together.
    pub fn append_to(self, map: &mut HeaderMap) {
        map.reserve(self.0.len());
        for (name, value) in self.0 {
            map.append(name, value);
        }
    }
}

impl From<HeaderMap> for HeaderList {
    fn from(map: HeaderMap) -> Self {
        let mut list = Self::with_capacity(map.len() + ROOM_TO_ADD);
        let mut last: Option<HeaderName> = None;
        for (name, value) in map {
            // A further value of a name comes without the name.
            if let Some(name) = name.or_else(|| last.take()) {
                last = Some(name.clone());
                list.append(name, value);
            }
        }
        list
    }
}

impl From<HeaderList> for HeaderMap {
    fn from(list: HeaderList) -> Self {
        let mut map = Self::new();
        list.append_to(&mut map);
        map
    }
}

/// Headers that a proxy adds to most requests.
const ROOM_TO_ADD: usize = 6;

/// A header value of this text; characters that may not stand in one become `?`.
pub fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| {
        let safe: String = value.chars().map(|char| if matches!(char, ' '..='~') { char } else { '?' }).collect();
        HeaderValue::from_str(&safe).unwrap_or_else(|_| HeaderValue::from_static(""))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(pairs: &[(&'static str, &'static str)]) -> HeaderList {
        let mut list = HeaderList::new();
        for (name, value) in pairs {
            list.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        list
    }

    #[test]
    fn removal_keeps_the_order_of_the_others() {
        let mut headers = list(&[("a", "1"), ("b", "2"), ("c", "3"), ("b", "4"), ("d", "5")]);
        headers.remove(&HeaderName::from_static("a"));
        assert_eq!(headers, list(&[("b", "2"), ("c", "3"), ("b", "4"), ("d", "5")]));
    }

    #[test]
    fn an_insertion_stands_where_the_first_value_stood_and_is_the_only_one() {
        let mut headers = list(&[("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")]);
        headers.insert(HeaderName::from_static("a"), HeaderValue::from_static("5"));
        headers.insert(HeaderName::from_static("d"), HeaderValue::from_static("6"));
        assert_eq!(headers, list(&[("a", "5"), ("b", "2"), ("c", "4"), ("d", "6")]));
        headers.move_to_end(&HeaderName::from_static("a"), HeaderValue::from_static("7"));
        assert_eq!(headers, list(&[("b", "2"), ("c", "4"), ("d", "6"), ("a", "7")]));
    }

    /// What may be done to headers.
    #[derive(Debug, Clone)]
    enum Change {
        Insert(usize, u8),
        Append(usize, u8),
    }

    proptest! {
        /// A map that has seen the same says the same, and each becomes the other.
        #[test]
        fn a_list_says_what_a_map_says(changes in prop::collection::vec(
            (any::<bool>(), 0..5usize, any::<u8>()).prop_map(|(insert, name, value)| {
                if insert { Change::Insert(name, value) } else { Change::Append(name, value) }
            }), 0..20))
        {
            let names = ["host", "accept", "x-a", "x-b", "x-c"].map(HeaderName::from_static);
            let (mut list, mut map) = (HeaderList::new(), HeaderMap::new());
            for change in changes {
                match change {
                    Change::Insert(name, value) => {
                        list.insert(names[name].clone(), HeaderValue::from(u16::from(value)));
                        map.insert(names[name].clone(), HeaderValue::from(u16::from(value)));
                    }
                    Change::Append(name, value) => {
                        list.append(names[name].clone(), HeaderValue::from(u16::from(value)));
                        map.append(names[name].clone(), HeaderValue::from(u16::from(value)));
                    }
                }
            }
            prop_assert_eq!(list.len(), map.len());
            for name in &names {
                prop_assert_eq!(list.get(name), map.get(name));
                prop_assert_eq!(list.get_all(name).collect::<Vec<_>>(), map.get_all(name).iter().collect::<Vec<_>>());
            }
            let sent = HeaderMap::from(list);
            prop_assert_eq!(sent.iter().collect::<Vec<_>>(), map.iter().collect::<Vec<_>>());
            let back = HeaderList::from(map.clone());
            prop_assert_eq!(back.iter().collect::<Vec<_>>(), map.iter().collect::<Vec<_>>());
        }
    }
}
