//! Planned faults in completions of a ring: each is told as the same error of a system call would be, and what is kept back
//! comes when it may.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use aiofiles::testing::{Call, Faults};
use aiofiles::{File, backend};
use futures_lite::future::block_on;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use rustix::io::Errno;

use crate::files::*;
use crate::nowait::AUTO;
use crate::steps::EVER;
use crate::support::*;
use crate::uring::{by_ring, has_rings, wait_for_completions};

const LEN: usize = 300_000;

/// Runs the body in a process of its own, with a file whose reads and writes at offsets go through a ring, and what it
/// holds.
fn on_a_ring(body: impl FnOnce(&Faults, File, &[u8])) {
    let bytes = numbered(LEN);
    let (_dir, path) = sample(&bytes);
    if !has_rings() {
        return;
    }
    let file = block_on(by_ring().open(&path)).unwrap();
    let faults = Faults::install();
    body(&faults, file, &bytes);
    faults.clear();
    wait_for_completions();
    assert!(backend().submitted() > 0, "nothing went through a ring");
}

/// What `read` finds, whole, when nothing is planned any more.
fn reads_right(file: &File, bytes: &[u8]) {
    let (n, buf) = block_on(file.read_exact_at(vec![0; LEN], 0));
    n.unwrap();
    assert_same_bytes(buf, bytes);
}

#[test]
fn an_error_of_a_completion_is_told_with_its_code_and_once() {
    alone_under(AUTO, || {
        on_a_ring(|faults, file, bytes| {
            for error in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::NOMEM] {
                let code = error.raw_os_error();
                faults.fail(Call::RingRead, 0, 1, code);
                let (n, buf) = block_on(file.read_at(vec![7; 100], 5));
                assert_eq!(n.unwrap_err().raw_os_error(), Some(code));
                assert_eq!(buf, [7; 100], "nothing was read");

                faults.fail(Call::RingWrite, 0, 1, code);
                let (n, buf) = block_on(file.write_at(b"never".to_vec(), 5));
                assert_eq!(n.unwrap_err().raw_os_error(), Some(code));
                assert_eq!(buf, b"never");
                block_on(file.sync_all()).unwrap();
                reads_right(&file, bytes);
                faults.clear();
            }
        });
    });
}

/// What has to do with the ring rather than with the file is no answer: the pool makes the call.
#[test]
fn what_is_no_answer_about_the_file_is_done_again() {
    alone_under(AUTO, || {
        on_a_ring(|faults, file, bytes| {
            let odd = [
                Errno::INTR,
                Errno::AGAIN,
                Errno::CANCELED,
                Errno::FAULT,
                Errno::INVAL,
                Errno::OPNOTSUPP,
            ];
            for error in odd {
                faults.fail(Call::RingRead, 0, EVER, error.raw_os_error());
                faults.fail(Call::RingWrite, 0, EVER, error.raw_os_error());
                let before = (backend().retried(), faults.struck());
                let (n, buf) = block_on(file.read_at(vec![0; 1000], 500));
                assert_eq!(n.unwrap(), 1000, "{error}");
                assert_same_bytes(buf, &bytes[500..1500]);
                let (n, _) = block_on(file.write_at(bytes[..1000].to_vec(), 0));
                assert_eq!(n.unwrap(), 1000, "{error}");
                assert_eq!(
                    (backend().retried(), faults.struck()),
                    (before.0 + 2, before.1 + 2)
                );
                faults.clear();
            }
            reads_right(&file, bytes);
        });
    });
}

#[test]
fn a_short_completion_is_gone_on_from() {
    alone_under(AUTO, || {
        on_a_ring(|faults, mut file, bytes| {
            for most in [1, 2, 3, 7, 64, 4096, 100_000] {
                let rounds = LEN.min(50 * most);
                faults.short(Call::RingRead, 0, EVER, most);
                faults.short(Call::RingWrite, 0, EVER, most);
                let (n, _) = block_on(file.read_at(vec![0; LEN], 0));
                assert_eq!(n.unwrap(), most);
                let (n, buf) = block_on(file.read_exact_at(vec![0; rounds - 11], 11));
                n.unwrap();
                assert_same_bytes(buf, &bytes[11..rounds]);
                let (n, _) = block_on(file.write_at(bytes[..LEN].to_vec(), 0));
                assert_eq!(n.unwrap(), most);
                let (n, _) = block_on(file.write_all_at(bytes[..rounds].to_vec(), 0));
                n.unwrap();

                // And as the reader sees it who knows of no offsets.
                let mut buf = vec![0; rounds];
                block_on(file.seek(std::io::SeekFrom::Start(0))).unwrap();
                block_on(file.read_exact(&mut buf)).unwrap();
                assert_same_bytes(buf, &bytes[..rounds]);
                faults.clear();
                reads_right(&file, bytes);
            }
        });
    });
}

