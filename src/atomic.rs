//! Replacing a file as a whole, so that nobody ever sees a part of it.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backend::{self, Place, sys};
use crate::error::Context;
use crate::open::open_patiently;

/// What temporary files are called, with random letters between the two.
const PREFIX: &str = ".aiofiles-";
const SUFFIX: &str = ".tmp";

/// So many links may lead from one to the next: the bound of Linux.
const MOST_LINKS: usize = 40;

/// Writes a whole file in one step: whoever looks at `path`, at any moment and also after a crash, finds the old content or
/// the new one, and never a part or a mix.
///
/// The content is written to a temporary file beside the old one and synced; then it takes the old one's name, and the
/// directory is synced, where the system and the file system know such a thing. When it returns `Ok`, the new content is
/// on the device. All of that is one job of the pool, to which the content moves.
///
/// * A symbolic link stays one: the file that it leads to is replaced, or created. Other hard links to the old file keep the
///   old content, and so do those who have it open.
/// * The new file has the permission bits of the old one, and its owner and group where the process may set them. Access
///   lists and extended attributes are not taken over. A file that is new has the bits `0o666` without the umask.
/// * What counts is whether the process may create files in the directory; a file that may not be written is replaced too.
/// * If the process is killed meanwhile, a temporary file whose name begins with `.aiofiles-` may stay behind.
///
/// # Cancel safety
///
/// The file may still be replaced after the future is dropped. Then too, no temporary file stays behind.
///
/// # Errors
///
/// Whatever fails, the old file stays as it was, and the temporary file is removed. Only if nothing but the syncing of the
/// directory fails, `path` has the new content already, and a crash may still bring the old one back.
///
/// * `path` leads to something that is no regular file.
/// * The directory does not exist, or the process may not read it or create files in it.
/// * The device is full.
/// * Some other I/O error occurred.
///
/// # Panics
///
/// With the panic of `contents.as_ref()`.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("settings.toml");
/// aiofiles::write(&path, "colour = 'red'").await?;
/// aiofiles::write_atomic(&path, "colour = 'blue'").await?;
/// assert_eq!(std::fs::read(&path)?, b"colour = 'blue'");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "replace")]
pub async fn write_atomic<P, C>(path: P, contents: C) -> io::Result<()>
where
    P: AsRef<Path>,
    C: AsRef<[u8]> + Send + 'static,
{
    let path = path.as_ref();
    let own = Arc::<Path>::from(path);
    backend::long("write", Place::of(&own), move || {
        replace(&own, contents.as_ref())
    })
    .await
    .on("write", path)
}

/// Does all of it. Runs on a pool thread.
fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let (target, old) = end_of_links(path)?;
    match &old {
        Some(old) if old.is_dir() => return Err(sys::is_a_directory()),
        Some(old) if !old.is_file() => {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "only a regular file can be replaced",
            ));
        }
        None if target.file_name().is_none() => return Err(sys::not_found()),
        _ => {}
    }
    let dir = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Opened now, so that nothing was replaced yet if that is not allowed.
    let to_sync = open_patiently(|| sys::open_dir_to_sync(dir))?;

    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    if old.is_some() {
        // Whoever may not read the old file may not read what will replace it either.
        sys::set_private(&mut options);
    }
    let temporary = ::tempfile::Builder::new()
        .prefix(PREFIX)
        .suffix(SUFFIX)
        .make_in(dir, |name| {
            open_patiently(|| sys::call(sys::Call::Open, || options.open(name)))
        })?;
    // From here on, the temporary file is removed on every way out but the last, and that of a panic is one of them.
    let (file, mut name) = temporary.into_parts();

    let mut rest = contents;
    while !rest.is_empty() {
        match sys::write(&file, rest)? {
            0 => return Err(ErrorKind::WriteZero.into()),
            n => rest = &rest[n..],
        }
    }
    if let Some(old) = old {
        // The bits come last: a new owner takes some away, and so does a write.
        sys::set_owner_like(&file, &old)?;
        sys::set_file_permissions(&file, &old.permissions())?;
    }
    sys::sync_all(&file)?;
    // Some systems do not rename what is open.
    drop(file);
    sys::rename(&name, &target)?;
    name.disable_cleanup(true);

    match to_sync.map(|dir| sys::sync_all(&dir)) {
        // This file system has nothing to say about its directories.
        Some(Err(error)) if sys::is_sync_refused(&error) => Ok(()),
        Some(synced) => synced,
        None => Ok(()),
    }
}

/// Where the links that `path` may be lead to, and what is there. What is not there can be created.
fn end_of_links(path: &Path) -> io::Result<(PathBuf, Option<Metadata>)> {
    let mut path = path.to_owned();
    for _ in 0..=MOST_LINKS {
        match sys::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let target = sys::read_link(&path)?;
                // The text of a link counts from the directory that it is in.
                path = path.parent().unwrap_or(Path::new("")).join(target);
            }
            Ok(metadata) => return Ok((path, Some(metadata))),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((path, None)),
            Err(error) => return Err(error),
        }
    }
    Err(sys::link_loop())
}
