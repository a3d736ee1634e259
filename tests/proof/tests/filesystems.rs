//! The same results as std's on every file system: content, positions, lengths and errors.
//!
//! Each test is a process with a new file system of its own. There, a table of operations and then random ones are
//! performed twice, through this crate and through std, in two directories or on two files, which are compared with
//! each other. What std does not offer is compared with the system's own call.
//!
//! `filesystems.sh` runs the contract tests of the crate on the same file systems.

#![cfg(target_os = "linux")]

use std::fmt::Debug;
use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aiofiles::unix::Dir;
use aiofiles::{AlignedBuf, BackendKind, File, OpenOptions};
use aiofiles_proof::mounts::{self, FileSystem};
use aiofiles_proof::support::*;
use fastrand::Rng;
use futures_lite::{
    AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, StreamExt as _, future::block_on,
};
use rustix::fs::{FallocateFlags, fallocate};

/// How many random operations each test makes.
const OPERATIONS: usize = 400;

macro_rules! on_each {
    ($($name:ident: $kind:ident, $backend:literal;)*) => {
        $(
            #[test]
            fn $name() {
                if let Some(needs) = FileSystem::$kind.missing() {
                    return skip(&needs);
                }
                alone_under(&["env", concat!("AIOFILES_BACKEND=", $backend), "unshare", "-m"], || {
                    results_are_those_of_std(FileSystem::$kind, $backend == "uring");
                });
            }
        )*
    };
}

on_each! {
    results_on_ext4_are_those_of_std: Ext4, "pool";
    results_on_ext4_are_those_of_std_with_rings: Ext4, "uring";
    results_on_xfs_are_those_of_std: Xfs, "pool";
    results_on_xfs_are_those_of_std_with_rings: Xfs, "uring";
    results_on_btrfs_are_those_of_std: Btrfs, "pool";
    results_on_btrfs_are_those_of_std_with_rings: Btrfs, "uring";
    results_on_tmpfs_are_those_of_std: Tmpfs, "pool";
    results_on_tmpfs_are_those_of_std_with_rings: Tmpfs, "uring";
    results_on_overlayfs_are_those_of_std: Overlayfs, "pool";
    results_on_overlayfs_are_those_of_std_with_rings: Overlayfs, "uring";
}

fn results_are_those_of_std(kind: FileSystem, uring: bool) {
    if uring && aiofiles::backend().kind() != BackendKind::Uring {
        return skip("io_uring");
    }
    let dir = temp_dir();
    let mount = kind.make(dir.path());

    let (ours, stds) = (mount.path().join("ours"), mount.path().join("stds"));
    fs::create_dir(&ours).expect("a directory");
    fs::create_dir(&stds).expect("a directory");
    let mut table = Table { kind, rows: 0 };
    // What is in the lower layer of an overlay, and anywhere else a file that is there before.
    let [one, other] = mounts::BELOW.map(|name| mount.path().join(name));
    if kind != FileSystem::Overlayfs {
        fs::write(&one, numbered(10_000)).expect("a file");
        fs::write(&other, numbered(10_000)).expect("a file");
    }
    block_on(async {
        table.below(&one, &other).await;
        table.names(&ours, &stds).await;
        table.links(&ours, &stds).await;
        table.directories(&ours, &stds).await;
        table.attributes(&ours, &stds).await;
        table.bytes(&ours, &stds).await;
        table.space(&ours, &stds).await;
        table.direct(&ours, &stds).await;
        table.locks(&ours, &stds).await;
        table.whole(&ours, &stds).await;
        aiofiles::settle().await;
    });
    table.same(
        "what there is in the end",
        Ok(listing(&ours)),
        Ok(listing(&stds)),
    );

    let count = iterations(OPERATIONS);
    let seed = Seed::new();
    let mut rng = seed.rng();
    let mut left = count;
    while left > 0 {
        let steps = left.min(100);
        block_on(session(mount.path(), kind, &mut rng, steps));
        left -= steps;
    }
    let submitted = aiofiles::backend().submitted();
    if uring && submitted == 0 {
        return skip("operations that go to io_uring");
    }
    assert_eq!(uring, submitted > 0);
    let backend = if uring { "rings" } else { "the pool" };
    figure(&format!(
        "file systems: {} rows and {count} random operations on {kind} with {backend}, 0 differences; {submitted} \
         operations on rings",
        table.rows
    ));
}

// ---------------------------------------------------------------------------------------------------------------------
// Results

/// Whether two outcomes are the same: the value, or the kind and the code of the error. Errors that this crate has before
/// it asks the system have no code.
fn is_same<T: PartialEq>(ours: &io::Result<T>, std: &io::Result<T>) -> bool {
    match (ours, std) {
        (Ok(ours), Ok(std)) => ours == std,
        (Err(ours), Err(std)) => {
            let code = aiofiles::raw_os_error(ours);
            ours.kind() == std.kind() && (code.is_none() || code == std.raw_os_error())
        }
        _ => false,
    }
}

