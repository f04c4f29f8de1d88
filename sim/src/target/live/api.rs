//! What the cluster's API holds in a live run: a folder of manifests, which the control plane watches.
//!
//! Each change writes a whole new version of the folder and exchanges the link to it, so that nobody reads half of
//! one. Files have names that keep their order; what they are called in messages is found by [`Api::told`].

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wavetank_control::config::{SourceFile, digest};

use crate::world::cast::{Cast, Pod};
use crate::world::kube::{self, KubeFile};

/// The API.
#[derive(Debug)]
pub(super) struct Api {
    root: PathBuf,
    files: BTreeMap<String, SourceFile>,
    /// Versions written so far, and which of them has which digest.
    written: u64,
    digests: BTreeMap<String, u64>,
    names: BTreeMap<String, Arc<str>>,
}

/// What a file is about, in the order in which they are read.
const WORLD: &str = "0-world";
const MANIFESTS: &str = "1-manifests";
const CHANGING: &str = "2-changing";

impl Api {
    /// An API in the folder `root`, with the world's own objects and the user's manifests.
    pub(super) fn new(root: PathBuf, cast: &Cast, manifests: &[SourceFile]) -> Self {
        let mut api =
            Self { root, files: BTreeMap::new(), written: 0, digests: BTreeMap::new(), names: BTreeMap::new() };
        for (number, file) in kube::objects(cast).into_iter().enumerate() {
            // Pods come and go, each in a file of its own.
            let text = match file.text.split_once("---\n") {
                Some((first, _)) if !file.name.ends_with("accounts.yaml") => first.to_owned(),
                _ => file.text,
            };
            api.set(format!("{WORLD}/{number:04}.yaml"), SourceFile::new(file.name, text));
        }
        for pod in &cast.pods {
            api.add_pod(pod);
        }
        api.set_manifests(manifests);
        api
    }

    /// The folder that the control plane watches.
    pub(super) fn folder(&self) -> PathBuf {
        self.root.join("current")
    }

    /// Makes `manifests` the user's.
    pub(super) fn set_manifests(&mut self, manifests: &[SourceFile]) {
        self.files.retain(|name, _| !name.starts_with(MANIFESTS));
        for (number, file) in manifests.iter().enumerate() {
            self.set(format!("{MANIFESTS}/{number:04}.yaml"), file.clone());
        }
    }

    /// Adds a pod.
    pub(super) fn add_pod(&mut self, pod: &Pod) {
        let file = SourceFile::new(format!("app:{}/{}.pod.yaml", pod.namespace, pod.name), kube::pod(pod));
        self.set(pod_file(pod), file);
    }

    /// Takes a pod away.
    pub(super) fn delete_pod(&mut self, pod: &Pod) {
        self.files.remove(&pod_file(pod));
    }

    /// Adds an EndpointSlice, or changes it.
    pub(super) fn set_endpoints(&mut self, file: KubeFile) {
        let name = format!("{CHANGING}/{}", file.name.replace('/', "."));
        self.set(name, SourceFile::new(file.name, file.text));
    }

    fn set(&mut self, name: String, file: SourceFile) {
        self.names.insert(name.clone(), file.name.clone());
        self.files.insert(name, file);
    }

    /// What a file is called in messages.
    pub(super) fn told(&self, name: &str) -> Option<&Arc<str>> {
        self.names.get(name)
    }

    /// Shows all as it is now, and returns the number of this version.
    ///
    /// Errs when the folder cannot be written.
    pub(super) fn publish(&mut self) -> io::Result<u64> {
        self.written += 1;
        let version = self.root.join(format!("version-{}", self.written));
        for folder in [WORLD, MANIFESTS, CHANGING] {
            fs::create_dir_all(version.join(folder))?;
        }
        for (name, file) in &self.files {
            fs::write(version.join(name), &*file.text)?;
        }
        let next = self.root.join("next");
        let _ = fs::remove_file(&next);
        symlink(&version, &next)?;
        fs::rename(&next, self.folder())?;
        if self.written > 2 {
            // The one before may still be being read.
            let _ = fs::remove_dir_all(self.root.join(format!("version-{}", self.written - 2)));
        }
        let shown = self.files.iter().map(|(name, file)| (name.as_str(), &*file.text));
        self.digests.insert(digest(shown), self.written);
        Ok(self.written)
    }

    /// The number of the version with this digest.
    pub(super) fn version_of(&self, digest: &str) -> Option<u64> {
        self.digests.get(digest).copied()
    }
}

fn pod_file(pod: &Pod) -> String {
    format!("{CHANGING}/{}.{}.pod.yaml", pod.namespace, pod.name)
}

/// Makes an empty folder.
pub(super) fn fresh(folder: &Path) -> io::Result<()> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)
}
