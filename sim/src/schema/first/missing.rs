//! Services that routes lead to and the manifests do not bring: they are elsewhere, and an echo program stands in for
//! each.

use wavetank_control::config::virtual_service::RouteDestinationSpec;
use wavetank_control::config::{Spec, host_name};

use super::arms;
use super::plan::{DOMAIN, World};

/// The namespace that echo programs are added to.
const NAMESPACE: &str = "default";

/// A service, and the version of its pods where a subset asks for one.
pub(super) type Missing = (String, Option<String>);

/// The services of the default namespace that are missing, each version once, in the order they are led to.
pub(super) fn services(world: &World<'_>) -> Vec<Missing> {
    let mut missing: Vec<Missing> = Vec::new();
    for document in world.documents {
        let Spec::VirtualService(spec) = &document.spec else { continue };
        for arm in spec.http.iter().flat_map(|rule| &rule.route) {
            let found = service(arm, &document.metadata.namespace, world);
            missing.extend(found.filter(|own| !missing.contains(own)));
        }
    }
    missing
}

fn service(arm: &RouteDestinationSpec, namespace: &str, world: &World<'_>) -> Option<Missing> {
    let full = host_name::full_name(&arm.host.value, namespace, DOMAIN);
    let name = full.strip_suffix(&format!(".{NAMESPACE}.svc.{DOMAIN}")).filter(|name| !name.contains('.'))?;
    if world.service(&arm.host.value, namespace).is_some() {
        return None;
    }
    if arm.subset.is_none() {
        return Some((name.to_owned(), None));
    }
    // A subset by other labels is one that an echo program cannot be in.
    arms::only_version(arm, namespace, world).map(|version| (name.to_owned(), Some(version.to_owned())))
}
