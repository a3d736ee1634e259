//! The walk itself: a stack of directories, and a job that looks at one path after another.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::vec;

use super::WalkEntry;
use crate::backend::{self, Fallible, sys};
use crate::error::Context as _;
use crate::settle;

/// On a slow file system, a job hands over what it has after this time.
const TIME: Duration = Duration::from_millis(5);

/// How many directories a walk keeps open. In a deeper tree, the rest of the outermost one is read into memory.
const OPEN: usize = 10;

/// What one job found.
pub(super) struct Fetched {
    pub(super) found: Vec<io::Result<WalkEntry>>,
    /// The walk, unless it is at its end.
    pub(super) walker: Option<Walker>,
}

impl Fallible for Fetched {
    fn error(&self) -> Option<&io::Error> {
        self.found.iter().find_map(Fallible::error)
    }
}

/// Whether an error means that the path is not there any more.
pub(super) fn has_vanished(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

type Prune = Box<dyn FnMut(&WalkEntry) -> bool + Send>;

/// A walk at the point that it has reached. It travels from job to job, which are the only ones to work on it.
pub(super) struct Walker {
    /// What the walk begins with, until it has.
    root: Option<PathBuf>,
    pub(super) follow_links: bool,
    pub(super) same_file_system: bool,
    pub(super) min_depth: usize,
    pub(super) max_depth: usize,
    /// Never locked: the mutex makes it `Sync`, which a closure need not be.
    prune: Option<Mutex<Prune>>,
    /// The file system that the walk stays on.
    device: Option<sys::Device>,
    /// The directories that the walk is in, the outermost first.
    levels: Vec<Level>,
    /// So many of them, the outermost ones, are read to their end and closed.
    closed: usize,
}

/// A directory that the walk is in.
struct Level {
    path: PathBuf,
    /// What it is known by when a link leads to it; only if links are followed.
    id: Option<sys::DirectoryId>,
    listing: Listing,
}

/// The entries of a directory that the walk has not come to yet.
enum Listing {
    Open(fs::ReadDir),
    /// Nothing of std's is kept, because each of its entries keeps the directory open.
    Read {
        names: vec::IntoIter<OsString>,
        error: Option<io::Error>,
    },
}

/// What a listing tells next.
enum Next {
    Entry(fs::DirEntry),
    Name(OsString),
}

impl Listing {
    fn next(&mut self) -> Option<io::Result<Next>> {
        match self {
            Listing::Open(open) => Some(sys::next_entry(open)?.map(Next::Entry)),
            Listing::Read { names, error } => match names.next() {
                Some(name) => Some(Ok(Next::Name(name))),
                None => error.take().map(Err),
            },
        }
    }

    /// Reads it to its end, so that its descriptor is free for another one.
    fn close(&mut self) {
        let Listing::Open(open) = self else { return };
        let mut names = Vec::new();
        let mut error = None;
        while let Some(entry) = sys::next_entry(open) {
            match entry {
                Ok(entry) => names.push(entry.file_name()),
                Err(ended) => {
                    error = Some(ended);
                    break;
                }
            }
        }
        *self = Listing::Read {
            names: names.into_iter(),
            error,
        };
    }
}

impl Walker {
    pub(super) fn new(root: PathBuf) -> Walker {
        Walker {
            root: Some(root),
            follow_links: false,
            same_file_system: false,
            min_depth: 0,
            max_depth: usize::MAX,
            prune: None,
            device: None,
            levels: Vec::new(),
            closed: 0,
        }
    }

    pub(super) fn set_prune(&mut self, prune: impl FnMut(&WalkEntry) -> bool + Send + 'static) {
        self.prune = Some(Mutex::new(Box::new(prune)));
    }

    pub(super) fn has_prune(&self) -> bool {
        self.prune.is_some()
    }

    /// Looks at up to `most` paths. Runs on a pool thread.
    pub(super) fn advance(mut self, most: usize) -> Fetched {
        let begin = Instant::now();
        let mut found = Vec::new();
        for _ in 0..most {
            if !self.step(&mut found) {
                return Fetched {
                    found,
                    walker: None,
                };
            }
            if begin.elapsed() > TIME {
                break;
            }
        }
        Fetched {
            found,
            walker: Some(self),
        }
    }

    /// Looks at the next path; `false` when there is none.
    fn step(&mut self, found: &mut Vec<io::Result<WalkEntry>>) -> bool {
        let Some(next) = self.next_path() else {
            return false;
        };
        let depth = self.levels.len();
        let visited = next.and_then(|(path, entry)| self.visit(path, entry, depth, found));
        match visited {
            Err(error) if depth > 0 && has_vanished(&error) => {}
            Err(error) => found.push(Err(error)),
            Ok(()) => {}
        }
        true
    }

    /// The next path, with std's entry if there is one. Leaves the directories that have come to their end.
    fn next_path(&mut self) -> Option<io::Result<(PathBuf, Option<fs::DirEntry>)>> {
        if let Some(root) = self.root.take() {
            return Some(Ok((root, None)));
        }
        while let Some(level) = self.levels.last_mut() {
            match level.listing.next() {
                Some(Ok(Next::Entry(entry))) => {
                    return Some(Ok((level.path.join(entry.file_name()), Some(entry))));
                }
                Some(Ok(Next::Name(name))) => return Some(Ok((level.path.join(name), None))),
                Some(Err(error)) => {
                    let error = Err(error).on("read directory", &level.path);
                    self.leave();
                    return Some(error);
                }
                None => self.leave(),
            }
        }
        None
    }

    /// Looks at a path, tells of it, and enters it if it is a directory that the walk is to enter.
    fn visit(
        &mut self,
        path: PathBuf,
        entry: Option<fs::DirEntry>,
        depth: usize,
        found: &mut Vec<io::Result<WalkEntry>>,
    ) -> io::Result<()> {
        let (metadata, followed, unsettled) = self.look(&path, entry).on("walk", &path)?;
        let entry = WalkEntry {
            path,
            depth,
            metadata,
            followed,
            unsettled,
        };
        let way_in = self.find_way_in(&entry).on("walk", &entry.path)?;
        let way_in = way_in.map(|id| (entry.path.clone(), id));
        if depth >= self.min_depth {
            found.push(Ok(entry));
        }
        match way_in {
            Some((path, id)) => self.enter(path, id),
            None => Ok(()),
        }
    }

    /// Asks for metadata: what it is, whether a link was followed, and whether a dropped file still writes to it.
    fn look(&self, path: &Path, entry: Option<fs::DirEntry>) -> io::Result<(Metadata, bool, bool)> {
        let ask = || {
            let own = match &entry {
                Some(entry) => sys::entry_metadata(entry)?,
                None => sys::symlink_metadata(path)?,
            };
            if !self.follow_links || !own.is_symlink() {
                return Ok((own, false));
            }
            match sys::metadata(path) {
                Ok(target) => Ok((target, true)),
                // It leads nowhere.
                Err(error) if has_vanished(&error) => Ok((own, false)),
                Err(error) => Err(error),
            }
        };
        let doubtful = settle::anything();
        let (mut metadata, mut followed) = ask()?;
        let unsettled = settle::lingers(sys::identity_of(&metadata));
        if doubtful && !unsettled {
            // A dropped file may have ended its writing just after it was looked at.
            (metadata, followed) = ask()?;
        }
        Ok((metadata, followed, unsettled))
    }

    /// Whether the entry is a directory to be entered, and what it is then known by.
    fn find_way_in(&mut self, entry: &WalkEntry) -> io::Result<Option<Option<sys::DirectoryId>>> {
        if entry.depth >= self.max_depth {
            return Ok(None);
        }
        // The path of the walk was named, so it is followed, though it is told of as the link it is.
        let target = if entry.depth == 0 && entry.metadata.is_symlink() {
            match sys::metadata(&entry.path) {
                Err(error) if has_vanished(&error) => return Ok(None),
                target => Some(target?),
            }
        } else {
            None
        };
        let metadata = target.as_ref().unwrap_or(&entry.metadata);
        if !metadata.is_dir() {
            return Ok(None);
        }
        if self.same_file_system {
            let device = sys::device(&entry.path, metadata)?;
            match &self.device {
                Some(own) if *own != device => return Ok(None),
                Some(_) => {}
                None => self.device = Some(device),
            }
        }
        if let Some(prune) = &mut self.prune {
            let prune = prune.get_mut().unwrap_or_else(PoisonError::into_inner);
            if prune(entry) {
                return Ok(None);
            }
        }
        if !self.follow_links {
            return Ok(Some(None));
        }
        let id = sys::directory_id(&entry.path, metadata)?;
        // Only a link can lead back.
        let mut above = self.levels.iter().filter(|_| entry.followed);
        match above.find(|level| level.id.as_ref() == Some(&id)) {
            Some(level) => Err(io::Error::other(format!(
                "the link leads back to `{}`, which contains it",
                level.path.display()
            ))),
            None => Ok(Some(Some(id))),
        }
    }

    /// Opens a directory, and goes on there.
    fn enter(&mut self, path: PathBuf, id: Option<sys::DirectoryId>) -> io::Result<()> {
        backend::still_moving();
        if self.levels.len() - self.closed >= OPEN {
            self.close_outermost();
        }
        let open = match sys::read_dir(&path) {
            // Give back what can be had without, and try once more.
            Err(error) if sys::is_out_of_descriptors(&error) => {
                backend::work_off_closes();
                while self.close_outermost() {}
                sys::read_dir(&path)
            }
            result => result,
        };
        let listing = Listing::Open(open.on("read directory", &path)?);
        self.levels.push(Level { path, id, listing });
        Ok(())
    }

    /// Frees the descriptor of the outermost directory that has one; `false` when none has.
    fn close_outermost(&mut self) -> bool {
        let Some(level) = self.levels.get_mut(self.closed) else {
            return false;
        };
        level.listing.close();
        self.closed += 1;
        true
    }

    /// Goes on in the directory above.
    fn leave(&mut self) {
        self.levels.pop();
        self.closed = self.closed.min(self.levels.len());
    }
}

impl Drop for Walker {
    fn drop(&mut self) {
        if !self.levels.is_empty() {
            backend::drop_elsewhere(std::mem::take(&mut self.levels));
        }
    }
}
