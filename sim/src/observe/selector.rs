//! How scenarios name parties and edges: `service-go`, `service-go@v2`, `service-go@v2#0`,
//! `sleep.other`, `client`, `ingress`, `*`; and `a -> b`.

use std::fmt;
use std::str::FromStr;

use super::hop::Hop;
use super::party::{Endpoint, Party, Service};

/// Names a set of parties.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selector {
    /// The name as written, without version and pod; `None` is `*`.
    name: Option<String>,
    /// Label `version` of the pod.
    version: Option<String>,
    /// Index of the pod.
    pod: Option<u32>,
}

impl Selector {
    /// Selects everything.
    pub const ANY: Self = Self { name: None, version: None, pod: None };

    /// The name without version and pod; `None` for `*`.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The version it asks for.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The pod it asks for.
    pub fn pod(&self) -> Option<u32> {
        self.pod
    }

    /// The name alone, with any version and pod.
    pub fn whole(&self) -> Self {
        Self { name: self.name.clone(), version: None, pod: None }
    }

    /// The same with any pod.
    pub fn without_pod(&self) -> Self {
        Self { pod: None, ..self.clone() }
    }

    /// Name and namespace; the namespace is `default` where none is written. `None` for `*`.
    pub fn name_and_namespace(&self) -> Option<(&str, &str)> {
        let name = self.name.as_deref()?;
        let short = name.strip_suffix(".svc.cluster.local").or(name.strip_suffix(".svc")).unwrap_or(name);
        Some(short.split_once('.').unwrap_or((short, "default")))
    }

    /// Whether it selects this caller, by its app's or its workload's name.
    pub fn selects_party(&self, party: &Party) -> bool {
        let named = self.names(&party.name, &party.namespace) || self.names(&party.workload, &party.namespace);
        named && self.chooses(party.version.as_deref(), party.pod)
    }

    /// Whether it selects this destination with the pod that was chosen for it.
    pub fn selects_service(&self, service: &Service, endpoint: Option<&Endpoint>) -> bool {
        let version = endpoint.and_then(|endpoint| endpoint.version.as_deref());
        self.names(&service.name, &service.namespace) && self.chooses(version, endpoint.and_then(|own| own.pod))
    }

    fn names(&self, name: &str, namespace: &str) -> bool {
        // Most hops are another's, and splitting the name for each costs more than the rest of judging.
        if self.name.as_deref().is_some_and(|written| !written.starts_with(name)) {
            return false;
        }
        let Some((own, own_namespace)) = self.name_and_namespace() else { return true };
        match namespace {
            "" => self.name.as_deref() == Some(name),
            _ => own == name && own_namespace == namespace,
        }
    }

    fn chooses(&self, version: Option<&str>, pod: Option<u32>) -> bool {
        self.version.as_deref().is_none_or(|own| version == Some(own)) && self.pod.is_none_or(|own| pod == Some(own))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or("*"))?;
        super::party::write_choice(f, self.version.as_deref(), self.pod)
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (rest, pod) = match text.split_once('#') {
            Some((rest, pod)) => (rest, Some(pod.parse().map_err(|_| format!("`{pod}` is not the index of a pod"))?)),
            None => (text, None),
        };
        let (name, version) = match rest.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (rest, None),
        };
        if name.starts_with("zone/") {
            return Err("zones are not supported yet".to_owned());
        }
        for word in std::iter::once(name).chain(version) {
            if word != "*" && !is_word(word) {
                return Err(format!("`{text}` is not a name like `service`, `service.namespace` or `service@version`"));
            }
        }
        let name = (name != "*").then(|| name.to_owned());
        Ok(Self { name, version: version.map(str::to_owned), pod })
    }
}

fn is_word(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(inner)
}

/// Who calls whom: `a -> b`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Edge {
    /// Who calls.
    pub source: Selector,
    /// Who is called.
    pub destination: Selector,
}

impl Edge {
    /// Whether this hop is one of the edge.
    pub fn selects(&self, hop: &Hop) -> bool {
        self.source.selects_party(&hop.source)
            && self.destination.selects_service(&hop.destination, hop.endpoint.as_ref())
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.source, self.destination)
    }
}

impl FromStr for Edge {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((source, destination)) = text.split_once("->") else {
            return Err(format!("`{text}` is not an edge like `service-node -> service-go`"));
        };
        Ok(Self { source: source.parse()?, destination: destination.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn selector(text: &str) -> Selector {
        text.parse().unwrap()
    }

    fn party(name: &str, namespace: &str) -> Party {
        Party { namespace: namespace.into(), version: Some("v1".into()), pod: Some(0), ..Party::named(name) }
    }

    #[test]
    fn a_bare_name_means_the_default_namespace() {
        assert!(selector("sleep").selects_party(&party("sleep", "default")));
        assert!(!selector("sleep").selects_party(&party("sleep", "other")));
        assert!(selector("sleep.other").selects_party(&party("sleep", "other")));
        assert!(selector("sleep.other.svc.cluster.local").selects_party(&party("sleep", "other")));
    }

    #[test]
    fn version_and_pod_narrow_the_choice() {
        let own = party("go", "default");
        assert!(selector("go@v1#0").selects_party(&own) && selector("*@v1").selects_party(&own));
        assert!(!selector("go@v2").selects_party(&own) && !selector("go#1").selects_party(&own));
    }

    #[test]
    fn a_foreign_host_is_named_whole() {
        assert!(selector("httpbin.org").selects_service(&Service::host("httpbin.org"), None));
        assert!(!selector("httpbin").selects_service(&Service::host("httpbin.org"), None));
    }

    #[test]
    fn a_workload_may_be_named_by_its_deployment() {
        let own = Party { workload: "go-v1".into(), ..party("go", "default") };
        assert!(selector("go-v1").selects_party(&own) && selector("go").selects_party(&own));
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        for text in ["", "a b", "a@", "a#x", "zone/a", "@v1"] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
        assert!("a b".parse::<Edge>().is_err() && "a ->".parse::<Edge>().is_err());
    }

    proptest! {
        #[test]
        fn a_selector_prints_as_it_is_written(text in r"[a-z][a-z0-9-]{0,9}(\.[a-z]{1,5})?(@v[0-9])?(#[0-9])?") {
            prop_assert_eq!(selector(&text).to_string(), text);
        }
    }
}
