//! Where an operation does its work: the device whose slowness it shares.
//!
//! The dispatcher uses it to keep one dead mount or slow disk from holding every thread. A wrong answer costs fairness
//! and nothing else, so a path is placed by the mount table and its text, without asking the file system it leads to.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Weak};

use super::executor::{self, Shared};
use super::sys;
use super::trace::Label;

/// What an operation waits for, as far as it can be told without waiting, and which pool it waits on.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    site: Site,
    /// The user's own pool, if there is one for it.
    executor: Option<Shared>,
    /// Nothing but plain system calls will do.
    plain: bool,
    /// What else is known of the site.
    label: Label,
}

#[derive(Clone, Debug)]
enum Site {
    /// Not known.
    Anywhere,
    /// The device with this number.
    Device(u64),
    /// That of an open file of which nothing is known yet. Whoever asks for it holds the file.
    Open(Weak<File>),
    /// Whatever this path leads to.
    Path(Arc<Path>),
    /// Both of these.
    Between(Arc<(Place, Place)>),
}

impl Place {
    fn new(site: Site) -> Place {
        Place {
            site,
            executor: executor::current(),
            plain: false,
            label: Label::none(),
        }
    }

    /// A place of which nothing is known.
    pub(crate) fn anywhere() -> Place {
        Place::new(Site::Anywhere)
    }

    /// The same, which this path has led to.
    pub(crate) fn anywhere_at(path: Option<&Arc<Path>>) -> Place {
        Place::anywhere().labelled(Label::of(path))
    }

    /// The device with this number.
    pub(crate) fn device(device: u64) -> Place {
        Place::new(Site::Device(device))
    }

    /// The device of an open file, which is still to be found out.
    pub(crate) fn open(file: &Arc<File>) -> Place {
        Place::new(Site::Open(Arc::downgrade(file)))
    }

    /// The place of an operation on `path`.
    pub(crate) fn of(path: &Arc<Path>) -> Place {
        Place::new(Site::Path(path.clone()))
    }

    /// Two places, for what waits for both. It shares neither with those that wait for one of them, because it may be the
    /// other that is slow.
    pub(crate) fn between(one: Place, other: Place) -> Place {
        Place {
            executor: one.executor.clone(),
            plain: one.plain || other.plain,
            label: one.label.clone(),
            site: Site::Between(Arc::new((one, other))),
        }
    }

    /// The same with the pool of an open file, if that has one.
    pub(crate) fn on(mut self, executor: Option<&Shared>) -> Place {
        if let Some(executor) = executor {
            self.executor = Some(executor.clone());
        }
        self
    }

    /// The same, and nothing but plain system calls will do, if `plain` says so.
    pub(crate) fn plainly(mut self, plain: bool) -> Place {
        self.plain = plain;
        self
    }

    /// The same, which a path has led to.
    pub(crate) fn labelled(mut self, label: Label) -> Place {
        self.label = label;
        self
    }

    /// The path and the number of the device, as far as they are known.
    #[cfg_attr(
        not(feature = "tracing"),
        allow(dead_code, reason = "asked for whoever is told")
    )]
    pub(super) fn site(&self) -> (Option<&Arc<Path>>, Option<u64>) {
        match &self.site {
            Site::Anywhere | Site::Open(_) => (self.label.path(), None),
            Site::Device(device) => (self.label.path(), Some(*device)),
            Site::Path(path) => (Some(path), None),
            Site::Between(both) => both.0.site(),
        }
    }

    /// Whether nothing but plain system calls will do.
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    /// The pool.
    pub(super) fn executor(&self) -> Option<&Shared> {
        self.executor.as_ref()
    }

    /// A number that is the same for operations on the same device. Zero means unknown.
    ///
    /// Only called on pool threads: it may read the mount table.
    pub(super) fn key(&self) -> u64 {
        match &self.site {
            Site::Anywhere => 0,
            Site::Device(device) => *device,
            Site::Open(file) => {
                let file = file.upgrade();
                file.and_then(|file| sys::device_at_once(&file))
                    .unwrap_or(0)
            }
            Site::Path(path) => mounts::key(path),
            Site::Between(both) => match (both.0.key(), both.1.key()) {
                (one, other) if one == other => one,
                // Any number will do that is no other device's.
                (one, other) => (one.rotate_left(17) ^ other.rotate_left(43)) | 1 << 63,
            },
        }
    }
}