/// Everything below a directory: names, kinds, permissions, and content.
fn listing(dir: &Path) -> Vec<(PathBuf, u32, u64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).expect("a directory") {
            let path = entry.expect("an entry").path();
            let metadata = fs::symlink_metadata(&path).expect("it is there");
            let (content, links) = match metadata.file_type() {
                kind if kind.is_dir() => (Vec::new(), 0),
                kind if kind.is_symlink() => {
                    let target = fs::read_link(&path).expect("a link");
                    (target.as_os_str().as_bytes().to_owned(), 1)
                }
                _ => (fs::read(&path).expect("a file"), metadata.nlink()),
            };
            if metadata.is_dir() {
                dirs.push(path.clone());
            }
            let name = path.strip_prefix(dir).expect("below").to_owned();
            found.push((name, metadata.mode(), links, content));
        }
    }
    found.sort();
    found
}

/// The table: one method for each part, which does everything to a path of ours and to one of std's.
struct Table {
    kind: FileSystem,
    rows: usize,
}

impl Table {
    #[track_caller]
    fn same<T: PartialEq + Debug>(&mut self, what: &str, ours: io::Result<T>, std: io::Result<T>) {
        assert!(
            is_same(&ours, &std),
            "{what} on {}: {ours:?}, and with std {std:?}",
            self.kind
        );
        self.rows += 1;
    }

    /// Files that are changed for the first time, which an overlay copies then.
    async fn below(&mut self, ours: &Path, stds: &Path) {
        let mut old = File::options();
        let old = old.read(true).unbuffered(true).open(ours).await;
        let mut old = old.expect("it is there");
        let mut old_std = fs::File::open(stds).expect("it is there");
        let lock = old.try_lock_shared().await.is_ok();
        let lock_std = old_std.try_lock_shared().is_ok();
        self.same("lock", Ok(lock), Ok(lock_std));
        let mut new = File::options();
        let new = new.read(true).write(true).open(ours).await;
        let mut new = new.expect("it is there");
        let new_std = fs::File::options().read(true).write(true).open(stds);
        let mut new_std = new_std.expect("it is there");
        self.same(
            "read before",
            read(&mut new, 100).await,
            read_std(&mut new_std, 100),
        );
        new.write_all(b"changed").await.expect("accepted");
        new.flush().await.expect("written");
        new_std.write_all(b"changed").expect("written");
        let (mut all, mut all_std) = (Vec::new(), Vec::new());
        self.same(
            "what was open before",
            old.read_to_end(&mut all).await,
            old_std.read_to_end(&mut all_std),
        );
        self.same("its content", Ok(all), Ok(all_std));
        self.same(
            "its length",
            old.metadata().await.map(|metadata| metadata.len()),
            old_std.metadata().map(|metadata| metadata.len()),
        );
        self.same("content", aiofiles::read(ours).await, fs::read(stds));
        for len in [20_000, 3] {
            self.same("set_len", new.set_len(len).await, new_std.set_len(len));
            self.same("content", aiofiles::read(ours).await, fs::read(stds));
        }
        self.same(
            "remove",
            aiofiles::remove_file(ours).await,
            fs::remove_file(stds),
        );
        self.same(
            "open what is gone",
            File::open(ours).await.map(drop),
            fs::File::open(stds).map(drop),
        );
        self.same(
            "read what is gone",
            read(&mut new, 100).await,
            read_std(&mut new_std, 100),
        );
    }

    async fn names(&mut self, ours: &Path, stds: &Path) {
        let long = "x".repeat(255);
        let longer = "x".repeat(256);
        let deep = "deep/".repeat(900);
        let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe not text \n");
        let names = [
            Path::new("file"),
            Path::new("file/"),
            Path::new("file/below"),
            Path::new("nowhere/file"),
            Path::new("./file"),
            Path::new("../ours-and-stds"),
            Path::new("ümläut 文字"),
            Path::new(&long),
            Path::new(&longer),
            Path::new(&deep),
            Path::new(odd),
            Path::new("zero\0"),
            Path::new("."),
            Path::new(""),
        ];
        for name in names {
            let (a, b) = (ours.join(name), stds.join(name));
            let what = |verb| format!("{verb} {name:?}");
            self.same(
                &what("create"),
                File::create(&a).await.map(drop),
                fs::File::create(&b).map(drop),
            );
            self.same(
                &what("create_new"),
                File::create_new(&a).await.map(drop),
                fs::File::create_new(&b).map(drop),
            );
            self.same(
                &what("write"),
                aiofiles::write(&a, name.as_os_str().as_bytes()).await,
                fs::write(&b, name.as_os_str().as_bytes()),
            );
            self.same(&what("read"), aiofiles::read(&a).await, fs::read(&b));
            self.same(
                &what("read_to_string"),
                aiofiles::read_to_string(&a).await,
                fs::read_to_string(&b),
            );
            self.same(
                &what("metadata"),
                aiofiles::metadata(&a)
                    .await
                    .map(|found| (found.is_file(), found.nlink())),
                fs::metadata(&b).map(|found| (found.is_file(), found.nlink())),
            );
            self.same(
                &what("try_exists"),
                aiofiles::try_exists(&a).await,
                fs::exists(&b),
            );
            self.same(
                &what("canonicalize"),
                aiofiles::canonicalize(&a)
                    .await
                    .map(|path| path.starts_with(ours)),
                fs::canonicalize(&b).map(|path| path.starts_with(stds)),
            );
            self.same(
                &what("open for writing"),
                File::options().write(true).open(&a).await.map(drop),
                fs::File::options().write(true).open(&b).map(drop),
            );
            self.same(
                &what("read_dir"),
                aiofiles::read_dir(&a).await.map(drop),
                fs::read_dir(&b).map(drop),
            );
        }
    }

