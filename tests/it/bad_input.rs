//! Input that makes no sense, or not much: the answer is std's error, and never a panic or a hang.
#![cfg(unix)]

use std::ffi::OsStr;
use std::fs::FileTimes;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, SeekFrom, Write as _, pipe};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use aiofiles::unix::{OpenOptionsExt as _, PermissionsExt as _};
use aiofiles::{DirBuilder, File, OpenOptions, PathError, raw_os_error};
use futures_lite::future;
use futures_lite::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, StreamExt as _,
};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::support::*;

#[track_caller]
fn run<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    within_limit("block_on", || future::block_on(future))
}

/// Kind and code of the error, or `None`.
type Verdict = Option<(ErrorKind, Option<i32>)>;

fn verdict<T>(result: &io::Result<T>) -> Verdict {
    let error = result.as_ref().err()?;
    Some((error.kind(), raw_os_error(error)))
}

/// The kind alone, where ours is refused without asking the kernel, which gives no code.
fn kind<T>(result: &io::Result<T>) -> Option<ErrorKind> {
    result.as_ref().err().map(io::Error::kind)
}

// ---------------------------------------------------------------------------------------------------------------------
// Ways to open

#[test]
fn every_combination_of_open_options_does_what_std_does() {
    run(async {
        for bits in 0..64_u32 {
            for path in ["file", "new", "dir", "dangling", "file/", "new/"] {
                let (ours, stds) = (Layout::new(), Layout::new());
                let bit = |n: u32| bits & (1 << n) != 0;
                let mut our_options = OpenOptions::new();
                our_options
                    .read(bit(0))
                    .write(bit(1))
                    .append(bit(2))
                    .truncate(bit(3))
                    .create(bit(4))
                    .create_new(bit(5));
                let mut std_options = std::fs::OpenOptions::new();
                std_options
                    .read(bit(0))
                    .write(bit(1))
                    .append(bit(2))
                    .truncate(bit(3))
                    .create(bit(4))
                    .create_new(bit(5));
                let our_path = ours.at(path);
                let opened = our_options.open(&our_path).await;
                let expected = std_options.open(stds.at(path));
                assert_eq!(
                    verdict(&opened),
                    verdict(&expected),
                    "{std_options:?} on `{path}`"
                );
                if let Err(error) = &opened {
                    assert_names(error, &our_path, None);
                }
                // Nothing but what std creates or truncates is created or truncated.
                drop(opened);
                assert_eq!(
                    ours.content(),
                    stds.content(),
                    "{std_options:?} on `{path}`"
                );
            }
        }
    });
}

#[test]
fn a_buffer_of_no_bytes_is_refused_before_anything_is_created_or_truncated() {
    run(async {
        let layout = Layout::new();
        let before = layout.content();
        for path in ["file", "new"] {
            let mut options = OpenOptions::new();
            options
                .write(true)
                .create(true)
                .truncate(true)
                .buffer_size(0);
            let error = options.open(layout.at(path)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_names(&error, &layout.at(path), None);
        }
        assert_eq!(layout.content(), before);
        // One byte is little, and enough.
        let mut options = OpenOptions::new();
        options.read(true).write(true).buffer_size(1);
        let mut file = options.open(layout.at("file")).await.unwrap();
        file.write_all(b"hello").await.unwrap();
        file.rewind_().await;
        let mut all = String::new();
        file.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "hello");
    });
}

/// `seek` to the beginning, which two extension traits name differently.
trait Rewind {
    async fn rewind_(&mut self);
}

