//! What the compiler sees: which traits the types and futures have, what they borrow, which arguments they take.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;

use async_fs::{DirBuilder, DirEntry, File, OpenOptions, ReadDir};
use futures_lite::future::{FutureExt, block_on};
use futures_lite::io::{AsyncRead, AsyncSeek, AsyncWrite};
use futures_lite::stream::{Stream, StreamExt};

use super::run;

fn send<T: Send>(value: T) -> T {
    value
}

fn owned<T: Send + 'static>(value: T) -> T {
    value
}

#[test]
fn a_file_is_what_generic_code_asks_for() {
    fn holds<T>()
    where
        T: AsyncRead + AsyncWrite + AsyncSeek + Debug + Send + Sync + Unpin + 'static,
        T: From<std::fs::File>,
    {
    }
    holds::<File>();

    #[cfg(unix)]
    fn holds_on_unix<T>()
    where
        T: std::os::fd::AsFd + std::os::fd::AsRawFd + From<std::os::fd::OwnedFd>,
    {
    }
    #[cfg(unix)]
    holds_on_unix::<File>();

    #[cfg(windows)]
    fn holds_on_windows<T>()
    where
        T: std::os::windows::io::AsHandle + std::os::windows::io::AsRawHandle,
        T: From<std::os::windows::io::OwnedHandle>,
    {
    }
    #[cfg(windows)]
    holds_on_windows::<File>();
}

#[test]
fn the_other_types_are_what_generic_code_asks_for() {
    fn options<T: Clone + Debug + Default + Send + Sync + Unpin + 'static>() {}
    fn builder<T: Debug + Default + Send + Sync + Unpin + 'static>() {}
    fn entry<T: Clone + Debug + Send + Sync + Unpin + 'static>() {}
    fn entries<T>()
    where
        T: Stream<Item = io::Result<DirEntry>> + Debug + Send + Sync + Unpin + 'static,
    {
    }
    fn unwinds<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    options::<OpenOptions>();
    builder::<DirBuilder>();
    entry::<DirEntry>();
    entries::<ReadDir>();
    // `File` and `ReadDir` are not, there.
    unwinds::<OpenOptions>();
    unwinds::<DirBuilder>();
    unwinds::<DirEntry>();
}

#[test]
fn metadata_types_are_those_of_std() {
    fn file_type(value: async_fs::FileType) -> std::fs::FileType {
        value
    }
    fn metadata(value: async_fs::Metadata) -> std::fs::Metadata {
        value
    }
    fn permissions(value: async_fs::Permissions) -> std::fs::Permissions {
        value
    }
    let plain = metadata(std::fs::metadata(".").expect("the current directory"));
    assert!(file_type(plain.file_type()).is_dir());
    assert_eq!(permissions(plain.permissions()), plain.permissions());
}

#[test]
fn every_future_is_send_and_owns_what_it_needs_when_given_owned_arguments() {
    fn path() -> PathBuf {
        PathBuf::from("never used: the futures are dropped without a poll")
    }
    drop(owned(async_fs::canonicalize(path())));
    drop(owned(async_fs::copy(path(), path())));
    drop(owned(async_fs::create_dir(path())));
    drop(owned(async_fs::create_dir_all(path())));
    drop(owned(async_fs::hard_link(path(), path())));
    drop(owned(async_fs::metadata(path())));
    drop(owned(async_fs::read(path())));
    drop(owned(async_fs::read_dir(path())));
    drop(owned(async_fs::read_link(path())));
    drop(owned(async_fs::read_to_string(path())));
    drop(owned(async_fs::remove_dir(path())));
    drop(owned(async_fs::remove_dir_all(path())));
    drop(owned(async_fs::remove_file(path())));
    drop(owned(async_fs::rename(path(), path())));
    drop(owned(async_fs::symlink_metadata(path())));
    drop(owned(async_fs::write(path(), vec![0])));
    drop(owned(File::open(path())));
    drop(owned(File::create(path())));
    drop(owned(OpenOptions::new().open(path())));
    #[cfg(unix)]
    drop(owned(async_fs::unix::symlink(path(), path())));

    let any = std::fs::metadata(".").expect("the current directory");
    drop(owned(async_fs::set_permissions(path(), any.permissions())));
}

#[test]
fn futures_of_methods_are_send() {
    run(|dir| async move {
        let file = File::create(dir.join("file")).await?;
        let permissions = file.metadata().await?.permissions();
        send(file.sync_all()).await?;
        send(file.sync_data()).await?;
        send(file.set_len(1)).await?;
        send(file.metadata()).await?;
        send(file.set_permissions(permissions)).await?;

        let mut entries = send(async_fs::read_dir(&dir)).await?;
        let entry = send(entries.next()).await.expect("one entry")?;
        send(entry.metadata()).await?;
        send(entry.file_type()).await?;
        send(DirBuilder::new().create(dir.join("d"))).await?;
        Ok(())
    });
}

#[test]
fn open_borrows_neither_the_options_nor_anything_else() {
    fn opening(path: PathBuf) -> impl Future<Output = io::Result<File>> + Send + 'static {
        let mut options = OpenOptions::new();
        options.read(true);
        options.open(path)
    }
    run(|dir| async move {
        std::fs::write(dir.join("file"), "text")?;
        assert_eq!(opening(dir.join("file")).await?.metadata().await?.len(), 4);
        Ok(())
    });
}