    async fn links(&mut self, ours: &Path, stds: &Path) {
        let target = "t".repeat(4000);
        for (what, name) in [
            ("link", "file"),
            ("dangling", "nowhere"),
            ("itself", "itself"),
            ("long link", &target),
            ("directory link", "."),
            ("empty link", ""),
        ] {
            let (a, b) = (ours.join(what), stds.join(what));
            self.same(
                what,
                aiofiles::unix::symlink(name, &a).await,
                symlink(name, &b),
            );
            self.same(what, aiofiles::read_link(&a).await, fs::read_link(&b));
            self.same(what, aiofiles::read(&a).await, fs::read(&b));
            self.same(
                what,
                aiofiles::symlink_metadata(&a)
                    .await
                    .map(|found| found.is_symlink()),
                fs::symlink_metadata(&b).map(|found| found.is_symlink()),
            );
            self.same(
                what,
                aiofiles::metadata(&a).await.map(|found| found.is_dir()),
                fs::metadata(&b).map(|found| found.is_dir()),
            );
        }
        for (from, to) in [
            ("file", "hard"),
            ("file", "hard"),
            ("nowhere", "hard too"),
            (".", "hard directory"),
            ("link", "hard link of a link"),
        ] {
            self.same(
                &format!("hard link of {from}"),
                aiofiles::hard_link(ours.join(from), ours.join(to)).await,
                fs::hard_link(stds.join(from), stds.join(to)),
            );
        }
        self.same(
            "number of links",
            aiofiles::metadata(ours.join("hard"))
                .await
                .map(|found| found.nlink()),
            fs::metadata(stds.join("hard")).map(|found| found.nlink()),
        );
        self.same(
            "read_link of a file",
            aiofiles::read_link(ours.join("hard")).await,
            fs::read_link(stds.join("hard")),
        );
    }

