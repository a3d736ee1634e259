//! Functions on paths.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use aiofiles::os::{self, AccessMode};
use aiofiles::unix::PermissionsExt as _;
use aiofiles::{DirBuilder, File, OpenOptions};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bench::{Bench, Case, Seen, all, nothing, says};
use crate::support::numbered;

/// Files, directories and links of many kinds.
pub fn sample(dir: &Path) {
    fs::write(dir.join("file"), "content of the file").unwrap();
    fs::write(dir.join("other"), "other").unwrap();
    symlink("file", dir.join("link")).unwrap();
    fs::create_dir(dir.join("empty")).unwrap();
    fs::create_dir_all(dir.join("full/sub")).unwrap();
    fs::write(dir.join("full/sub/x"), "x").unwrap();
    fs::create_dir_all(dir.join("p/q/r")).unwrap();
}

/// So long that it is written in many pieces.
fn long() -> Vec<u8> {
    numbered(700_000)
}

impl Bench<'_> {
    /// A function on paths in a directory with a sample of everything.
    fn path(&mut self, case: Case, act: impl AsyncFn(&Path)) {
        self.case(
            case,
            async |dir: &Path| {
                sample(dir);
                dir.to_owned()
            },
            async |dir: &mut PathBuf| act(dir).await,
            async |_| String::new(),
        );
    }
}

/// The file `new` holds a beginning of what it is to hold, or is as it was; all else is as it was.
fn a_part_is_there(before: &Seen, after: &Seen, found: &Seen) -> bool {
    let new = Path::new("new");
    let others = |seen: &Seen| {
        let mut tree = seen.tree.clone();
        (tree.remove(new), tree)
    };
    let ((was, same), (will, _), (is, others)) = (others(before), others(after), others(found));
    let whole = will.expect("it is made");
    same == others && (is == was || is.is_some_and(|is| whole.starts_with(&is)))
}

