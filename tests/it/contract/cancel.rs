//! Rule 12: what a dropped future leaves behind.

use std::fs;
use std::io::SeekFrom;

use aiofiles::File;
use futures_lite::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _,
};

use super::*;
use crate::support::{
    Seed, assert_same_bytes, every_runtime, iterations, numbered, poll_n, poll_now,
};

/// Rule 12: every public async method says what happens when its future is dropped.
#[test]
fn every_async_function_documents_its_cancel_safety() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![source];
    let (mut checked, mut without) = (0, Vec::new());
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut docs = String::new();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for (n, line) in lines.iter().enumerate() {
            if let Some(doc) = line.strip_prefix("///") {
                docs.push_str(doc);
                docs.push('\n');
            } else if line.starts_with("#[") {
                // Attributes stand between the documentation and the function.
            } else {
                let returns_future = || {
                    let signature = lines[n..].iter().take_while(|line| !line.ends_with('{'));
                    signature
                        .chain(lines.get(n))
                        .any(|line| line.contains("impl Future"))
                };
                if line.starts_with("pub async fn")
                    || (line.starts_with("pub fn") && returns_future())
                {
                    checked += 1;
                    if !docs.contains("# Cancel safety") {
                        without.push(format!("{}:{}: {line}", path.display(), n + 1));
                    }
                }
                docs.clear();
            }
        }
    }
    assert!(checked > 40, "only {checked} functions were found");
    assert!(
        without.is_empty(),
        "without `# Cancel safety`: {without:#?}"
    );
}

/// Rule 12: `read` loses and doubles no byte, wherever it is cut.
#[test]
fn a_cut_read_loses_and_doubles_no_byte() {
    every_runtime(|_| async {
        let seed = Seed::new();
        let mut rng = seed.rng();
        let bytes = numbered(iterations(300_000));
        let (_dir, path) = sample(&bytes);
        for unbuffered in [false, true] {
            let mut file = read_write()
                .unbuffered(unbuffered)
                .open(&path)
                .await
                .unwrap();
            let mut found = Vec::new();
            let mut buf = vec![0; 9000];
            while found.len() < bytes.len() {
                let len = [1, 10, 1000, 9000][rng.usize(..4)];
                match rng.u8(..3) {
                    0 => {
                        let read = poll_n(file.read(&mut buf[..len]), rng.usize(..3)).await;
                        if let Some(n) = read {
                            found.extend_from_slice(&buf[..n.unwrap()]);
                        }
                    }
                    1 => {
                        if let Some(n) = poll_n(filled(&mut file), rng.usize(..3)).await {
                            let some = n.unwrap();
                            let n = rng.usize(..=some.len());
                            file.consume(n);
                            found.extend_from_slice(&some[..n]);
                        }
                    }
                    _ => {
                        let n = file.read(&mut buf[..len]).await.unwrap();
                        found.extend_from_slice(&buf[..n]);
                    }
                }
                assert_eq!(file.stream_position().await.unwrap(), found.len() as u64);
            }
            assert_same_bytes(found, &bytes);
        }
    });
}

/// Rule 12: a `write` that was cut accepted nothing, and one that was ready accepted what it says.
#[test]
fn a_cut_write_accepted_nothing() {
    every_runtime(|_| async {
        let seed = Seed::new();
        let mut rng = seed.rng();
        for append in [false, true] {
            let (_dir, path) = sample("");
            let mut file = read_write().append(append).open(&path).await.unwrap();
            let bytes = numbered(200_000);
            let mut expected = Vec::new();
            for _ in 0..iterations(100) {
                let len = [1, 100, 10_000, 200_000][rng.usize(..4)];
                if let Some(n) = poll_n(file.write(&bytes[..len]), rng.usize(..3)).await {
                    expected.extend_from_slice(&bytes[..n.unwrap()]);
                }
                let _ = poll_n(file.flush(), rng.usize(..2)).await;
            }
            file.flush().await.unwrap();
            assert_same_bytes(on_disk(&path), expected);
        }
    });
}

/// Rule 12: of an unbuffered file, a write that was cut has happened as a whole, or not at all.
#[test]
fn a_cut_unbuffered_write_happened_or_did_not() {
    every_runtime(|_| async {
        let seed = Seed::new();
        let mut rng = seed.rng();
        let (_dir, path) = sample("");
        let mut file = read_write_unbuffered().open(&path).await.unwrap();
        let mut ready = Vec::new();
        let rounds = iterations(100);
        for n in 0..rounds {
            let record = format!("{n:06}\n");
            if let Some(len) = poll_n(file.write(record.as_bytes()), rng.usize(..3)).await {
                assert_eq!(len.unwrap(), 7);
                ready.push(n);
            }
        }
        file.flush().await.unwrap();
        let text = String::from_utf8(on_disk(&path)).unwrap();
        let found: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert!(
            found.is_sorted_by(|a, b| a < b),
            "in order, and none twice: {found:?}"
        );
        assert!(found.iter().all(|n| *n < rounds));
        for n in ready {
            assert!(found.contains(&n), "record {n} was said to be written");
        }
    });
}

