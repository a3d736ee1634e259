//! What the modules named after Python's ask of Windows. Written from the documentation of std and not run by the tests
//! of this crate.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Call, Rights, call};

/// Whether the process has these rights on `path`, as far as the read-only attribute tells.
pub(crate) fn access(path: &Path, rights: Rights) -> io::Result<()> {
    let metadata = if rights.no_follow {
        super::symlink_metadata(path)?
    } else {
        super::metadata(path)?
    };
    // The attribute of a directory does not keep anybody from writing there.
    if rights.write && metadata.permissions().readonly() && !metadata.is_dir() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

/// Whether both paths lead to one file. std tells no number of it, so the canonical paths decide, and hard links are taken
/// for different files.
pub(crate) fn same_file(one: (&Path, &Metadata), other: (&Path, &Metadata)) -> io::Result<bool> {
    Ok(super::directory_id(one.0, one.1)? == super::directory_id(other.0, other.1)?)
}

/// Whether `path` is the root of a drive or of a share.
pub(crate) fn is_mount(path: &Path) -> io::Result<bool> {
    super::symlink_metadata(path)?;
    Ok(absolute(path)?.parent().is_none())
}

/// When a file was created: that of its status is not told here.
pub(crate) fn change_time(metadata: &Metadata) -> io::Result<SystemTime> {
    metadata.created()
}

pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    call(Call::Metadata, || std::path::absolute(path))
}

/// A path without a drive is relative to one, whatever it looks like.
pub(crate) fn normal_if_absolute(_: &Path) -> Option<PathBuf> {
    None
}

pub(crate) fn create_dir_with_mode(path: &Path, _: u32) -> io::Result<()> {
    super::create_dir(path)
}

/// A directory cannot be synced here.
pub(crate) fn open_dir_to_sync(_: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

pub(crate) fn set_private(_: &mut std::fs::OpenOptions) {}

pub(crate) fn set_owner_like(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// The error of a link that leads to itself.
pub(crate) fn link_loop() -> io::Error {
    const ERROR_CANT_RESOLVE_FILENAME: i32 = 1921;
    io::Error::from_raw_os_error(ERROR_CANT_RESOLVE_FILENAME)
}

/// The error of a directory where a file was expected.
pub(crate) fn is_a_directory() -> io::Error {
    io::ErrorKind::IsADirectory.into()
}

/// The error of a path that leads nowhere.
pub(crate) fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}
