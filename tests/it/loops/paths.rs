//! Functions on paths, of the crate root, `os`, `os::path` and `unix`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use aiofiles::os::{self, AccessMode};
use aiofiles::{DirBuilder, Permissions};
use futures_lite::StreamExt as _;

use super::{Operation, Stage, data, op};

/// So long that it is read and written in several calls.
const LONG: usize = 300_000;

pub fn operations() -> Vec<Operation> {
    let mut all = asking();
    all.extend(changing());
    all.extend(contents());
    all.extend(of_python());
    all.extend(listings());
    all
}

fn asking() -> Vec<Operation> {
    vec![
        op("canonicalize", &["fs.rs canonicalize"], |stage| {
            let path = stage.file("a", "text");
            stage.act(aiofiles::canonicalize(path));
        })
        .outside(),
        op("exists", &["fs.rs exists"], |stage| {
            let path = stage.file("a", "text");
            stage.act(async { Ok(aiofiles::exists(path).await) });
        }),
        op("try_exists", &["fs.rs try_exists"], |stage| {
            let path = stage.file("a", "text");
            stage.act(aiofiles::try_exists(path));
        }),
        op("metadata", &["fs.rs metadata"], |stage| {
            let path = stage.file("a", "text");
            stage.act(async { Ok(aiofiles::metadata(path).await?.len()) });
        }),
        op("symlink_metadata", &["fs.rs symlink_metadata"], |stage| {
            let path = stage.file("a", "text");
            stage.act(async { Ok(aiofiles::symlink_metadata(path).await?.len()) });
        }),
        op("read_link", &["fs.rs read_link"], |stage| {
            symlink("target", stage.path("link")).unwrap();
            stage.act(aiofiles::read_link(stage.path("link")));
        })
        .outside(),
    ]
}

fn changing() -> Vec<Operation> {
    vec![
        op("create_dir", &["fs.rs create_dir"], |stage| {
            stage.act(aiofiles::create_dir(stage.path("new")));
        }),
        op("create_dir_all", &["fs.rs create_dir_all"], |stage| {
            stage.act(aiofiles::create_dir_all(stage.path("new")));
        }),
        op("DirBuilder::create", &["dir.rs create"], |stage| {
            let path = stage.path("new");
            stage.act(DirBuilder::new().recursive(true).create(path));
        })
        .outside(),
        op("hard_link", &["fs.rs hard_link"], |stage| {
            let path = stage.file("a", "text");
            stage.act(aiofiles::hard_link(path, stage.path("b")));
        })
        .outside(),
        op("symlink", &["unix.rs symlink"], |stage| {
            stage.act(aiofiles::unix::symlink("target", stage.path("link")));
        })
        .outside(),
        op("remove_dir", &["fs.rs remove_dir"], |stage| {
            let path = stage.directory("sub");
            stage.act(aiofiles::remove_dir(path));
        }),
        op("remove_dir_all", &["fs.rs remove_dir_all"], |stage| {
            stage.directory("sub/deep");
            stage.file("sub/deep/a", "text");
            stage.act(aiofiles::remove_dir_all(stage.path("sub")));
        }),
        op("remove_file", &["fs.rs remove_file"], |stage| {
            let path = stage.file("a", "text");
            stage.act(aiofiles::remove_file(path));
        }),
        op("rename", &["fs.rs rename"], |stage| {
            let path = stage.file("a", "text");
            let to = stage.file("b", "old");
            stage.act(aiofiles::rename(path, to));
        }),
        op("set_permissions", &["fs.rs set_permissions"], |stage| {
            let path = stage.file("a", "text");
            let mode = Permissions::from_mode(0o640);
            stage.act(aiofiles::set_permissions(path, mode));
        })
        .outside(),
        op("chown", &["unix.rs chown"], |stage| {
            let path = stage.file("a", "text");
            let own = fs::metadata(&path).unwrap();
            stage.act(aiofiles::unix::chown(path, Some(own.uid()), None));
        }),
        op("lchown", &["unix.rs lchown"], |stage| {
            let path = stage.file("a", "text");
            let own = fs::metadata(&path).unwrap();
            stage.act(aiofiles::unix::lchown(path, Some(own.uid()), None));
        }),
    ]
}