impl Rewind for File {
    async fn rewind_(&mut self) {
        self.seek(SeekFrom::Start(0)).await.unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn custom_flags_do_what_they_do_in_std() {
    run(async {
        for flags in [
            OFlags::DIRECTORY,
            OFlags::NOFOLLOW,
            OFlags::PATH,
            OFlags::TMPFILE,
            OFlags::APPEND,
            OFlags::NONBLOCK,
            OFlags::DIRECT,
            OFlags::NOATIME,
            OFlags::SYNC,
            OFlags::TRUNC,
            OFlags::CREATE | OFlags::EXCL,
            // The access mode is not theirs to say.
            OFlags::WRONLY,
            OFlags::RDWR,
        ] {
            for write in [false, true] {
                for path in ["file", "link", "dangling", "dir", "new"] {
                    let (ours, stds) = (Layout::new(), Layout::new());
                    let case = format!("{flags:?}, write: {write}, on `{path}`");
                    let mut our_options = OpenOptions::new();
                    our_options
                        .read(true)
                        .write(write)
                        .custom_flags(flags.bits() as i32);
                    let mut std_options = std::fs::OpenOptions::new();
                    std_options.read(true).write(write);
                    std::os::unix::fs::OpenOptionsExt::custom_flags(
                        &mut std_options,
                        flags.bits() as i32,
                    );
                    let opened = our_options.open(ours.at(path)).await;
                    let expected = std_options.open(stds.at(path));
                    assert_eq!(verdict(&opened), verdict(&expected), "{case}");
                    let (Ok(mut opened), Ok(mut expected)) = (opened, expected) else {
                        continue;
                    };
                    let status = |fd: std::os::fd::BorrowedFd<'_>| rustix::fs::fcntl_getfl(fd);
                    assert_eq!(status(opened.as_fd()), status(expected.as_fd()), "{case}");
                    if flags == OFlags::DIRECT {
                        continue;
                    }
                    let result = io::Write::write_all(&mut expected, b"abc");
                    let mut written = opened.write_all(b"abc").await;
                    if written.is_ok() {
                        written = opened.flush().await;
                    }
                    assert_eq!(verdict(&written), verdict(&result), "{case}");
                    let (mut our_bytes, mut std_bytes) = (Vec::new(), Vec::new());
                    let result = io::Read::read_to_end(&mut expected, &mut std_bytes);
                    let read = opened.read_to_end(&mut our_bytes).await;
                    assert_eq!(verdict(&read), verdict(&result), "{case}");
                    assert_eq!(our_bytes, std_bytes, "{case}");
                    let len = expected.metadata().unwrap().len();
                    assert_eq!(opened.metadata().await.unwrap().len(), len, "{case}");
                    drop(opened.close().await);
                    assert_eq!(ours.content(), stds.content(), "{case}");
                }
            }
        }
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Paths

/// A directory with one of each kind, in a directory of its own, so that `..` leads to nobody else's.
struct Layout {
    base: PathBuf,
    /// Removes it.
    _dir: tempfile::TempDir,
}

impl Layout {
    fn new() -> Layout {
        use std::os::unix::fs::symlink;
        // There are thousands of them: in memory, if it can be.
        let dir = tempfile::Builder::new()
            .prefix("aiofiles-test-")
            .tempdir_in("/dev/shm")
            .unwrap_or_else(|_| temp_dir());
        let base = dir.path().join("layout");
        std::fs::create_dir(&base).unwrap();
        let layout = Layout { base, _dir: dir };
        std::fs::write(layout.at("file"), "text").unwrap();
        std::fs::create_dir_all(layout.at("dir/inner")).unwrap();
        std::fs::write(layout.at("dir/file"), "more").unwrap();
        std::fs::create_dir(layout.at("empty")).unwrap();
        symlink("file", layout.at("link")).unwrap();
        symlink("dir", layout.at("dirlink")).unwrap();
        symlink("nowhere", layout.at("dangling")).unwrap();
        symlink("loop", layout.at("loop")).unwrap();
        layout
    }

    /// The path of something in it; an empty path stays empty.
    fn at(&self, path: impl AsRef<OsStr>) -> PathBuf {
        let path = path.as_ref();
        if path.is_empty() {
            return PathBuf::new();
        }
        // Not `join`, which would tidy it.
        let mut whole = self.base.as_os_str().to_owned();
        whole.push("/");
        whole.push(path);
        whole.into()
    }

    /// All there is in it, with types and content, in order.
    fn content(&self) -> Vec<(PathBuf, String)> {
        fn add(base: &Path, dir: &Path, all: &mut Vec<(PathBuf, String)>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let metadata = std::fs::symlink_metadata(&path).unwrap();
                let what = if metadata.is_symlink() {
                    // Two layouts stand in different places.
                    let to = std::fs::read_link(&path).unwrap();
                    format!("to {:?}", to.strip_prefix(base).unwrap_or(&to))
                } else if metadata.is_dir() {
                    add(base, &path, all);
                    "directory".to_owned()
                } else {
                    format!("{:?}", std::fs::read(&path).unwrap())
                };
                let mode = metadata.permissions().mode();
                let name = path.strip_prefix(base).unwrap().to_owned();
                all.push((name, format!("{what} {mode:o}")));
            }
        }
        let mut all = Vec::new();
        add(&self.base, &self.base, &mut all);
        all.sort();
        all
    }
}

/// Whether the error names the operation and the path or paths.
#[track_caller]
fn assert_names(error: &io::Error, path: &Path, to: Option<&Path>) {
    let Some(detail) = PathError::of(error) else {
        panic!("an error without operation and path: {error:?}");
    };
    assert_eq!((detail.path(), detail.to()), (path, to));
    assert!(!detail.op().is_empty());
    assert_eq!(detail.io_error().kind(), error.kind());
    let text = error.to_string();
    let begin = format!("failed to {} `{}`", detail.op(), path.display());
    assert!(text.starts_with(&begin), "{text}");
    if let Some(to) = to {
        assert!(
            text.contains(&format!(" to `{}`: ", to.display())),
            "{text}"
        );
    }
}

type Outcome = io::Result<()>;
type Promise = Pin<Box<dyn Future<Output = Outcome>>>;

/// A function of ours and what std has for it.
struct Pair {
    name: &'static str,
    ours: Box<dyn Fn(PathBuf) -> Promise>,
    stds: Box<dyn Fn(PathBuf) -> Outcome>,
    /// It has two paths, and this is the other one.
    second: Option<(PathBuf, Side)>,
}

/// On which side the other path stands.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    First,
    Second,
}

/// All functions on paths, for two layouts.
fn pairs(ours: &Layout, stds: &Layout) -> Vec<Pair> {
    let mut pairs = Vec::new();
    macro_rules! one {
        ($name:literal, |$p:ident| $ours:expr, |$q:ident| $stds:expr) => {
            pairs.push(Pair {
                name: $name,
                ours: Box::new(|$p| Box::pin(async move { $ours.await.map(drop) })),
                stds: Box::new(|$q| $stds.map(drop)),
                second: None,
            });
        };
    }
    macro_rules! two {
        ($name:literal, $side:expr, $other:literal, $ours:path, $stds:path) => {
            let (our_other, std_other) = (ours.at($other), stds.at($other));
            let other = our_other.clone();
            pairs.push(Pair {
                name: $name,
                ours: Box::new(move |path| {
                    let other = other.clone();
                    Box::pin(async move {
                        match $side {
                            Side::First => $ours(other, path).await.map(drop),
                            Side::Second => $ours(path, other).await.map(drop),
                        }
                    })
                }),
                stds: Box::new(move |path| match $side {
                    Side::First => $stds(&std_other, &path).map(drop),
                    Side::Second => $stds(&path, &std_other).map(drop),
                }),
                second: Some((our_other, $side)),
            });
        };
    }
    one!("canonicalize", |p| aiofiles::canonicalize(p), |p| {
        std::fs::canonicalize(p)
    });
    one!("create_dir", |p| aiofiles::create_dir(p), |p| {
        std::fs::create_dir(p)
    });
    one!("create_dir_all", |p| aiofiles::create_dir_all(p), |p| {
        std::fs::create_dir_all(p)
    });
    one!("DirBuilder", |p| DirBuilder::new().create(p), |p| {
        std::fs::DirBuilder::new().create(p)
    });
    one!(
        "DirBuilder, recursive",
        |p| DirBuilder::new().recursive(true).create(p),
        |p| std::fs::DirBuilder::new().recursive(true).create(p)
    );
    one!(
        "metadata",
        |p| aiofiles::metadata(p),
        |p| std::fs::metadata(p)
    );
    one!("symlink_metadata", |p| aiofiles::symlink_metadata(p), |p| {
        std::fs::symlink_metadata(p)
    });
    one!("read", |p| aiofiles::read(p), |p| std::fs::read(p));
    one!("read_to_string", |p| aiofiles::read_to_string(p), |p| {
        std::fs::read_to_string(p)
    });
    one!(
        "read_dir",
        |p| aiofiles::read_dir(p),
        |p| std::fs::read_dir(p)
    );
    one!("read_link", |p| aiofiles::read_link(p), |p| {
        std::fs::read_link(p)
    });
    one!("remove_dir", |p| aiofiles::remove_dir(p), |p| {
        std::fs::remove_dir(p)
    });
    one!("remove_dir_all", |p| aiofiles::remove_dir_all(p), |p| {
        std::fs::remove_dir_all(p)
    });
    one!("remove_file", |p| aiofiles::remove_file(p), |p| {
        std::fs::remove_file(p)
    });
    one!("try_exists", |p| aiofiles::try_exists(p), |p| {
        std::fs::exists(p)
    });
    one!(
        "set_permissions",
        |p| aiofiles::set_permissions(p, aiofiles::Permissions::from_mode(0o750)),
        |p| std::fs::set_permissions(p, aiofiles::Permissions::from_mode(0o750))
    );
    one!("write", |p| aiofiles::write(p, "new"), |p| std::fs::write(
        p, "new"
    ));
    one!(
        "write, long",
        |p| aiofiles::write(p, numbered(1 << 19)),
        |p| std::fs::write(p, numbered(1 << 19))
    );
    one!("chown", |p| aiofiles::unix::chown(p, None, None), |p| {
        std::os::unix::fs::chown(p, None, None)
    });
    one!("lchown", |p| aiofiles::unix::lchown(p, None, None), |p| {
        std::os::unix::fs::lchown(p, None, None)
    });
    one!("File::open", |p| File::open(p), |p| std::fs::File::open(p));
    one!("File::create", |p| File::create(p), |p| {
        std::fs::File::create(p)
    });
    one!("File::create_new", |p| File::create_new(p), |p| {
        std::fs::File::create_new(p)
    });
    two!(
        "copy from",
        Side::Second,
        "target",
        aiofiles::copy,
        std::fs::copy
    );
    two!(
        "copy to",
        Side::First,
        "file",
        aiofiles::copy,
        std::fs::copy
    );
    two!(
        "copy with progress from",
        Side::Second,
        "target",
        with_progress,
        std::fs::copy
    );
    two!(
        "copy with progress to",
        Side::First,
        "file",
        with_progress,
        std::fs::copy
    );
    two!(
        "hard_link from",
        Side::Second,
        "target",
        aiofiles::hard_link,
        std::fs::hard_link
    );
    two!(
        "hard_link to",
        Side::First,
        "file",
        aiofiles::hard_link,
        std::fs::hard_link
    );
    two!(
        "rename from",
        Side::Second,
        "target",
        aiofiles::rename,
        std::fs::rename
    );
    two!(
        "rename to",
        Side::First,
        "file",
        aiofiles::rename,
        std::fs::rename
    );
    two!(
        "rename a directory to",
        Side::First,
        "dir",
        aiofiles::rename,
        std::fs::rename
    );
    two!(
        "symlink from",
        Side::Second,
        "target",
        aiofiles::unix::symlink,
        std::os::unix::fs::symlink
    );
    two!(
        "symlink to",
        Side::First,
        "file",
        aiofiles::unix::symlink,
        std::os::unix::fs::symlink
    );
    pairs
}

async fn with_progress(from: PathBuf, to: PathBuf) -> io::Result<u64> {
    aiofiles::copy_with_progress(from, to, |_, _| {}).await
}

/// Paths that few functions take, and some that many take.
fn paths() -> Vec<Vec<u8>> {
    let long = |len: usize| vec![b'n'; len];
    let deep = |len: usize| {
        b"dir/../"
            .iter()
            .copied()
            .cycle()
            .take(len)
            .collect::<Vec<_>>()
    };
    vec![
        b"".to_vec(),
        b"\0".to_vec(),
        b"file\0".to_vec(),
        b"fi\0le".to_vec(),
        b"missing".to_vec(),
        b"missing/below".to_vec(),
        b"file/below".to_vec(),
        b"file/".to_vec(),
        b"file/.".to_vec(),
        b"missing/".to_vec(),
        b"dir/".to_vec(),
        b"dir".to_vec(),
        b"dir/inner/..".to_vec(),
        b"dir/.".to_vec(),
        b"empty".to_vec(),
        b"empty//".to_vec(),
        b"link".to_vec(),
        b"link/".to_vec(),
        b"dirlink".to_vec(),
        b"dirlink/".to_vec(),
        b"dangling".to_vec(),
        b"dangling/".to_vec(),
        b"loop".to_vec(),
        b"loop/below".to_vec(),
        b"..".to_vec(),
        long(255),
        long(256),
        [&b"missing/"[..], &long(256)].concat(),
        deep(3990),
        deep(7 * 700),
        deep(70_000),
        b"not-utf-8-\xff\xfe".to_vec(),
        b"new\nline".to_vec(),
        b" ".to_vec(),
    ]
}

#[test]
fn every_function_on_every_odd_path_fails_as_std_does_and_names_the_path() {
    within_limit("block_on", || {
        future::block_on(every_function_on_every_odd_path());
    });
}

async fn every_function_on_every_odd_path() {
    let mut failures = Vec::new();
    let count = pairs(&Layout::new(), &Layout::new()).len();
    for path in paths() {
        let path = OsStr::from_bytes(&path);
        for index in 0..count {
            let (ours, stds) = (Layout::new(), Layout::new());
            let pair = pairs(&ours, &stds).swap_remove(index);
            // Removing the parent would remove the layout.
            if path == ".." && pair.name.starts_with("remove") {
                continue;
            }
            let our_path = ours.at(path);
            let result = (pair.ours)(our_path.clone()).await;
            let expected = (pair.stds)(stds.at(path));
            let mut case = format!("{} `{}`", pair.name, path.display());
            case.truncate(100);
            if verdict(&result) != verdict(&expected) {
                failures.push(format!("{case}: {result:?}; std: {expected:?}"));
            }
            if let Err(error) = &result {
                match &pair.second {
                    None => assert_names(error, &our_path, None),
                    Some((other, Side::Second)) => assert_names(error, &our_path, Some(other)),
                    Some((other, Side::First)) => assert_names(error, other, Some(&our_path)),
                }
            }
            if ours.content() != stds.content() {
                failures.push(format!("{case}: leaves something else than std's"));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{}\n{} failures",
        failures.join("\n"),
        failures.len()
    );
}

#[test]
fn exists_is_false_where_nothing_is_and_where_nobody_can_tell() {
    run(async {
        let layout = Layout::new();
        for path in paths() {
            let path = layout.at(OsStr::from_bytes(&path));
            assert_eq!(aiofiles::exists(&path).await, path.exists(), "{path:?}");
        }
    });
}

#[test]
fn a_walk_from_an_odd_path_ends_with_one_error_or_none() {
    run(async {
        let layout = Layout::new();
        for path in paths() {
            let path = layout.at(OsStr::from_bytes(&path));
            let entries = aiofiles::walk(&path).take(1000).collect::<Vec<_>>().await;
            let errors = entries.iter().filter_map(|entry| entry.as_ref().err());
            let errors = errors.collect::<Vec<_>>();
            // A link is followed if it can be.
            let errors_of_std = [
                verdict(&std::fs::symlink_metadata(&path)),
                verdict(&std::fs::metadata(&path)),
            ];
            match errors[..] {
                [] => assert_eq!(errors_of_std[0], None, "{path:?}"),
                [error] => {
                    assert_eq!(entries.len(), 1, "{path:?}");
                    let found = Some((error.kind(), raw_os_error(error)));
                    assert!(errors_of_std.contains(&found), "{path:?}: {error:?}");
                    assert_eq!(PathError::of(error).expect("a path").path(), path);
                }
                _ => panic!("{path:?}: {errors:?}"),
            }
        }
    });
}

#[test]
fn names_that_are_no_text_are_names_like_others() {
    run(async {
        let dir = temp_dir();
        let at = |name: &[u8]| dir.path().join(OsStr::from_bytes(name));
        let (one, other, link) = (at(b"one \xff\xfe"), at(b"other \xc3\x28"), at(b"link \x80"));
        aiofiles::write(&one, "text").await.unwrap();
        assert_eq!(aiofiles::read(&one).await.unwrap(), b"text");
        assert_eq!(aiofiles::read_to_string(&one).await.unwrap(), "text");
        assert!(aiofiles::exists(&one).await);
        assert!(aiofiles::try_exists(&one).await.unwrap());
        assert_eq!(aiofiles::metadata(&one).await.unwrap().len(), 4);
        assert_eq!(aiofiles::copy(&one, &other).await.unwrap(), 4);
        aiofiles::remove_file(&one).await.unwrap();
        assert_eq!(with_progress(other.clone(), one.clone()).await.unwrap(), 4);
        aiofiles::remove_file(&other).await.unwrap();
        aiofiles::hard_link(&one, &other).await.unwrap();
        aiofiles::rename(&other, at(b"\xf0\x9f")).await.unwrap();
        aiofiles::rename(at(b"\xf0\x9f"), &other).await.unwrap();
        aiofiles::unix::symlink(&one, &link).await.unwrap();
        assert_eq!(aiofiles::read_link(&link).await.unwrap(), one);
        assert!(
            aiofiles::symlink_metadata(&link)
                .await
                .unwrap()
                .is_symlink()
        );
        let real = std::fs::canonicalize(&one).unwrap();
        assert_eq!(aiofiles::canonicalize(&link).await.unwrap(), real);
        let permissions = aiofiles::metadata(&one).await.unwrap().permissions();
        aiofiles::set_permissions(&one, permissions).await.unwrap();
        aiofiles::unix::chown(&one, None, None).await.unwrap();
        aiofiles::unix::lchown(&link, None, None).await.unwrap();

        let file = File::open(&one).await.unwrap();
        assert_eq!(file.path(), Some(&*one));
        assert!(format!("{file:?}").contains("one"));
        let missing = at(b"\xff/\xfe");
        let error = File::open(&missing).await.unwrap_err();
        assert_names(&error, &missing, None);

        aiofiles::create_dir_all(at(b"\xfa/\xfb/\xfc"))
            .await
            .unwrap();
        DirBuilder::new().create(at(b"\xfa/\xfd")).await.unwrap();
        aiofiles::create_dir(at(b"\xfa/\xfe")).await.unwrap();
        let mut names = Vec::new();
        let mut entries = aiofiles::read_dir(at(b"\xfa")).await.unwrap();
        while let Some(entry) = entries.next().await {
            let entry = entry.unwrap();
            assert_eq!(entry.path(), at(b"\xfa").join(entry.file_name()));
            assert!(entry.metadata().await.unwrap().is_dir());
            names.push(entry.file_name().as_bytes().to_vec());
        }
        names.sort();
        assert_eq!(names, [b"\xfb", b"\xfd", b"\xfe"]);
        let found = aiofiles::walk(dir.path());
        let found = found
            .map(|entry| entry.unwrap().into_path())
            .collect::<Vec<_>>()
            .await;
        assert!(found.contains(&at(b"\xfa/\xfb/\xfc")), "{found:?}");
        aiofiles::remove_dir(at(b"\xfa/\xfd")).await.unwrap();
        aiofiles::remove_dir_all(at(b"\xfa")).await.unwrap();
        aiofiles::remove_file(&link).await.unwrap();
        aiofiles::remove_file(&one).await.unwrap();
        aiofiles::remove_file(&other).await.unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Closed files, directories, wrong directions

#[test]
fn a_closed_file_refuses_everything_but_to_be_closed() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let mut file = options.open(&path).await.unwrap();
        file.fill_buf().await.unwrap();
        file.close().await.unwrap();

        fn refused<T>(result: io::Result<T>) {
            let error = result.err().expect("the file is closed");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), "file is closed");
        }
        let mut buf = [0; 4];
        refused(file.read(&mut buf).await);
        refused(file.read(&mut []).await);
        refused(file.read_vectored(&mut [IoSliceMut::new(&mut buf)]).await);
        refused(file.fill_buf().await.map(drop));
        file.consume(0);
        file.consume(1000);
        refused(file.write(b"text").await);
        refused(file.write(b"").await);
        refused(file.write_vectored(&[IoSlice::new(b"text")]).await);
        refused(file.flush().await);
        refused(file.seek(SeekFrom::Start(0)).await);
        refused(file.stream_position().await);
        refused(file.sync_all().await);
        refused(file.sync_data().await);
        refused(file.set_len(0).await);
        refused(file.set_len(u64::MAX).await);
        refused(file.metadata().await);
        let permissions = std::fs::metadata(&path).unwrap().permissions();
        refused(file.set_permissions(permissions).await);
        refused(file.set_times(FileTimes::new()).await);
        refused(file.set_modified(SystemTime::now()).await);
        refused(file.try_clone().await);
        refused(file.lock().await);
        refused(file.lock_shared().await);
        refused(file.try_lock().await.map_err(io::Error::from_));
        refused(file.try_lock_shared().await.map_err(io::Error::from_));
        refused(file.unlock().await);
        let mut other = options.open(&path).await.unwrap();
        refused(aiofiles::copy_between(&mut file, &mut other).await);
        refused(aiofiles::copy_between(&mut other, &mut file).await);
        assert_eq!(file.discard_unwritten().await, 0);
        assert!(!file.is_terminal().await);
        assert_eq!(file.path(), Some(&*path));
        assert!(format!("{file:?}").contains("closed"));
        file.close().await.unwrap();
        file.close().await.unwrap();
        let error = file.into_std().await.unwrap_err();
        assert_eq!(error.to_string(), "file is closed");
        let mut file = error.into_file();
        refused(file.read(&mut buf).await);
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), b"text");
    });
}

/// std offers no conversion to an `io::Error` that keeps the text.
trait FromLock {
    fn from_(error: std::fs::TryLockError) -> io::Error;
}

impl FromLock for io::Error {
    fn from_(error: std::fs::TryLockError) -> io::Error {
        match error {
            std::fs::TryLockError::Error(error) => error,
            std::fs::TryLockError::WouldBlock => panic!("nobody holds a lock"),
        }
    }
}

#[test]
fn the_descriptor_of_a_closed_file_belongs_to_no_file() {
    run(async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let mut closed = Vec::new();
        for _ in 0..3 {
            let mut file = File::create(&path).await.unwrap();
            file.close().await.unwrap();
            closed.push(file);
        }
        // Somebody else has the number now.
        let others = (0..8).map(|_| std::fs::File::create(&path).unwrap());
        let others = others.collect::<Vec<_>>();
        for file in &closed {
            assert_eq!(file.as_raw_fd(), -1);
            let fd = file.as_fd();
            assert!(
                others
                    .iter()
                    .all(|other| other.as_raw_fd() != fd.as_raw_fd())
            );
            // Nothing can be done to it, and nothing waits.
            assert!(rustix::io::write(fd, b"text").is_err());
            assert!(rustix::fs::ftruncate(fd, 0).is_err());
            assert!(!matches!(rustix::io::read(fd, &mut [0; 4]), Ok(1..)));
        }
    });
}

