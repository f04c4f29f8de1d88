//! What the cluster's API holds: the world's objects, the user's manifests and the endpoints as they are
//! now. A control plane that comes back reads all of it.

use std::collections::BTreeMap;

use wavetank_control::Control;
use wavetank_control::config::{Kind, SourceFile};
use wavetank_control::model::Applied;

use crate::world::cast::Pod;
use crate::world::kube::{self, KubeFile};

/// Files by kind of their source, and Pods that are gone.
#[derive(Debug, Default)]
pub(super) struct Objects {
    world: Vec<SourceFile>,
    manifests: Vec<SourceFile>,
    /// EndpointSlices and fresh Pods, by file name.
    changing: BTreeMap<String, SourceFile>,
    /// Namespace and name of deleted Pods.
    gone: Vec<(String, String)>,
}

impl Objects {
    /// Keeps the world's own objects.
    pub(super) fn set_world(&mut self, files: Vec<SourceFile>) {
        self.world = files;
    }

    /// Keeps the user's manifests.
    pub(super) fn set_manifests(&mut self, files: &[SourceFile]) {
        self.manifests = files.to_vec();
    }

    /// Keeps a file that the world changes as it goes, and returns it.
    pub(super) fn change(&mut self, file: &KubeFile) -> SourceFile {
        let source = SourceFile::new(file.name.as_str(), file.text.as_str());
        self.changing.insert(file.name.clone(), source.clone());
        source
    }

    /// Keeps a fresh pod, and returns its file.
    pub(super) fn add_pod(&mut self, pod: &Pod) -> SourceFile {
        let name = format!("app:{}/{}.pod.yaml", pod.namespace, pod.name);
        self.change(&KubeFile { name, text: kube::pod(pod) })
    }

    /// Forgets a pod.
    pub(super) fn delete_pod(&mut self, pod: &Pod) {
        self.gone.push((pod.namespace.clone(), pod.name.clone()));
    }

    /// Tells a control plane everything.
    pub(super) fn tell(&self, control: &Control) {
        for file in self.world.iter().chain(&self.manifests).chain(self.changing.values()) {
            control.apply(file);
        }
        for (namespace, name) in &self.gone {
            control.delete(Kind::Pod, namespace, name);
        }
    }

    /// Makes `manifests` the user's, in place of those before. While any is refused, nothing changes.
    pub(super) fn replace(&mut self, control: &Control, manifests: &[SourceFile]) -> Applied {
        let all: Vec<SourceFile> = self.world.iter().chain(manifests).chain(self.changing.values()).cloned().collect();
        let applied = control.replace(&all);
        if !applied.has_errors() {
            self.manifests = manifests.to_vec();
            for (namespace, name) in &self.gone {
                control.delete(Kind::Pod, namespace, name);
            }
        }
        applied
    }
}
