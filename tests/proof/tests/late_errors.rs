//! Errors that come late: a FUSE file system that fails at a sync, at close(2), at some write, or answers in part. Rules 10
//! and 11 of the contract: told at least once, with their code, and until all is written; a failed sync is final.
#![cfg(target_os = "linux")]

use std::io::{self, ErrorKind, Write as _};
use std::pin::pin;
use std::time::Duration;

use aiofiles::{File, OpenOptions, raw_os_error};
use aiofiles_proof::fuse::puppet::{Asked, Puppet, Strings};
use aiofiles_proof::fuse::{Mounted, backend};
use aiofiles_proof::on_both_backends;
use aiofiles_proof::passthrough::Caching;
use aiofiles_proof::support::*;
use fuser::Errno;
use futures_lite::future::{self, block_on};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

/// What network file systems and quotas say late.
const CODES: [Errno; 4] = [Errno::EIO, Errno::ESTALE, Errno::EDQUOT, Errno::ENOSPC];

/// Whether the kernel keeps pages of the files in between, but writes at once.
const AT_ONCE: [Caching; 2] = [Caching::None, Caching::Through];

const EVER: usize = usize::MAX;

fn mount(caching: Caching) -> (Mounted, Strings) {
    let (puppet, strings) = Puppet::new(caching, Duration::from_secs(1));
    strings.put("file", b"");
    (Mounted::new(puppet), strings)
}

async fn open(mounted: &Mounted) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.open(mounted.at("file")).await.unwrap()
}

#[track_caller]
fn assert_code<T: std::fmt::Debug>(result: io::Result<T>, code: Errno) {
    let error = result.expect_err("it was to fail");
    assert_eq!(raw_os_error(&error), Some(code.code()), "{error}");
}

/// Runs the check for each code, with and without pages in between.
fn for_each_code(check: impl AsyncFn(&Mounted, &Strings, Errno)) {
    let mut count = 0;
    for caching in AT_ONCE {
        for code in CODES {
            let (mounted, strings) = mount(caching);
            block_on(check(&mounted, &strings, code));
            count += 1;
        }
    }
    assert_eq!(count, 8);
}

// ---------------------------------------------------------------------------------------------------------------------
// At a sync

async fn failed_sync(mounted: &Mounted, strings: &Strings, code: Errno) {
    let mut file = open(mounted).await;
    file.write_all(b"hello").await.unwrap();
    file.flush().await.unwrap();
    strings.fail(Asked::Sync, 0, 1, code);
    assert_code(file.sync_all().await, code);
    // The file system says yes from now on. It may have forgotten what it could not store.
    let asked = strings.count(Asked::Sync);
    let clone = file.try_clone().await.unwrap();
    for _ in 0..3 {
        assert_code(file.sync_all().await, code);
        assert_code(file.sync_data().await, code);
        assert_code(clone.sync_all().await, code);
        assert_code(clone.sync_data().await, code);
    }
    assert_eq!(strings.count(Asked::Sync), asked, "it is final");
    // For syncs, and for nothing else.
    file.write_all(b", world").await.unwrap();
    file.flush().await.unwrap();
    let (result, buf) = file.read_exact_at(vec![0; 12], 0).await;
    result.unwrap();
    assert_same_bytes(buf, b"hello, world");
    drop(clone);
    file.close().await.unwrap();
    assert_same_bytes(strings.content("file"), b"hello, world");
    // Nor for whoever opens it anew.
    let file = open(mounted).await;
    file.sync_all().await.unwrap();
    // `sync_data` is as good a sync.
    strings.fail(Asked::Sync, 0, 1, code);
    assert_code(file.sync_data().await, code);
    assert_code(file.sync_all().await, code);
}

/// What only says that there is nothing to sync is no failure of what was written, and may change.
async fn refused_sync(mounted: &Mounted, strings: &Strings) {
    for code in [Errno::EINVAL, Errno::EROFS, Errno::ENOTSUP] {
        let file = open(mounted).await;
        // A ring that is told of some of them asks in another way.
        strings.fail(Asked::Sync, 0, EVER, code);
        for _ in 0..3 {
            assert_code(file.sync_all().await, code);
            assert_code(file.sync_data().await, code);
        }
        strings.clear();
        file.sync_all().await.unwrap();
    }
}

