//! The fault seam does not lie: the same small scene is played once with the seam of the feature `testing`, and once under
//! `strace`, which has the kernel refuse the same call. What the program is told must be the same, and what is in the files.
//!
//! The pool has one thread, because `strace` counts calls by threads.
#![allow(
    clippy::disallowed_methods,
    reason = "the scenes are played in processes of their own"
)]

#[cfg(target_os = "linux")]
mod scenes {
    use std::env;
    use std::fs;
    use std::io;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::process::Command;
    use std::time::{Duration, SystemTime};

    use aiofiles::testing::{Call, Faults};
    use aiofiles::unix::Dir;
    use aiofiles::{File, OpenOptions};
    use aiofiles_proof::support::*;
    use futures_lite::future::block_on;
    use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, StreamExt as _};

    /// What was told, in a word.
    fn told<T: std::fmt::Debug>(result: io::Result<T>) -> String {
        match result {
            Ok(value) => format!("{value:?}"),
            Err(error) => match aiofiles::raw_os_error(&error) {
                Some(code) => format!("error {code}"),
                None => format!("{:?}", error.kind()),
            },
        }
    }

    /// How often a scene does what it is about.
    const TIMES: u8 = 5;

    fn read_write() -> OpenOptions {
        OpenOptions::new().read(true).write(true).clone()
    }

    /// Plays a scene in a directory that has a file `file` of 50 bytes, an empty one `other`, a directory `dir` with three
    /// files, and a link `link`.
    async fn play(scene: &str, at: &Path) -> Vec<String> {
        let (path, other, dir) = (at.join("file"), at.join("other"), at.join("dir"));
        let mut said = Vec::new();
        let mut say = |line: String| said.push(line);
        match scene {
            "write unbuffered" | "write" | "append" => {
                let mut options = OpenOptions::new();
                match scene {
                    "append" => options.append(true),
                    _ => options.write(true).unbuffered(scene == "write unbuffered"),
                };
                let mut file = options.open(&path).await.unwrap();
                for n in 0..TIMES {
                    say(told(file.write(&[n; 7]).await));
                    say(told(file.flush().await));
                }
                say(told(file.close().await));
            }
            "write at" => {
                let file = read_write().open(&path).await.unwrap();
                for n in 0..TIMES {
                    let (result, _) = file.write_all_at([n; 7].to_vec(), u64::from(n) * 5).await;
                    say(told(result));
                }
                let mut file = file;
                say(told(file.close().await));
            }
            "write whole" => {
                for n in 0..TIMES {
                    say(told(aiofiles::write(&path, [n; 20]).await));
                }
            }
            "write atomically" => {
                for n in 0..TIMES {
                    say(told(aiofiles::write_atomic(&path, [n; 20]).await));
                }
            }
            "read at" => {
                let file = File::open(&path).await.unwrap();
                for n in 0..TIMES {
                    let (result, buf) = file.read_exact_at(vec![0; 5], u64::from(n) * 7).await;
                    say(told(result.map(|()| buf)));
                }
            }
            "read unbuffered" | "read" => {
                let mut options = OpenOptions::new();
                options.read(true).unbuffered(scene == "read unbuffered");
                let mut file = options.open(&path).await.unwrap();
                for _ in 0..TIMES {
                    let mut buf = [0; 60];
                    let result = file.read(&mut buf).await;
                    say(told(result.map(|n| buf[..n].to_vec())));
                    if scene == "read" {
                        say(told(file.seek(io::SeekFrom::Start(100)).await));
                        say(told(file.seek(io::SeekFrom::Start(3)).await));
                    }
                }
            }
            "read whole" => {
                for _ in 0..TIMES {
                    say(told(aiofiles::read(&path).await));
                }
            }
            "open" | "create" => {
                for _ in 0..TIMES {
                    let result = match scene {
                        "open" => File::open(&path).await,
                        _ => File::create(&other).await,
                    };
                    match result {
                        Ok(mut file) => say(told(file.close().await)),
                        error => say(told(error.map(drop))),
                    }
                }
            }
            "sync all"
            | "sync data"
            | "set len"
            | "set permissions"
            | "set times"
            | "allocate"
            | "punch hole"
            | "seek data"
            | "lock"
            | "metadata of file"
            | "sync one after another" => {
                let file = read_write().open(&path).await.unwrap();
                for n in 0..TIMES {
                    say(match scene {
                        "sync all" => told(file.sync_all().await),
                        "sync data" => told(file.sync_data().await),
                        "set len" => told(file.set_len(u64::from(n) + 40).await),
                        "set permissions" => {
                            let mode = fs::Permissions::from_mode(0o600 + u32::from(n % 2));
                            told(file.set_permissions(mode).await)
                        }
                        "set times" => {
                            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(n.into());
                            told(file.set_modified(time).await)
                        }
                        "allocate" => told(file.allocate(u64::from(n) * 50, 50).await),
                        "punch hole" => told(file.punch_hole(u64::from(n) * 3, 2).await),
                        "seek data" => told(file.seek_data(n.into()).await),
                        "lock" => match file.try_lock().await {
                            Ok(()) => "locked".to_owned(),
                            Err(fs::TryLockError::Error(error)) => told::<()>(Err(error)),
                            Err(fs::TryLockError::WouldBlock) => "would block".to_owned(),
                        },
                        "metadata of file" => {
                            told(file.metadata().await.map(|metadata| metadata.len()))
                        }
                        _ => {
                            // Each by a file of its own: one failure is final for one file.
                            let file = read_write().open(&other).await.unwrap();
                            told(file.sync_all().await)
                        }
                    });
                }
            }
            "close" => {
                for n in 0..TIMES {
                    let mut file = read_write().open(&path).await.unwrap();
                    if n % 2 == 0 {
                        say(told(file.write(b"hello").await));
                    }
                    say(told(file.close().await));
                    say(told(file.close().await));
                }
            }
            "metadata" => {
                for _ in 0..TIMES {
                    say(told(
                        aiofiles::metadata(&path)
                            .await
                            .map(|metadata| metadata.len()),
                    ));
                }
            }
            "statvfs" => {
                for _ in 0..TIMES {
                    say(told(
                        aiofiles::os::statvfs(at)
                            .await
                            .map(|stat| stat.fragment_size),
                    ));
                }
            }
            "read link" => {
                for _ in 0..TIMES {
                    say(told(aiofiles::read_link(at.join("link")).await));
                }
            }
            "rename" => {
                let (mut from, mut to) = (path.clone(), at.join("new"));
                for _ in 0..TIMES {
                    let result = aiofiles::rename(&from, &to).await;
                    if result.is_ok() {
                        std::mem::swap(&mut from, &mut to);
                    }
                    say(told(result));
                }
            }
            "remove file" => {
                for n in 0..3 {
                    say(told(aiofiles::remove_file(dir.join(format!("{n}"))).await));
                    say(told(aiofiles::remove_file(dir.join(format!("{n}"))).await));
                }
            }
            "directories" => {
                for n in 0..TIMES {
                    let new = at.join(format!("new {n}"));
                    say(told(aiofiles::create_dir(&new).await));
                }
                for n in 0..TIMES {
                    let new = at.join(format!("new {n}"));
                    say(told(aiofiles::remove_dir(&new).await));
                }
            }
            "links" => {
                for n in 0..TIMES {
                    let new = at.join(format!("new {n}"));
                    say(told(aiofiles::hard_link(&path, &new).await));
                }
            }
            "symbolic links" => {
                for n in 0..TIMES {
                    let new = at.join(format!("link {n}"));
                    say(told(aiofiles::unix::symlink("file", &new).await));
                }
            }
            "permissions of path" => {
                for n in 0..TIMES {
                    let mode = fs::Permissions::from_mode(0o600 + u32::from(n % 2));
                    say(told(aiofiles::set_permissions(&path, mode).await));
                }
            }
            "read dir" => {
                for _ in 0..2 {
                    let mut entries = match aiofiles::read_dir(&dir).await {
                        Ok(entries) => entries,
                        error => {
                            say(told(error.map(drop)));
                            continue;
                        }
                    };
                    let mut names = Vec::new();
                    while let Some(entry) = entries.next().await {
                        names.push(told(entry.map(|entry| entry.file_name())));
                    }
                    // The kernel has an order of its own; an error comes where it came.
                    names.sort();
                    say(names.join(", "));
                }
            }
            "copy range" => {
                let from = File::open(&path).await.unwrap();
                let to = read_write().open(&other).await.unwrap();
                for n in 0..TIMES {
                    let offset = u64::from(n) * 8;
                    say(told(
                        aiofiles::copy_range(&from, offset, &to, offset, 8).await,
                    ));
                }
            }
            "dir" => {
                let dir = Dir::open(&dir).await.unwrap();
                for n in 0..TIMES {
                    say(told(dir.create_dir(format!("new {n}")).await));
                }
                for n in 0..TIMES {
                    let to = format!("newer {n}");
                    say(told(dir.rename(format!("new {n}"), &dir, to).await));
                }
                for n in 0..3 {
                    say(told(dir.remove_file(format!("{n}")).await));
                }
            }
            scene => panic!("no scene {scene}"),
        }
        aiofiles::settle().await;
        said
    }

    /// What goes wrong in a scene: a call, as the seam and as the kernel know it.
    struct Row {
        scene: &'static str,
        call: Call,
        calls: &'static str,
        error: &'static str,
        code: i32,
        /// For each of the kernel's calls that may fail, which one it is to the seam.
        seam: &'static [usize],
        /// How many of these calls the kernel sees before the first of them.
        before: usize,
    }

    const fn row(
        scene: &'static str,
        call: Call,
        calls: &'static str,
        error: &'static str,
        code: i32,
    ) -> Row {
        Row {
            scene,
            call,
            calls,
            error,
            code,
            seam: &[0, 1, 2, 3, 4],
            before: 0,
        }
    }

    /// One that the kernel is asked for before, to open the file.
    const fn late(mut row: Row, before: usize, seam: &'static [usize]) -> Row {
        row.before = before;
        row.seam = seam;
        row
    }

    /// One that the seam counts in another way.
    const fn seen_as(mut row: Row, seam: &'static [usize]) -> Row {
        row.seam = seam;
        row
    }

    /// The seam sees that a directory is opened, each entry, and the end; the kernel is asked for all entries, and for the end.
    const ENTRIES: &[usize] = &[1, 4, 6, 9];

    /// To open a file, its metadata is asked for, and its flags are set, which is one kind of call to the seam.
    const ASKED_BEFORE: &[usize] = &[2, 3, 4, 5, 6];

    #[rustfmt::skip]
    const ROWS: &[Row] = &[
        row("write unbuffered", Call::Write, "pwrite64", "ENOSPC", libc::ENOSPC),
        row("write unbuffered", Call::Write, "pwrite64", "EIO", libc::EIO),
        row("write", Call::Write, "pwrite64", "ENOSPC", libc::ENOSPC),
        row("write", Call::Write, "pwrite64", "EDQUOT", libc::EDQUOT),
        row("write", Call::Write, "pwrite64", "EFBIG", libc::EFBIG),
        row("append", Call::Write, "write", "ENOSPC", libc::ENOSPC),
        row("append", Call::Write, "write", "EPERM", libc::EPERM),
        row("write at", Call::Write, "pwrite64", "EIO", libc::EIO),
        row("write whole", Call::Write, "write", "ENOSPC", libc::ENOSPC),
        row("write whole", Call::Close, "close", "EDQUOT", libc::EDQUOT),
        row("read at", Call::Read, "pread64", "EIO", libc::EIO),
        row("read unbuffered", Call::Read, "pread64", "EIO", libc::EIO),
        row("read unbuffered", Call::Read, "pread64", "EISDIR", libc::EISDIR),
        row("read", Call::Read, "pread64", "ESTALE", libc::ESTALE),
        row("read whole", Call::Read, "read", "EIO", libc::EIO),
        row("open", Call::Open, "openat", "EACCES", libc::EACCES),
        row("open", Call::Open, "openat", "EMFILE", libc::EMFILE),
        row("open", Call::Open, "openat", "ENFILE", libc::ENFILE),
        row("open", Call::Open, "openat", "ENOMEM", libc::ENOMEM),
        row("create", Call::Open, "openat", "ENOSPC", libc::ENOSPC),
        row("create", Call::Open, "openat", "EROFS", libc::EROFS),
        row("sync all", Call::SyncAll, "fsync", "EIO", libc::EIO),
        row("sync all", Call::SyncAll, "fsync", "EINVAL", libc::EINVAL),
        row("sync data", Call::SyncData, "fdatasync", "ENOSPC", libc::ENOSPC),
        row("sync one after another", Call::SyncAll, "fsync", "EDQUOT", libc::EDQUOT),
        row("set len", Call::SetLen, "ftruncate", "EFBIG", libc::EFBIG),
        row("set len", Call::SetLen, "ftruncate", "EIO", libc::EIO),
        row("close", Call::Close, "close", "EIO", libc::EIO),
        row("close", Call::Close, "close", "ENOSPC", libc::ENOSPC),
        row("rename", Call::Rename, "rename,renameat,renameat2", "ENOSPC", libc::ENOSPC),
        row("rename", Call::Rename, "rename,renameat,renameat2", "EXDEV", libc::EXDEV),
        row("remove file", Call::RemoveFile, "unlink,unlinkat", "EBUSY", libc::EBUSY),
        row("directories", Call::CreateDir, "mkdir,mkdirat", "ENOSPC", libc::ENOSPC),
        row("directories", Call::RemoveDir, "rmdir", "EBUSY", libc::EBUSY),
        row("links", Call::Link, "link,linkat", "EMLINK", libc::EMLINK),
        row("symbolic links", Call::Link, "symlink,symlinkat", "EDQUOT", libc::EDQUOT),
        row("permissions of path", Call::SetPermissions, "chmod,fchmodat", "EPERM", libc::EPERM),
        row("set permissions", Call::SetPermissions, "fchmod", "EROFS", libc::EROFS),
        row("set times", Call::SetTimes, "utimensat", "EPERM", libc::EPERM),
        row("allocate", Call::Allocate, "fallocate", "ENOSPC", libc::ENOSPC),
        row("punch hole", Call::Allocate, "fallocate", "EIO", libc::EIO),
        row("seek data", Call::Seek, "lseek", "EIO", libc::EIO),
        row("lock", Call::Lock, "flock", "ENOLCK", libc::ENOLCK),
        row("metadata", Call::Metadata, "statx", "ENOMEM", libc::ENOMEM),
        late(row("metadata of file", Call::Metadata, "statx", "EIO", libc::EIO), 1, ASKED_BEFORE),
        row("statvfs", Call::Metadata, "statfs", "EIO", libc::EIO),
        row("read link", Call::Metadata, "readlink,readlinkat", "EIO", libc::EIO),
        row("copy range", Call::Copy, "copy_file_range", "EIO", libc::EIO),
        row("copy range", Call::Copy, "copy_file_range", "ENOSPC", libc::ENOSPC),
        row("dir", Call::CreateDir, "mkdirat", "ENOSPC", libc::ENOSPC),
        row("dir", Call::Rename, "renameat,renameat2", "EXDEV", libc::EXDEV),
        seen_as(row("dir", Call::RemoveFile, "unlinkat", "EPERM", libc::EPERM), &[0, 1, 2]),
        seen_as(row("read dir", Call::ReadDir, "getdents64", "EIO", libc::EIO), ENTRIES),
        row("write atomically", Call::Rename, "rename,renameat,renameat2", "ENOSPC", libc::ENOSPC),
        // What is interrupted is made again, and nobody is told.
        row("write unbuffered", Call::Write, "pwrite64", "EINTR", libc::EINTR),
        row("write", Call::Write, "pwrite64", "EINTR", libc::EINTR),
        row("append", Call::Write, "write", "EINTR", libc::EINTR),
        row("write at", Call::Write, "pwrite64", "EINTR", libc::EINTR),
        row("write whole", Call::Write, "write", "EINTR", libc::EINTR),
        row("read at", Call::Read, "pread64", "EINTR", libc::EINTR),
        row("read unbuffered", Call::Read, "pread64", "EINTR", libc::EINTR),
        row("read", Call::Read, "pread64", "EINTR", libc::EINTR),
        row("read whole", Call::Read, "read", "EINTR", libc::EINTR),
        row("open", Call::Open, "openat", "EINTR", libc::EINTR),
        row("create", Call::Open, "openat", "EINTR", libc::EINTR),
        row("sync all", Call::SyncAll, "fsync", "EINTR", libc::EINTR),
        row("sync data", Call::SyncData, "fdatasync", "EINTR", libc::EINTR),
        row("set len", Call::SetLen, "ftruncate", "EINTR", libc::EINTR),
        row("rename", Call::Rename, "rename,renameat,renameat2", "EINTR", libc::EINTR),
        row("remove file", Call::RemoveFile, "unlink,unlinkat", "EINTR", libc::EINTR),
        row("directories", Call::CreateDir, "mkdir,mkdirat", "EINTR", libc::EINTR),
        row("metadata", Call::Metadata, "statx", "EINTR", libc::EINTR),
        late(row("metadata of file", Call::Metadata, "statx", "EINTR", libc::EINTR), 1, ASKED_BEFORE),
        row("allocate", Call::Allocate, "fallocate", "EINTR", libc::EINTR),
        row("copy range", Call::Copy, "copy_file_range", "EINTR", libc::EINTR),
        row("lock", Call::Lock, "flock", "EINTR", libc::EINTR),
    ];

    /// What must not be made again, because the rest of the entries would be missing: std takes any error for the end.
    const INTERRUPTED_LISTING: Row = seen_as(
        row(
            "read dir",
            Call::ReadDir,
            "getdents64",
            "EINTR",
            libc::EINTR,
        ),
        ENTRIES,
    );

    /// How often in a row the call fails.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Times {
        Once,
        Thrice,
        Ever,
    }

    /// The times that make sense for a row.
    fn times(row: &Row) -> &'static [Times] {
        match row.code {
            libc::EINTR => &[Times::Once, Times::Thrice],
            // The numbers of the seam do not follow one another.
            _ if row.scene == "read dir" => &[Times::Once],
            _ => &[Times::Once, Times::Ever],
        }
    }

    /// What came of a scene: what was told, what is left, and how many calls were refused.
    #[derive(Debug, PartialEq)]
    struct Outcome {
        told: Vec<String>,
        left: Vec<String>,
        struck: usize,
    }

    const SCENE: &str = "AIOFILES_PROOF_SCENE";
    const PLACE: &str = "AIOFILES_PROOF_PLACE";
    /// What the seam is to do: the number of the row, of the call, and the times.
    const PLAN: &str = "AIOFILES_PROOF_PLAN";

    /// Plays the scene that the environment names, in this process.
    pub fn play_here() -> bool {
        let Ok(scene) = env::var(SCENE) else {
            return false;
        };
        let place = env::var_os(PLACE).expect("a place");
        let place = Path::new(&place);
        let plan = env::var(PLAN).ok();
        let told = block_on(async {
            // What finds out about the process and its file systems is done before.
            aiofiles::metadata("/").await.unwrap();
            let mut warm = File::create(place.join("warm")).await.unwrap();
            warm.close().await.unwrap();
            let faults = Faults::install();
            if let Some(plan) = plan {
                let numbers = plan.split(' ').map(|n| n.parse::<usize>().unwrap());
                let [row, nth, times] = numbers.collect::<Vec<_>>()[..] else {
                    panic!("a plan of three numbers")
                };
                let row = &ROWS[row];
                faults.fail(row.call, nth, times, row.code);
            }
            let told = play(&scene, place).await;
            println!("struck {}", faults.struck());
            told
        });
        for line in told {
            println!("told {line}");
        }
        true
    }

    /// Makes the place where a scene is played.
    fn make_place() -> tempfile::TempDir {
        let place = temp_dir();
        let at = place.path();
        fs::write(at.join("file"), numbered(50)).unwrap();
        fs::write(at.join("other"), "").unwrap();
        fs::create_dir(at.join("dir")).unwrap();
        for n in 0..3 {
            fs::write(at.join(format!("dir/{n}")), "x").unwrap();
        }
        std::os::unix::fs::symlink("file", at.join("link")).unwrap();
        place
    }

    /// All that is at a place, but for what is temporary.
    fn left(place: &Path) -> Vec<String> {
        let mut left = Vec::new();
        let mut todo = vec![place.to_owned()];
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                let name = path.strip_prefix(place).unwrap().to_owned();
                if metadata.is_dir() {
                    todo.push(path);
                    left.push(format!("{name:?}"));
                } else if metadata.is_symlink() {
                    left.push(format!("{name:?} -> {:?}", fs::read_link(&path).unwrap()));
                } else {
                    let mode = metadata.permissions().mode();
                    let bytes = fs::read(&path).unwrap();
                    left.push(format!("{name:?} {mode:o} {bytes:?}"));
                }
            }
        }
        left.sort();
        left
    }

    fn run(mut command: Command, place: &Path, row: &Row) -> (Vec<String>, usize) {
        let output = command
            .env(SCENE, row.scene)
            .env(PLACE, place)
            .env("BLOCKING_MAX_THREADS", "1")
            .env("AIOFILES_BACKEND", "pool")
            .output()
            .unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{}: {out}{err}", row.scene);
        let struck = out.lines().find_map(|line| line.strip_prefix("struck "));
        let told = out.lines().filter_map(|line| line.strip_prefix("told "));
        // Each plays at a place of its own.
        let place = place.to_str().unwrap();
        (
            told.map(|line| line.replace(place, "PLACE")).collect(),
            struck.unwrap().parse().unwrap(),
        )
    }

    fn number(times: Times) -> usize {
        match times {
            Times::Once => 1,
            Times::Thrice => 3,
            Times::Ever => usize::MAX,
        }
    }

    /// Plays the scene with the seam.
    fn by_seam(index: usize, nth: usize, times: Times) -> Outcome {
        let place = make_place();
        let row = &ROWS[index];
        let mut command = Command::new(env::current_exe().unwrap());
        command.env(PLAN, format!("{index} {} {}", row.seam[nth], number(times)));
        let (told, struck) = run(command, place.path(), row);
        Outcome {
            told,
            left: left(place.path()),
            struck,
        }
    }

    /// Plays it under `strace`.
    fn by_strace(row: &Row, nth: usize, times: Times) -> Outcome {
        let place = make_place();
        let log = temp_dir();
        let log = log.path().join("log");
        let first = row.before + nth + 1;
        let when = match times {
            Times::Once => format!("{first}"),
            Times::Thrice => format!("{first}..{}", first + 2),
            Times::Ever => format!("{first}+"),
        };
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(&log);
        // Only what has to do with the scene counts; a temporary file has no name to be known beforehand.
        if row.scene != "write atomically" {
            let at = place.path();
            let names = ["file", "other", "dir", "link", "new"].map(|name| at.join(name));
            let many = ["dir/", "new ", "link "]
                .iter()
                .flat_map(|name| (0..TIMES).map(move |n| at.join(format!("{name}{n}"))));
            for path in names.into_iter().chain(many).chain([at.to_owned()]) {
                command.arg("-P").arg(path);
            }
        }
        command
            .args(["-e", &format!("trace={}", row.calls)])
            .args([
                "-e",
                &format!("inject={}:error={}:when={when}", row.calls, row.error),
            ])
            .arg(env::current_exe().unwrap());
        let (told, _) = run(command, place.path(), row);
        let log = fs::read_to_string(&log).unwrap();
        let struck = log.matches("(INJECTED)").count();
        Outcome {
            told,
            left: left(place.path()),
            struck,
        }
    }

    /// What is told when nothing goes wrong.
    fn by_nothing(row: &Row) -> Outcome {
        let place = make_place();
        let command = Command::new(env::current_exe().unwrap());
        let (told, struck) = run(command, place.path(), row);
        Outcome {
            told,
            left: left(place.path()),
            struck,
        }
    }

    fn has_strace() -> bool {
        let has = succeeds(&["strace", "-qq", "-e", "inject=getpid:error=EIO", "true"]);
        if !has {
            skip("`strace -e inject`");
        }
        has
    }

    pub fn an_interrupted_listing_is_told_and_not_cut_short() {
        if !has_strace() {
            return;
        }
        for nth in 0..2 {
            let outcome = by_strace(&INTERRUPTED_LISTING, nth, Times::Once);
            assert_eq!(outcome.struck, 1);
            let [first, second] = &outcome.told[..] else {
                panic!("{outcome:?}")
            };
            // Where all entries were there before, only the end was missed.
            assert!(first.contains("Other"), "{first}");
            assert_eq!(first.contains(r#""2""#), nth == 1, "{first}");
            assert_eq!(second, r#""0", "1", "2""#);
        }
    }

    pub fn strace_and_the_seam_agree() {
        if !has_strace() {
            return;
        }
        let mut plans = Vec::new();
        for (index, row) in ROWS.iter().enumerate() {
            for nth in 0..row.seam.len() {
                for times in times(row) {
                    plans.push((index, nth, *times));
                }
            }
        }
        assert!(ROWS.len() >= 25);
        let seed = Seed::new();
        seed.rng().shuffle(&mut plans);
        let runs = iterations(25);
        let (mut struck, mut interrupted) = (0, 0);
        let mut differ = Vec::new();
        for (index, nth, times) in plans.iter().cycle().take(runs).copied() {
            let row = &ROWS[index];
            let name = format!(
                "{}: {} {} at number {nth}, {times:?}",
                row.scene, row.calls, row.error
            );
            let (seam, strace) = (by_seam(index, nth, times), by_strace(row, nth, times));
            if seam != strace {
                differ.push(format!("{name}\nseam   {seam:#?}\nstrace {strace:#?}"));
            }
            if strace.struck == 0 {
                differ.push(format!("{name}: nothing was refused"));
            }
            struck += strace.struck;
            if row.code == libc::EINTR {
                let nothing = by_nothing(row);
                if (&nothing.told, &nothing.left) != (&strace.told, &strace.left) {
                    differ.push(format!("{name}\nnothing {nothing:#?}\nstrace  {strace:#?}"));
                }
                interrupted += strace.struck;
            }
        }
        assert!(differ.is_empty(), "{}", differ.join("\n\n"));
        figure(&format!(
            "strace: {runs} runs of {} plans in {} rows agree with the seam, {struck} calls refused, \
             {interrupted} of them interrupted and never seen",
            plans.len(),
            ROWS.len()
        ));
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    if scenes::play_here() {
        return std::process::ExitCode::SUCCESS;
    }
    aiofiles_proof::support::run_checks(&[
        (
            "an_interrupted_listing_is_told_and_not_cut_short",
            scenes::an_interrupted_listing_is_told_and_not_cut_short,
        ),
        (
            "strace_and_the_seam_agree",
            scenes::strace_and_the_seam_agree,
        ),
    ])
}

#[cfg(not(target_os = "linux"))]
fn main() {}
