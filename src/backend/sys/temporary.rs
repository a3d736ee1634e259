//! Temporary files and directories: created so that nobody else has them, renamed, and removed. All of it runs on pool
//! threads.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use ::tempfile::TempPath;

#[cfg(unix)]
use super::dirfd;
use super::{Call, call};

/// How something temporary is to be created.
#[derive(Clone, Debug)]
pub(crate) struct Naming {
    pub(crate) prefix: OsString,
    pub(crate) suffix: OsString,
    /// How many random characters are between the two.
    pub(crate) random: usize,
    pub(crate) permissions: Option<Permissions>,
}

impl Naming {
    /// Has `create` try one name after another until it finds one that nobody has.
    fn try_names<T>(
        &self,
        dir: &Path,
        create: impl FnMut(&Path) -> io::Result<T>,
    ) -> io::Result<(T, TempPath)> {
        let made = ::tempfile::Builder::new()
            .prefix(&self.prefix)
            .suffix(&self.suffix)
            .rand_bytes(self.random)
            .make_in(dir, create)?;
        Ok(made.into_parts())
    }
}

/// Creates a file without a name in `dir`.
pub(crate) fn create_unnamed(naming: &Naming, dir: &Path) -> io::Result<File> {
    let file = match access::create_nameless(naming, dir)? {
        Some(file) => file,
        None => call(Call::Open, || ::tempfile::tempfile_in(dir))?,
    };
    access::grant_file(&file, naming)?;
    Ok(file)
}

/// Creates a file in `dir`. The path removes it when it is dropped, unless it is told not to.
pub(crate) fn create_named(naming: &Naming, dir: &Path) -> io::Result<(File, TempPath)> {
    let options = access::file_options(naming);
    let (file, path) = naming.try_names(dir, |path| call(Call::Open, || options.open(path)))?;
    access::grant_file(&file, naming)?;
    Ok((file, path))
}

/// Creates a directory in `dir`.
pub(crate) fn create_directory(naming: &Naming, dir: &Path) -> io::Result<PathBuf> {
    /// Removes the directory again unless all went well.
    struct Created<'a>(Option<&'a Path>);
    impl Drop for Created<'_> {
        fn drop(&mut self) {
            if let Some(path) = self.0 {
                // The error that is returned is the one that matters.
                let _ = super::remove_dir(path);
            }
        }
    }

    let builder = access::directory_builder(naming);
    let ((), mut path) =
        naming.try_names(dir, |path| call(Call::CreateDir, || builder.create(path)))?;
    // What removes files does not remove a directory.
    path.disable_cleanup(true);
    let mut created = Created(Some(&path));
    access::grant_directory(&path, naming)?;
    created.0 = None;
    Ok(path.to_path_buf())
}

/// Gives the file at `from` the name `to`. On failure `from` is left.
pub(crate) fn persist(from: &mut Option<TempPath>, to: &Path, overwrite: bool) -> io::Result<()> {
    call(Call::Rename, || {
        let Some(path) = from.take() else {
            return Ok(());
        };
        let renamed = if overwrite {
            path.persist(to)
        } else {
            path.persist_noclobber(to)
        };
        renamed.map_err(|failed| {
            *from = Some(failed.path);
            failed.error
        })
    })
}

/// Removes a directory with all that is in it. It is no error if it does not exist.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    // Somebody may still be creating something in it.
    const ATTEMPTS: usize = 8;
    let mut allowed = false;
    let mut attempt = 0;
    loop {
        attempt += 1;
        match super::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error)
                if error.kind() == io::ErrorKind::DirectoryNotEmpty && attempt < ATTEMPTS => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !allowed => {
                allowed = true;
                access::allow_removal(path);
            }
            result => return result,
        }
    }
}

/// Removes of a directory whatever can be removed. What somebody puts in the place of a directory meanwhile is not entered.
#[cfg(unix)]
pub(crate) fn remove_what_goes(path: &Path) {
    fn empty(dir: &File) {
        for name in dirfd::names(dir).unwrap_or_default() {
            let name = Path::new(&name);
            if let Ok(inner) = dirfd::open_dir_itself(dir, name) {
                empty(&inner);
            }
            if dirfd::remove_file(dir, name).is_err() {
                let _ = dirfd::remove_dir(dir, name);
            }
        }
    }
    if let Ok(dir) = dirfd::open_dir_itself(rustix::fs::CWD, path) {
        empty(&dir);
    }
    let _ = super::remove_dir(path);
}

/// Removes of a directory whatever can be removed.
#[cfg(not(unix))]
pub(crate) fn remove_what_goes(path: &Path) {
    // Every directory is visited twice: before all that is in it, and after.
    let mut stack = vec![(path.to_owned(), false)];
    while let Some((dir, emptied)) = stack.pop() {
        if emptied {
            let _ = super::remove_dir(&dir);
            continue;
        }
        stack.push((dir.clone(), true));
        let Ok(mut entries) = super::read_dir(&dir) else {
            continue;
        };
        while let Some(Ok(entry)) = super::next_entry(&mut entries) {
            if super::entry_type(&entry).is_ok_and(|kind| kind.is_dir()) {
                stack.push((entry.path(), false));
            } else {
                let _ = super::remove_file(&entry.path());
            }
        }
    }
}

#[cfg(unix)]
mod access {
    use std::os::fd::AsFd;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

    use rustix::fs::CWD;

    use super::super::{file_metadata, set_file_permissions};
    use super::*;