#[test]
fn create_borrows_neither_the_builder_nor_anything_else() {
    fn creating(path: PathBuf) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        builder.create(path)
    }
    run(|dir| async move {
        creating(dir.join("a/b")).await?;
        assert!(dir.join("a/b").is_dir());
        Ok(())
    });
}

/// The path is read before the future exists, so a path type that cannot be sent does not spoil the future.
#[test]
fn open_and_create_are_send_even_when_the_path_type_is_not() {
    let dir = tempfile::tempdir().expect("no temporary directory");
    let path: Rc<Path> = Rc::from(dir.path().join("a"));
    block_on(async {
        send(DirBuilder::new().create(Rc::clone(&path))).await?;
        send(OpenOptions::new().read(true).open(path)).await
    })
    .expect("a directory can be opened for reading");
}

#[test]
fn functions_take_every_kind_of_path() {
    let dir = tempfile::tempdir().expect("no temporary directory");
    let path = dir.path().join("file");
    std::fs::write(&path, "text").expect("a file in a new directory");
    let text = path.to_str().expect("temporary paths are UTF-8");

    block_on(async {
        assert_eq!(async_fs::read(text).await?, b"text");
        assert_eq!(async_fs::read(String::from(text)).await?, b"text");
        assert_eq!(async_fs::read(&String::from(text)).await?, b"text");
        assert_eq!(async_fs::read(path.as_path()).await?, b"text");
        assert_eq!(async_fs::read(&path).await?, b"text");
        assert_eq!(async_fs::read(path.clone()).await?, b"text");
        assert_eq!(async_fs::read(OsStr::new(text)).await?, b"text");
        assert_eq!(async_fs::read(OsString::from(text)).await?, b"text");
        assert_eq!(
            async_fs::read(Cow::Borrowed(OsStr::new(text))).await?,
            b"text"
        );
        assert_eq!(
            async_fs::read(Rc::<Path>::from(path.as_path())).await?,
            b"text"
        );
        assert_eq!(
            async_fs::read(Box::<Path>::from(path.as_path())).await?,
            b"text"
        );
        io::Result::Ok(())
    })
    .expect("every kind of path names the same file");
}

#[test]
fn write_takes_every_kind_of_contents() {
    run(|dir| async move {
        let path = dir.join("file");
        let local = vec![b'l'; 3];
        async_fs::write(&path, "str").await?;
        assert_eq!(std::fs::read(&path)?, b"str");
        async_fs::write(&path, String::from("string")).await?;
        assert_eq!(std::fs::read(&path)?, b"string");
        async_fs::write(&path, b"array").await?;
        assert_eq!(std::fs::read(&path)?, b"array");
        async_fs::write(&path, [1, 2, 3]).await?;
        assert_eq!(std::fs::read(&path)?, [1, 2, 3]);
        async_fs::write(&path, &local[..]).await?;
        assert_eq!(std::fs::read(&path)?, b"lll");
        async_fs::write(&path, &local).await?;
        assert_eq!(std::fs::read(&path)?, b"lll");
        async_fs::write(&path, local).await?;
        assert_eq!(std::fs::read(&path)?, b"lll");
        Ok(())
    });
}

#[test]
fn futures_can_be_boxed_and_kept_together() {
    run(|dir| async move {
        std::fs::write(dir.join("a"), "1")?;
        std::fs::write(dir.join("b"), "22")?;
        std::fs::write(dir.join("c"), "333")?;
        type Boxed = Pin<Box<dyn Future<Output = io::Result<u64>> + Send>>;
        let (a, b, c) = (dir.join("a"), dir.join("b"), dir.join("c"));
        let boxed: Vec<Boxed> = vec![
            async { Ok(async_fs::read(a).await?.len() as u64) }.boxed(),
            Box::pin(async { Ok(async_fs::metadata(b).await?.len()) }),
            async_fs::copy(c, dir.join("d")).boxed(),
        ];
        let mut sum = 0;
        for future in boxed {
            sum += future.await?;
        }
        assert_eq!(sum, 6);
        Ok(())
    });
}

#[test]
fn nothing_happens_before_the_first_poll() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "text")?;
        drop(async_fs::remove_file(&path));
        drop(async_fs::write(&path, "other"));
        drop(async_fs::create_dir(dir.join("d")));
        drop(File::create(&path));
        drop(
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(dir.join("e")),
        );
        assert_eq!(std::fs::read(&path)?, b"text");
        assert!(!dir.join("d").exists());
        assert!(!dir.join("e").exists());
        Ok(())
    });
}

#[test]
fn debug_output_names_the_type() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "")?;
        let mut entries = async_fs::read_dir(&dir).await?;
        assert!(format!("{entries:?}").starts_with("ReadDir"));
        let entry = entries.next().await.expect("one entry")?;
        let shown = format!("{entry:?}");
        assert!(
            shown.starts_with("DirEntry") && shown.contains("file"),
            "{shown}"
        );
        let file = File::open(dir.join("file")).await?;
        assert!(format!("{file:?}").starts_with("File"));
        assert!(format!("{:?}", OpenOptions::new()).starts_with("OpenOptions"));
        assert!(format!("{:?}", DirBuilder::new()).starts_with("DirBuilder"));
        Ok(())
    });
}