fn contents() -> Vec<Operation> {
    vec![
        op("read", &["fs.rs read"], |stage| {
            let path = stage.file("a", data(9000));
            stage.act(async { Ok(aiofiles::read(path).await? == data(9000)) });
        }),
        op("read of a long file", &[], |stage| {
            let path = stage.file("a", data(LONG));
            stage.act(async { Ok(aiofiles::read(path).await? == data(LONG)) });
        }),
        op("read_to_string", &["fs.rs read_to_string"], |stage| {
            let path = stage.file("a", "text");
            stage.act(aiofiles::read_to_string(path));
        }),
        op("write", &["fs.rs write"], |stage| {
            let path = stage.file("a", "old");
            stage.may_leave("a", data(9000));
            stage.act(aiofiles::write(path, data(9000)));
        }),
        op("write of a new file", &[], |stage| {
            stage.may_leave("new", "text");
            stage.act(aiofiles::write(stage.path("new"), "text"));
        }),
        op("write of a long file", &[], |stage| {
            let path = stage.file("a", "old");
            stage.may_leave("a", data(LONG));
            stage.act(aiofiles::write(path, data(LONG)));
        }),
        op("write_atomic", &["atomic.rs write_atomic"], |stage| {
            let path = stage.file("a", "old");
            fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
            stage.act(aiofiles::write_atomic(path, data(9000)));
        }),
        op("write_atomic of a new file", &[], |stage| {
            stage.act(aiofiles::write_atomic(stage.path("new"), "text"));
        }),
        op("write_atomic of another's file", &[], |stage| {
            if let Some(path) = strangers(stage) {
                stage.act(aiofiles::write_atomic(path, "text"));
            } else {
                stage.act(async { Ok(()) });
            }
        }),
        op("write_atomic by a link", &[], |stage| {
            stage.file("a", "old");
            symlink("a", stage.path("link")).unwrap();
            stage.act(aiofiles::write_atomic(stage.path("link"), "text"));
        }),
        op("copy", &["copy.rs copy"], |stage| {
            let from = stage.file("a", data(9000));
            let to = stage.file("b", "old");
            stage.may_leave("b", data(9000));
            stage.act(aiofiles::copy(from, to));
        }),
        op(
            "copy_with_progress",
            &["copy.rs copy_with_progress"],
            |stage| {
                let from = stage.file("a", data(9000));
                let to = stage.file("b", "old");
                stage.may_leave("b", data(9000));
                let mut last = None;
                let copied =
                    aiofiles::copy_with_progress(from, to, |done, all| last = Some((done, all)));
                stage.act(copied);
                if let Some((done, all)) = last {
                    stage.ensure(done <= all && all == 9000, "more than all was copied");
                }
            },
        ),
        op("copy to a device", &[], |stage| {
            let from = stage.file("a", data(9000));
            stage.act(aiofiles::copy(from, "/dev/null"));
        }),
        op("read of a device", &[], |stage| {
            stage.act(aiofiles::read("/dev/null"));
        }),
        op("write to a device", &[], |stage| {
            stage.act(aiofiles::write("/dev/null", "text"));
        }),
        op("read of procfs", &[], |stage| {
            stage.act(async { Ok(aiofiles::read("/proc/self/status").await?.len() > 100) });
        }),
        op("read_many", &["batch.rs Stream for ReadMany"], |stage| {
            let paths = ["a", "b", "c"].map(|name| stage.file(name, name.repeat(3000)));
            stage.act(all_of_many(aiofiles::read_many(paths), &["a", "b", "c"]));
        }),
    ]
}

/// Takes every file, checks that each comes once, and gives the first error.
async fn all_of_many(mut many: aiofiles::ReadMany, names: &[&str]) -> io::Result<usize> {
    let mut result = Ok(());
    let mut found = Vec::new();
    while let Some((path, read)) = many.next().await {
        let name = path.file_name().and_then(OsStr::to_str).unwrap().to_owned();
        match read {
            Ok(bytes) => assert_eq!(bytes, name.repeat(3000).as_bytes(), "the bytes of {name}"),
            Err(error) => result = result.and(Err(error)),
        }
        found.push(name);
    }
    found.sort();
    assert_eq!(found, names, "each file comes once");
    result.map(|()| found.len())
}