#[test]
fn a_directory_opened_as_a_file_does_what_std_does() {
    run(async {
        let layout = Layout::new();
        let mut ours = File::open(layout.at("dir")).await.unwrap();
        let mut stds = std::fs::File::open(layout.at("dir")).unwrap();
        let mut buf = [0; 16];
        for _ in 0..2 {
            let expected = verdict(&io::Read::read(&mut stds, &mut buf));
            assert_eq!(expected.unwrap().0, ErrorKind::IsADirectory);
            assert_eq!(verdict(&ours.read(&mut buf).await), expected);
            assert_eq!(
                verdict(&ours.read_vectored(&mut [IoSliceMut::new(&mut buf)]).await),
                expected
            );
            assert_eq!(verdict(&ours.fill_buf().await), expected);
            assert_eq!(verdict(&ours.read_to_end(&mut Vec::new()).await), expected);
            let expected = verdict(&io::Write::write(&mut stds, b"text"));
            assert_eq!(verdict(&ours.write(b"text").await), expected);
            assert_eq!(verdict(&ours.flush().await), None);
            assert_eq!(verdict(&ours.set_len(0).await), verdict(&stds.set_len(0)));
            assert_eq!(verdict(&ours.set_len(9).await), verdict(&stds.set_len(9)));
            // This is how a new name is made durable.
            assert_eq!(verdict(&ours.sync_all().await), verdict(&stds.sync_all()));
            assert_eq!(verdict(&ours.sync_data().await), verdict(&stds.sync_data()));
            assert!(ours.metadata().await.unwrap().is_dir());
            assert_eq!(verdict(&ours.lock().await), verdict(&stds.unlock()));
            ours.unlock().await.unwrap();
        }
        let permissions = ours.metadata().await.unwrap().permissions();
        ours.set_permissions(permissions).await.unwrap();
        ours.set_modified(SystemTime::UNIX_EPOCH).await.unwrap();
        assert_eq!(
            stds.metadata().unwrap().modified().unwrap(),
            SystemTime::UNIX_EPOCH
        );
        let mut target = File::create(layout.at("target")).await.unwrap();
        let copied = aiofiles::copy_between(&mut ours, &mut target).await;
        assert_eq!(kind(&copied), Some(ErrorKind::IsADirectory));
        ours.close().await.unwrap();
    });
}

