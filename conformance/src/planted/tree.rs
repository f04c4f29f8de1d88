//! A copy of the workspace's sources below `target/`, in which one bug at a time is put and built.
//!
//! The copy stays in its place and only files that differ are written, so cargo builds again what a bug
//! touches and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bug::Bug;

/// What a build needs, from the root.
const PARTS: [&str; 11] = [
    "Cargo.toml",
    "Cargo.lock",
    "platform",
    "re2",
    "proxy",
    "control",
    "sim",
    "reports",
    "conformance",
    "scenarios",
    "docs",
];

/// The copy, and where it is built.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    copy: PathBuf,
    target: PathBuf,
    built: PathBuf,
}

impl Tree {
    /// The copy of this repository.
    ///
    /// # Panics
    /// When the root is not there.
    pub fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace holds this crate").to_owned();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let target = root.join(target);
        let planted = target.join("planted");
        Self { copy: planted.join("tree"), built: planted.join("build"), root, target }
    }

    /// The root of the repository, from where scenarios are run.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the copy what the repository is, with the changes of `bug` in it.
    ///
    /// Errs when a text that is to be changed is not there once.
    ///
    /// # Panics
    /// When files cannot be read or written.
    pub fn plant(&self, bug: Option<&Bug>) -> Result<(), String> {
        let mut wanted = BTreeSet::new();
        for part in PARTS {
            files_below(&self.root.join(part), &mut wanted);
        }
        let wanted: BTreeSet<PathBuf> = wanted.iter().map(|path| relative(path, &self.root)).collect();
        let patches = || bug.iter().flat_map(|bug| &bug.patch);
        for file in &wanted {
            let mut bytes = fs::read(self.root.join(file)).expect("a file of the repository");
            for patch in patches().filter(|patch| Path::new(&patch.file) == file) {
                let source = String::from_utf8(bytes).expect("source is UTF-8");
                bytes = patch.apply(&source)?.into_bytes();
            }
            write_if_other(&self.copy.join(file), &bytes);
        }
        if let Some(lost) = patches().find(|patch| !wanted.contains(Path::new(&patch.file))) {
            return Err(format!("{} is no file of the workspace", lost.file));
        }
        let mut there = BTreeSet::new();
        files_below(&self.copy, &mut there);
        for file in there.iter().filter(|file| !wanted.contains(&relative(file, &self.copy))) {
            fs::remove_file(file).expect("a file of the copy is removed");
        }
        Ok(())
    }

    /// Builds the copy's `wavetank`, and returns where it is.
    ///
    /// Errs with what the compiler says.
    ///
    /// # Panics
    /// When cargo does not start.
    pub fn build(&self) -> Result<PathBuf, String> {
        let output = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--offline", "--workspace", "--bin", "wavetank"])
            .current_dir(&self.copy)
            // What is from the registry is there, built for the tests; the whole workspace wants the same of it.
            .env("CARGO_BUILD_BUILD_DIR", &self.target)
            .env("CARGO_TARGET_DIR", &self.built)
            // Nobody reads its backtraces, and without lines it links in half the time.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .output()
            .expect("cargo runs");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(self.built.join("debug").join(format!("wavetank{}", std::env::consts::EXE_SUFFIX)))
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

fn relative(path: &Path, root: &Path) -> PathBuf {
    path.strip_prefix(root).expect("below the root").to_owned()
}

fn files_below(path: &Path, found: &mut BTreeSet<PathBuf>) {
    if path.is_file() {
        found.insert(path.to_owned());
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten() {
        files_below(&entry.expect("an entry").path(), found);
    }
}

fn write_if_other(path: &Path, bytes: &[u8]) {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return;
    }
    fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder of the copy");
    fs::write(path, bytes).expect("a file of the copy is written");
}