/// A file that belongs to somebody else, if this process may have one.
fn strangers(stage: &Stage) -> Option<std::path::PathBuf> {
    let path = stage.file("a", "old");
    std::os::unix::fs::chown(&path, Some(12_345), Some(12_345)).ok()?;
    Some(path)
}

fn of_python() -> Vec<Operation> {
    use os::path;

    vec![
        op("os::statvfs", &["os/statvfs.rs statvfs"], |stage| {
            let path = stage.dir().to_owned();
            stage.act(async { Ok(os::statvfs(path).await?.total_bytes() > 0) });
        }),
        op("os::access", &["os/access.rs access"], |stage| {
            let path = stage.file("a", "text");
            stage.act(async { Ok(os::access(path, AccessMode::READ).await) });
        }),
        op("os::getcwd", &["os/mod.rs getcwd"], |stage| {
            stage.act(os::getcwd());
        }),
        op("os::mkdir", &["os/directories.rs mkdir"], |stage| {
            stage.act(os::mkdir(stage.path("new"), 0o700));
        }),
        op("os::makedirs", &["os/directories.rs makedirs"], |stage| {
            stage.directory("there");
            stage.may_leave("there/new", "");
            stage.act(os::makedirs(stage.path("there/new/deep"), 0o777, false));
        }),
        op("os::makedirs of what is there", &[], |stage| {
            let path = stage.directory("there");
            stage.act(os::makedirs(path, 0o777, true));
        }),
        op("os::renames", &["os/directories.rs renames"], |stage| {
            stage.directory("old");
            stage.may_leave("old", "");
            let from = stage.file("old/a", "text");
            stage.may_leave("new", "");
            stage.act(os::renames(from, stage.path("new/b")));
        }),
        op("os::renames to what is there", &[], |stage| {
            stage.directory("old");
            stage.may_leave("old", "");
            stage.directory("there");
            stage.file("there/other", "");
            let from = stage.file("old/a", "text");
            stage.act(os::renames(from, stage.path("there/b")));
        }),
        op(
            "os::removedirs",
            &["os/directories.rs removedirs"],
            |stage| {
                stage.file("stays", "");
                stage.may_leave("sub", "");
                let path = stage.directory("sub/deep");
                stage.act(os::removedirs(path));
            },
        ),
        op("os::listdir", &["os/mod.rs listdir"], |stage| {
            for name in ["a", "b", "c"] {
                stage.file(name, "");
            }
            let path = stage.dir().to_owned();
            stage.act(async {
                let mut names = os::listdir(path).await?;
                names.sort();
                Ok(names)
            });
        }),
        op("os::path::abspath", &["os/path.rs abspath"], |stage| {
            stage.act(path::abspath("no/../file"));
        }),
        op("os::path::isfile", &["os/path.rs isfile"], |stage| {
            let file = stage.file("a", "text");
            stage.act(async { Ok(path::isfile(file).await) });
        }),
        op("os::path::isdir", &["os/path.rs isdir"], |stage| {
            let path = stage.directory("sub");
            stage.act(async { Ok(path::isdir(path).await) });
        }),
        op("os::path::islink", &["os/path.rs islink"], |stage| {
            symlink("target", stage.path("link")).unwrap();
            stage.act(async { Ok(path::islink(stage.path("link")).await) });
        }),
        op("os::path::ismount", &["os/path.rs ismount"], |stage| {
            stage.act(async { Ok(path::ismount("/").await) });
        }),
        op("os::path::getsize", &["os/path.rs getsize"], |stage| {
            let file = stage.file("a", "text");
            stage.act(path::getsize(file));
        }),
        op("os::path::getatime", &["os/path.rs getatime"], |stage| {
            let file = stage.file("a", "text");
            stage.act(async { path::getatime(file).await.map(drop) });
        }),
        op("os::path::getmtime", &["os/path.rs getmtime"], |stage| {
            let file = stage.file("a", "text");
            stage.act(async { path::getmtime(file).await.map(drop) });
        }),
        op("os::path::getctime", &["os/path.rs getctime"], |stage| {
            let file = stage.file("a", "text");
            stage.act(async { path::getctime(file).await.map(drop) });
        }),
        op("os::path::samefile", &["os/path.rs samefile"], |stage| {
            let (one, other) = (stage.file("a", ""), stage.file("b", ""));
            stage.act(path::samefile(one, other));
        }),
        op(
            "os::path::sameopenfile",
            &["os/path.rs sameopenfile"],
            |stage| {
                let path = stage.file("a", "");
                let one = stage.now(aiofiles::File::open(&path)).unwrap();
                let other = stage.now(aiofiles::File::open(&path)).unwrap();
                stage.act(path::sameopenfile(&one, &other));
            },
        ),
    ]
}