#[test]
fn reading_what_is_open_for_writing_only_is_refused_and_so_is_the_reverse() {
    run(async {
        for unbuffered in [false, true] {
            let layout = Layout::new();
            let path = layout.at("file");
            let bad = Some((
                io::Error::from(Errno::BADF).kind(),
                Some(Errno::BADF.raw_os_error()),
            ));
            let mut options = OpenOptions::new();
            options.unbuffered(unbuffered);
            let mut buf = [0; 4];

            let stds = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            let mut ours = options.read(false).write(true).open(&path).await.unwrap();
            for _ in 0..2 {
                assert_eq!(verdict(&io::Read::read(&mut &stds, &mut buf)), bad);
                assert_eq!(verdict(&ours.read(&mut buf).await), bad);
                assert_eq!(verdict(&ours.fill_buf().await), bad);
                assert_eq!(verdict(&ours.read_to_end(&mut Vec::new()).await), bad);
                // It can still be written.
                ours.write_all(b"ab").await.unwrap();
            }
            ours.close().await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"abab");

            let stds = std::fs::File::open(&path).unwrap();
            let mut ours = options.read(true).write(false).open(&path).await.unwrap();
            for _ in 0..2 {
                assert_eq!(verdict(&io::Write::write(&mut &stds, b"text")), bad);
                assert_eq!(verdict(&ours.write(b"text").await), bad);
                assert_eq!(
                    verdict(&ours.write_vectored(&[IoSlice::new(b"text")]).await),
                    bad
                );
                assert_eq!(verdict(&ours.flush().await), None);
                assert_eq!(verdict(&ours.set_len(0).await), verdict(&stds.set_len(0)));
                // It can still be read.
                let mut two = [0; 2];
                ours.read_exact(&mut two).await.unwrap();
                assert_eq!(&two, b"ab");
            }
            let mut target = options.write(true).open(&path).await.unwrap();
            assert_eq!(
                verdict(&aiofiles::copy_between(&mut target, &mut ours).await),
                bad
            );
        }
    });
}

