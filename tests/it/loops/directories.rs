//! What is named relative to an open directory.

use std::os::unix::fs::{MetadataExt as _, symlink};

use aiofiles::os::AccessMode;
use aiofiles::unix::Dir;
use aiofiles::{File, OpenOptions};

use super::{Operation, Stage, Way, op};

/// The directory of the stage, open.
fn opened(stage: &Stage) -> Dir {
    stage.now(Dir::open(stage.dir())).unwrap()
}

/// Opens with the fault, and checks what was opened.
fn opens<F: Future<Output = std::io::Result<File>>>(stage: &Stage, name: &str, way: Way, open: F) {
    let mut opened = None;
    stage.act(async {
        opened = Some(open.await?);
        Ok(())
    });
    if let Some(mut file) = opened {
        stage.check(&mut file, Some(&stage.path(name)), way, |_| true);
    }
}

pub fn operations() -> Vec<Operation> {
    let mut all = asking();
    all.extend(changing());
    all
}

fn asking() -> Vec<Operation> {
    vec![
        op("Dir::open", &["dirfd.rs open"], |stage| {
            let path = stage.directory("sub");
            stage.act(async { Dir::open(path).await.map(drop) });
        }),
        op("Dir::open_dir", &["dirfd.rs open_dir"], |stage| {
            stage.directory("sub");
            let dir = opened(stage);
            stage.act(async { dir.open_dir("sub").await.map(drop) });
        }),
        op("Dir::open_file", &["dirfd.rs open_file"], |stage| {
            stage.file("a", "text");
            let dir = opened(stage);
            opens(stage, "a", Way::Read, dir.open_file("a"));
        }),
        op(
            "Dir::open_file_with",
            &["dirfd.rs open_file_with"],
            |stage| {
                let dir = opened(stage);
                stage.may_leave("new", "");
                let mut options = OpenOptions::new();
                options.read(true).write(true).create(true);
                opens(stage, "new", Way::Both, dir.open_file_with("new", &options));
            },
        ),
        op("Dir::metadata", &["dirfd.rs metadata"], |stage| {
            stage.file("a", "text");
            let dir = opened(stage);
            stage.act(async { Ok(dir.metadata("a").await?.size()) });
        }),
        op(
            "Dir::symlink_metadata",
            &["dirfd.rs symlink_metadata"],
            |stage| {
                symlink("target", stage.path("link")).unwrap();
                let dir = opened(stage);
                stage.act(async { Ok(dir.symlink_metadata("link").await?.is_symlink()) });
            },
        ),
        op("Dir::access", &["dirfd.rs access"], |stage| {
            stage.file("a", "text");
            let dir = opened(stage);
            stage.act(async { Ok(dir.access("a", AccessMode::READ).await) });
        }),
        op("Dir::read_link", &["dirfd.rs read_link"], |stage| {
            symlink("target", stage.path("link")).unwrap();
            let dir = opened(stage);
            stage.act(dir.read_link("link"));
        }),
        op("Dir::names", &["dirfd.rs names"], |stage| {
            for name in ["a", "b", "c"] {
                stage.file(name, "");
            }
            let dir = opened(stage);
            stage.act(async {
                let mut names = dir.names().await?;
                names.sort();
                Ok(names)
            });
            // Asked once more, it begins anew.
            let names = stage.succeeds("names", dir.names());
            stage.ensure(
                names.is_some_and(|names| names.len() == 3),
                "names are missing",
            );
        }),
    ]
}

fn changing() -> Vec<Operation> {
    vec![
        op("Dir::create_dir", &["dirfd.rs create_dir"], |stage| {
            let dir = opened(stage);
            stage.act(dir.create_dir("new"));
        }),
        op(
            "Dir::create_dir_with_mode",
            &["dirfd.rs create_dir_with_mode"],
            |stage| {
                let dir = opened(stage);
                stage.act(dir.create_dir_with_mode("new", 0o700));
            },
        ),
        op("Dir::remove_file", &["dirfd.rs remove_file"], |stage| {
            stage.file("a", "text");
            let dir = opened(stage);
            stage.act(dir.remove_file("a"));
        }),
        op("Dir::remove_dir", &["dirfd.rs remove_dir"], |stage| {
            stage.directory("sub");
            let dir = opened(stage);
            stage.act(dir.remove_dir("sub"));
        }),
        op("Dir::rename", &["dirfd.rs rename"], |stage| {
            stage.file("a", "text");
            let dir = opened(stage);
            stage.act(dir.rename("a", &dir, "b"));
        }),
        op("Dir::hard_link", &["dirfd.rs hard_link"], |stage| {
            stage.file("a", "text");
            let dir = opened(stage);
            stage.act(dir.hard_link("a", &dir, "b"));
        }),
        op("Dir::symlink", &["dirfd.rs symlink"], |stage| {
            let dir = opened(stage);
            stage.act(dir.symlink("target", "link"));
        }),
        op("Dir::sync_all", &["dirfd.rs sync_all"], |stage| {
            let dir = opened(stage);
            stage.act(dir.sync_all());
        }),
    ]
}
