//! The free functions: what they do, and the kind of error that they return.

use std::io::ErrorKind;
use std::path::Path;

use async_fs::{
    canonicalize, copy, create_dir, create_dir_all, hard_link, metadata, read, read_dir, read_link,
    read_to_string, remove_dir, remove_dir_all, remove_file, rename, set_permissions,
    symlink_metadata, write,
};

#[cfg(unix)]
use super::too_long;
use super::{kind, nul, pattern, run};

// Reading and writing whole files.

#[test]
fn read_returns_the_contents() {
    run(|dir| async move {
        for len in [0, 1, 4096, 100_000, 3 << 20] {
            let path = dir.join(format!("{len}"));
            std::fs::write(&path, pattern(len))?;
            assert!(read(&path).await? == pattern(len), "{len} bytes");
        }
        Ok(())
    });
}

#[test]
fn read_to_string_returns_the_text() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "grüße\n")?;
        assert_eq!(read_to_string(&path).await?, "grüße\n");
        std::fs::write(&path, "")?;
        assert_eq!(read_to_string(&path).await?, "");
        Ok(())
    });
}

#[test]
fn read_to_string_of_what_is_not_utf8_is_invalid_data() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, b"ok\xff")?;
        assert_eq!(kind(read_to_string(&path).await), ErrorKind::InvalidData);
        // Cut in the middle of a character.
        std::fs::write(&path, &"ü".as_bytes()[..1])?;
        assert_eq!(kind(read_to_string(&path).await), ErrorKind::InvalidData);
        Ok(())
    });
}

#[cfg(target_os = "linux")]
#[test]
fn read_of_a_file_that_claims_to_be_empty_reads_to_its_end() {
    run(|_| async move {
        assert_eq!(metadata("/proc/self/status").await?.len(), 0);
        assert!(read("/proc/self/status").await?.starts_with(b"Name:"));
        assert!(
            read_to_string("/proc/self/status")
                .await?
                .contains("\nPid:\t")
        );
        Ok(())
    });
}

#[test]
fn write_creates_a_file() {
    run(|dir| async move {
        for len in [0, 1, 100_000, 3 << 20] {
            let path = dir.join(format!("{len}"));
            write(&path, pattern(len)).await?;
            assert!(std::fs::read(&path)? == pattern(len), "{len} bytes");
        }
        Ok(())
    });
}

#[test]
fn write_replaces_what_was_there() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "a long text")?;
        write(&path, "short").await?;
        assert_eq!(std::fs::read(&path)?, b"short");
        write(&path, "").await?;
        assert_eq!(std::fs::read(&path)?, b"");
        Ok(())
    });
}

// Copying, renaming and linking.

#[test]
fn copy_returns_the_number_of_bytes_and_replaces_the_target() {
    run(|dir| async move {
        let (from, to) = (dir.join("from"), dir.join("to"));
        std::fs::write(&to, pattern(5_000_000))?;
        for len in [0, 5, 3 << 20] {
            std::fs::write(&from, pattern(len))?;
            assert_eq!(copy(&from, &to).await?, len as u64);
            assert!(std::fs::read(&to)? == pattern(len), "{len} bytes");
            assert!(std::fs::read(&from)? == pattern(len), "{len} bytes");
        }
        Ok(())
    });
}

#[test]
fn copy_takes_regular_files_only() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "text")?;
        std::fs::create_dir(dir.join("d"))?;
        let result = copy(dir.join("d"), dir.join("to")).await;
        let std = std::fs::copy(dir.join("d"), dir.join("to"));
        assert_eq!(kind(result), kind(std));
        let result = copy(dir.join("file"), dir.join("d")).await;
        let std = std::fs::copy(dir.join("file"), dir.join("d"));
        assert_eq!(kind(result), kind(std));
        Ok(())
    });
}

#[test]
fn rename_moves_a_file_over_another() {
    run(|dir| async move {
        let (from, to) = (dir.join("from"), dir.join("to"));
        std::fs::write(&from, "new")?;
        std::fs::write(&to, "old")?;
        rename(&from, &to).await?;
        assert!(!from.exists());
        assert_eq!(std::fs::read(&to)?, b"new");
        Ok(())
    });
}

#[test]
fn rename_moves_a_directory_with_what_is_in_it() {
    run(|dir| async move {
        std::fs::create_dir(dir.join("a"))?;
        std::fs::write(dir.join("a/file"), "text")?;
        rename(dir.join("a"), dir.join("b")).await?;
        assert_eq!(std::fs::read(dir.join("b/file"))?, b"text");
        Ok(())
    });
}