pub fn cases(bench: &mut Bench<'_>) {
    // What only asks.
    bench.path(nothing("fs::canonicalize").foreign(), async |dir| {
        aiofiles::canonicalize(dir.join("link")).await.unwrap();
    });
    bench.path(nothing("fs::exists"), async |dir| {
        assert!(aiofiles::exists(dir.join("file")).await);
    });
    bench.path(nothing("fs::try_exists"), async |dir| {
        assert!(aiofiles::try_exists(dir.join("file")).await.unwrap());
    });
    bench.path(nothing("fs::metadata"), async |dir| {
        aiofiles::metadata(dir.join("file")).await.unwrap();
    });
    bench.path(nothing("fs::symlink_metadata"), async |dir| {
        aiofiles::symlink_metadata(dir.join("link")).await.unwrap();
    });
    bench.path(nothing("fs::read"), async |dir| {
        aiofiles::read(dir.join("file")).await.unwrap();
    });
    bench.path(nothing("fs::read_to_string"), async |dir| {
        aiofiles::read_to_string(dir.join("file")).await.unwrap();
    });
    bench.path(nothing("fs::read_link").foreign(), async |dir| {
        aiofiles::read_link(dir.join("link")).await.unwrap();
    });
    bench.path(nothing("dir::read_dir"), async |dir| {
        aiofiles::read_dir(dir).await.unwrap();
    });
    bench.path(nothing("os::getcwd"), async |_| {
        os::getcwd().await.unwrap();
    });
    bench.path(nothing("os::listdir"), async |dir| {
        assert!(!os::listdir(dir).await.unwrap().is_empty());
    });
    bench.path(nothing("access::access"), async |dir| {
        assert!(os::access(dir.join("file"), AccessMode::READ).await);
    });
    bench.path(nothing("statvfs::statvfs"), async |dir| {
        os::statvfs(dir).await.unwrap();
    });
    bench.path(nothing("path::abspath"), async |_| {
        os::path::abspath("file").await.unwrap();
    });
    bench.path(nothing("path::isfile path::isdir"), async |dir| {
        assert!(os::path::isfile(dir.join("file")).await);
        assert!(os::path::isdir(dir).await);
    });
    bench.path(nothing("path::islink path::ismount"), async |dir| {
        assert!(os::path::islink(dir.join("link")).await);
        assert!(!os::path::ismount(dir.join("link")).await);
    });
    bench.path(nothing("path::getsize path::getatime"), async |dir| {
        assert_eq!(os::path::getsize(dir.join("other")).await.unwrap(), 5);
        os::path::getatime(dir.join("other")).await.unwrap();
    });
    bench.path(nothing("path::getmtime path::getctime"), async |dir| {
        os::path::getmtime(dir.join("other")).await.unwrap();
        os::path::getctime(dir.join("other")).await.unwrap();
    });
    bench.path(nothing("path::samefile"), async |dir| {
        let same = os::path::samefile(dir.join("file"), dir.join("link"));
        assert!(same.await.unwrap());
    });

    // What is done at once.
    bench.path(all("fs::create_dir").foreign(), async |dir| {
        aiofiles::create_dir(dir.join("new")).await.unwrap();
    });
    bench.path(all("fs::create_dir_all").foreign(), async |dir| {
        aiofiles::create_dir_all(dir.join("new/newer"))
            .await
            .unwrap();
    });
    bench.path(all("DirBuilder::create").foreign(), async |dir| {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        builder.create(dir.join("new/newer")).await.unwrap();
    });
    bench.path(all("fs::hard_link").foreign(), async |dir| {
        aiofiles::hard_link(dir.join("file"), dir.join("new"))
            .await
            .unwrap();
    });
    bench.path(all("unix::symlink").foreign(), async |dir| {
        aiofiles::unix::symlink("file", dir.join("new"))
            .await
            .unwrap();
    });
    bench.path(all("fs::set_permissions").foreign(), async |dir| {
        let permissions = aiofiles::Permissions::from_mode(0o600);
        aiofiles::set_permissions(dir.join("file"), permissions)
            .await
            .unwrap();
    });
    bench.path(nothing("unix::chown unix::lchown"), async |dir| {
        // Others than they have only root can give them.
        aiofiles::unix::chown(dir.join("file"), None, None)
            .await
            .unwrap();
        aiofiles::unix::lchown(dir.join("link"), None, None)
            .await
            .unwrap();
    });
    bench.path(all("fs::remove_dir"), async |dir| {
        aiofiles::remove_dir(dir.join("empty")).await.unwrap();
    });
    bench.path(all("fs::remove_dir_all"), async |dir| {
        aiofiles::remove_dir_all(dir.join("full")).await.unwrap();
    });
    bench.path(all("fs::remove_file"), async |dir| {
        aiofiles::remove_file(dir.join("file")).await.unwrap();
    });
    bench.path(all("fs::rename"), async |dir| {
        aiofiles::rename(dir.join("file"), dir.join("other"))
            .await
            .unwrap();
    });
    bench.path(all("fs::write"), async |dir| {
        aiofiles::write(dir.join("file"), "text").await.unwrap();
    });
    bench.path(all("atomic::write_atomic"), async |dir| {
        aiofiles::write_atomic(dir.join("file"), "text")
            .await
            .unwrap();
    });
    bench.path(all("copy::copy"), async |dir| {
        aiofiles::copy(dir.join("file"), dir.join("other"))
            .await
            .unwrap();
    });
    bench.path(all("directories::mkdir"), async |dir| {
        os::mkdir(dir.join("new"), 0o700).await.unwrap();
    });
    bench.path(all("directories::makedirs"), async |dir| {
        os::makedirs(dir.join("new/newer"), 0o700, false)
            .await
            .unwrap();
    });
    bench.path(all("directories::renames"), async |dir| {
        os::renames(dir.join("p/q/r"), dir.join("s/t"))
            .await
            .unwrap();
    });
    bench.path(all("directories::removedirs"), async |dir| {
        os::removedirs(dir.join("p/q/r")).await.unwrap();
    });
    bench.path(all("unblock::unblock"), async |dir| {
        let path = dir.join("new");
        aiofiles::unblock(move || fs::write(path, "made"))
            .await
            .unwrap();
    });

    // What is done in pieces.
    bench.path(says("fs::write", a_part_is_there), async |dir| {
        aiofiles::write(dir.join("new"), long()).await.unwrap();
    });
    bench.path(
        says("copy::copy_with_progress", a_part_is_there),
        async |dir| {
            let told = Cell::new(0);
            aiofiles::copy_with_progress(dir.join("file"), dir.join("new"), |_, _| told.set(1))
                .await
                .unwrap();
            assert_eq!(told.get(), 1);
        },
    );

    // Opening.
    bench.path(nothing("File::open"), async |dir| {
        drop(File::open(dir.join("file")).await.unwrap());
    });
    bench.path(nothing("open::open"), async |dir| {
        drop(aiofiles::open(dir.join("file"), "r+b").await.unwrap());
    });
    bench.path(nothing("OpenOptions::open"), async |dir| {
        drop(
            OpenOptions::new()
                .read(true)
                .open(dir.join("file"))
                .await
                .unwrap(),
        );
    });
    bench.path(all("File::create"), async |dir| {
        drop(File::create(dir.join("file")).await.unwrap());
    });
    bench.path(all("File::create_new"), async |dir| {
        drop(File::create_new(dir.join("new")).await.unwrap());
    });
    bench.path(all("OpenOptions::open"), async |dir| {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        drop(options.open(dir.join("new")).await.unwrap());
    });
    bench.path(all("open::open"), async |dir| {
        // Seeks to the end.
        drop(aiofiles::open(dir.join("new"), "ab").await.unwrap());
    });
    bench.path(all("open::open_with"), async |dir| {
        let opened = aiofiles::open_with(dir.join("new"), "a", |path, options| options.open(path));
        drop(opened.await.unwrap());
    });
    bench.path(all("options::open_text TextOptions::open"), async |dir| {
        drop(aiofiles::open_text(dir.join("new"), "a").await.unwrap());
    });
    bench.path(nothing("TextOptions::open"), async |dir| {
        let options = aiofiles::TextOptions::new().encoding(aiofiles::Encoding::UTF_16);
        drop(options.open(dir.join("file"), "r").await.unwrap());
    });

    // Scopes.
    bench.path(says("scope::with", a_part_is_there), async |dir| {
        aiofiles::with(File::create(dir.join("new")), async |file| {
            file.write_all(b"one").await?;
            file.flush().await?;
            file.write_all(b"two").await
        })
        .await
        .unwrap();
    });
    bench.path(nothing("executor::with_executor").foreign(), async |dir| {
        let thread = |work: aiofiles::Work| drop(std::thread::spawn(|| work.run()));
        let read = async {
            let mut file = File::open(dir.join("file")).await?;
            file.read(&mut [0; 4]).await
        };
        aiofiles::with_executor(thread, read).await.unwrap();
    });

    // Waiting for a file that was dropped with bytes on their way: what was accepted is there, whoever waits.
    for name in ["settle::settle", "fs::read", "fs::metadata", "File::open"] {
        bench.case(
            says(name, |before, after, found| {
                before.tree == after.tree && found == before
            }),
            async |dir: &Path| {
                sample(dir);
                let mut file = File::create(dir.join("file")).await.unwrap();
                file.write_all(b"accepted").await.unwrap();
                dir.join("file")
            },
            async |path: &mut PathBuf| match name {
                "settle::settle" => aiofiles::settle().await,
                "fs::read" => assert_eq!(aiofiles::read(path).await.unwrap(), b"accepted"),
                "fs::metadata" => assert_eq!(aiofiles::metadata(path).await.unwrap().len(), 8),
                _ => drop(File::open(path).await.unwrap()),
            },
            async |_| String::new(),
        );
    }
}
