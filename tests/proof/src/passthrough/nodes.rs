//! What the kernel knows by number: the files of the tree, and those that are open.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aiofiles::unix::{Dir, OpenOptionsExt as _};
use aiofiles::{File, Metadata, OpenOptions};
use fuser::{Errno, INodeNo};
use rustix::fs::OFlags;

/// A file or directory, as a place in the tree: a descriptor (`O_PATH`) that neither reads nor writes, but stays with the file
/// whatever becomes of its names.
pub(super) struct Node {
    /// The number of the file, as the file system below has it; 1 for the root.
    pub(super) number: INodeNo,
    place: File,
    /// The same place as the beginning of paths, if it is a directory.
    dir: Option<Dir>,
}

impl Node {
    /// The file itself.
    pub(super) fn place(&self) -> &File {
        &self.place
    }

    /// A path that leads to the file itself, and not through a name of it.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.place.as_raw_fd()))
    }

    /// The directory that this is.
    pub(super) fn dir(&self) -> io::Result<&Dir> {
        self.dir.as_ref().ok_or_else(|| error(Errno::ENOTDIR))
    }

    /// What a place is made with.
    pub(super) fn options() -> OpenOptions {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.bits() as i32);
        options
    }

    async fn new(place: File, metadata: &Metadata, number: INodeNo) -> io::Result<Node> {
        let dir = if metadata.is_dir() {
            Some(Dir::from(place.as_fd().try_clone_to_owned()?))
        } else {
            None
        };
        Ok(Node { number, place, dir })
    }
}

/// The nodes that the kernel knows, and how often it was told of each.
pub(super) struct Nodes {
    root: Arc<Node>,
    device: u64,
    known: Mutex<BTreeMap<INodeNo, Known>>,
}

struct Known {
    node: Arc<Node>,
    lookups: u64,
}

impl Nodes {
    pub(super) async fn new(root: File) -> io::Result<Nodes> {
        let metadata = root.metadata().await?;
        let root = Node::new(root, &metadata, INodeNo::ROOT).await?;
        root.dir()?;
        Ok(Nodes {
            root: Arc::new(root),
            device: metadata.dev(),
            known: Mutex::default(),
        })
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<INodeNo, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node of a number that the kernel was told.
    pub(super) fn get(&self, number: INodeNo) -> io::Result<Arc<Node>> {
        if number == INodeNo::ROOT {
            return Ok(self.root.clone());
        }
        let known = self.known();
        let known = known.get(&number).ok_or_else(|| error(Errno::ESTALE))?;
        Ok(known.node.clone())
    }

    /// The node of a place, which the kernel is told of once more, and its metadata.
    pub(super) async fn tell(&self, place: File) -> io::Result<(Arc<Node>, Metadata)> {
        let metadata = place.metadata().await?;
        // Numbers are unique on one file system.
        if metadata.dev() != self.device {
            return Err(error(Errno::EXDEV));
        }
        let number = INodeNo(metadata.ino());
        let new = Node::new(place, &metadata, number).await?;
        let mut known = self.known();
        // As long as a place is held, nobody else gets its number: who has it is this file.
        let known = known.entry(number).or_insert_with(|| Known {
            node: Arc::new(new),
            lookups: 0,
        });
        known.lookups += 1;
        Ok((known.node.clone(), metadata))
    }

    /// The kernel has forgotten what it was told so many times.
    pub(super) fn forget(&self, number: INodeNo, times: u64) {
        let mut nodes = self.known();
        if let Some(known) = nodes.get_mut(&number) {
            known.lookups = known.lookups.saturating_sub(times);
            if known.lookups == 0 {
                nodes.remove(&number);
            }
        }
    }
}

/// Things by numbers of our own: what is open.
pub(super) struct Table<T> {
    next: AtomicU64,
    entries: Mutex<BTreeMap<u64, Arc<T>>>,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table {
            next: AtomicU64::new(1),
            entries: Mutex::default(),
        }
    }
}

impl<T> Table<T> {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, entry: T) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.entries().insert(number, Arc::new(entry));
        number
    }

    pub(super) fn get(&self, number: u64) -> io::Result<Arc<T>> {
        let entry = self.entries().get(&number).cloned();
        entry.ok_or_else(|| error(Errno::EBADF))
    }

    pub(super) fn remove(&self, number: u64) -> io::Result<Arc<T>> {
        let entry = self.entries().remove(&number);
        entry.ok_or_else(|| error(Errno::EBADF))
    }
}

/// An error that is nothing but its code.
pub(super) fn error(code: Errno) -> io::Error {
    io::Error::from_raw_os_error(code.code())
}