on_both_backends!(
    a_sync_that_fails_is_final_though_the_file_system_says_ok_later,
    || {
        for_each_code(failed_sync);
        for caching in AT_ONCE {
            let (mounted, strings) = mount(caching);
            block_on(refused_sync(&mounted, &strings));
        }
    }
);

// ---------------------------------------------------------------------------------------------------------------------
// At close(2)

async fn failed_close(mounted: &Mounted, strings: &Strings, code: Errno) {
    aiofiles::settle().await;
    let fds = fd_count();
    for written_before in [true, false] {
        let mut file = open(mounted).await;
        let mut clone = file.try_clone().await.unwrap();
        file.write_all(b"hello").await.unwrap();
        if written_before {
            file.flush().await.unwrap();
        }
        strings.fail(Asked::Flush, 0, 1, code);
        // Somebody still has it open.
        clone.close().await.unwrap();
        // The one that closes it is told, and once.
        assert_code(file.close().await, code);
        for _ in 0..3 {
            file.close().await.unwrap();
        }
        let kind = file.flush().await.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::InvalidInput, "it is closed all the same");
        assert_same_bytes(strings.content("file"), b"hello");
        assert_eq!(
            strings.struck(Asked::Flush),
            1 + usize::from(!written_before)
        );
    }
    // Who drops it cannot be told, and waits for nothing.
    strings.fail(Asked::Flush, 0, 1, code);
    drop(open(mounted).await);
    aiofiles::settle().await;
    while strings.struck(Asked::Flush) < 3 {
        future::yield_now().await;
    }
    // Whole files, short ones and long ones.
    for len in [5, 400_000] {
        strings.fail(Asked::Flush, 0, 1, code);
        let result = aiofiles::write(mounted.at("whole"), vec![1; len]).await;
        assert_code(result, code);
        assert_eq!(strings.content("whole").len(), len);
    }
    while aiofiles::backend().pending_closes() > 0 {
        future::yield_now().await;
    }
    assert_eq!(fd_count(), fds);
}

on_both_backends!(what_close_says_is_told_once_to_the_one_who_closes, || {
    for_each_code(failed_close);
});

// ---------------------------------------------------------------------------------------------------------------------
// At some write

async fn failed_write(mounted: &Mounted, strings: &Strings, code: Errno) {
    // One failure: told by the next call, and tried again by the one after it.
    let mut file = open(mounted).await;
    for nth in 0..4 {
        file.set_len(0).await.unwrap();
        io_seek_to_begin(&mut file).await;
        strings.fail(Asked::Write, nth, 1, code);
        let mut told = 0;
        for n in 0..6 {
            // Each is written before the next.
            match file.write_all(&[n; 10]).await {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(code.code()));
                    told += 1;
                    file.write_all(&[n; 10]).await.unwrap();
                }
            }
            if let Err(error) = file.flush().await {
                assert_eq!(error.raw_os_error(), Some(code.code()));
                told += 1;
            }
        }
        assert_eq!(told, 1, "write {nth}");
        file.flush().await.unwrap();
        file.sync_all().await.unwrap();
        let all = (0..6).flat_map(|n| [n; 10]).collect::<Vec<_>>();
        assert_same_bytes(strings.content("file"), all);
    }
    // As long as it fails, everybody is told, and nothing else is done.
    file.set_len(0).await.unwrap();
    io_seek_to_begin(&mut file).await;
    strings.fail(Asked::Write, 0, EVER, code);
    file.write_all(b"hello").await.unwrap();
    let (syncs, changes) = (strings.count(Asked::Sync), strings.count(Asked::Change));
    for _ in 0..3 {
        assert_code(file.flush().await, code);
        assert_code(file.write(b"more").await, code);
        assert_code(file.read(&mut [0; 4]).await, code);
        assert_code(file.sync_all().await, code);
        assert_code(file.sync_data().await, code);
        assert_code(file.set_len(100).await, code);
        assert_code(file.try_clone().await, code);
    }
    assert_eq!(strings.count(Asked::Sync), syncs);
    assert_eq!(strings.count(Asked::Change), changes);
    strings.clear();
    file.flush().await.unwrap();
    file.sync_all().await.unwrap();
    assert_same_bytes(strings.content("file"), b"hello");
    // Closing tries once more, tells, and closes.
    strings.fail(Asked::Write, 0, EVER, code);
    file.write_all(b", world").await.unwrap();
    assert_code(file.close().await, code);
    file.close().await.unwrap();
    strings.clear();
    assert_same_bytes(strings.content("file"), b"hello");

    // Without a buffer, the write itself is told, and the next is another one.
    let mut options = OpenOptions::new();
    options.write(true).truncate(true).unbuffered(true);
    for nth in 0..4 {
        let mut file = options.open(mounted.at("file")).await.unwrap();
        strings.fail(Asked::Write, nth, 1, code);
        for n in 0..6 {
            let result = file.write(&[n as u8; 10]).await;
            if n == nth {
                assert_code(result, code);
            } else {
                assert_eq!(result.unwrap(), 10);
            }
        }
        let all = (0..6).filter(|n| *n != nth).flat_map(|n| [n as u8; 10]);
        assert_same_bytes(strings.content("file"), all.collect::<Vec<_>>());
    }

    // At offsets: its own result, or, of one that was given up, that of `flush`.
    let mut file = open(mounted).await;
    strings.fail(Asked::Write, 0, 1, code);
    assert_code(file.write_at(b"hello", 0).await.0, code);
    file.flush().await.unwrap();
    strings.stop();
    strings.fail(Asked::Write, 0, 1, code);
    {
        let mut write = pin!(file.write_at(b"hello", 0));
        assert!(poll_now(write.as_mut()).is_pending());
        while strings.waiting() == 0 {
            future::yield_now().await;
        }
    }
    strings.go_on();
    assert_code(file.flush().await, code);
    file.flush().await.unwrap();
    file.close().await.unwrap();
}