/// Rule 12: random operations are cut anywhere, and the file is as if those had happened that said so, or must have.
#[test]
fn seeks_reads_and_writes_are_cut_in_any_order() {
    every_runtime(|_| async {
        let seed = Seed::new();
        let mut rng = seed.rng();
        let mut model = numbered(50_000);
        let (_dir, path) = sample(&model);
        let mut file = read_write().open(&path).await.unwrap();
        let mut at = 0usize;
        for _ in 0..iterations(400) {
            let polls = rng.usize(..3);
            match rng.u8(..5) {
                0 => {
                    let to = rng.usize(..50_000);
                    if let Some(to) = poll_n(file.seek(SeekFrom::Start(to as u64)), polls).await {
                        at = to.unwrap() as usize;
                    }
                }
                1 => {
                    if let Some(to) = poll_n(file.seek(SeekFrom::End(-100)), polls).await {
                        at = to.unwrap() as usize;
                        assert_eq!(at, model.len() - 100);
                    }
                }
                2 => {
                    let bytes = vec![rng.u8(..); rng.usize(..3000)];
                    if let Some(n) = poll_n(file.write(&bytes), polls).await {
                        let n = n.unwrap();
                        if model.len() < at + n {
                            model.resize(at + n, 0);
                        }
                        model[at..at + n].copy_from_slice(&bytes[..n]);
                        at += n;
                    }
                }
                _ => {
                    let mut buf = vec![0; rng.usize(1..3000)];
                    if let Some(n) = poll_n(file.read(&mut buf), polls).await {
                        let n = n.unwrap();
                        let rest = model.get(at..).unwrap_or_default();
                        assert_same_bytes(&buf[..n], &rest[..n]);
                        assert!(n > 0 || rest.is_empty());
                        at += n;
                    }
                }
            }
            assert_eq!(file.stream_position().await.unwrap(), at as u64);
        }
        file.close().await.unwrap();
        assert_same_bytes(on_disk(&path), model);
    });
}

/// Rule 12: an operation that changes something, once polled, runs to its end; never polled, it does nothing.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_change_that_was_begun_runs_to_its_end() {
    use std::os::unix::fs::PermissionsExt as _;

    // Where other tests have dropped files on their way, an open first asks whether it is one of them.
    crate::support::alone(|| {
        stepped(|stepper, _| {
            type Change = Pin<Box<dyn Future<Output = io::Result<()>>>>;
            type Case = (&'static str, fn(&Path) -> Change, fn(&Path) -> bool);
            let cases: Vec<Case> = vec![
                (
                    "open with create",
                    |dir| {
                        let options = read_write();
                        let path = dir.join("new");
                        Box::pin(async move { options.open(path).await.map(drop) })
                    },
                    |dir| dir.join("new").exists(),
                ),
                (
                    "File::create",
                    |dir| {
                        let path = dir.join("file");
                        Box::pin(async move { File::create(path).await.map(drop) })
                    },
                    |dir| on_disk(&dir.join("file")).is_empty(),
                ),
                (
                    "write",
                    |dir| Box::pin(aiofiles::write(dir.join("new"), "content")),
                    |dir| dir.join("new").exists() && on_disk(&dir.join("new")) == b"content",
                ),
                (
                    "copy",
                    |dir| {
                        let (from, to) = (dir.join("file"), dir.join("new"));
                        Box::pin(async move { aiofiles::copy(from, to).await.map(drop) })
                    },
                    |dir| dir.join("new").exists() && on_disk(&dir.join("new")) == b"content",
                ),
                (
                    "rename",
                    |dir| Box::pin(aiofiles::rename(dir.join("file"), dir.join("new"))),
                    |dir| dir.join("new").exists() && !dir.join("file").exists(),
                ),
                (
                    "hard_link",
                    |dir| Box::pin(aiofiles::hard_link(dir.join("file"), dir.join("new"))),
                    |dir| dir.join("new").exists(),
                ),
                (
                    "symlink",
                    |dir| Box::pin(aiofiles::unix::symlink("file", dir.join("new"))),
                    |dir| dir.join("new").exists(),
                ),
                (
                    "remove_file",
                    |dir| Box::pin(aiofiles::remove_file(dir.join("file"))),
                    |dir| !dir.join("file").exists(),
                ),
                (
                    "create_dir",
                    |dir| Box::pin(aiofiles::create_dir(dir.join("new"))),
                    |dir| dir.join("new").is_dir(),
                ),
                (
                    "create_dir_all",
                    |dir| Box::pin(aiofiles::create_dir_all(dir.join("new/newer"))),
                    |dir| dir.join("new/newer").is_dir(),
                ),
                (
                    "remove_dir",
                    |dir| Box::pin(aiofiles::remove_dir(dir.join("empty"))),
                    |dir| !dir.join("empty").exists(),
                ),
                (
                    "remove_dir_all",
                    |dir| Box::pin(aiofiles::remove_dir_all(dir.join("empty"))),
                    |dir| !dir.join("empty").exists(),
                ),
                (
                    "set_permissions",
                    |dir| {
                        let permissions = fs::Permissions::from_mode(0o600);
                        Box::pin(aiofiles::set_permissions(dir.join("file"), permissions))
                    },
                    |dir| {
                        fs::metadata(dir.join("file")).unwrap().permissions().mode() & 0o777
                            == 0o600
                    },
                ),
            ];
            for (name, start, happened) in cases {
                for polled in [false, true] {
                    let (dir, path) = sample("content");
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
                    fs::create_dir(dir.path().join("empty")).unwrap();
                    let mut change = start(dir.path());
                    if polled {
                        begin(Pin::new(&mut change));
                    }
                    drop(change);
                    stepper.run_all();
                    // Functions that are delegated end on the threads of another crate.
                    if polled {
                        wait_until(name, || {
                            stepper.run_all();
                            happened(dir.path())
                        });
                    } else {
                        assert!(!happened(dir.path()), "{name} was never polled");
                    }
                }
            }
        });
    });
}

