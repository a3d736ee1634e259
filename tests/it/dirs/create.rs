//! Creating directories with `DirBuilder`.

use std::fs;
use std::io::ErrorKind;

use aiofiles::DirBuilder;

use super::assert_names;
use crate::support::*;

#[test]
fn one_directory_is_created_and_its_parents_only_when_asked() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let (one, deep) = (dir.path().join("one"), dir.path().join("a/b/c"));
        DirBuilder::new().create(&one).await.unwrap();
        assert!(one.is_dir());

        let error = DirBuilder::new().create(&deep).await.unwrap_err();
        assert_names(&error, ErrorKind::NotFound, "create directory", &deep, None);
        assert!(!dir.path().join("a").exists());
        DirBuilder::new()
            .recursive(true)
            .create(&deep)
            .await
            .unwrap();
        assert!(deep.is_dir());
    });
}

#[test]
fn what_exists_is_an_error_unless_it_is_a_directory_and_the_builder_is_recursive() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let (sub, file) = (dir.path().join("sub"), dir.path().join("file"));
        fs::create_dir(&sub).unwrap();
        fs::write(&file, "text").unwrap();
        let mut builder = DirBuilder::default();
        for path in [&sub, &file] {
            let error = builder.create(path).await.unwrap_err();
            let kind = ErrorKind::AlreadyExists;
            assert_names(&error, kind, "create directory", path, None);
        }
        builder.recursive(true);
        builder.create(&sub).await.unwrap();
        let error = builder.create(&file).await.unwrap_err();
        let kind = ErrorKind::AlreadyExists;
        assert_names(&error, kind, "create directory", &file, None);
        // Switched off again.
        builder.recursive(false);
        assert!(builder.create(&sub).await.is_err());
        assert_eq!(fs::read(&file).unwrap(), b"text");
    });
}

#[test]
fn a_future_does_not_borrow_its_builder() {
    every_runtime(|rt| async move {
        let dir = temp_dir();
        let path = dir.path().join("sub");
        let created = DirBuilder::new().create(path.clone());
        rt.spawn(created).await.unwrap();
        assert!(path.is_dir());
    });
}

/// The umask is the same for both, whatever it is.
#[cfg(unix)]
#[test]
fn the_mode_is_that_of_std() {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};

    use aiofiles::unix::DirBuilderExt as _;

    every_runtime(|_| async {
        let dir = temp_dir();
        for mode in [0o700, 0o711, 0o777, 0o500] {
            let (ours, theirs) = (
                dir.path().join(format!("a{mode:o}")),
                dir.path().join(format!("b{mode:o}")),
            );
            DirBuilder::new().mode(mode).create(&ours).await.unwrap();
            fs::DirBuilder::new().mode(mode).create(&theirs).unwrap();
            let modes = [ours, theirs].map(|path| fs::metadata(path).unwrap().mode());
            assert_eq!(modes[0], modes[1]);
        }
    });
}

/// `DirBuilder` hands its work to `async-fs`, which has threads of its own: there is no stepping here.
#[test]
fn once_polled_the_directory_is_created_and_unpolled_it_is_not() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let (polled, unpolled) = (dir.path().join("polled"), dir.path().join("unpolled"));
        drop(poll_n(DirBuilder::new().create(&unpolled), 0).await);
        drop(poll_once(DirBuilder::new().create(&polled)).await);
        while !polled.exists() {
            std::thread::yield_now();
        }
        assert!(!unpolled.exists());
    });
}
