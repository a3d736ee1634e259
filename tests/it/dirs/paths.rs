//! Functions on one or two paths: existence, owners, and the errors that name both paths.

use std::fs;
use std::io::ErrorKind;

use super::assert_names;
use crate::support::*;

#[test]
fn what_a_path_leads_to_exists() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let (file, missing) = (dir.path().join("file"), dir.path().join("missing"));
        fs::write(&file, "").unwrap();
        for (path, there) in [
            (file.as_path(), true),
            (dir.path(), true),
            (&missing, false),
            // Not an error: nothing is below a file.
            (&missing.join("below"), false),
        ] {
            assert_eq!(aiofiles::exists(path).await, there, "{path:?}");
            assert_eq!(aiofiles::try_exists(path).await.unwrap(), there, "{path:?}");
        }
    });
}

#[cfg(unix)]
#[test]
fn a_link_exists_if_what_it_leads_to_does() {
    use std::os::unix::fs::symlink;

    every_runtime(|_| async {
        let dir = temp_dir();
        let (link, chain, round) = (
            dir.path().join("link"),
            dir.path().join("chain"),
            dir.path().join("round"),
        );
        symlink("file", &link).unwrap();
        symlink("link", &chain).unwrap();
        symlink("round", &round).unwrap();
        assert!(!aiofiles::exists(&chain).await);
        assert!(!aiofiles::try_exists(&chain).await.unwrap());
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(aiofiles::exists(&chain).await);
        assert!(aiofiles::try_exists(&chain).await.unwrap());

        // Nobody can tell where a link to itself leads.
        assert!(!aiofiles::exists(&round).await);
        let error = aiofiles::try_exists(&round).await.unwrap_err();
        let theirs = fs::exists(&round).unwrap_err();
        assert_eq!(aiofiles::raw_os_error(&error), theirs.raw_os_error());
        assert!(error.to_string().contains("round"), "{error}");
    });
}

#[cfg(unix)]
#[test]
fn whether_something_exists_cannot_be_told_below_a_directory_that_may_not_be_searched() {
    use std::os::unix::fs::PermissionsExt as _;

    super::unprivileged(|| {
        let dir = temp_dir();
        let closed = dir.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::write(closed.join("file"), "").unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).unwrap();
        futures_lite::future::block_on(async {
            for name in ["file", "missing"] {
                let path = closed.join(name);
                assert!(!aiofiles::exists(&path).await);
                let error = aiofiles::try_exists(&path).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::PermissionDenied);
                assert!(error.to_string().contains("closed"), "{error}");
            }
        });
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    });
}

#[test]
fn errors_of_renaming_and_linking_name_both_paths() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let (from, to) = (dir.path().join("missing"), dir.path().join("no/where"));
        let error = aiofiles::rename(&from, &to).await.unwrap_err();
        assert_names(&error, ErrorKind::NotFound, "rename", &from, Some(&to));
        let error = aiofiles::hard_link(&from, &to).await.unwrap_err();
        assert_names(&error, ErrorKind::NotFound, "link", &from, Some(&to));
        #[cfg(unix)]
        {
            let error = aiofiles::unix::symlink(&from, &to).await.unwrap_err();
            assert_names(&error, ErrorKind::NotFound, "link", &from, Some(&to));
        }
        let error = aiofiles::copy(&from, &to).await.unwrap_err();
        assert_names(&error, ErrorKind::NotFound, "copy", &from, Some(&to));
        let error = aiofiles::copy_with_progress(&from, &to, |_, _| ())
            .await
            .unwrap_err();
        assert_names(&error, ErrorKind::NotFound, "copy", &from, Some(&to));
    });
}

#[cfg(unix)]
#[test]
fn errors_of_renaming_and_linking_have_the_code_of_std() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let (file, full) = (dir.path().join("file"), dir.path().join("full"));
        fs::write(&file, "").unwrap();
        fs::create_dir_all(full.join("something")).unwrap();
        let code = |error| aiofiles::raw_os_error(&error);

        let error = aiofiles::rename(&file, &full).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory);
        assert_eq!(
            code(error),
            fs::rename(&file, &full).unwrap_err().raw_os_error()
        );
        let error = aiofiles::hard_link(&file, &full).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(
            code(error),
            fs::hard_link(&file, &full).unwrap_err().raw_os_error()
        );
        let error = aiofiles::unix::symlink("anything", &full)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(
            error
                .to_string()
                .starts_with("failed to link `anything` to `"),
            "{error}"
        );
    });
}

#[cfg(unix)]
#[test]
fn an_owner_of_none_is_left_as_it_is() {
    use std::os::unix::fs::MetadataExt as _;

    use aiofiles::unix::{chown, lchown};

    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        let owners = || {
            let metadata = fs::metadata(&path).unwrap();
            (metadata.uid(), metadata.gid())
        };
        let own = owners();
        for (uid, gid) in [
            (None, None),
            (Some(own.0), None),
            (None, Some(own.1)),
            (Some(own.0), Some(own.1)),
        ] {
            chown(&path, uid, gid).await.unwrap();
            lchown(&path, uid, gid).await.unwrap();
            assert_eq!(owners(), own);
        }

        let missing = dir.path().join("missing");
        let error = chown(&missing, None, None).await.unwrap_err();
        let op = "change the owner of";
        assert_names(&error, ErrorKind::NotFound, op, &missing, None);
        let error = lchown(&missing, None, None).await.unwrap_err();
        assert_names(&error, ErrorKind::NotFound, op, &missing, None);
    });
}

#[cfg(unix)]
#[test]
fn owners_are_changed_through_a_link_or_of_the_link() {
    use std::os::unix::fs::MetadataExt as _;

    use aiofiles::unix::{chown, lchown};

    if !is_root() {
        return skip("root");
    }
    every_runtime(|_| async {
        let dir = temp_dir();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        let owners = || {
            [&file, &link].map(|path| {
                let metadata = fs::symlink_metadata(path).unwrap();
                (metadata.uid(), metadata.gid())
            })
        };
        lchown(&link, Some(1234), Some(2345)).await.unwrap();
        assert_eq!(owners(), [(0, 0), (1234, 2345)]);
        chown(&link, Some(3456), None).await.unwrap();
        assert_eq!(owners(), [(3456, 0), (1234, 2345)]);
        chown(&file, None, Some(4567)).await.unwrap();
        lchown(&file, Some(1), None).await.unwrap();
        assert_eq!(owners(), [(1, 4567), (1234, 2345)]);
    });
}

#[cfg(unix)]
#[test]
fn a_file_is_not_given_away_without_the_right_to() {
    use aiofiles::unix::{chown, lchown};

    super::unprivileged(|| {
        let dir = temp_dir();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        futures_lite::future::block_on(async {
            let op = "change the owner of";
            let error = chown(&path, Some(0), None).await.unwrap_err();
            assert_names(&error, ErrorKind::PermissionDenied, op, &path, None);
            let error = lchown(&path, Some(0), None).await.unwrap_err();
            assert_names(&error, ErrorKind::PermissionDenied, op, &path, None);
        });
    });
}

#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_rename_that_was_polled_happens_and_one_that_was_not_does_not() {
    crate::steps::stepped(|stepper, _| {
        let dir = temp_dir();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        fs::write(&one, "").unwrap();
        drop(aiofiles::rename(&one, &other));
        assert_eq!(stepper.waiting(), 0);
        assert!(poll_now(std::pin::pin!(aiofiles::rename(&one, &other))).is_pending());
        assert!(one.exists());
        assert_eq!(stepper.run_all(), 1);
        assert!(other.exists() && !one.exists());
    });
}