    async fn directories(&mut self, ours: &Path, stds: &Path) {
        for name in ["d", "d", "d/e", "f/g", "file/g", "full", "empty"] {
            self.same(
                &format!("create_dir {name}"),
                aiofiles::create_dir(ours.join(name)).await,
                fs::create_dir(stds.join(name)),
            );
        }
        for name in ["h/i/j", "h/i/j", "file", "file/k"] {
            self.same(
                &format!("create_dir_all {name}"),
                aiofiles::create_dir_all(ours.join(name)).await,
                fs::create_dir_all(stds.join(name)),
            );
        }
        for n in 0..1000 {
            let name = format!("full/{n}");
            aiofiles::write(ours.join(&name), "").await.expect("a file");
            fs::write(stds.join(&name), "").expect("a file");
        }
        for dir in ["full", ".", "h", "nowhere", "file"] {
            let entries = async || {
                let mut entries = aiofiles::read_dir(ours.join(dir)).await?;
                let mut found = Vec::new();
                while let Some(entry) = entries.next().await {
                    let entry = entry?;
                    let kind = entry.file_type().await?;
                    found.push((entry.file_name(), kind.is_dir(), kind.is_symlink()));
                }
                found.sort();
                Ok(found)
            };
            let entries_std = || {
                let mut found = Vec::new();
                for entry in fs::read_dir(stds.join(dir))? {
                    let entry = entry?;
                    let kind = entry.file_type()?;
                    found.push((entry.file_name(), kind.is_dir(), kind.is_symlink()));
                }
                found.sort();
                Ok(found)
            };
            self.same(&format!("read_dir {dir}"), entries().await, entries_std());
        }
        for (from, to) in [
            ("file", "moved"),
            ("moved", "file"),
            ("nowhere", "moved"),
            ("file", "file"),
            ("file", "d"),
            ("d", "file"),
            ("d", "full"),
            ("d", "empty"),
            ("empty", "empty/below"),
            ("empty", "d"),
            ("file", "nowhere/file"),
            ("link", "moved link"),
            ("moved link", "link"),
        ] {
            self.same(
                &format!("rename {from} to {to}"),
                aiofiles::rename(ours.join(from), ours.join(to)).await,
                fs::rename(stds.join(from), stds.join(to)),
            );
        }
        for name in ["d", "full", "file", "nowhere", "link"] {
            self.same(
                &format!("remove_dir {name}"),
                aiofiles::remove_dir(ours.join(name)).await,
                fs::remove_dir(stds.join(name)),
            );
        }
        for name in ["d", "nowhere", "dangling", "itself"] {
            self.same(
                &format!("remove_file {name}"),
                aiofiles::remove_file(ours.join(name)).await,
                fs::remove_file(stds.join(name)),
            );
        }
        for name in ["h", "nowhere", "directory link"] {
            self.same(
                &format!("remove_dir_all {name}"),
                aiofiles::remove_dir_all(ours.join(name)).await,
                fs::remove_dir_all(stds.join(name)),
            );
        }
        // By way of an open directory.
        let dir = Dir::open(ours).await.expect("a directory");
        self.same(
            "create_dir, relative",
            dir.create_dir("relative").await,
            fs::create_dir(stds.join("relative")),
        );
        self.same(
            "rename, relative",
            dir.rename("relative", &dir, "empty").await,
            fs::rename(stds.join("relative"), stds.join("empty")),
        );
        self.same(
            "metadata, relative",
            dir.metadata("full/1").await.map(|found| found.len()),
            fs::metadata(stds.join("full/1")).map(|found| found.len()),
        );
        self.same(
            "sync of a directory",
            dir.sync_all().await,
            fs::File::open(stds).and_then(|dir| dir.sync_all()),
        );
        let (mut opened, mut opened_std) = (
            File::open(ours).await.expect("a directory"),
            fs::File::open(stds).expect("a directory"),
        );
        self.same(
            "read of a directory",
            opened.read(&mut [0; 10]).await,
            opened_std.read(&mut [0; 10]),
        );
        self.same(
            "length of a directory",
            opened.set_len(0).await,
            opened_std.set_len(0),
        );
    }

