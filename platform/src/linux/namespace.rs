//! Network namespaces: sockets that are made in one stay there, whoever uses them.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace that is not this process's own. Clones are the same namespace.
#[derive(Clone)]
pub struct Namespace(Arc<File>);

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Namespace(..)")
    }
}

impl Namespace {
    /// The namespace behind a file such as `/run/netns/NAME`.
    ///
    /// Errs when there is no such file; that it is a namespace shows when it is entered.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(File::open(path)?)))
    }

    /// Does something while this thread is in the namespace. What it makes there must not depend on the thread.
    ///
    /// Errs when the namespace cannot be entered, which takes root, and as `make` does.
    ///
    /// # Panics
    /// When the thread cannot come back, since all that follows would be in the wrong network.
    pub fn within<T>(&self, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let home = File::open("/proc/thread-self/ns/net")?;
        enter(&self.0)?;
        let made = make();
        enter(&home).expect("a thread can return to its own network namespace");
        made
    }
}

fn enter(namespace: &File) -> io::Result<()> {
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}