#[cfg(target_os = "linux")]
mod mounts {
    use std::os::unix::ffi::OsStringExt;
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    /// How long a copy of the mount table is believed.
    const FRESH: Duration = Duration::from_secs(1);

    struct Table {
        read: Option<Instant>,
        /// Mount points with their device numbers.
        mounts: Vec<(PathBuf, u64)>,
    }

    static TABLE: Mutex<Table> = Mutex::new(Table {
        read: None,
        mounts: Vec::new(),
    });

    pub(super) fn key(path: &Path) -> u64 {
        let Ok(path) = std::path::absolute(path) else {
            return 0;
        };
        let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        if table.read.is_none_or(|read| read.elapsed() > FRESH) {
            // procfs answers from memory, whatever state the mounts themselves are in.
            let text = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
            table.mounts = text.split(|b| *b == b'\n').filter_map(parse).collect();
            table.read = Some(Instant::now());
        }
        // The longest mount point that the path begins with; the last of equals covers the others.
        let under = table
            .mounts
            .iter()
            .filter(|(point, _)| path.starts_with(point));
        under
            .max_by_key(|(point, _)| point.as_os_str().len())
            .map_or(0, |(_, device)| *device)
    }

    /// Reads one line: `id parent major:minor root mountpoint ...`.
    fn parse(line: &[u8]) -> Option<(PathBuf, u64)> {
        let mut words = line.split(|b| *b == b' ');
        let device = std::str::from_utf8(words.nth(2)?).ok()?;
        let point = unescape(words.nth(1)?);
        let (major, minor) = device.split_once(':')?;
        let device = rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?);
        Some((PathBuf::from(std::ffi::OsString::from_vec(point)), device))
    }

    /// Undoes the octal escapes that the kernel uses for blanks in mount points.
    fn unescape(word: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(word.len());
        let mut rest = word;
        while let [first, tail @ ..] = rest {
            match rest {
                [
                    b'\\',
                    a @ b'0'..=b'3',
                    b @ b'0'..=b'7',
                    c @ b'0'..=b'7',
                    tail @ ..,
                ] => {
                    out.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                    rest = tail;
                }
                _ => {
                    out.push(*first);
                    rest = tail;
                }
            }
        }
        out
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn mount_points_are_unescaped_and_numbered() {
            let line = br"36 35 8:2 / /mnt/a\040b\134c rw - ext4 /dev/sda2 rw";
            assert_eq!(
                parse(line),
                Some((PathBuf::from(r"/mnt/a b\c"), rustix::fs::makedev(8, 2)))
            );
            assert_eq!(parse(b""), None);
        }

        #[test]
        fn a_path_is_placed_on_the_device_of_its_mount() {
            use std::os::unix::fs::MetadataExt;
            let proc = std::fs::metadata("/proc/self").map(|m| m.dev());
            assert_eq!(key(Path::new("/proc/self/status")), proc.unwrap_or(0));
            assert_ne!(key(Path::new("/proc/self")), key(Path::new("/nowhere")));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod mounts {
    use std::hash::{DefaultHasher, Hash, Hasher};
    use std::path::Path;

    /// Without a mount table, the first three components tell one mount from another well enough.
    pub(super) fn key(path: &Path) -> u64 {
        let Ok(path) = std::path::absolute(path) else {
            return 0;
        };
        let mut hasher = DefaultHasher::new();
        for component in path.components().take(3) {
            component.hash(&mut hasher);
        }
        hasher.finish() | 1
    }
}