    async fn attributes(&mut self, ours: &Path, stds: &Path) {
        let (a, b) = (ours.join("file"), stds.join("file"));
        for mode in [0o000, 0o444, 0o4755, 0o1777, 0o644] {
            let permissions = fs::Permissions::from_mode(mode);
            self.same(
                "set_permissions",
                aiofiles::set_permissions(&a, permissions.clone()).await,
                fs::set_permissions(&b, permissions),
            );
            self.same(
                "mode",
                aiofiles::metadata(&a).await.map(|found| found.mode()),
                fs::metadata(&b).map(|found| found.mode()),
            );
        }
        let file = File::options().write(true).open(&a).await;
        let file = file.expect("a file");
        let std = fs::File::options().write(true).open(&b).expect("a file");
        let second = Duration::from_secs(1);
        for time in [
            SystemTime::UNIX_EPOCH,
            SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789),
            SystemTime::UNIX_EPOCH - second,
            SystemTime::UNIX_EPOCH + second * (1 << 31),
            SystemTime::UNIX_EPOCH + second * u32::MAX * 5,
        ] {
            let times = fs::FileTimes::new().set_modified(time).set_accessed(time);
            self.same(
                "set_times",
                file.set_times(times).await,
                std.set_times(times),
            );
            let of = |found: fs::Metadata| (found.modified().ok(), found.accessed().ok());
            self.same(
                "times",
                file.metadata().await.map(of),
                std.metadata().map(of),
            );
        }
        for (uid, gid) in [(Some(1), None), (None, Some(2)), (Some(0), Some(0))] {
            self.same(
                "chown",
                aiofiles::unix::chown(&a, uid, gid).await,
                std::os::unix::fs::chown(&b, uid, gid),
            );
            let of = |found: fs::Metadata| (found.uid(), found.gid(), found.mode());
            self.same(
                "owner",
                aiofiles::metadata(&a).await.map(of),
                fs::metadata(&b).map(of),
            );
        }
    }

    async fn bytes(&mut self, ours: &Path, stds: &Path) {
        let (a, b) = (ours.join("bytes"), stds.join("bytes"));
        let mut file = both().open(&a).await.expect("a file");
        let mut std = both_std().open(&b).expect("a file");
        let data = numbered(100_000);
        // Offsets that not every file system can have.
        for shift in [0, 12, 20, 31, 32, 40, 42, 43, 44, 47, 50, 60, 62] {
            let at = 1_u64 << shift;
            let what = |verb| format!("{verb} at 2^{shift}");
            self.same(
                &what("write_at"),
                file.write_at(vec![7; 10], at).await.0,
                std.write_at(&[7; 10], at),
            );
            let mut found = vec![0; 20];
            let found_std = std
                .read_at(&mut found, at - 1)
                .map(|n| found[..n].to_owned());
            let (result, mut found) = file.read_at(vec![0; 20], at - 1).await;
            let found = result.map(|n| {
                found.truncate(n);
                found
            });
            self.same(&what("read_at"), found, found_std);
            self.same(&what("length"), length(&file).await, length_std(&std));
            let sought = file.seek(SeekFrom::Start(at)).await;
            match std.seek(SeekFrom::Start(at)) {
                // A position of this crate is only a number until it is used, and then nothing is there.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    self.same(&what("seek"), sought, Ok(at));
                    self.same(&what("read"), read(&mut file, 20).await, Ok(Vec::new()));
                }
                sought_std => {
                    self.same(&what("seek"), sought, sought_std);
                    let found = read(&mut file, 20).await;
                    self.same(&what("read"), found, read_std(&mut std, 20));
                }
            }
            self.same(&what("set_len"), file.set_len(at).await, std.set_len(at));
            self.same(&what("length"), length(&file).await, length_std(&std));
        }
        for len in [u64::MAX, 1 << 63, i64::MAX as u64, 0] {
            self.same("set_len", file.set_len(len).await, std.set_len(len));
        }
        self.same(
            "rewind",
            file.seek(SeekFrom::Start(0)).await,
            std.seek(SeekFrom::Start(0)),
        );
        file.write_all(&data).await.expect("accepted");
        std.write_all(&data).expect("written");
        for to in [
            SeekFrom::Current(0),
            SeekFrom::Current(-100_001),
            SeekFrom::End(-1),
            SeekFrom::End(-100_001),
            SeekFrom::End(10),
            SeekFrom::Start(u64::MAX),
            SeekFrom::Start(1000),
        ] {
            self.same(&format!("seek {to:?}"), file.seek(to).await, std.seek(to));
            self.same(
                "position",
                file.stream_position().await,
                std.stream_position(),
            );
        }
        let slices = [IoSlice::new(&data[..10]), IoSlice::new(&data[500..5000])];
        self.same(
            "write_vectored",
            file.write_vectored(&slices).await,
            std.write_vectored(&slices),
        );
        let (mut one, mut two) = ([0; 3000], [0; 100]);
        let mut slices = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        let found_std = std.read_vectored(&mut slices).expect("more is there");
        let mut found = vec![0; found_std];
        file.read_exact(&mut found).await.expect("more is there");
        self.same("read_vectored", Ok(found), Ok([&one[..], &two].concat()));
        self.same(
            "position",
            file.stream_position().await,
            std.stream_position(),
        );
        self.same("sync_data", file.sync_data().await, std.sync_data());
        self.same("sync_all", file.sync_all().await, std.sync_all());
        self.same("content", aiofiles::read(&a).await, fs::read(&b));

        // A clone shares the position.
        let mut clone = file.try_clone().await.expect("a clone");
        let mut clone_std = std.try_clone().expect("a clone");
        self.same(
            "of a clone",
            read(&mut clone, 77).await,
            read_std(&mut clone_std, 77),
        );
        self.same(
            "position",
            file.stream_position().await,
            std.stream_position(),
        );
        drop((file, clone, std, clone_std));

        let mut reader = File::open(&a).await.expect("a file");
        let mut reader_std = fs::File::open(&b).expect("a file");
        let written = match reader.write(b"x").await {
            Ok(_) => reader.flush().await,
            Err(error) => Err(error),
        };
        self.same(
            "write to a reader",
            written,
            reader_std.write(b"x").map(drop),
        );
        self.same(
            "set_len of a reader",
            reader.set_len(1).await,
            reader_std.set_len(1),
        );
        let mut writer = File::options().append(true).open(&a).await.expect("a file");
        let mut writer_std = fs::File::options().append(true).open(&b).expect("a file");
        self.same(
            "read from a writer",
            read(&mut writer, 1).await,
            read_std(&mut writer_std, 1),
        );
        // What is appended goes to the end, whatever the position or the offset.
        self.same(
            "seek",
            writer.seek(SeekFrom::Start(5)).await,
            writer_std.seek(SeekFrom::Start(5)),
        );
        writer.write_all(b"appended").await.expect("accepted");
        writer_std.write_all(b"appended").expect("written");
        self.same(
            "position",
            writer.stream_position().await,
            writer_std.stream_position(),
        );
        self.same(
            "write_at in append mode",
            writer.write_at("there", 3).await.0,
            writer_std.write_at(b"there", 3),
        );
        self.same("content", aiofiles::read(&a).await, fs::read(&b));
        writer.close().await.expect("closed");
    }

    async fn space(&mut self, ours: &Path, stds: &Path) {
        let (a, b) = (ours.join("space"), stds.join("space"));
        fs::write(&a, numbered(50_000)).expect("a file");
        fs::write(&b, numbered(50_000)).expect("a file");
        let file = both().open(&a).await.expect("a file");
        let std = both_std().open(&b).expect("a file");
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        for (offset, len) in [(0, 100), (49_999, 200_000), (1 << 20, 4096), (1 << 62, 10)] {
            let reserved = fallocate(&std, FallocateFlags::empty(), offset, len);
            self.same(
                &format!("allocate {len} at {offset}"),
                file.allocate(offset, len).await,
                reserved.map_err(Into::into),
            );
            self.same("length", length(&file).await, length_std(&std));
        }
        // Some file systems have reserved space that far away.
        file.set_len(2 << 20).await.expect("shorter");
        std.set_len(2 << 20).expect("shorter");
        for (offset, len) in [(0, 10_000), (100_000, 4096), (1 << 21, 5), (8192, 8192)] {
            self.same(
                &format!("punch_hole {len} at {offset}"),
                file.punch_hole(offset, len).await,
                fallocate(&std, punch, offset, len).map_err(Into::into),
            );
            self.same("content", aiofiles::read(&a).await, fs::read(&b));
        }
        file.set_len(0).await.expect("shorter");
        std.set_len(0).expect("shorter");
        for at in [0, 1 << 20, 3 << 20] {
            file.write_all_at(vec![1; 70_000], at)
                .await
                .0
                .expect("written");
            std.write_all_at(&[1; 70_000], at).expect("written");
        }
        self.same("sync", file.sync_all().await, std.sync_all());
        for offset in [
            0,
            1,
            69_999,
            70_000,
            100_000,
            1 << 20,
            2 << 20,
            4 << 20,
            1 << 40,
        ] {
            // Of the same file, because how large the blocks are that were written may differ.
            let same = fs::File::open(&a).expect("a file");
            self.same(
                &format!("data from {offset}"),
                file.seek_data(offset).await,
                extent(&same, rustix::fs::SeekFrom::Data(offset)),
            );
            self.same(
                &format!("hole from {offset}"),
                file.seek_hole(offset).await,
                extent(&same, rustix::fs::SeekFrom::Hole(offset)),
            );
        }
        let other = both().open(ours.join("range")).await.expect("a file");
        let other_std = both_std().open(stds.join("range")).expect("a file");
        for (from, to, len) in [(0, 0, 1000), (1 << 20, 77, 100_000), (5 << 20, 0, 10)] {
            let mut piece = vec![0; len];
            let n = std.read_at(&mut piece, from).expect("read");
            other_std.write_all_at(&piece[..n], to).expect("written");
            self.same(
                "copy_range",
                aiofiles::copy_range(&file, from, &other, to, len as u64).await,
                Ok(n as u64),
            );
        }
    }

    async fn direct(&mut self, ours: &Path, stds: &Path) {
        let (a, b) = (ours.join("direct"), stds.join("direct"));
        let opened = both().direct(true).open(&a).await;
        let opened_std = both_std().custom_flags(libc::O_DIRECT).open(&b);
        self.same(
            "open for direct I/O",
            opened.as_ref().map(drop).map_err(code_of),
            opened_std.as_ref().map(drop).map_err(code_of),
        );
        let (Ok(mut file), Ok(std)) = (opened, opened_std) else {
            return;
        };
        let bytes = numbered(4096 * 5);
        let mut memory = AlignedBuf::with_capacity(bytes.len(), 4096).expect("memory");
        memory.extend_from_slice(&bytes);
        self.same(
            "write, aligned",
            std.write_at(&memory, 4096),
            Ok(bytes.len()),
        );
        self.same(
            "write_at, aligned",
            file.write_at(memory, 4096).await.0,
            Ok(bytes.len()),
        );
        self.same("content", aiofiles::read(&a).await, fs::read(&b));
        let memory = AlignedBuf::with_capacity(8192, 4096).expect("memory");
        let (result, memory) = file.read_at(memory, 4096).await;
        self.same("read_at, aligned", result, Ok(8192));
        self.same("read_at, aligned", Ok(&memory[..]), Ok(&bytes[..8192]));
        // Of any length, by way of the position.
        let std = both_std().open(&b).expect("a file");
        for (at, len) in [(1, 3), (4000, 200), (30_000, 5000), (100, 20_000)] {
            file.seek(SeekFrom::Start(at)).await.expect("a position");
            file.write_all(&bytes[..len]).await.expect("accepted");
            file.flush().await.expect("written");
            std.write_all_at(&bytes[..len], at).expect("written");
            self.same("content", aiofiles::read(&a).await, fs::read(&b));
        }
    }

    async fn locks(&mut self, ours: &Path, stds: &Path) {
        let (a, b) = (ours.join("lock"), stds.join("lock"));
        let (file, other) = (both().open(&a).await, both().open(&a).await);
        let (file, other) = (file.expect("a file"), other.expect("a file"));
        let (std, other_std) = (both_std().open(&b), both_std().open(&b));
        let (std, other_std) = (std.expect("a file"), other_std.expect("a file"));
        let free = |tried: Result<(), fs::TryLockError>| match tried {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(error)) => Err(error),
        };
        self.same("lock", file.lock().await, std.lock());
        self.same(
            "locked",
            free(other.try_lock().await),
            free(other_std.try_lock()),
        );
        self.same(
            "locked",
            free(other.try_lock_shared().await),
            free(other_std.try_lock_shared()),
        );
        self.same("unlock", file.unlock().await, std.unlock());
        self.same("shared", file.lock_shared().await, std.lock_shared());
        self.same(
            "shared too",
            free(other.try_lock_shared().await),
            free(other_std.try_lock_shared()),
        );
        self.same(
            "not alone",
            free(other.try_lock().await),
            free(other_std.try_lock()),
        );
    }

    /// Files as wholes.
    async fn whole(&mut self, ours: &Path, stds: &Path) {
        for (from, to) in [
            ("file", "copy"),
            ("bytes", "copy"),
            ("space", "sparse copy"),
            ("nowhere", "copy"),
            ("full", "copy"),
            ("file", "full"),
            ("file", "nowhere/copy"),
        ] {
            self.same(
                &format!("copy {from} to {to}"),
                aiofiles::copy(ours.join(from), ours.join(to)).await,
                fs::copy(stds.join(from), stds.join(to)),
            );
        }
        for (name, len) in [("copy", 70_000), ("new", 5), ("link", 100)] {
            let bytes = numbered(len);
            self.same(
                &format!("write_atomic {name}"),
                aiofiles::write_atomic(ours.join(name), bytes.clone()).await,
                fs::write(stds.join(name), bytes),
            );
        }
        // The other name of what was replaced has the old content with `write_atomic`.
        aiofiles::remove_file(ours.join("hard"))
            .await
            .expect("gone");
        fs::remove_file(stds.join("hard")).expect("gone");
        self.same(
            "write_atomic over a directory",
            aiofiles::write_atomic(ours.join("full"), "").await,
            fs::write(stds.join("full"), ""),
        );
        let mut temporary = aiofiles::tempfile::Builder::new();
        let mut temporary = temporary.dir(ours).temporary_file().await;
        let mut temporary_std = tempfile::tempfile_in(stds);
        self.same(
            "write to a temporary file",
            temporary
                .as_mut()
                .expect("a file")
                .write_all(b"gone soon")
                .await,
            temporary_std
                .as_mut()
                .expect("a file")
                .write_all(b"gone soon"),
        );
    }
}