#[test]
fn what_is_kept_back_comes_when_the_gate_is_opened() {
    alone_under(AUTO, || {
        on_a_ring(|faults, file, bytes| {
            let gate = faults.stall(Call::RingRead, 0, EVER);
            {
                let mut read = pin!(file.read_at(vec![0; 100], 50));
                assert!(poll_now(read.as_mut()).is_pending());
                wait_until("it is done and kept back", || {
                    // Whoever polls reaps.
                    assert!(poll_now(read.as_mut()).is_pending());
                    gate.waiting() == 1
                });
                gate.open();
                let (n, buf) = block_on(read);
                assert_eq!(n.unwrap(), 100);
                assert_same_bytes(buf, &bytes[50..150]);
            }
            assert_eq!(gate.waiting(), 0);
            // It is open from now on.
            reads_right(&file, bytes);
            faults.clear();

            // Nobody waits any more: the write happens, and `sync_all` waits for it.
            let gate = faults.stall(Call::RingWrite, 0, 1);
            {
                let mut write = pin!(file.write_at(b"kept back".to_vec(), 0));
                assert!(poll_now(write.as_mut()).is_pending());
            }
            let mut sync = pin!(file.sync_all());
            wait_until("it is done and kept back", || {
                assert!(poll_now(sync.as_mut()).is_pending());
                gate.waiting() == 1 || {
                    // Somebody has to reap.
                    let _ = poll_now(pin!(file.read_at(vec![0; 1], 0)));
                    false
                }
            });
            gate.open();
            block_on(sync).unwrap();
            let (n, buf) = block_on(file.read_at(vec![0; 9], 0));
            n.unwrap();
            assert_eq!(buf, b"kept back");
        });
    });
}

#[test]
fn a_panic_in_a_completion_reaches_whoever_waits() {
    alone_under(AUTO, || {
        on_a_ring(|faults, file, bytes| {
            faults.panic(Call::RingRead, 0, 1);
            let read = || block_on(file.read_at(vec![0; 100], 0)).0;
            let panic = catch_unwind(AssertUnwindSafe(read)).unwrap_err();
            let text = panic.downcast_ref::<&str>();
            assert_eq!(text, Some(&"a planned panic in a completion"));
            reads_right(&file, bytes);

            faults.panic(Call::RingWrite, 0, 1);
            let write = || block_on(file.write_at(vec![0; 100], 0)).0;
            catch_unwind(AssertUnwindSafe(write)).unwrap_err();
            // It was not made, and the file is as usable as before.
            block_on(file.sync_all()).unwrap();
            reads_right(&file, bytes);
        });
    });
}

/// Reading ahead goes through the ring too, and its errors reach the reader.
#[test]
fn an_error_while_reading_ahead_is_told_to_the_reader() {
    alone_under(AUTO, || {
        on_a_ring(|faults, mut file, bytes| {
            faults.fail(Call::RingRead, 0, 1, Errno::IO.raw_os_error());
            let mut buf = vec![0; 1000];
            let error = block_on(file.read(&mut buf)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()));
            assert_eq!(block_on(file.stream_position()).unwrap(), 0);
            block_on(file.read_exact(&mut buf)).unwrap();
            assert_same_bytes(&buf, &bytes[..1000]);
            block_on(file.write_all(b"end")).unwrap();
            block_on(file.close()).unwrap();
        });
    });
}

/// A plan that does not name rings is one for the pool.
#[test]
fn other_plans_keep_off_the_ring() {
    alone_under(AUTO, || {
        on_a_ring(|faults, file, bytes| {
            reads_right(&file, bytes);
            let before = backend().submitted();
            faults.fail(Call::Read, 0, 1, Errno::IO.raw_os_error());
            let (n, _) = block_on(file.read_at(vec![0; 100], 0));
            assert!(n.is_err());
            assert_eq!(backend().submitted(), before);
        });
    });
}

/// A panic while reading ahead reaches the reader, who can go on.
#[test]
fn a_panic_while_reading_ahead_reaches_the_reader() {
    alone_under(AUTO, || {
        on_a_ring(|faults, mut file, bytes| {
            faults.panic(Call::RingRead, 0, 1);
            let mut buf = vec![0; 1000];
            let read = || block_on(file.read(&mut buf));
            catch_unwind(AssertUnwindSafe(read)).unwrap_err();
            block_on(file.read_exact(&mut buf)).unwrap();
            assert_same_bytes(&buf, &bytes[..1000]);
        });
    });
}