#[test]
fn the_wrong_end_of_a_pipe_is_refused_at_once() {
    run(async {
        let bad = Some((
            io::Error::from(Errno::BADF).kind(),
            Some(Errno::BADF.raw_os_error()),
        ));
        let (reader, writer) = pipe().unwrap();
        let mut reader = File::from(OwnedFd::from(reader));
        let mut writer = File::from(OwnedFd::from(writer));
        // So that the answer needs no job any more: otherwise `poll_once` could not tell waiting from asking.
        assert!(reader.stream_position().await.is_err());
        assert!(writer.stream_position().await.is_err());
        let mut buf = [0; 4];
        for _ in 0..2 {
            let read = poll_once(writer.read(&mut buf)).await;
            assert_eq!(verdict(&read.expect("nothing to wait for")), bad);
            let filled = poll_once(writer.fill_buf()).await;
            assert_eq!(verdict(&filled.expect("nothing to wait for")), bad);
            let written = poll_once(reader.write(b"text")).await;
            assert_eq!(verdict(&written.expect("nothing to wait for")), bad);
        }
        writer.write_all(b"text").await.unwrap();
        reader.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"text");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_descriptor_that_is_only_a_place_can_be_asked_and_nothing_else() {
    run(async {
        let layout = Layout::new();
        let open = || {
            rustix::fs::open(
                layout.at("file"),
                OFlags::PATH | OFlags::CLOEXEC,
                rustix::fs::Mode::empty(),
            )
            .unwrap()
        };
        let mut ours = File::from(open());
        let mut stds = std::fs::File::from(open());
        let mut buf = [0; 4];
        for _ in 0..2 {
            let expected = verdict(&io::Read::read(&mut stds, &mut buf));
            assert_eq!(verdict(&ours.read(&mut buf).await), expected);
            let expected = verdict(&io::Write::write(&mut stds, b"text"));
            assert_eq!(verdict(&ours.write(b"text").await), expected);
            let expected = verdict(&io::Seek::seek(&mut stds, SeekFrom::Start(0)));
            assert_ne!(expected, None);
            assert_ne!(verdict(&ours.seek(SeekFrom::Start(0)).await), None);
            assert_eq!(verdict(&ours.set_len(0).await), verdict(&stds.set_len(0)));
            assert_eq!(verdict(&ours.sync_all().await), verdict(&stds.sync_all()));
        }
        assert_eq!(ours.metadata().await.unwrap().len(), 4);
        ours.close().await.unwrap();
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Lengths and offsets

#[test]
fn no_bytes_at_all_are_read_and_written_without_a_word() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        for unbuffered in [false, true] {
            let mut options = OpenOptions::new();
            options.read(true).write(true).unbuffered(unbuffered);
            let mut file = options.open(&path).await.unwrap();
            for _ in 0..2 {
                assert_eq!(file.read(&mut []).await.unwrap(), 0);
                assert_eq!(file.read_vectored(&mut []).await.unwrap(), 0);
                let mut none = [IoSliceMut::new(&mut []), IoSliceMut::new(&mut [])];
                assert_eq!(file.read_vectored(&mut none).await.unwrap(), 0);
                assert_eq!(file.write(&[]).await.unwrap(), 0);
                assert_eq!(file.write_vectored(&[]).await.unwrap(), 0);
                assert_eq!(file.write_vectored(&[IoSlice::new(&[])]).await.unwrap(), 0);
                assert_eq!(file.stream_position().await.unwrap(), 0);
            }
            // That was not the end.
            let mut text = [0; 4];
            file.read_exact(&mut text).await.unwrap();
            assert_eq!(&text, b"text");
        }
        let (reader, writer) = pipe().unwrap();
        let (mut reader, mut writer) = (
            File::from(OwnedFd::from(reader)),
            File::from(OwnedFd::from(writer)),
        );
        assert_eq!(reader.read(&mut []).await.unwrap(), 0);
        assert_eq!(writer.write(&[]).await.unwrap(), 0);
        assert_eq!(
            writer.write_vectored(&[IoSlice::new(&[])]).await.unwrap(),
            0
        );
    });
}

#[test]
fn more_slices_than_one_call_takes_are_taken_in_turn() {
    run(async {
        let dir = temp_dir();
        let bytes = numbered(30_000);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        for unbuffered in [false, true] {
            let path = dir.path().join(format!("file-{unbuffered}"));
            let mut file = options.unbuffered(unbuffered).open(path).await.unwrap();
            let mut written = 0;
            while written < bytes.len() {
                let slices = bytes[written..]
                    .chunks(7)
                    .map(IoSlice::new)
                    .collect::<Vec<_>>();
                written += file.write_vectored(&slices).await.unwrap();
            }
            file.rewind_().await;
            let mut all = vec![0; bytes.len()];
            let mut read = 0;
            while read < all.len() {
                let mut slices = all[read..]
                    .chunks_mut(7)
                    .map(IoSliceMut::new)
                    .collect::<Vec<_>>();
                let n = file.read_vectored(&mut slices).await.unwrap();
                assert!(n > 0);
                read += n;
            }
            assert_same_bytes(all, &bytes);
        }
    });
}

/// Where offsets and lengths stop fitting into something.
const EDGES: [u64; 13] = [
    0,
    4,
    (1 << 31) - 1,
    1 << 31,
    (1 << 31) + 1,
    (1 << 32) - 1,
    1 << 32,
    (1 << 32) + 1,
    i64::MAX as u64 - 1,
    i64::MAX as u64,
    i64::MAX as u64 + 1,
    u64::MAX - 1,
    u64::MAX,
];

#[test]
fn seeks_to_the_edges_are_refused_where_std_refuses_them() {
    run(async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        let mut ours = File::open(&path).await.unwrap();
        let mut stds = std::fs::File::open(&path).unwrap();
        let signed = EDGES
            .iter()
            .flat_map(|&edge| [edge as i64, (edge as i64).wrapping_neg()]);
        let signed = signed.collect::<Vec<_>>();
        let seeks = EDGES
            .iter()
            .map(|&edge| SeekFrom::Start(edge))
            .chain(signed.iter().map(|&edge| SeekFrom::Current(edge)))
            .chain(signed.iter().map(|&edge| SeekFrom::End(edge)));
        for from in [0, 3, 1 << 33] {
            for to in seeks.clone() {
                io::Seek::seek(&mut stds, SeekFrom::Start(from)).unwrap();
                ours.seek(SeekFrom::Start(from)).await.unwrap();
                let (result, expected) = (ours.seek(to).await, io::Seek::seek(&mut stds, to));
                match (&result, &expected) {
                    // We ask no file system how far it goes: reads and writes find out.
                    (Ok(position), Err(error)) => {
                        assert!(
                            *position > 1 << 40 && *position <= i64::MAX as u64,
                            "{to:?} from {from}"
                        );
                        assert_eq!(error.kind(), ErrorKind::InvalidInput);
                    }
                    _ => {
                        assert_eq!(kind(&result), kind(&expected), "{to:?} from {from}");
                        assert_eq!(
                            result.as_ref().ok(),
                            expected.as_ref().ok(),
                            "{to:?} from {from}"
                        );
                    }
                }
                // A refused seek does not move.
                if result.is_err() {
                    assert_eq!(ours.stream_position().await.unwrap(), from);
                }
            }
        }
    });
}

#[test]
fn set_len_to_the_edges_is_refused_where_std_refuses_it() {
    run(async {
        let dir = temp_dir();
        let (our_path, std_path) = (dir.path().join("ours"), dir.path().join("stds"));
        for edge in EDGES {
            let (ours, stds) = (
                File::create(&our_path).await.unwrap(),
                std::fs::File::create(&std_path).unwrap(),
            );
            let (result, expected) = (ours.set_len(edge).await, stds.set_len(edge));
            if edge > i64::MAX as u64 {
                assert_eq!(kind(&result), Some(ErrorKind::InvalidInput));
                assert_eq!(kind(&expected), Some(ErrorKind::InvalidInput));
            } else {
                assert_eq!(verdict(&result), verdict(&expected), "{edge}");
            }
            let len = stds.metadata().unwrap().len();
            assert_eq!(ours.metadata().await.unwrap().len(), len);
        }
    });
}

#[test]
fn reads_and_writes_at_the_edges_do_what_stds_do() {
    run(async {
        let dir = temp_dir();
        for unbuffered in [false, true] {
            let (our_path, std_path) = (dir.path().join("ours"), dir.path().join("stds"));
            let mut stds = std::fs::File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&std_path)
                .unwrap();
            let mut options = OpenOptions::new();
            options
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .unbuffered(unbuffered);
            let mut ours = options.open(&our_path).await.unwrap();
            for edge in EDGES.into_iter().filter(|&edge| edge < 1 << 40) {
                let bytes = numbered(100);
                for begin in [edge.saturating_sub(50), edge] {
                    io::Seek::seek(&mut stds, SeekFrom::Start(begin)).unwrap();
                    io::Write::write_all(&mut stds, &bytes).unwrap();
                    ours.seek(SeekFrom::Start(begin)).await.unwrap();
                    ours.write_all(&bytes).await.unwrap();
                    assert_eq!(ours.stream_position().await.unwrap(), begin + 100);
                    ours.seek(SeekFrom::Start(begin.saturating_sub(10_000)))
                        .await
                        .unwrap();
                    let from = ours.stream_position().await.unwrap();
                    io::Seek::seek(&mut stds, SeekFrom::Start(from)).unwrap();
                    let (mut our_bytes, mut std_bytes) = (Vec::new(), Vec::new());
                    futures_lite::AsyncReadExt::take(&mut ours, 20_000)
                        .read_to_end(&mut our_bytes)
                        .await
                        .unwrap();
                    io::Read::read_to_end(&mut io::Read::take(&mut stds, 20_000), &mut std_bytes)
                        .unwrap();
                    assert_same_bytes(our_bytes, std_bytes);
                }
            }
            ours.close().await.unwrap();
            let len = stds.metadata().unwrap().len();
            assert_eq!(std::fs::metadata(&our_path).unwrap().len(), len);
        }
    });
}