/// Rule 12: the same for changes of an open file, cut before their job.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_change_of_an_open_file_that_was_begun_runs_to_its_end() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, SystemTime};

    stepped(|stepper, _| {
        let (_dir, path) = sample("content");
        let file = drive(stepper, read_write().open(&path)).unwrap();
        begin(std::pin::pin!(file.set_len(3)));
        stepper.run_all();
        assert_eq!(on_disk(&path), b"con");
        begin(std::pin::pin!(
            file.set_permissions(fs::Permissions::from_mode(0o600))
        ));
        stepper.run_all();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        begin(std::pin::pin!(file.set_modified(time)));
        stepper.run_all();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), time);
        drop(file.set_len(0));
        stepper.run_all();
        assert_eq!(on_disk(&path), b"con");
    });
}

/// Rule 12: what only asks is not done for nobody.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_question_that_nobody_waits_for_is_not_asked() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let (_dir, path) = sample("content");
        let file = drive(stepper, read_write().open(&path)).unwrap();
        count(faults, Call::Metadata);
        count(faults, Call::Read);
        begin(std::pin::pin!(file.metadata()));
        begin(std::pin::pin!(aiofiles::metadata(&path)));
        begin(std::pin::pin!(aiofiles::try_exists(&path)));
        begin(std::pin::pin!(aiofiles::read(&path)));
        stepper.run_all();
        assert_eq!(faults.struck(), 0);
    });
}

/// Rule 12: a cancelled `open` leaks no descriptor, whether it was cut before its job, after it, or somewhere.
#[cfg(target_os = "linux")]
#[test]
fn a_cancelled_open_leaks_no_descriptor() {
    use crate::support::{alone, fd_count};

    alone(|| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample("content");
            // The reactor has descriptors of its own.
            smol::Timer::after(std::time::Duration::from_millis(1)).await;
            drop(File::open(&path).await.unwrap());
            until(|| aiofiles::backend().pending_closes() == 0).await;
            let before = fd_count();
            for round in 0..iterations(10_000) {
                let open = read_write();
                let _ = poll_n(open.open(&path), round % 3).await;
            }
            until(|| {
                let backend = aiofiles::backend();
                backend.queued() == 0 && backend.running() == 0 && backend.pending_closes() == 0
            })
            .await;
            until(|| fd_count() <= before).await;
        });
    });
}

