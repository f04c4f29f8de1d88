//! A folder of manifests, and the files beside it, looked at again and again.
//!
//! Polling sees every change on every file system, links that are exchanged under a mounted folder among them.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wavetank_control::Control;
use wavetank_control::ca::Identity;
use wavetank_control::config::SourceFile;

/// Files of a folder at most.
const FILES_MAX: usize = 10_000;
/// Bytes of all files together.
const BYTES_MAX: u64 = 256 << 20;
/// Bytes of the files of tokens and addresses at most.
const SIDE_FILE_MAX: u64 = 16 << 20;
/// Folders within folders.
const DEPTH_MAX: usize = 16;

/// A folder, and how it was when last read.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    seen: Option<Vec<Print>>,
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Print {
    path: PathBuf,
    bytes: u64,
    changed: Option<SystemTime>,
    inode: u64,
}

/// Why a folder cannot be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    File(PathBuf, io::Error),
    TooMuch(&'static str),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::TooMuch(what) => f.write_str(what),
        }
    }
}

impl Folder {
    /// The `.yaml` and `.yml` files below `root`.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, seen: None }
    }

    /// All manifests in the order of their paths, which name them; `None` when nothing changed since the last look.
    ///
    /// Errs when anything cannot be read; then the next look reads again.
    pub(crate) fn look(&mut self) -> Result<Option<Vec<SourceFile>>, Unreadable> {
        let mut prints = Vec::new();
        find(&self.root, 0, &mut prints)?;
        prints.sort();
        if prints.iter().map(|print| print.bytes).sum::<u64>() > BYTES_MAX {
            return Err(Unreadable::TooMuch("the manifests are larger than 256 MiB together"));
        }
        if self.seen.as_ref() == Some(&prints) {
            return Ok(None);
        }
        self.seen = None;
        let sources = prints.iter().map(|print| self.read(&print.path)).collect::<Result<_, _>>()?;
        self.seen = Some(prints);
        Ok(Some(sources))
    }

    fn read(&self, path: &Path) -> Result<SourceFile, Unreadable> {
        let text = fs::read_to_string(path).map_err(|error| Unreadable::File(path.to_owned(), error))?;
        let name = path.strip_prefix(&self.root).unwrap_or(path);
        Ok(SourceFile::new(name.to_string_lossy().into_owned(), text))
    }
}

fn find(folder: &Path, depth: usize, prints: &mut Vec<Print>) -> Result<(), Unreadable> {
    let failed = |path: &Path, error| Unreadable::File(path.to_owned(), error);
    if depth > DEPTH_MAX {
        return Err(Unreadable::TooMuch("the folder is more than 16 folders deep"));
    }
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let path = entry.map_err(|error| failed(folder, error))?.path();
        // Hidden entries are left out: a mounted ConfigMap keeps its versions in some.
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        let about = fs::metadata(&path).map_err(|error| failed(&path, error))?;
        if about.is_dir() {
            find(&path, depth + 1, prints)?;
        } else if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
            if prints.len() >= FILES_MAX {
                return Err(Unreadable::TooMuch("the folder has more than 10,000 manifests"));
            }
            let inode = std::os::unix::fs::MetadataExt::ino(&about);
            prints.push(Print { path, bytes: about.len(), changed: about.modified().ok(), inode });
        }
    }
    Ok(())
}

/// The files beside the manifests, and what they said when last read.
pub(crate) struct Beside {
    tokens: Option<PathBuf>,
    addresses: Option<PathBuf>,
    seen: [Side; 2],
}

impl Beside {
    /// Files that have not been read.
    pub(crate) fn new(tokens: Option<PathBuf>, addresses: Option<PathBuf>) -> Self {
        Self { tokens, addresses, seen: [Ok(String::new()), Ok(String::new())] }
    }

    /// Reads them again. What is wrong in a line is logged, and the other lines count.
    pub(crate) fn look(&mut self, control: &Control) {
        let trust_domain = &control.authority().config().trust_domain;
        each_line(self.tokens.as_deref(), &mut self.seen[0], |words| match words {
            [token, namespace, account] => {
                let identity = Identity::new(trust_domain, namespace, account);
                control.authority().tokens().admit(token, &identity).map_err(|error| error.to_string())
            }
            _ => Err("a line is TOKEN NAMESPACE SERVICE-ACCOUNT".to_owned()),
        });
        each_line(self.addresses.as_deref(), &mut self.seen[1], |words| match words {
            [namespace, name, address] => {
                let address = address.parse().map_err(|_| format!("`{address}` is no IP address"))?;
                control.assign_cluster_ip(namespace, name, address);
                Ok(())
            }
            _ => Err("a line is NAMESPACE NAME IP".to_owned()),
        });
    }
}

/// The text of a file beside the manifests, or why it has none.
type Side = Result<String, String>;

/// Reads such a file. Missing, it says nothing yet.
fn read_side(path: &Path) -> Side {
    if fs::metadata(path).is_ok_and(|about| about.len() > SIDE_FILE_MAX) {
        return Err("larger than 16 MiB".to_owned());
    }
    match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| error.to_string()),
    }
}

/// Takes each line of a file that changed since it was `seen`; empty lines and `#` comments are passed over.
fn each_line(path: Option<&Path>, seen: &mut Side, mut take: impl FnMut(&[&str]) -> Result<(), String>) {
    let Some(path) = path else { return };
    let read = read_side(path);
    if read == *seen {
        return;
    }
    *seen = read;
    let text = match seen {
        Ok(text) => text,
        Err(why) => return tracing::warn!("{}: not read: {why}", path.display()),
    };
    for (number, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() || words[0].starts_with('#') {
            continue;
        }
        if let Err(why) = take(&words) {
            tracing::warn!("{}:{}: {why}", path.display(), number + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sources: &[SourceFile]) -> Vec<&str> {
        sources.iter().map(|source| &*source.name).collect()
    }

    #[test]
    fn a_folder_is_read_when_it_changed() {
        let root = std::env::temp_dir().join(format!("wavetank-watch-{}", std::process::id()));
        fs::create_dir_all(root.join("deep")).unwrap();
        fs::create_dir_all(root.join(".hidden")).unwrap();
        for (name, text) in [("b.yaml", "b"), ("deep/a.yml", "a"), ("c.txt", "c"), (".hidden/d.yaml", "d")] {
            fs::write(root.join(name), text).unwrap();
        }
        let mut folder = Folder::new(root.clone());
        assert_eq!(names(&folder.look().unwrap().unwrap()), ["b.yaml", "deep/a.yml"]);
        assert_eq!(folder.look().unwrap(), None);
        fs::write(root.join("b.yaml"), "longer").unwrap();
        assert_eq!(&*folder.look().unwrap().unwrap()[0].text, "longer");
        fs::remove_file(root.join("b.yaml")).unwrap();
        assert_eq!(names(&folder.look().unwrap().unwrap()), ["deep/a.yml"]);
        fs::remove_dir_all(&root).unwrap();
        assert!(matches!(folder.look(), Err(Unreadable::File(..))));
    }
}