#[cfg(unix)]
#[test]
fn rename_replaces_only_what_is_alike() {
    run(|dir| async move {
        let (file, empty, full) = (dir.join("file"), dir.join("empty"), dir.join("full"));
        std::fs::write(&file, "text")?;
        std::fs::create_dir(&empty)?;
        std::fs::create_dir(&full)?;
        std::fs::write(full.join("file"), "text")?;
        assert_eq!(
            kind(rename(&empty, &full).await),
            ErrorKind::DirectoryNotEmpty
        );
        assert_eq!(kind(rename(&file, &empty).await), ErrorKind::IsADirectory);
        assert_eq!(kind(rename(&empty, &file).await), ErrorKind::NotADirectory);
        rename(&full, &empty).await?;
        assert!(empty.join("file").exists());
        Ok(())
    });
}

#[test]
fn hard_link_gives_a_second_name_to_the_same_file() {
    run(|dir| async move {
        let (one, two) = (dir.join("one"), dir.join("two"));
        std::fs::write(&one, "old")?;
        hard_link(&one, &two).await?;
        std::fs::write(&one, "new")?;
        assert_eq!(std::fs::read(&two)?, b"new");
        std::fs::remove_file(&one)?;
        assert_eq!(std::fs::read(&two)?, b"new");
        Ok(())
    });
}

#[test]
fn hard_link_does_not_replace() {
    run(|dir| async move {
        std::fs::write(dir.join("one"), "1")?;
        std::fs::write(dir.join("two"), "2")?;
        let result = hard_link(dir.join("one"), dir.join("two")).await;
        assert_eq!(kind(result), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(dir.join("two"))?, b"2");
        Ok(())
    });
}

// Directories.

#[test]
fn create_dir_makes_one_level() {
    run(|dir| async move {
        create_dir(dir.join("a")).await?;
        assert!(dir.join("a").is_dir());
        assert_eq!(kind(create_dir(dir.join("b/c")).await), ErrorKind::NotFound);
        assert!(!dir.join("b").exists());
        Ok(())
    });
}

#[test]
fn create_dir_does_not_accept_what_exists() {
    run(|dir| async move {
        std::fs::create_dir(dir.join("d"))?;
        std::fs::write(dir.join("file"), "")?;
        for name in ["d", "file"] {
            let result = create_dir(dir.join(name)).await;
            assert_eq!(kind(result), ErrorKind::AlreadyExists);
        }
        Ok(())
    });
}

#[test]
fn create_dir_all_makes_every_level_and_accepts_what_exists() {
    run(|dir| async move {
        create_dir_all(dir.join("a/b/c")).await?;
        assert!(dir.join("a/b/c").is_dir());
        create_dir_all(dir.join("a/b/c")).await?;
        create_dir_all(dir.join("a/b/../d")).await?;
        assert!(dir.join("a/d").is_dir());
        create_dir_all("").await?;
        Ok(())
    });
}

#[test]
fn create_dir_all_stops_at_a_file() {
    run(|dir| async move {
        let file = dir.join("file");
        std::fs::write(&file, "text")?;
        assert_eq!(kind(create_dir_all(&file).await), ErrorKind::AlreadyExists);
        let below = file.join("a/b");
        assert_eq!(
            kind(create_dir_all(&below).await),
            kind(std::fs::create_dir_all(&below))
        );
        assert_eq!(std::fs::read(&file)?, b"text");
        Ok(())
    });
}

#[test]
fn create_dir_all_from_many_tasks_at_once_succeeds_in_all() {
    run(|dir| async move {
        let path = dir.join("a/b/c/d/e/f");
        let tasks: Vec<_> = (0..16)
            .map(|_| smol::spawn(create_dir_all(path.clone())))
            .collect();
        for task in tasks {
            task.await?;
        }
        assert!(path.is_dir());
        Ok(())
    });
}

#[test]
fn remove_dir_removes_an_empty_directory_only() {
    run(|dir| async move {
        std::fs::create_dir_all(dir.join("a/b"))?;
        std::fs::write(dir.join("file"), "")?;
        assert_eq!(
            kind(remove_dir(dir.join("a")).await),
            ErrorKind::DirectoryNotEmpty
        );
        remove_dir(dir.join("a/b")).await?;
        remove_dir(dir.join("a")).await?;
        assert!(!dir.join("a").exists());
        assert_eq!(
            kind(remove_dir(dir.join("file")).await),
            ErrorKind::NotADirectory
        );
        assert!(dir.join("file").exists());
        Ok(())
    });
}