/// Rule 12: the same at the two exact moments.
#[cfg(all(target_os = "linux", feature = "testing"))]
#[test]
fn an_open_cut_before_or_after_its_job_leaks_no_descriptor() {
    use crate::support::{alone, fd_count};

    alone(|| {
        let stepper = aiofiles::testing::Stepper::install();
        let (_dir, path) = sample("content");
        let before = fd_count();
        for jobs in [0, 1] {
            {
                let mut open = std::pin::pin!(File::open(&path));
                begin(open.as_mut());
                for _ in 0..jobs {
                    stepper.run_one();
                }
                assert_eq!(fd_count() - before, jobs);
            }
            stepper.run_all();
            assert_eq!(fd_count(), before, "cut after {jobs} jobs");
        }
    });
}

/// Rule 12: a cancelled `into_std` drops the file: it is written and closed.
#[cfg(all(target_os = "linux", feature = "testing"))]
#[test]
fn a_cancelled_into_std_writes_and_closes() {
    use crate::support::{alone, fd_count};

    alone(|| {
        let stepper = aiofiles::testing::Stepper::install();
        let dir = crate::support::temp_dir();
        let mut before = 0;
        for jobs in 0..6 {
            if jobs == 1 {
                // By now the reactor has its own.
                before = fd_count();
            }
            let path = dir.path().join(jobs.to_string());
            let mut file = drive(&stepper, File::create(&path)).unwrap();
            drive(&stepper, file.write_all(b"accepted")).unwrap();
            {
                let mut giving = std::pin::pin!(file.into_std());
                let mut polled = poll_now(giving.as_mut()).is_ready();
                for _ in 0..jobs {
                    if polled {
                        break;
                    }
                    stepper.run_one();
                    polled = poll_now(giving.as_mut()).is_ready();
                }
            }
            stepper.run_all();
            assert_eq!(on_disk(&path), b"accepted");
            if jobs > 0 {
                assert_eq!(fd_count(), before, "cut after {jobs} jobs");
            }
        }
    });
}

/// Rule 12: futures can be polled once and dropped where there is no runtime, and the file is usable afterwards.
#[test]
fn futures_are_dropped_outside_any_runtime() {
    let (dir, path) = sample(numbered(100_000));
    let mut file = futures_lite::future::block_on(read_write().open(&path)).unwrap();
    macro_rules! cut {
        ($($future:expr),+ $(,)?) => {$(
            let _ = poll_now(std::pin::pin!($future));
        )+};
    }
    let mut buf = [0; 100];
    let new = |name: &str| dir.path().join(name);
    cut!(
        file.read(&mut buf),
        file.write(b"x"),
        file.flush(),
        file.seek(SeekFrom::End(0)),
        file.metadata(),
        file.set_len(200_000),
        file.sync_all(),
        file.sync_data(),
        file.lock(),
        file.unlock(),
        file.try_lock(),
        file.try_clone(),
        file.stream_position(),
        file.discard_unwritten(),
        file.is_terminal(),
        File::open(&path),
        File::create(new("created")),
        aiofiles::read(&path),
        aiofiles::write(new("written"), "content"),
        aiofiles::copy(&path, new("copied")),
        aiofiles::metadata(&path),
        aiofiles::read_dir(dir.path()),
        aiofiles::canonicalize(&path),
        aiofiles::settle(),
    );
    futures_lite::future::block_on(async {
        // The byte that was written stands at 0, or behind what was read.
        let mut buf = [0; 90];
        file.seek(SeekFrom::Start(10)).await.unwrap();
        file.read_exact(&mut buf).await.unwrap();
        assert_same_bytes(buf, &numbered(200)[10..100]);
        file.set_len(100_000).await.unwrap();
        file.close().await.unwrap();
    });
}

/// Rules 3 and 12: a cut `flush` changes nothing; the bytes go on to be written.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_cut_flush_sync_or_close_loses_nothing() {
    stepped(|stepper, _| {
        for (what, jobs) in (0..4).flat_map(|what| (0..3).map(move |jobs| (what, jobs))) {
            let (_dir, path) = sample("");
            let mut file = drive(stepper, File::create(&path)).unwrap();
            drive(stepper, file.write_all(b"accepted")).unwrap();
            {
                let mut future: Pin<Box<dyn Future<Output = io::Result<()>>>> = match what {
                    0 => Box::pin(file.flush()),
                    1 => Box::pin(file.sync_all()),
                    2 => Box::pin(file.close()),
                    _ => Box::pin(async { file.metadata().await.map(drop) }),
                };
                begin(Pin::new(&mut future));
                for _ in 0..jobs {
                    stepper.run_one();
                }
            }
            drop(file);
            stepper.run_all();
            assert_eq!(on_disk(&path), b"accepted", "{what} cut after {jobs} jobs");
        }
    });
}