async fn io_seek_to_begin(file: &mut File) {
    use futures_lite::AsyncSeekExt as _;
    file.seek(io::SeekFrom::Start(0)).await.unwrap();
}

on_both_backends!(
    a_write_that_fails_is_told_until_its_bytes_are_written,
    || for_each_code(failed_write)
);

// ---------------------------------------------------------------------------------------------------------------------
// In part

async fn short_answers(mounted: &Mounted, strings: &Strings) {
    const LEN: usize = 100;
    let bytes = numbered(LEN);
    for most in 1..=40 {
        strings.short(Asked::Write, 0, EVER, most);
        let create = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true);
            options
        };
        let unbuffered = create().unbuffered(true).clone();
        let mut file = unbuffered.open(mounted.at("file")).await.unwrap();
        assert_eq!(file.write(&bytes).await.unwrap(), most);
        file.write_all(&bytes[most..]).await.unwrap();
        assert_same_bytes(strings.content("file"), &bytes);
        // At offsets, once and until all is written.
        assert_eq!(file.write_at(bytes.clone(), 7).await.0.unwrap(), most);
        file.write_all_at(bytes.clone(), 7).await.0.unwrap();
        let expected = [&bytes[..7], &bytes[..]].concat();
        assert_same_bytes(strings.content("file"), &expected);
        file.close().await.unwrap();
        // Behind the caller's back.
        let mut file = create().open(mounted.at("file")).await.unwrap();
        file.write_all(&bytes).await.unwrap();
        file.flush().await.unwrap();
        assert_same_bytes(strings.content("file"), &bytes);
        // Without an offset.
        let mut file = OpenOptions::new()
            .append(true)
            .open(mounted.at("file"))
            .await
            .unwrap();
        file.write_all(&bytes).await.unwrap();
        file.close().await.unwrap();
        assert_same_bytes(strings.content("file"), [&bytes[..], &bytes].concat());
        // Whole files.
        aiofiles::write(mounted.at("file"), &bytes).await.unwrap();
        assert_same_bytes(strings.content("file"), &bytes);
        let other = temp_dir();
        std::fs::write(other.path().join("from"), &bytes).unwrap();
        aiofiles::copy(other.path().join("from"), mounted.at("copy"))
            .await
            .unwrap();
        assert_same_bytes(strings.content("copy"), &bytes);
        strings.clear();

        // Less than was asked for is not the end, where no pages of the kernel are in between.
        strings.short(Asked::Read, 0, EVER, most);
        assert_same_bytes(aiofiles::read(mounted.at("file")).await.unwrap(), &bytes);
        let mut file = open(mounted).await;
        let mut found = Vec::new();
        file.read_to_end(&mut found).await.unwrap();
        assert_same_bytes(found, &bytes);
        let (result, buf) = file.read_exact_at(vec![0; LEN], 0).await;
        result.unwrap();
        assert_same_bytes(buf, &bytes);
        strings.clear();
    }
    // Nothing at all is an error, and not a loop.
    strings.short(Asked::Write, 0, EVER, 0);
    let mut file = open(mounted).await;
    file.write_all(b"HELLO").await.unwrap();
    for _ in 0..3 {
        let error = file.flush().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WriteZero);
    }
    let error = file.write_all_at(b"x", 50).await.0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WriteZero);
    strings.clear();
    file.flush().await.unwrap();
    assert_same_bytes(&strings.content("file")[..5], b"HELLO");
}