    /// What files get when nothing else is asked for.
    const FILE: u32 = 0o600;

    /// The same for directories.
    const DIRECTORY: u32 = 0o700;

    fn mode(naming: &Naming, usual: u32) -> u32 {
        let asked = naming.permissions.as_ref();
        asked.map_or(usual, PermissionsExt::mode)
    }

    /// Creates a file that never has a name; `None` where there is no such thing.
    ///
    /// `tempfile` would do that too, but with a mode that leaves everything to the umask.
    #[cfg(target_os = "linux")]
    pub(super) fn create_nameless(naming: &Naming, dir: &Path) -> io::Result<Option<File>> {
        use rustix::fs::OFlags;
        use rustix::io::Errno;

        let mut options = fs::OpenOptions::new();
        options
            .read(true)
            .write(true)
            .mode(mode(naming, FILE))
            .custom_flags(OFlags::TMPFILE.bits() as i32);
        match call(Call::Open, || options.open(dir)) {
            Ok(file) => Ok(Some(file)),
            Err(error) => match Errno::from_io_error(&error) {
                // So say file systems and kernels that have no such files.
                Some(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => Ok(None),
                _ => Err(error),
            },
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn create_nameless(_: &Naming, _: &Path) -> io::Result<Option<File>> {
        Ok(None)
    }

    pub(super) fn file_options(naming: &Naming) -> fs::OpenOptions {
        let mut options = fs::OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create_new(true)
            .mode(mode(naming, FILE));
        options
    }

    pub(super) fn directory_builder(naming: &Naming) -> fs::DirBuilder {
        let mut builder = fs::DirBuilder::new();
        builder.mode(mode(naming, DIRECTORY));
        builder
    }

    /// The mode that `found` has to become, if it is not right: the umask may have taken something away. A file system
    /// that gives more than was asked for, because it keeps no modes, is only told so when the mode was asked for.
    fn missing(found: &Permissions, naming: &Naming, usual: u32) -> Option<Permissions> {
        let wanted = mode(naming, usual);
        let found = found.mode() & 0o7777;
        let right = match naming.permissions {
            Some(_) => found == wanted & 0o7777,
            None => found & wanted == wanted,
        };
        (!right).then(|| Permissions::from_mode(wanted))
    }

    pub(super) fn grant_file(file: &File, naming: &Naming) -> io::Result<()> {
        let found = file_metadata(file)?.permissions();
        match missing(&found, naming, FILE) {
            Some(permissions) => set_file_permissions(file, &permissions),
            None => Ok(()),
        }
    }

    pub(super) fn grant_directory(path: &Path, naming: &Naming) -> io::Result<()> {
        dirfd::change_mode(CWD, path, |found| {
            Some(missing(&found, naming, DIRECTORY)?.mode())
        })
    }

    /// Lets the owner search and change every directory of the tree, as far as that is possible.
    pub(super) fn allow_removal(path: &Path) {
        fn allow(dir: impl AsFd, name: &Path) {
            let more = |found: Permissions| {
                let mode = found.mode();
                (mode & DIRECTORY != DIRECTORY).then_some(mode | DIRECTORY)
            };
            // Something else may have taken its place meanwhile, and links are not followed.
            let _ = dirfd::change_mode(&dir, name, more);
            if let Ok(dir) = dirfd::open_dir_itself(&dir, name) {
                for name in dirfd::names(&dir).unwrap_or_default() {
                    allow(&dir, Path::new(&name));
                }
            }
        }
        allow(CWD, path);
    }
}

/// Elsewhere there are no modes to give, and directories belong to whoever owns the one they are in.
#[cfg(not(unix))]
mod access {
    use super::*;

    pub(super) fn create_nameless(_: &Naming, _: &Path) -> io::Result<Option<File>> {
        Ok(None)
    }

    pub(super) fn file_options(_: &Naming) -> fs::OpenOptions {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create_new(true);
        options
    }

    pub(super) fn directory_builder(_: &Naming) -> fs::DirBuilder {
        fs::DirBuilder::new()
    }

    pub(super) fn grant_file(_: &File, naming: &Naming) -> io::Result<()> {
        refuse(naming)
    }

    pub(super) fn grant_directory(_: &Path, naming: &Naming) -> io::Result<()> {
        refuse(naming)
    }

    fn refuse(naming: &Naming) -> io::Result<()> {
        match naming.permissions {
            Some(_) => Err(io::ErrorKind::Unsupported.into()),
            None => Ok(()),
        }
    }

    /// What is read-only cannot be removed.
    pub(super) fn allow_removal(path: &Path) {
        let mut stack = vec![path.to_owned()];
        while let Some(dir) = stack.pop() {
            let Ok(mut entries) = super::super::read_dir(&dir) else {
                continue;
            };
            while let Some(Ok(entry)) = super::super::next_entry(&mut entries) {
                let Ok(metadata) = super::super::entry_metadata(&entry) else {
                    continue;
                };
                if metadata.is_dir() {
                    stack.push(entry.path());
                } else if metadata.permissions().readonly() {
                    let mut permissions = metadata.permissions();
                    #[expect(
                        clippy::permissions_set_readonly_false,
                        reason = "where this is compiled there are no modes"
                    )]
                    permissions.set_readonly(false);
                    let _ = call(Call::SetPermissions, || {
                        fs::set_permissions(entry.path(), permissions.clone())
                    });
                }
            }
        }
    }
}