fn code_of(error: &io::Error) -> io::Error {
    match aiofiles::raw_os_error(error) {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.kind().into(),
    }
}

fn both() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create(true);
    options
}

fn both_std() -> fs::OpenOptions {
    let mut options = fs::File::options();
    options.read(true).write(true).create(true);
    options
}

async fn length(file: &File) -> io::Result<u64> {
    file.metadata().await.map(|metadata| metadata.len())
}

fn length_std(file: &fs::File) -> io::Result<u64> {
    file.metadata().map(|metadata| metadata.len())
}

/// Where data or a hole begins, as this crate says it.
fn extent(file: &fs::File, from: rustix::fs::SeekFrom) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, from) {
        Ok(at) => Ok(Some(at)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads up to `len` bytes, fewer only at the end: one read of this crate may return fewer than one of std.
async fn read(file: &mut File, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.read(&mut bytes[filled..]).await? {
            0 => break,
            n => filled += n,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn read_std(file: &mut fs::File, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(len as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

// ---------------------------------------------------------------------------------------------------------------------
// Random operations

/// One pair of files.
async fn session(dir: &Path, kind: FileSystem, rng: &mut Rng, steps: usize) {
    const MOST: usize = 300_000;
    let (a, b) = (dir.join("random"), dir.join("random-std"));
    let start = random_bytes(rng, rng.clone().usize(..MOST));
    fs::write(&a, &start).expect("a file");
    fs::write(&b, &start).expect("a file");
    let append = rng.u8(..5) == 0;
    let mut options = File::options();
    options.read(true).write(true).append(append);
    options.unbuffered(rng.u8(..4) == 0);
    // Where there is no such thing, the table has shown that.
    let direct = !append && rng.u8(..4) == 0;
    if direct && options.clone().direct(true).open(&a).await.is_ok() {
        options.direct(true);
    }
    if rng.bool() {
        options.buffer_size(rng.usize(1..100_000));
    }
    let mut file = options.open(&a).await.expect("it is there");
    let mut std_options = fs::File::options();
    std_options.read(true).write(true).append(append);
    let mut std = std_options.open(&b).expect("it is there");
    let aligned = file.direct_alignment().await.expect("an answer").is_some();
    let mut done = Vec::new();
    for _ in 0..steps {
        let most = MOST >> rng.u32(..18);
        let len = rng.usize(..=most);
        let at = rng.u64(..MOST as u64);
        let op = rng.u8(..40);
        done.push((op, at, len));
        let context = || format!("on {kind}, {options:?}, after {done:?}");
        macro_rules! same {
            ($ours:expr, $std:expr) => {{
                let (ours, std) = ($ours, $std);
                assert!(is_same(&ours, &std), "{ours:?}, std {std:?}, {}", context());
            }};
        }
        match op {
            0..8 => {
                let data = random_bytes(rng, len);
                same!(file.write_all(&data).await, std.write_all(&data));
            }
            8 => {
                let data = random_bytes(rng, len);
                let slices = [
                    IoSlice::new(&data[..len / 3]),
                    IoSlice::new(&data[len / 3..]),
                ];
                // Fewer bytes may be accepted than std writes.
                let mut n = 0;
                while n < len {
                    let slices = match n < len / 3 {
                        true => [IoSlice::new(&data[n..len / 3]), slices[1]],
                        false => [IoSlice::new(&data[n..]), IoSlice::new(&[])],
                    };
                    n += file.write_vectored(&slices).await.expect("accepted");
                }
                same!(Ok(()), std.write_all(&data));
            }
            9..16 => same!(read(&mut file, len).await, read_std(&mut std, len)),
            16..20 => {
                let to = match rng.u8(..4) {
                    0 => SeekFrom::End(-rng.i64(0..MOST as i64)),
                    1 => SeekFrom::Current(rng.i64(-1000..1000)),
                    _ => SeekFrom::Start(at),
                };
                same!(file.seek(to).await, std.seek(to));
            }
            20 | 21 if !aligned => {
                let data = random_bytes(rng, len);
                let std = std.write_all_at(&data, at);
                same!(
                    file.flush().await.and(file.write_all_at(data, at).await.0),
                    std
                );
            }
            22 | 23 if !aligned => {
                let mut found = vec![0; len];
                let std = std.read_at(&mut found, at).map(|n| found[..n].to_owned());
                file.flush().await.expect("written");
                let (result, mut found) = file.read_at(vec![0; len], at).await;
                same!(
                    result.map(|n| {
                        found.truncate(n);
                        found
                    }),
                    std
                );
            }
            24 => same!(file.set_len(at).await, std.set_len(at)),
            25 => {
                let reserved = fallocate(&std, FallocateFlags::empty(), at, len as u64 + 1);
                same!(
                    file.allocate(at, len as u64 + 1).await,
                    reserved.map_err(io::Error::from)
                );
            }
            26 => {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                let punched = fallocate(&std, flags, at, len as u64 + 1);
                same!(
                    file.punch_hole(at, len as u64 + 1).await,
                    punched.map_err(io::Error::from)
                );
            }
            27 => {
                let from = at;
                // What was accepted comes first.
                file.flush().await.expect("written");
                let ours = fs::File::open(&a).expect("a file");
                same!(
                    file.seek_data(from).await,
                    extent(&ours, rustix::fs::SeekFrom::Data(from))
                );
                same!(
                    file.seek_hole(from).await,
                    extent(&ours, rustix::fs::SeekFrom::Hole(from))
                );
            }
            28 => same!(file.sync_data().await, std.sync_data()),
            29 => same!(file.sync_all().await, std.sync_all()),
            30 => {
                // Dropped before, so that opening waits for what it had accepted.
                drop(file);
                file = options.open(&a).await.expect("it is there");
                std = std_options.open(&b).expect("it is there");
            }
            31 => {
                file = file.try_clone().await.expect("a clone");
                std = std.try_clone().expect("a clone");
            }
            32 => {
                let mut bytes = Vec::new();
                let mut bytes_std = Vec::new();
                same!(
                    file.read_to_end(&mut bytes).await,
                    std.read_to_end(&mut bytes_std)
                );
                same!(Ok(bytes), Ok(bytes_std));
            }
            33 => {
                file.close().await.expect("closed");
                file = options.open(&a).await.expect("it is there");
                std = std_options.open(&b).expect("it is there");
            }
            34 => {
                file.flush().await.expect("written");
                same!(aiofiles::read(&a).await, fs::read(&b));
            }
            35 => same!(length(&file).await, length_std(&std)),
            _ => same!(file.stream_position().await, std.stream_position()),
        }
    }
    file.close().await.expect("closed");
    let len = |path| fs::metadata(path).expect("a file").len();
    assert_eq!(
        len(&a),
        len(&b),
        "length on {kind}, {options:?}, after {done:?}"
    );
    assert!(
        fs::read(&a).expect("a file") == fs::read(&b).expect("a file"),
        "content on {kind}, {options:?}, after {done:?}"
    );
}