on_both_backends!(answers_in_part_lose_and_double_nothing, || {
    let (mounted, strings) = mount(Caching::None);
    block_on(short_answers(&mounted, &strings));
});

// ---------------------------------------------------------------------------------------------------------------------
// Where the kernel writes behind: write(2) succeeds, and what comes of it is seen at a sync or at close(2).

fn late_writes() {
    for code in CODES {
        // What std is told, which forgets it.
        let (mounted, strings) = mount(Caching::Back);
        let mut std = std::fs::File::options()
            .write(true)
            .open(mounted.at("file"))
            .unwrap();
        std.write_all(b"hello").unwrap();
        strings.fail(Asked::Write, 0, 1, code);
        let told = std.sync_all().unwrap_err().raw_os_error();
        assert_eq!(told, Some(code.code()));
        std.sync_all()
            .expect("the kernel has given up what it could not write");
        assert_same_bytes(strings.content("file"), b"");
        drop(std);

        block_on(async {
            let mut file = open(&mounted).await;
            file.write_all(b"hello").await.unwrap();
            file.flush().await.unwrap();
            strings.fail(Asked::Write, 0, 1, code);
            for _ in 0..3 {
                assert_code(file.sync_all().await, code);
                assert_code(file.sync_data().await, code);
            }
            file.close().await.unwrap();

            // Not synced: the last moment is close(2), for which the kernel has no other code than these two.
            let mut file = open(&mounted).await;
            file.write_all(b"hello").await.unwrap();
            file.flush().await.unwrap();
            strings.fail(Asked::Write, 0, 1, code);
            let error = file.close().await.unwrap_err();
            let told = error.raw_os_error().unwrap();
            assert!(
                told == code.code() || told == libc::EIO,
                "{code:?}: {error}"
            );
            file.close().await.unwrap();

            // A short file that is written at once has no other moment.
            strings.fail(Asked::Write, 0, 1, code);
            let error = aiofiles::write(mounted.at("whole"), "hello")
                .await
                .unwrap_err();
            let told = raw_os_error(&error).unwrap();
            assert!(
                told == code.code() || told == libc::EIO,
                "{code:?}: {error}"
            );
        });
    }
}

on_both_backends!(what_the_kernel_could_not_write_behind_is_told, late_writes);

// ---------------------------------------------------------------------------------------------------------------------
// All of it at random

/// No sequence accepts more than this.
const MOST: usize = 200_000;

