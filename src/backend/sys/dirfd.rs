//! System calls relative to an open directory.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::fd::AsFd;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Access, Call, Creation, call, perform};

/// Opens a directory by its path.
pub(crate) fn open_dir(path: &Path) -> io::Result<File> {
    open_dir_at(CWD, path)
}

/// Opens a directory relative to another.
pub(crate) fn open_dir_at(dir: impl AsFd, path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    raw_open(dir, path, flags, 0)
}

/// The same, unless it is a link.
pub(crate) fn open_dir_itself(dir: impl AsFd, path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    raw_open(dir, path, flags, 0)
}

/// Opens a file as [`std::fs::OpenOptions`] would, relative to a directory, and with O_NONBLOCK, so that a FIFO or a
/// device does not hold the thread.
pub(crate) fn open(
    dir: impl AsFd,
    path: &Path,
    access: Access,
    creation: Creation,
    custom_flags: i32,
) -> io::Result<File> {
    let custom_flags = OFlags::from_bits_retain(custom_flags as u32) - OFlags::ACCMODE;
    let flags =
        access_flags(access)? | creation_flags(access, creation)? | OFlags::CLOEXEC | custom_flags;
    let mode = creation.mode.unwrap_or(0o666);
    match raw_open(&dir, path, flags | OFlags::NONBLOCK, mode) {
        // A lease on the file, or a driver that does not know O_NONBLOCK: open it as std would.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            raw_open(&dir, path, flags, mode)
        }
        result => result,
    }
}

/// Whether std's options make sense together.
pub(crate) fn are_sound(access: Access, creation: Creation) -> bool {
    access_flags(access).is_ok() && creation_flags(access, creation).is_ok()
}

fn raw_open(dir: impl AsFd, path: &Path, flags: OFlags, mode: u32) -> io::Result<File> {
    let mode = Mode::from_raw_mode(mode as _);
    call(Call::Open, || {
        perform::open(&dir, path, flags.bits(), mode.bits())
            .unwrap_or_else(|| Ok(File::from(rustix::fs::openat(&dir, path, flags, mode)?)))
    })
}

/// The access that std's options mean.
fn access_flags(access: Access) -> io::Result<OFlags> {
    Ok(match (access.read, access.write, access.append) {
        (true, false, false) => OFlags::RDONLY,
        (false, true, false) => OFlags::WRONLY,
        (true, true, false) => OFlags::RDWR,
        (false, _, true) => OFlags::WRONLY | OFlags::APPEND,
        (true, _, true) => OFlags::RDWR | OFlags::APPEND,
        (false, false, false) => return Err(Errno::INVAL.into()),
    })
}

/// What std's options mean to a file that exists or does not.
fn creation_flags(access: Access, creation: Creation) -> io::Result<OFlags> {
    let Creation {
        truncate,
        create,
        create_new,
        ..
    } = creation;
    let changes = access.write || access.append;
    if !changes && (truncate || create || create_new) || access.append && truncate && !create_new {
        return Err(Errno::INVAL.into());
    }
    if create_new {
        return Ok(OFlags::CREATE | OFlags::EXCL);
    }
    let mut flags = OFlags::empty();
    flags.set(OFlags::CREATE, create);
    flags.set(OFlags::TRUNC, truncate);
    Ok(flags)
}

/// Device and inode of whatever `path` leads to.
pub(crate) fn identity(dir: &File, path: &Path) -> io::Result<(u64, u64)> {
    let stat = stat(dir, path)?;
    #[allow(
        clippy::unnecessary_cast,
        reason = "their types differ between systems"
    )]
    Ok((stat.st_dev as u64, stat.st_ino as u64))
}