/// A directory in which files may be as large as offsets go.
fn endless() -> Option<tempfile::TempDir> {
    let dir = tempfile::Builder::new()
        .prefix("aiofiles-test-")
        .tempdir_in("/dev/shm")
        .ok()?;
    let probe = std::fs::File::create(dir.path().join("probe")).ok()?;
    probe.set_len(i64::MAX as u64).ok()?;
    drop(probe);
    Some(dir)
}

#[test]
fn the_last_bytes_that_an_offset_reaches_are_read_as_std_reads_them() {
    let Some(dir) = endless() else {
        return skip("/dev/shm without a limit on the size of a file");
    };
    run(async move {
        let path = dir.path().join("file");
        let end = i64::MAX as u64;
        std::fs::File::create(&path).unwrap().set_len(end).unwrap();
        for unbuffered in [false, true] {
            for before in [0, 1, 4, 100, 4096, 10_000, 100_000] {
                let mut options = OpenOptions::new();
                let mut ours = options
                    .read(true)
                    .unbuffered(unbuffered)
                    .open(&path)
                    .await
                    .unwrap();
                let mut stds = std::fs::File::open(&path).unwrap();
                io::Seek::seek(&mut stds, SeekFrom::Start(end - before)).unwrap();
                ours.seek(SeekFrom::Start(end - before)).await.unwrap();
                // A buffer that fits exactly: std's is refused if it would reach further.
                let mut buf = vec![1; before as usize];
                io::Read::read_exact(&mut stds, &mut buf).unwrap();
                let mut buf = vec![1; before as usize];
                let read = ours.read_exact(&mut buf).await;
                assert_eq!(verdict(&read), None, "{before} bytes before the end");
                assert!(buf.iter().all(|&byte| byte == 0));
            }
        }
        // Beyond the end of a shorter file there is nothing, however far.
        std::fs::write(&path, "text").unwrap();
        let mut ours = File::open(&path).await.unwrap();
        let mut stds = std::fs::File::open(&path).unwrap();
        for before in [4, 100, 10_000] {
            io::Seek::seek(&mut stds, SeekFrom::Start(end - before)).unwrap();
            ours.seek(SeekFrom::Start(end - before)).await.unwrap();
            let mut buf = [0; 4];
            assert_eq!(io::Read::read(&mut stds, &mut buf).unwrap(), 0);
            let read = ours.read(&mut buf).await;
            assert_eq!(
                read.as_ref().ok(),
                Some(&0),
                "{before} bytes before the end: {read:?}"
            );
        }
    });
}

