//! A row of a decision table.

use std::fmt;

use wavetank_reports::Place;

use crate::observe::Selector;

/// The workload that asks where neither a row nor the manifests say otherwise.
pub const CALLER: &str = "sleep";

/// Whether a request of `rows` comes from this workload of namespace `default`.
pub fn ask_from(caller: &str, rows: &[Row]) -> bool {
    rows.iter().flat_map(|row| &row.cases).any(|case| case.from.name() == Some(caller))
}

/// One row: requests, and where each of them must go.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Position in the table, from 1.
    pub number: usize,
    /// Where the scenario says what must hold.
    pub asked_at: Place,
    /// Characters it takes there.
    pub width: usize,
    /// Every combination of caller, host, headers, method and path.
    pub cases: Vec<Case>,
    /// Where they must go; `None`: anywhere.
    pub goal: Option<Goal>,
    /// What the caller must be answered; `None`: anything.
    pub status: Option<u16>,
}

impl Row {
    /// Whether its requests may go to one of several places, by weight.
    pub fn is_of_several(&self) -> bool {
        matches!(&self.goal, Some(Goal::Only(targets)) if targets.len() > 1)
    }
}

/// One request of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Name of its traffic.
    pub traffic: String,
    /// The workload that asks, or `ingress` for a request from outside.
    pub from: Selector,
    /// Method.
    pub method: String,
    /// Host asked for, without port.
    pub host: String,
    /// Port asked for.
    pub port: u16,
    /// Path with query.
    pub path: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
}

impl Case {
    /// Whether it comes from outside, through the ingress gateway.
    pub fn is_from_outside(&self) -> bool {
        self.from.name() == Some("ingress")
    }

    /// What the Host header says.
    pub fn authority(&self) -> String {
        if self.port == 80 { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

/// `GET example.com/users -H x-user-type:qa from service-node`.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.authority(), self.path)?;
        for (name, value) in &self.headers {
            write!(f, " -H {name}:{value}")?;
        }
        if !self.is_from_outside() {
            write!(f, " from {}", self.from)?;
        }
        Ok(())
    }
}

/// Where requests must go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// To no service: no route takes them, or one that answers by itself.
    Nothing,
    /// To each of these, by weight, and to nothing else.
    Only(Vec<Target>),
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Only(targets) => {
                let names: Vec<String> = targets.iter().map(Target::to_string).collect();
                f.write_str(&names.join(" and "))
            }
        }
    }
}

/// `service`, `service.namespace`, a host; with `@subset` or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    name: String,
    subset: Option<String>,
}

impl Target {
    /// Reads a target.
    ///
    /// # Errors
    /// When the text is no name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, subset) = match text.trim().split_once('@') {
            Some((name, subset)) => (name, Some(subset)),
            None => (text.trim(), None),
        };
        let is_word = |word: &str| {
            let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !word.is_empty() && word.chars().all(inner)
        };
        if !is_word(name) || !subset.is_none_or(is_word) {
            return Err(format!("`{text}` is not a name like `service`, `service.namespace` or `service@subset`"));
        }
        Ok(Self { name: name.to_owned(), subset: subset.map(str::to_owned) })
    }

    /// Whether this is the cluster that xDS calls `cluster`: `outbound|80|v1|service-go.default.svc.cluster.local`.
    /// Without a subset it is any subset of the service.
    pub fn is(&self, cluster: &str) -> bool {
        if self.name == cluster {
            return true;
        }
        let parts: Vec<&str> = cluster.split('|').collect();
        let [_direction, _port, subset, host] = parts.as_slice() else { return false };
        self.subset.as_deref().is_none_or(|own| own == *subset) && self.is_host(host)
    }

    fn is_host(&self, host: &str) -> bool {
        let short =
            self.name.strip_suffix(".svc.cluster.local").or(self.name.strip_suffix(".svc")).unwrap_or(&self.name);
        let name = if short.contains('.') { short.to_owned() } else { format!("{short}.default") };
        self.name == host || host.strip_suffix(".svc.cluster.local") == Some(&name)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.subset.as_ref().map_or(Ok(()), |subset| write!(f, "@{subset}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_cluster_of_its_service_and_subset() {
        let go = "outbound|80|v1|service-go.default.svc.cluster.local";
        let users = "outbound|80||users.users.svc.cluster.local";
        let outside = "outbound|443||api.example.com";
        for (target, cluster, wanted) in [
            ("service-go", go, true),
            ("service-go@v1", go, true),
            ("service-go.default", go, true),
            ("service-go.default.svc.cluster.local@v1", go, true),
            ("service-go@v2", go, false),
            ("service", go, false),
            ("users.users", users, true),
            ("users", users, false),
            ("api.example.com", outside, true),
            ("PassthroughCluster", "PassthroughCluster", true),
        ] {
            assert_eq!(Target::parse(target).unwrap().is(cluster), wanted, "{target} {cluster}");
        }
        assert!(Target::parse("a b").is_err());
        assert!(Target::parse("a@").is_err());
    }
}