async fn random_sequence(
    mounted: &Mounted,
    strings: &Strings,
    rng: &mut fastrand::Rng,
    whole: &[u8],
) -> usize {
    strings.clear();
    let struck = |strings: &Strings| {
        let asked = [Asked::Write, Asked::Sync, Asked::Flush];
        asked
            .map(|asked| strings.struck(asked))
            .iter()
            .sum::<usize>()
    };
    let before = struck(strings);
    let mut options = OpenOptions::new();
    options.write(true).truncate(true);
    options.unbuffered(rng.u8(..4) == 0);
    let mut file = options.open(mounted.at("file")).await.unwrap();
    let (mut accepted, mut final_error) = (0, None);
    let mut planned = Vec::new();
    let mut log = Vec::new();
    for _ in 0..rng.usize(5..30) {
        let result = match rng.u8(..20) {
            0..8 if accepted < MOST => {
                let len = if rng.bool() {
                    rng.usize(1..100)
                } else {
                    rng.usize(1..50_000)
                };
                let result = file.write(&whole[accepted..accepted + len]).await;
                accepted += result.as_ref().copied().unwrap_or(0);
                log.push(format!("write {len}: {result:?}"));
                result.map(drop)
            }
            8..11 => {
                let result = file.flush().await;
                log.push(format!("flush: {result:?}"));
                if result.is_ok() {
                    assert_same_bytes(strings.content("file"), &whole[..accepted]);
                }
                result
            }
            11..13 => {
                let syncs = strings.struck(Asked::Sync);
                let result = file.sync_all().await;
                log.push(format!("sync: {result:?}"));
                if result.is_ok() {
                    assert_eq!(final_error, None, "{log:?}");
                    assert_same_bytes(strings.content("file"), &whole[..accepted]);
                }
                if strings.struck(Asked::Sync) > syncs {
                    let error = result.as_ref().expect_err("the file system said so");
                    final_error = error.raw_os_error();
                }
                result
            }
            13 => {
                let given_up = file.discard_unwritten().await as usize;
                log.push(format!("discard: {given_up}"));
                accepted -= given_up;
                Ok(())
            }
            14..18 => {
                let code = CODES[rng.usize(..CODES.len())];
                let asked = [Asked::Write, Asked::Write, Asked::Sync, Asked::Flush];
                let asked = asked[rng.usize(..4)];
                let (skip, times) = (rng.usize(..4), [1, 1, 2, EVER][rng.usize(..4)]);
                if rng.u8(..4) == 0 {
                    let most = rng.usize(1..5_000);
                    log.push(format!("from {skip} on, {times} writes of {most}"));
                    strings.short(Asked::Write, skip, times, most);
                } else {
                    log.push(format!(
                        "{asked:?} fails from {skip} on, {times} times, {code:?}"
                    ));
                    strings.fail(asked, skip, times, code);
                    planned.push(code.code());
                }
                Ok(())
            }
            18 => {
                strings.clear();
                let (first, second) = (file.flush().await, file.flush().await);
                log.push(format!("clear, flush: {first:?}, {second:?}"));
                // One may tell of what failed before; the other has no reason to fail.
                assert!(second.is_ok(), "{log:?}");
                assert_same_bytes(strings.content("file"), &whole[..accepted]);
                first
            }
            _ => {
                let result = file.close().await;
                log.push(format!("close: {result:?}"));
                let found = strings.content("file");
                assert!(result.is_err() || found.len() == accepted, "{log:?}");
                if let Err(error) = &result {
                    assert!(planned.contains(&error.raw_os_error().unwrap()), "{log:?}");
                }
                assert!(whole[..accepted].starts_with(&found), "{log:?}");
                file.close().await.expect("it is closed");
                return struck(strings) - before;
            }
        };
        if let Err(error) = result {
            let code = error.raw_os_error().expect("a code of the system");
            assert!(planned.contains(&code), "{error}: {log:?}");
        }
        // A beginning of what was accepted: no hole, nothing twice.
        let found = strings.content("file");
        assert!(whole[..accepted].starts_with(&found), "{log:?}");
    }
    strings.clear();
    drop(file);
    aiofiles::settle().await;
    struck(strings) - before
}

on_both_backends!(at_random_no_error_is_forgotten_and_none_is_made_up, || {
    let seed = Seed::new();
    let mut rng = seed.rng();
    let whole = numbered(MOST + 100_000);
    let sequences = iterations(100);
    let mut struck = 0;
    for caching in AT_ONCE {
        let (mounted, strings) = mount(caching);
        for _ in 0..sequences / 2 {
            struck += block_on(random_sequence(&mounted, &strings, &mut rng, &whole));
        }
    }
    assert!(struck > 0);
    figure(&format!(
        "late errors: {} random sequences, {struck} answers that failed or came short, none forgotten, {}",
        sequences / 2 * 2,
        backend()
    ));
});