#[test]
fn a_file_that_no_memory_holds_is_refused_before_it_is_read() {
    let Some(dir) = endless() else {
        return skip("/dev/shm without a limit on the size of a file");
    };
    run(async move {
        let path = dir.path().join("file");
        for len in [1 << 60, i64::MAX as u64] {
            std::fs::File::create(&path).unwrap().set_len(len).unwrap();
            let expected = std::fs::read(&path).unwrap_err();
            assert_eq!(expected.kind(), ErrorKind::OutOfMemory);
            let error = aiofiles::read(&path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OutOfMemory);
            assert_names(&error, &path, None);
            let error = aiofiles::read_to_string(&path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        }
    });
}

#[test]
fn a_write_beyond_the_last_offset_is_refused_and_accepts_nothing() {
    let Some(dir) = endless() else {
        return skip("/dev/shm without a limit on the size of a file");
    };
    run(async move {
        let path = dir.path().join("file");
        let end = i64::MAX as u64;
        for unbuffered in [false, true] {
            let mut options = OpenOptions::new();
            options
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .unbuffered(unbuffered);
            let mut file = options.open(&path).await.unwrap();
            file.seek(SeekFrom::Start(end)).await.unwrap();
            let error = file.write(b"text").await.unwrap_err();
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::FileTooLarge | ErrorKind::InvalidInput
                ),
                "{error:?}"
            );
            assert_eq!(file.stream_position().await.unwrap(), end);
            // Nothing was accepted, so nothing is left.
            file.flush().await.unwrap();
            assert_eq!(file.metadata().await.unwrap().len(), 0);
            // The last bytes can be written; the system itself refuses a write that would reach further.
            file.seek(SeekFrom::Start(end - 2)).await.unwrap();
            match file.write(b"text").await {
                Ok(n) => assert_eq!(n, 2),
                Err(error) => {
                    assert!(
                        unbuffered && error.kind() == ErrorKind::InvalidInput,
                        "{error:?}"
                    );
                    file.write_all(b"te").await.unwrap();
                }
            }
            file.close().await.unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().len(), end);
        }
    });
}