fn listings() -> Vec<Operation> {
    /// More than one block of entries holds.
    const MANY: usize = 70;

    fn many(stage: &Stage) -> std::path::PathBuf {
        let path = stage.directory("full");
        for n in 0..MANY {
            fs::write(path.join(n.to_string()), "").unwrap();
        }
        path
    }

    vec![
        op(
            "read_dir",
            &["dir.rs read_dir", "dir.rs Stream for ReadDir"],
            |stage| {
                let path = many(stage);
                stage.act(async {
                    let mut entries = aiofiles::read_dir(path).await?;
                    let mut names = Vec::new();
                    let mut result = Ok(());
                    while let Some(entry) = entries.next().await {
                        match entry {
                            Ok(entry) => names.push(entry.file_name()),
                            Err(error) => result = result.and(Err(error)),
                        }
                    }
                    result?;
                    names.sort();
                    names.dedup();
                    Ok(names.len())
                });
            },
        ),
        op("DirEntry::file_type", &["dir.rs file_type"], |stage| {
            let path = stage.directory("sub");
            fs::write(path.join("a"), "").unwrap();
            stage.act(async {
                let mut entries = aiofiles::read_dir(path).await?;
                let entry = entries.next().await.expect("there is one")?;
                Ok(entry.file_type().await?.is_file())
            });
        }),
        op("DirEntry::metadata", &["dir.rs metadata"], |stage| {
            let path = stage.directory("sub");
            fs::write(path.join("a"), "text").unwrap();
            let mut entries = stage.now(aiofiles::read_dir(path)).unwrap();
            let entry = stage.now(entries.next()).unwrap().unwrap();
            stage.act(async { Ok(entry.metadata().await?.len()) });
        }),
        op("walk", &["walk/mod.rs Stream for Walk"], |stage| {
            stage.directory("sub/deep");
            stage.file("sub/deep/a", "");
            stage.file("sub/b", "");
            symlink("b", stage.path("sub/link")).unwrap();
            stage.act(all_of_walk(aiofiles::walk(stage.path("sub"))));
        }),
        op("walk that follows links", &[], |stage| {
            stage.directory("sub/deep");
            stage.file("sub/deep/a", "");
            symlink("deep", stage.path("sub/link")).unwrap();
            let walk = aiofiles::walk(stage.path("sub")).follow_links(true);
            stage.act(all_of_walk(walk));
        }),
        op("walk on one file system, pruned", &[], |stage| {
            stage.directory("sub/deep");
            stage.file("sub/deep/a", "");
            stage.file("sub/b", "");
            let walk = aiofiles::walk(stage.path("sub")).same_file_system(true);
            let walk = walk.prune(|entry| entry.file_name() == "deep");
            stage.act(all_of_walk(walk));
        }),
    ]
}

/// Goes to the end, and gives the first error.
async fn all_of_walk(mut walk: aiofiles::Walk) -> io::Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    let mut result = Ok(());
    while let Some(entry) = walk.next().await {
        match entry {
            Ok(entry) => found.push(entry.into_path()),
            Err(error) => result = result.and(Err(error)),
        }
    }
    found.sort();
    let all = found.len();
    found.dedup();
    assert_eq!(found.len(), all, "no path comes twice");
    result.map(|()| found)
}