/// Whether `path` leads to a FIFO.
pub(crate) fn is_fifo(dir: &File, path: &Path) -> bool {
    stat(dir, path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

fn stat(dir: &File, path: &Path) -> io::Result<rustix::fs::Stat> {
    call(Call::Metadata, || {
        Ok(rustix::fs::statat(dir, path, AtFlags::empty())?)
    })
}

/// The metadata of what `path` leads to, or of `path` itself.
///
/// Only std makes its metadata, and only from a path or a descriptor. One that stands for nothing but a place in the tree
/// needs no right on the file.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(crate) fn metadata(dir: &File, path: &Path, follow: bool) -> io::Result<Metadata> {
    let mut flags = OFlags::PATH | OFlags::CLOEXEC;
    flags.set(OFlags::NOFOLLOW, !follow);
    let place = call(Call::Metadata, || {
        Ok(File::from(rustix::fs::openat(
            dir,
            path,
            flags,
            Mode::empty(),
        )?))
    })?;
    super::file_metadata(&place)
}

/// The same by way of the path that the directory has now.
#[cfg(target_vendor = "apple")]
pub(crate) fn metadata(dir: &File, path: &Path, follow: bool) -> io::Result<Metadata> {
    let now = call(Call::Metadata, || Ok(rustix::fs::getpath(dir)?))?;
    let path = Path::new(OsStr::from_bytes(now.as_bytes())).join(path);
    if follow {
        super::metadata(&path)
    } else {
        super::symlink_metadata(&path)
    }
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_vendor = "apple"
)))]
pub(crate) fn metadata(_: &File, _: &Path, _: bool) -> io::Result<Metadata> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Gives a directory another mode if `wanted` wants that. What else somebody puts in its place, or a link there leads to,
/// keeps its mode.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn change_mode(
    dir: impl AsFd,
    path: &Path,
    wanted: impl FnOnce(Permissions) -> Option<u32>,
) -> io::Result<()> {
    // It stands for nothing but a place in the tree, so it needs no right on the directory.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = call(Call::Open, || {
        Ok(File::from(rustix::fs::openat(
            &dir,
            path,
            flags,
            Mode::empty(),
        )?))
    })?;
    let Some(mode) = wanted(super::file_metadata(&place)?.permissions()) else {
        return Ok(());
    };
    let permissions = Permissions::from_mode(mode);
    match open_dir_at(&place, Path::new(".")) {
        Ok(open) => super::set_file_permissions(&open, &permissions),
        // It may not be read. Then this link leads to it, where there is procfs.
        Err(_) => call(Call::SetPermissions, || {
            let link = format!("/proc/self/fd/{}", place.as_raw_fd());
            std::fs::set_permissions(link, permissions.clone())
        }),
    }
}

/// The same.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn change_mode(
    dir: impl AsFd,
    path: &Path,
    wanted: impl FnOnce(Permissions) -> Option<u32>,
) -> io::Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let stat = call(Call::Metadata, || {
        Ok(rustix::fs::statat(&dir, path, flags)?)
    })?;
    let Some(mode) = wanted(Permissions::from_mode(stat.st_mode as _)) else {
        return Ok(());
    };
    let mode = Mode::from_raw_mode(mode as _);
    call(Call::SetPermissions, || {
        Ok(rustix::fs::chmodat(&dir, path, mode, flags)?)
    })
}

pub(crate) fn create_dir(dir: &File, path: &Path, mode: u32) -> io::Result<()> {
    let mode = Mode::from_raw_mode(mode as _);
    call(Call::CreateDir, || {
        Ok(rustix::fs::mkdirat(dir, path, mode)?)
    })
}

pub(crate) fn remove_file(dir: &File, path: &Path) -> io::Result<()> {
    call(Call::RemoveFile, || {
        Ok(rustix::fs::unlinkat(dir, path, AtFlags::empty())?)
    })
}

pub(crate) fn remove_dir(dir: &File, path: &Path) -> io::Result<()> {
    call(Call::RemoveDir, || {
        Ok(rustix::fs::unlinkat(dir, path, AtFlags::REMOVEDIR)?)
    })
}

pub(crate) fn rename(dir: &File, from: &Path, to_dir: &File, to: &Path) -> io::Result<()> {
    call(Call::Rename, || {
        Ok(rustix::fs::renameat(dir, from, to_dir, to)?)
    })
}

pub(crate) fn hard_link(dir: &File, from: &Path, to_dir: &File, to: &Path) -> io::Result<()> {
    call(Call::Link, || {
        Ok(rustix::fs::linkat(dir, from, to_dir, to, AtFlags::empty())?)
    })
}

pub(crate) fn symlink(target: &Path, dir: &File, link: &Path) -> io::Result<()> {
    call(Call::Link, || Ok(rustix::fs::symlinkat(target, dir, link)?))
}

pub(crate) fn read_link(dir: &File, path: &Path) -> io::Result<PathBuf> {
    let target = call(Call::Metadata, || {
        Ok(rustix::fs::readlinkat(dir, path, Vec::new())?)
    })?;
    Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

/// The names in a directory, without `.` and `..`. They are read through a descriptor of their own, so the position of this
/// one plays no part.
pub(crate) fn names(dir: &File) -> io::Result<Vec<OsString>> {
    let mut entries = call(Call::ReadDir, || Ok(rustix::fs::Dir::read_from(dir)?))?;
    let mut names = Vec::new();
    // The end is no error, so it passes as a success without an entry.
    while let Some(entry) = call(Call::ReadDir, || Ok(entries.read().transpose()?))? {
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