#[test]
fn remove_dir_all_removes_a_whole_tree() {
    run(|dir| async move {
        std::fs::create_dir_all(dir.join("a/b/c"))?;
        std::fs::create_dir_all(dir.join("a/empty"))?;
        for i in 0..100 {
            std::fs::write(dir.join(format!("a/b/{i}")), "text")?;
        }
        remove_dir_all(dir.join("a")).await?;
        assert!(!dir.join("a").exists());
        assert_eq!(
            kind(remove_dir_all(dir.join("a")).await),
            ErrorKind::NotFound
        );
        Ok(())
    });
}

#[test]
fn remove_dir_all_does_not_take_a_file() {
    run(|dir| async move {
        let file = dir.join("file");
        std::fs::write(&file, "text")?;
        assert_eq!(kind(remove_dir_all(&file).await), ErrorKind::NotADirectory);
        assert!(file.exists());
        Ok(())
    });
}

#[test]
fn remove_file_removes_a_file_only() {
    run(|dir| async move {
        let (file, d) = (dir.join("file"), dir.join("d"));
        std::fs::write(&file, "text")?;
        std::fs::create_dir(&d)?;
        remove_file(&file).await?;
        assert!(!file.exists());
        assert_eq!(kind(remove_file(&file).await), ErrorKind::NotFound);
        assert_eq!(kind(remove_file(&d).await), kind(std::fs::remove_file(&d)));
        assert!(d.is_dir());
        Ok(())
    });
}

// Metadata and paths.

#[test]
fn metadata_tells_files_from_directories() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), pattern(12345))?;
        let file = metadata(dir.join("file")).await?;
        assert!(file.is_file() && !file.is_dir() && !file.is_symlink());
        assert_eq!(file.len(), 12345);
        assert_eq!(
            file.modified()?,
            std::fs::metadata(dir.join("file"))?.modified()?
        );
        let itself = metadata(&dir).await?;
        assert!(itself.is_dir() && !itself.is_file());
        Ok(())
    });
}

#[test]
fn symlink_metadata_of_a_plain_file_is_its_metadata() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "text")?;
        let metadata = symlink_metadata(dir.join("file")).await?;
        assert!(metadata.is_file() && !metadata.is_symlink());
        assert_eq!(metadata.len(), 4);
        Ok(())
    });
}

#[test]
fn set_permissions_makes_a_file_read_only_and_back() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "text")?;
        let writable = metadata(&path).await?.permissions();
        let mut read_only = writable.clone();
        read_only.set_readonly(true);
        set_permissions(&path, read_only).await?;
        assert!(std::fs::metadata(&path)?.permissions().readonly());
        set_permissions(&path, writable).await?;
        assert!(!std::fs::metadata(&path)?.permissions().readonly());
        Ok(())
    });
}

#[test]
fn canonicalize_removes_dots() {
    run(|dir| async move {
        std::fs::create_dir(dir.join("d"))?;
        std::fs::write(dir.join("file"), "")?;
        assert_eq!(
            canonicalize(dir.join("d/.././file")).await?,
            dir.join("file")
        );
        assert_eq!(canonicalize(&dir).await?, dir);
        assert_eq!(canonicalize(".").await?, std::fs::canonicalize(".")?);
        Ok(())
    });
}

#[test]
fn read_link_of_what_is_no_link_is_an_error() {
    run(|dir| async move {
        let file = dir.join("file");
        std::fs::write(&file, "")?;
        assert_eq!(
            kind(read_link(&file).await),
            kind(std::fs::read_link(&file))
        );
        Ok(())
    });
}

// Errors that do not depend on what the function does.

