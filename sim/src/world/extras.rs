//! Who joins the cast for a scenario's sake: echo services, and fresh pods for deleted ones.

use super::app::{Echo, Program};
use super::cast::{Cast, DEFAULT_NAMESPACE, INJECTED_LABEL, Pod, Role, port};

impl Cast {
    /// Lets the pods with an echo program whose app or Deployment is called `name` do as `change` says, with a
    /// sidecar or without where that is given, and returns how many they are.
    pub fn change_echo(&mut self, name: &str, sidecar: Option<bool>, change: impl Fn(&mut Echo)) -> usize {
        let mut changed = 0;
        for pod in &mut self.pods {
            if pod.app() != name && pod.workload != name {
                continue;
            }
            let Role::App { program: Program::Echo(echo), sidecar: own } = &mut pod.role else { continue };
            change(echo);
            changed += 1;
            match sidecar {
                Some(true) => {
                    *own = true;
                    pod.labels.insert(INJECTED_LABEL.to_owned(), "istio".to_owned());
                }
                Some(false) => {
                    *own = false;
                    pod.labels.remove(INJECTED_LABEL);
                }
                None => {}
            }
        }
        changed
    }

    /// Adds a Service on port 80 and a Deployment of one pod with an echo program.
    pub fn add_echo(&mut self, name: &str, version: Option<&str>) {
        if self.service_named(name, DEFAULT_NAMESPACE).is_none() {
            self.add_service(DEFAULT_NAMESPACE, name, &[("app", name)], vec![port("http", 80)]);
        }
        let workload = version.map_or_else(|| name.to_owned(), |version| format!("{name}-{version}"));
        let labels: Vec<_> = [Some(("app", name)), version.map(|own| ("version", own))].into_iter().flatten().collect();
        let role = Role::App { program: Program::Echo(Echo::new(name, 80)), sidecar: true };
        self.add_workload(DEFAULT_NAMESPACE, &workload, &labels, "default", role);
    }

    /// Adds the fresh pod that takes the place of pod number `index` when that is deleted, and returns the
    /// number of the fresh one. All others must have been added before.
    pub fn add_reserve(&mut self, index: usize) -> usize {
        let ip = self.next_pod_ip();
        let old = self.pod(index).clone();
        let is_own = |pod: &&Pod| pod.namespace == old.namespace && pod.workload == old.workload;
        let number = self.pods.iter().chain(&self.reserve).filter(is_own).map(|pod| pod.index + 1).max().unwrap_or(0);
        self.reserve.push(Pod { name: format!("{}-{number}", old.workload), index: number, ip, ..old });
        self.pods.len() + self.reserve.len() - 1
    }

    /// Pod number `index`: those of the start first, then the fresh ones.
    ///
    /// # Panics
    /// When there is no such pod.
    pub fn pod(&self, index: usize) -> &Pod {
        self.pods.get(index).unwrap_or_else(|| &self.reserve[index - self.pods.len()])
    }

    /// All pods that are there at any time, by their numbers.
    pub fn all_pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().chain(&self.reserve)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_pod_has_the_next_index_and_an_address_of_its_own() {
        let mut cast = Cast::mesh().with_istio_lab();
        let old = cast.pods.iter().position(|pod| pod.workload == "service-go-v2").expect("a pod");
        let (first, second) = (cast.add_reserve(old), cast.add_reserve(old));
        let names = [first, second].map(|index| cast.pod(index).name.clone());
        assert_eq!(names, ["service-go-v2-1", "service-go-v2-2"]);
        let ips: std::collections::BTreeSet<_> = cast.all_pods().map(|pod| pod.ip).collect();
        assert_eq!(ips.len(), cast.pods.len() + 2);
    }

    #[test]
    fn an_added_service_is_changed_by_its_name() {
        let mut cast = Cast::mesh();
        cast.add_echo("legacy", None);
        assert_eq!(cast.change_echo("legacy", Some(false), |echo| echo.status = Some(418)), 1);
        assert!(cast.pods.iter().any(|pod| pod.app() == "legacy" && !pod.has_proxy()));
        assert_eq!(cast.change_echo("other", None, |_| {}), 0);
    }
}
