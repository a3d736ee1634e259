//! What the modules named after Python's ask of Unix.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Access, AtFlags, CWD, OFlags};
use rustix::io::Errno;

use super::{Call, Rights, call};

pub(crate) use rustix::fs::StatVfs;

/// Whether the process has these rights on `path`.
pub(crate) fn access(path: &Path, rights: Rights) -> io::Result<()> {
    access_at(CWD, path, rights)
}

/// The same, relative to a directory.
pub(crate) fn access_at(dir: impl AsFd, path: &Path, rights: Rights) -> io::Result<()> {
    let mut access = Access::EXISTS;
    access.set(Access::READ_OK, rights.read);
    access.set(Access::WRITE_OK, rights.write);
    access.set(Access::EXEC_OK, rights.execute);
    let mut flags = AtFlags::empty();
    flags.set(AtFlags::EACCESS, rights.effective);
    flags.set(AtFlags::SYMLINK_NOFOLLOW, rights.no_follow);
    call(Call::Metadata, || {
        Ok(rustix::fs::accessat(&dir, path, access, flags)?)
    })
}

pub(crate) fn statvfs(path: &Path) -> io::Result<StatVfs> {
    call(Call::Metadata, || Ok(rustix::fs::statvfs(path)?))
}

/// Whether both paths lead to one file.
pub(crate) fn same_file(one: (&Path, &Metadata), other: (&Path, &Metadata)) -> io::Result<bool> {
    Ok(super::identity_of(one.1) == super::identity_of(other.1))
}

/// Whether a file system is mounted at `path`.
pub(crate) fn is_mount(path: &Path) -> io::Result<bool> {
    let metadata = super::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(false);
    }
    let parent = match super::symlink_metadata(&path.join("..")) {
        Ok(parent) => parent,
        // A file, on which something can be mounted too, or a directory that may not be searched.
        Err(_) => {
            let real = call(Call::Metadata, || std::fs::canonicalize(path))?;
            super::symlink_metadata(real.parent().unwrap_or(&real))?
        }
    };
    // The root is its own parent.
    Ok(metadata.dev() != parent.dev() || metadata.ino() == parent.ino())
}

/// When the status of a file changed last.
pub(crate) fn change_time(metadata: &Metadata) -> io::Result<SystemTime> {
    let whole = Duration::from_secs(metadata.ctime().unsigned_abs());
    let second = if metadata.ctime() < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    let nanos = Duration::from_nanos(metadata.ctime_nsec().unsigned_abs());
    second
        .and_then(|second| second.checked_add(nanos))
        .ok_or_else(|| io::Error::other("a time that cannot be expressed"))
}

/// The absolute path of `path`, without `.`, `..` and doubled slashes. Links are not looked at.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    // Joining to an absolute path is that path.
    Ok(normal(&super::current_dir()?.join(path)))
}

/// An absolute path without `.`, `..` and doubled slashes.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    let slashes = bytes.iter().take_while(|byte| **byte == b'/').count();
    let mut names = Vec::new();
    for name in bytes.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            // Nothing is above the root.
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    // POSIX leaves the meaning of two slashes, and no other number of them, to the system.
    let mut normal = if slashes == 2 { &b"//"[..] } else { b"/" }.to_owned();
    normal.extend(names.join(&b'/'));
    PathBuf::from(OsStr::from_bytes(&normal))
}

/// The same path if it is absolute already, so that no directory need be asked for.
pub(crate) fn normal_if_absolute(path: &Path) -> Option<PathBuf> {
    path.has_root().then(|| normal(path))
}

pub(crate) fn create_dir_with_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    call(Call::CreateDir, || {
        std::fs::DirBuilder::new().mode(mode).create(path)
    })
}

/// Opens a directory in order to sync it.
pub(crate) fn open_dir_to_sync(path: &Path) -> io::Result<Option<File>> {
    let mut options = std::fs::OpenOptions::new();
    options
        .read(true)
        .custom_flags(OFlags::DIRECTORY.bits() as i32);
    call(Call::Open, || options.open(path)).map(Some)
}

/// Has a file created that nobody else may open.
pub(crate) fn set_private(options: &mut std::fs::OpenOptions) {
    options.mode(0o600);
}

/// Gives `file` the owner and the group that another has, where the process may do so.
pub(crate) fn set_owner_like(file: &File, like: &Metadata) -> io::Result<()> {
    let own = super::file_metadata(file)?;
    let differs = |own: u32, like: u32| (own != like).then_some(like);
    // One after the other: the group may often be set where the owner may not.
    for (uid, gid) in [
        (None, differs(own.gid(), like.gid())),
        (differs(own.uid(), like.uid()), None),
    ] {
        if uid.or(gid).is_none() {
            continue;
        }
        let changed = call(Call::SetPermissions, || {
            std::os::unix::fs::fchown(file, uid, gid)
        });
        match changed {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            changed => changed?,
        }
    }
    Ok(())
}

/// The error of a link that leads to itself.
pub(crate) fn link_loop() -> io::Error {
    Errno::LOOP.into()
}

/// The error of a directory where a file was expected.
pub(crate) fn is_a_directory() -> io::Error {
    Errno::ISDIR.into()
}

/// The error of a path that leads nowhere.
pub(crate) fn not_found() -> io::Error {
    Errno::NOENT.into()
}