#[test]
fn a_position_that_the_file_system_does_not_have_gives_the_file_back_from_into_std() {
    run(async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        let far = SeekFrom::Start(i64::MAX as u64);
        let expected = io::Seek::seek(&mut std::fs::File::open(&path).unwrap(), far);
        if expected.is_ok() {
            return skip("a file system with a limit on offsets");
        }
        let mut file = File::open(&path).await.unwrap();
        file.seek(far).await.unwrap();
        let error = file.into_std().await.unwrap_err();
        assert_eq!(
            error.error().raw_os_error(),
            expected.unwrap_err().raw_os_error()
        );
        let mut file = error.into_file();
        assert_eq!(file.stream_position().await.unwrap(), i64::MAX as u64);
        file.seek(SeekFrom::Start(2)).await.unwrap();
        let mut rest = String::new();
        io::Read::read_to_string(&mut file.into_std().await.unwrap(), &mut rest).unwrap();
        assert_eq!(rest, "xt");
    });
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn buffers_of_more_than_four_gigabytes_are_read_into_and_written_in_pieces() {
    run(async {
        // Memory that is never touched costs nothing.
        let mut large = vec![0; (1 << 32) + 1];
        let mut zero = File::open("/dev/zero").await.unwrap();
        let n = zero.read(&mut large).await.unwrap();
        assert!(n > 0 && n <= large.len());
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        let mut file = File::open(&path).await.unwrap();
        assert_eq!(file.read(&mut large).await.unwrap(), 4);
        assert_eq!(file.read(&mut large[4..]).await.unwrap(), 0);
        assert_eq!(&large[..4], b"text");

        let mut null = File::create("/dev/null").await.unwrap();
        assert!(null.write(&large).await.unwrap() > 0);
        let mut file = File::create(&path).await.unwrap();
        assert!(file.write(&large).await.unwrap() > 0);
        let (reader, writer) = pipe().unwrap();
        let (mut reader, mut writer) = (
            File::from(OwnedFd::from(reader)),
            File::from(OwnedFd::from(writer)),
        );
        let n = writer.write(&large).await.unwrap();
        assert!(n > 0);
        assert_eq!(reader.read(&mut large).await.unwrap(), n);
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Files that change under the reader

#[test]
fn a_file_that_shrinks_or_grows_while_it_is_read_is_read_as_far_as_it_goes() {
    run(async {
        let seed = Seed::new();
        let mut rng = seed.rng();
        let dir = temp_dir();
        let path = dir.path().join("file");
        for _ in 0..iterations(100) {
            let bytes = numbered(rng.usize(1..2 << 20));
            std::fs::write(&path, &bytes).unwrap();
            let changer = std::fs::File::options().write(true).open(&path).unwrap();
            let mut file = File::open(&path).await.unwrap();
            let mut found = Vec::new();
            let mut buf = vec![0; rng.usize(1..100_000)];
            for _ in 0..rng.usize(1..8) {
                let n = file.read(&mut buf).await.unwrap();
                found.extend_from_slice(&buf[..n]);
            }
            // What stood there: a block that was read ahead may reach beyond the new end. There the kernel may have put
            // zeros meanwhile, because it clears what it cuts off.
            let len = rng.usize(0..=bytes.len());
            changer.set_len(len as u64).unwrap();
            file.read_to_end(&mut found).await.unwrap();
            assert!(found.len() >= len && found.len() <= bytes.len());
            assert_same_bytes(&found[..len], &bytes[..len]);
            let beyond = found[len..].iter().zip(&bytes[len..]);
            assert!(
                beyond
                    .into_iter()
                    .all(|(found, was)| found == was || *found == 0)
            );

            // The end is not remembered: what is added behind it is found.
            changer.set_len(found.len() as u64).unwrap();
            let mut end = std::fs::File::options().append(true).open(&path).unwrap();
            end.write_all(b"and more").unwrap();
            let mut more = Vec::new();
            file.read_to_end(&mut more).await.unwrap();
            assert_eq!(more, b"and more", "after {} bytes", found.len());
        }
    });
}

#[test]
fn whole_files_that_shrink_and_grow_under_the_reader_end_where_they_end() {
    run(async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, "").unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let changer = std::thread::spawn({
            let (stop, path) = (stop.clone(), path.clone());
            move || {
                let file = std::fs::File::options().write(true).open(path).unwrap();
                let mut rng = fastrand::Rng::new();
                while !stop.load(Ordering::Relaxed) {
                    file.set_len(rng.u64(0..300_000)).unwrap();
                }
            }
        });
        for _ in 0..iterations(1000) {
            let bytes = aiofiles::read(&path).await.unwrap();
            assert!(bytes.len() < 600_000 && bytes.iter().all(|&byte| byte == 0));
            let mut bytes = Vec::new();
            let mut file = File::open(&path).await.unwrap();
            file.read_to_end(&mut bytes).await.unwrap();
            assert!(bytes.iter().all(|&byte| byte == 0));
        }
        stop.store(true, Ordering::Relaxed);
        changer.join().unwrap();
    });
}

#[test]
fn text_that_is_no_text_is_refused_and_names_the_path() {
    run(async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, b"text \xff").unwrap();
        let error = aiofiles::read_to_string(&path).await.unwrap_err();
        let expected = std::fs::read_to_string(&path).unwrap_err();
        assert_eq!(error.kind(), expected.kind());
        assert_names(&error, &path, None);
        assert_eq!(
            PathError::of(&error).unwrap().io_error().to_string(),
            expected.to_string()
        );
        let mut text = String::from("before");
        let mut file = File::open(&path).await.unwrap();
        let read = file.read_to_string(&mut text).await;
        assert_eq!(kind(&read), Some(expected.kind()));
        assert_eq!(text, "before");
    });
}