/// The kind of error of every function that takes one path to something that should be there.
async fn kinds_for(path: &Path) -> Vec<(&'static str, ErrorKind)> {
    let permissions = metadata(".").await.expect("the current directory");
    let permissions = permissions.permissions();
    let elsewhere = path.with_file_name("elsewhere");
    vec![
        ("canonicalize", kind(canonicalize(path).await)),
        ("copy", kind(copy(path, &elsewhere).await)),
        ("hard_link", kind(hard_link(path, &elsewhere).await)),
        ("metadata", kind(metadata(path).await)),
        ("read", kind(read(path).await)),
        ("read_dir", kind(read_dir(path).await)),
        ("read_link", kind(read_link(path).await)),
        ("read_to_string", kind(read_to_string(path).await)),
        ("remove_dir", kind(remove_dir(path).await)),
        ("remove_dir_all", kind(remove_dir_all(path).await)),
        ("remove_file", kind(remove_file(path).await)),
        ("rename", kind(rename(path, &elsewhere).await)),
        (
            "set_permissions",
            kind(set_permissions(path, permissions).await),
        ),
        ("symlink_metadata", kind(symlink_metadata(path).await)),
    ]
}

/// The same for every function that makes something at a path.
async fn kinds_for_new(existing: &Path, path: &Path) -> Vec<(&'static str, ErrorKind)> {
    vec![
        ("copy", kind(copy(existing, path).await)),
        ("create_dir", kind(create_dir(path).await)),
        ("hard_link", kind(hard_link(existing, path).await)),
        ("rename", kind(rename(existing, path).await)),
        ("write", kind(write(path, "text").await)),
    ]
}

#[track_caller]
fn assert_all(kinds: Vec<(&'static str, ErrorKind)>, expected: ErrorKind) {
    for (function, kind) in kinds {
        assert_eq!(kind, expected, "{function}");
    }
}

#[test]
fn a_missing_file_is_not_found_in_every_function() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "")?;
        assert_all(kinds_for(&dir.join("missing")).await, ErrorKind::NotFound);
        assert_all(kinds_for(&dir.join("no/file")).await, ErrorKind::NotFound);
        let new = kinds_for_new(&dir.join("file"), &dir.join("no/file")).await;
        assert_all(new, ErrorKind::NotFound);
        assert!(dir.join("file").exists() && !dir.join("elsewhere").exists());
        Ok(())
    });
}

#[test]
fn an_empty_path_is_not_found() {
    run(|_| async move {
        assert_eq!(kind(read("").await), ErrorKind::NotFound);
        assert_eq!(kind(metadata("").await), ErrorKind::NotFound);
        assert_eq!(kind(write("", "text").await), ErrorKind::NotFound);
        assert_eq!(kind(create_dir("").await), ErrorKind::NotFound);
        Ok(())
    });
}

#[test]
fn a_nul_byte_in_a_path_is_invalid_input_in_every_function() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "")?;
        assert_all(kinds_for(&nul(&dir)).await, ErrorKind::InvalidInput);
        let new = kinds_for_new(&dir.join("file"), &nul(&dir)).await;
        assert_all(new, ErrorKind::InvalidInput);
        let all = create_dir_all(nul(&dir)).await;
        assert_eq!(kind(all), ErrorKind::InvalidInput);
        Ok(())
    });
}

#[cfg(unix)]
#[test]
fn a_name_that_is_too_long_is_an_invalid_filename_in_every_function() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "")?;
        assert_all(kinds_for(&too_long(&dir)).await, ErrorKind::InvalidFilename);
        let new = kinds_for_new(&dir.join("file"), &too_long(&dir)).await;
        assert_all(new, ErrorKind::InvalidFilename);
        // Each component is short enough, all together are not.
        let deep = dir.join("x/".repeat(3000));
        assert_eq!(kind(metadata(&deep).await), ErrorKind::InvalidFilename);
        assert_eq!(kind(read(&deep).await), ErrorKind::InvalidFilename);
        Ok(())
    });
}

#[cfg(unix)]
#[test]
fn a_path_through_a_file_is_not_a_directory_in_every_function() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "")?;
        let through = dir.join("file/below");
        assert_all(kinds_for(&through).await, ErrorKind::NotADirectory);
        let new = kinds_for_new(&dir.join("file"), &through).await;
        assert_all(new, ErrorKind::NotADirectory);
        assert_eq!(
            kind(read_dir(dir.join("file")).await),
            ErrorKind::NotADirectory
        );
        Ok(())
    });
}

#[cfg(unix)]
#[test]
fn a_directory_where_a_file_is_needed_is_a_directory() {
    run(|dir| async move {
        assert_eq!(kind(read(&dir).await), ErrorKind::IsADirectory);
        assert_eq!(kind(read_to_string(&dir).await), ErrorKind::IsADirectory);
        assert_eq!(kind(write(&dir, "text").await), ErrorKind::IsADirectory);
        Ok(())
    });
}
