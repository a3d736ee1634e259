//! The standard streams, in children whose streams lead to files, pipes and nowhere.
//!
//! This binary has a `main` of its own (`harness = false` in the manifest), because its children end through it, and
//! because nobody else may write to their output. Without the variable [`CHILD`] it runs the checks at the bottom.

#![expect(
    clippy::disallowed_methods,
    reason = "some checks read and write at the same time"
)]
#![cfg_attr(
    not(unix),
    allow(unused_imports, dead_code, reason = "children are made by sh")
)]

#[path = "common/mod.rs"]
mod support;

use std::env;
use std::fs::{self, File};
use std::future::Future;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::pin::pin;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;

use aiofiles::stdio;
use futures_lite::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _,
};
use support::*;

/// Present in the environment of children: what they are to do, and under which runtime.
const CHILD: &str = "AIOFILES_TEST_STDIO";

fn main() -> ExitCode {
    let Ok(plan) = env::var(CHILD) else {
        return run_checks(CHECKS);
    };
    let (plan, runtime) = plan.split_once(' ').expect("two words");
    let kind = Kind::ALL[runtime.parse::<usize>().expect("an index")];
    let runtime = Runtime::new(kind);
    let handle = runtime.handle();
    match plan {
        "interleave" => runtime.block_on(interleave()),
        "unflushed" => runtime.block_on(unflushed()),
        "waiting" => runtime.block_on(waiting()),
        "two-writers" => runtime.block_on(two_writers(handle)),
        "share-input" => runtime.block_on(share_input()),
        "echo" => runtime.block_on(echo()),
        "at-end" => runtime.block_on(at_end()),
        "not-for-reading" => runtime.block_on(not_for_reading()),
        "wrong-direction" => runtime.block_on(wrong_direction()),
        "lines" => runtime.block_on(lines()),
        "two-readers" => runtime.block_on(two_readers(handle)),
        "part-of-a-line" => runtime.block_on(part_of_a_line()),
        "cancelled" => runtime.block_on(cancelled()),
        "full" => runtime.block_on(full()),
        #[cfg(feature = "testing")]
        "no-descriptor" => futures_lite::future::block_on(no_descriptor()),
        _ => panic!("no such plan: {plan}"),
    }
    // Not dropped: tasks that wait for input are there until the very end.
    std::mem::forget(runtime);
    ExitCode::SUCCESS
}

/// A child with such a plan.
fn child(plan: &str, kind: Kind) -> Command {
    let index = Kind::ALL.iter().position(|it| *it == kind).expect("known");
    let mut command = Command::new(env::current_exe().expect("the path of this binary"));
    command
        .env(CHILD, format!("{plan} {index}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the check under every runtime.
fn each(check: impl Fn(Kind) + Clone + Send + 'static) {
    for kind in Kind::ALL {
        let check = check.clone();
        within_limit(kind.name(), move || check(kind));
    }
}

/// Lets the child end, which must be well, and gives its output.
#[track_caller]
fn output(child: Child) -> String {
    let output = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Writes a line to standard output and flushes.
async fn say(text: impl std::fmt::Display) {
    let mut out = stdio::stdout();
    out.write_all(format!("{text}\n").as_bytes()).await.unwrap();
    out.flush().await.unwrap();
}

// ---------------------------------------------------------------------------------------------------------------------
// Writing

const ROUNDS: usize = 12;

/// Ours, ours, std's, and a grandchild's, one after the other.
async fn interleave() {
    let (mut out, mut text, mut err) = (stdio::stdout(), stdio::stdout_text(), stdio::stderr());
    for n in 0..ROUNDS {
        out.write_all(b"out ").await.unwrap();
        text.write(&format!("{n}\n")).await.unwrap();
        out.flush().await.unwrap();
        err.write_all(format!("err {n}\n").as_bytes())
            .await
            .unwrap();
        println!("std {n}");
        let script = format!("echo sh {n}; echo sh-err {n} >&2");
        let status = Command::new("sh").args(["-c", &script]).status().unwrap();
        assert!(status.success());
    }
}

#[cfg(unix)]
fn all_who_write_to_one_file_follow_one_another() {
    each(|kind| {
        for append in [false, true] {
            let dir = temp_dir();
            let path = dir.path().join("out");
            fs::write(&path, "before\n").unwrap();
            let mut file = File::options()
                .append(append)
                .write(true)
                .open(&path)
                .unwrap();
            file.seek(SeekFrom::End(0)).unwrap();
            let status = child("interleave", kind)
                .stdout(file.try_clone().unwrap())
                .stderr(file.try_clone().unwrap())
                .status()
                .unwrap();
            let found = || fs::read_to_string(&path).unwrap();
            assert!(status.success(), "{}", found());
            // Whoever comes next, as in `(a; b) > file`.
            file.write_all(b"after\n").unwrap();
            let rounds = (0..ROUNDS)
                .map(|n| format!("out {n}\nerr {n}\nstd {n}\nsh {n}\nsh-err {n}\n"))
                .collect::<String>();
            assert_same_bytes(found(), format!("before\n{rounds}after\n"));
        }
    });
}

const LEN: usize = 700_000;

async fn unflushed() {
    stdio::stdout().write_all(&numbered(LEN)).await.unwrap();
}

fn what_was_not_flushed_is_written_at_exit() {
    each(|kind| {
        let dir = temp_dir();
        let path = dir.path().join("out");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"before").unwrap();
        let child = child("unflushed", kind).stdout(file).spawn().unwrap();
        output(child);
        assert_same_bytes(
            fs::read(&path).unwrap(),
            [&b"before"[..], &numbered(LEN)].concat(),
        );
        // And to a pipe, of which somebody reads all.
        let mut child = self::child("unflushed", kind).spawn().unwrap();
        let mut found = Vec::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_end(&mut found)
            .unwrap();
        output(child);
        assert_same_bytes(found, numbered(LEN));
    });
}

const LINES: usize = 300;

/// A line that tells whose it is.
fn line(writer: char, n: usize) -> String {
    format!("{n:06}{}\n", writer.to_string().repeat(900))
}

async fn two_writers(runtime: Handle) {
    let tasks = ['a', 'b'].map(|writer| {
        runtime.spawn(async move {
            let mut out = stdio::stdout();
            for n in 0..LINES {
                out.write_all(line(writer, n).as_bytes()).await.unwrap();
            }
            out.flush().await.unwrap();
        })
    });
    for task in tasks {
        task.await;
    }
}

#[track_caller]
fn assert_two_writers(found: &str, whose: &str) {
    for writer in ['a', 'b'] {
        let own = found.lines().filter(|line| line.ends_with(writer));
        let own = own.map(|line| format!("{line}\n")).collect::<Vec<_>>();
        let expected = (0..LINES).map(|n| line(writer, n)).collect::<Vec<_>>();
        assert!(own == expected, "{whose}: lines of {writer} are mixed");
    }
    assert_eq!(found.lines().count(), 2 * LINES);
}

fn writes_of_two_handles_stay_whole_and_in_order() {
    each(|kind| {
        let dir = temp_dir();
        let path = dir.path().join("out");
        let file = File::create(&path).unwrap();
        output(child("two-writers", kind).stdout(file).spawn().unwrap());
        assert_two_writers(&fs::read_to_string(&path).unwrap(), kind.name());
        let found = output(child("two-writers", kind).spawn().unwrap());
        assert_two_writers(&found, kind.name());
    });
}

async fn full() {
    let mut out = stdio::stdout();
    let written = out.write_all(b"text").await;
    let flushed = out.flush().await;
    let error = written.and(flushed).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
}

#[cfg(target_os = "linux")]
fn a_full_device_is_an_error() {
    each(|kind| {
        let full = File::options().write(true).open("/dev/full").unwrap();
        output(child("full", kind).stdout(full).spawn().unwrap());
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading

/// Reads what never comes, while the only thread of the pool is needed elsewhere.
async fn waiting() {
    let mut input = stdio::stdin();
    let mut byte = [0];
    let mut read = pin!(input.read(&mut byte));
    for _ in 0..20 {
        assert!(
            futures_lite::future::poll_once(read.as_mut())
                .await
                .is_none()
        );
        assert!(aiofiles::read("Cargo.toml").await.unwrap().len() > 100);
    }
    say("waits").await;
    // `main` returns with the read on its way, and with another that nobody will ever end.
    let mut task = Box::pin(async { stdio::stdin_text().readline().await });
    assert!(
        futures_lite::future::poll_once(task.as_mut())
            .await
            .is_none()
    );
    std::mem::forget(task);
}

#[cfg(unix)]
fn a_read_that_waits_holds_no_thread_and_nobody_up() {
    each(|kind| {
        let mut child = child("waiting", kind)
            .stdin(Stdio::piped())
            .env("BLOCKING_MAX_THREADS", "1")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .spawn()
            .unwrap();
        // Open as long as the child lives.
        let input = child.stdin.take();
        assert_eq!(output(child), "waits\n", "{kind}");
        drop(input);
    });
}

/// Reads a line, lets a child read four bytes, and reads on.
async fn share_input() {
    let mut text = stdio::stdin_text();
    let first = text.readline().await.unwrap();
    text.flush().await.unwrap();
    let head = Command::new("sh")
        .args(["-c", "dd bs=1 count=4 2>/dev/null"])
        .stdin(Stdio::inherit())
        .output()
        .unwrap();
    let mut three = [0; 3];
    let mut bytes = stdio::stdin();
    bytes.read_exact(&mut three).await.unwrap();
    let second = text.readline().await.unwrap();
    // What was looked at is not read.
    assert!(!bytes.fill_buf().await.unwrap().is_empty());
    let position = bytes.stream_position().await.unwrap();
    bytes.close().await.unwrap();
    let (head, three) = (
        String::from_utf8(head.stdout).unwrap(),
        String::from_utf8_lossy(&three),
    );
    say(format!(
        "{first:?} {head:?} {three:?} {second:?} {position}"
    ))
    .await;
}

/// The position of a stream, by the trait of futures.
trait Position {
    fn stream_position(&mut self) -> impl Future<Output = std::io::Result<u64>>;
}

impl Position for stdio::Stdio {
    async fn stream_position(&mut self) -> std::io::Result<u64> {
        self.seek(SeekFrom::Current(0)).await
    }
}

#[cfg(unix)]
fn a_file_is_read_from_the_kernels_position_and_left_where_it_was_flushed() {
    each(|kind| {
        let dir = temp_dir();
        let path = dir.path().join("in");
        fs::write(&path, "zero\none\ntwo three four\nfive\nsix\n").unwrap();
        let mut file = File::open(&path).unwrap();
        file.seek(SeekFrom::Start(5)).unwrap();
        let found = output(
            child("share-input", kind)
                .stdin(file.try_clone().unwrap())
                .spawn()
                .unwrap(),
        );
        let expected = r#""one\n" "two " "thr" "ee four\n" 24"#;
        assert_eq!(found, format!("{expected}\n"), "{kind}");
        let mut rest = String::new();
        file.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "five\nsix\n", "{kind}");
    });
}

async fn echo() {
    let (mut input, mut out) = (stdio::stdin(), stdio::stdout());
    let copied = futures_lite::io::copy(&mut input, &mut out).await.unwrap();
    assert_eq!(copied, LEN as u64);
    out.flush().await.unwrap();
}

fn everything_that_comes_through_a_pipe_goes_out_again() {
    each(|kind| {
        let mut child = child("echo", kind).stdin(Stdio::piped()).spawn().unwrap();
        let (mut input, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let writer = thread::spawn(move || input.write_all(&numbered(LEN)).unwrap());
        let mut found = Vec::new();
        out.read_to_end(&mut found).unwrap();
        writer.join().unwrap();
        output(child);
        assert_same_bytes(found, numbered(LEN));
    });
}

async fn at_end() {
    for _ in 0..3 {
        assert_eq!(stdio::stdin().read(&mut [0; 10]).await.unwrap(), 0);
        assert_eq!(stdio::stdin().fill_buf().await.unwrap(), b"");
        assert_eq!(stdio::stdin_text().readline().await.unwrap(), "");
        assert_eq!(stdio::stdin_text().read_to_end().await.unwrap(), "");
        stdio::stdin().flush().await.unwrap();
    }
    // Closing a handle closes nothing.
    let mut input = stdio::stdin();
    input.close().await.unwrap();
    assert_eq!(input.read(&mut [0; 10]).await.unwrap(), 0);
    let mut out = stdio::stdout();
    out.write_all(b"one ").await.unwrap();
    out.close().await.unwrap();
    out.write_all(b"two ").await.unwrap();
    out.close().await.unwrap();
    say("three").await;
}

#[cfg(unix)]
fn at_its_end_and_where_there_is_none_nothing_is_read() {
    each(|kind| {
        // An empty pipe, an empty file, no device at all.
        let mut piped = child("at-end", kind).stdin(Stdio::piped()).spawn().unwrap();
        drop(piped.stdin.take());
        assert_eq!(output(piped), "one two three\n");
        let empty = tempfile::tempfile().unwrap();
        let filed = child("at-end", kind).stdin(empty).spawn().unwrap();
        assert_eq!(output(filed), "one two three\n");
        let mut shell = Command::new("sh");
        let plan = child("at-end", kind);
        shell.envs(
            plan.get_envs()
                .map(|(name, value)| (name, value.expect("set"))),
        );
        shell
            .args(["-c", "exec \"$0\" <&- 2>&-"])
            .arg(plan.get_program());
        shell.stdout(Stdio::piped()).stderr(Stdio::piped());
        assert_eq!(output(shell.spawn().unwrap()), "one two three\n");
        // Nothing to write to either.
        let mut closed = Command::new("sh");
        closed.envs(
            plan.get_envs()
                .map(|(name, value)| (name, value.expect("set"))),
        );
        closed
            .args(["-c", "exec \"$0\" <&- >&-"])
            .arg(plan.get_program());
        closed.stderr(Stdio::piped());
        assert_eq!(output(closed.spawn().unwrap()), "");
    });
}

async fn not_for_reading() {
    for _ in 0..2 {
        let error = stdio::stdin().read(&mut [0; 10]).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(9), "{error}");
        let error = stdio::stdin_text().readline().await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(9), "{error}");
    }
}

#[cfg(unix)]
fn a_descriptor_that_cannot_be_read_is_an_error() {
    each(|kind| {
        let dir = temp_dir();
        let file = File::create(dir.path().join("out")).unwrap();
        output(child("not-for-reading", kind).stdin(file).spawn().unwrap());
    });
}

async fn wrong_direction() {
    let is_bad = |error: std::io::Error| assert_eq!(error.raw_os_error(), Some(9), "{error}");
    is_bad(stdio::stdin().write(b"x").await.unwrap_err());
    is_bad(stdio::stdin_text().write("x").await.unwrap_err());
    is_bad(stdio::stdout().read(&mut [0]).await.unwrap_err());
    is_bad(
        stdio::stdout()
            .fill_buf()
            .await
            .map(<[u8]>::to_vec)
            .unwrap_err(),
    );
    is_bad(stdio::stderr_text().readline().await.unwrap_err());
    let error = stdio::stdout().seek(SeekFrom::Start(0)).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotSeekable);
    assert!(!stdio::stdout().is_terminal().await);
    assert!(!stdio::stdin().is_terminal().await);
    stdio::stdout_text().tell().await.unwrap_err();
    stdio::stdout_text().write("still there\n").await.unwrap();
}

#[cfg(unix)]
fn a_stream_goes_one_way() {
    each(|kind| {
        let child = child("wrong-direction", kind).spawn().unwrap();
        assert_eq!(output(child), "still there\n");
    });
}

/// Handles of text and of bytes take turns.
async fn lines() {
    let (mut one, mut two, mut bytes) = (stdio::stdin_text(), stdio::stdin_text(), stdio::stdin());
    let mut found = vec![one.readline().await.unwrap(), two.readline().await.unwrap()];
    let mut line = String::new();
    bytes.read_line(&mut line).await.unwrap();
    found.push(line);
    drop(two);
    found.push(one.readline().await.unwrap());
    drop(one);
    let mut rest = String::new();
    bytes.clone().read_to_string(&mut rest).await.unwrap();
    found.push(rest);
    say(format!("{found:?}")).await;
}

fn handles_take_turns_after_each_line() {
    const TEXT: &str = "ein\r\nzwei für\ndrei\nvier\nfünf\nsechs";
    each(|kind| {
        let dir = temp_dir();
        let path = dir.path().join("in");
        fs::write(&path, TEXT).unwrap();
        let mut piped = child("lines", kind).stdin(Stdio::piped()).spawn().unwrap();
        piped
            .stdin
            .take()
            .unwrap()
            .write_all(TEXT.as_bytes())
            .unwrap();
        let filed = child("lines", kind)
            .stdin(File::open(&path).unwrap())
            .spawn()
            .unwrap();
        for child in [piped, filed] {
            assert_eq!(
                output(child),
                "[\"ein\\n\", \"zwei für\\n\", \"drei\\n\", \"vier\\n\", \"fünf\\nsechs\"]\n",
                "{kind}"
            );
        }
    });
}

/// Two tasks take the lines as they come.
async fn two_readers(runtime: Handle) {
    let tasks = [(); 2].map(|()| {
        runtime.spawn(async move {
            let mut input = stdio::stdin_text();
            let mut taken = Vec::new();
            loop {
                let line = input.readline().await.unwrap();
                if line.is_empty() {
                    return taken;
                }
                taken.push(line);
            }
        })
    });
    for task in tasks {
        let taken = task.await.concat();
        stdio::stdout_text().write(&taken).await.unwrap();
    }
}

fn each_line_goes_to_one_of_two_readers() {
    each(|kind| {
        let dir = temp_dir();
        let path = dir.path().join("in");
        let lines = (0..3000).map(|n| format!("{n}\n")).collect::<Vec<_>>();
        fs::write(&path, lines.concat()).unwrap();
        let mut piped = child("two-readers", kind)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = piped.stdin.take().unwrap();
        input.write_all(lines.concat().as_bytes()).unwrap();
        drop(input);
        let filed = child("two-readers", kind)
            .stdin(File::open(&path).unwrap())
            .spawn()
            .unwrap();
        for (child, what) in [(piped, "a pipe"), (filed, "a file")] {
            let found = output(child);
            let mut found = found.split_inclusive('\n').collect::<Vec<_>>();
            found.sort_by_key(|line| line.trim_end().parse::<usize>().unwrap());
            let wrong = found.iter().zip(&lines).find(|(one, other)| one != other);
            assert!(
                found == lines,
                "{kind}, {what}: {} lines, {wrong:?}",
                found.len()
            );
        }
    });
}

/// Stops inside of a line.
async fn part_of_a_line() {
    let mut text = stdio::stdin_text();
    assert_eq!(text.read(2).await.unwrap(), "äb");
    assert_eq!(text.tell().await.unwrap().offset(), 3);
    assert_eq!(text.readline().await.unwrap(), "c\n");
    assert_eq!(text.read(1).await.unwrap(), "d");
    // Its bytes, from there on.
    let mut rest = String::new();
    let mut bytes = text.detach().await.unwrap();
    bytes.read_to_string(&mut rest).await.unwrap();
    say(rest).await;
}

fn what_is_left_of_a_line_in_a_file_can_be_read_as_bytes() {
    each(|kind| {
        let dir = temp_dir();
        let path = dir.path().join("in");
        fs::write(&path, "äbc\ndef\ngh").unwrap();
        let child = child("part-of-a-line", kind)
            .stdin(File::open(&path).unwrap())
            .spawn()
            .unwrap();
        assert_eq!(output(child), "ef\ngh\n", "{kind}");
    });
}

async fn cancelled() {
    let mut input = stdio::stdin();
    for _ in 0..3 {
        assert!(poll_n(input.read(&mut [0; 10]), 1).await.is_none());
        assert!(poll_n(stdio::stdin_text().readline(), 1).await.is_none());
    }
    say("now").await;
    // A line is begun, its reader goes away, and another finds it whole.
    let mut byte = [0];
    input.read_exact(&mut byte).await.unwrap();
    assert!(poll_n(stdio::stdin_text().readline(), 1).await.is_none());
    assert!(poll_n(stdio::stdin_text().readline(), 1).await.is_none());
    say("end").await;
    assert_eq!(stdio::stdin_text().readline().await.unwrap(), "line\n");
    // And if it is one of bytes that comes next.
    assert!(poll_n(stdio::stdin_text().readline(), 1).await.is_none());
    say("all").await;
    input.read_exact(&mut byte).await.unwrap();
    assert_eq!(&byte, b"a");
    assert_eq!(input.fill_buf().await.unwrap()[0], b'l');
    let mut found = String::new();
    input.read_to_string(&mut found).await.unwrap();
    say(found).await;
}

fn a_cancelled_read_loses_nothing() {
    each(|kind| {
        let mut child = child("cancelled", kind)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut heard = [0; 4];
        let mut input = child.stdin.take().unwrap();
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut heard)
            .unwrap();
        assert_eq!(&heard, b"now\n");
        input.write_all(b".li").unwrap();
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut heard)
            .unwrap();
        assert_eq!(&heard, b"end\n");
        input.write_all(b"ne\nal").unwrap();
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut heard)
            .unwrap();
        assert_eq!(&heard, b"all\n");
        input.write_all(b"l of it").unwrap();
        drop(input);
        assert_eq!(output(child), "ll of it\n", "{kind}");
    });
}

#[cfg(feature = "testing")]
async fn no_descriptor() {
    use aiofiles::testing::{Call, Faults};
    let faults = Faults::install();
    let (mut input, mut out) = (stdio::stdin(), stdio::stdout_text());
    for _ in 0..2 {
        faults.fail(Call::Metadata, 0, 1, 9);
        let error = input.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(9));
        faults.fail(Call::Metadata, 0, 1, 24);
        let error = out.write("x").await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(24));
    }
    faults.clear();
    assert_eq!(input.read(&mut [0]).await.unwrap(), 0);
    out.write("there it is\n").await.unwrap();
}

#[cfg(all(unix, feature = "testing"))]
fn a_descriptor_that_cannot_be_had_is_an_error_and_asked_for_again() {
    within_limit("block_on", || {
        let child = child("no-descriptor", Kind::BlockOn).spawn().unwrap();
        assert_eq!(output(child), "there it is\n");
    });
}

const CHECKS: &[(&str, fn())] = &[
    #[cfg(unix)]
    (
        "all_who_write_to_one_file_follow_one_another",
        all_who_write_to_one_file_follow_one_another,
    ),
    (
        "what_was_not_flushed_is_written_at_exit",
        what_was_not_flushed_is_written_at_exit,
    ),
    (
        "writes_of_two_handles_stay_whole_and_in_order",
        writes_of_two_handles_stay_whole_and_in_order,
    ),
    #[cfg(target_os = "linux")]
    ("a_full_device_is_an_error", a_full_device_is_an_error),
    #[cfg(unix)]
    (
        "a_read_that_waits_holds_no_thread_and_nobody_up",
        a_read_that_waits_holds_no_thread_and_nobody_up,
    ),
    #[cfg(unix)]
    (
        "a_file_is_read_from_the_kernels_position_and_left_where_it_was_flushed",
        a_file_is_read_from_the_kernels_position_and_left_where_it_was_flushed,
    ),
    (
        "everything_that_comes_through_a_pipe_goes_out_again",
        everything_that_comes_through_a_pipe_goes_out_again,
    ),
    #[cfg(unix)]
    (
        "at_its_end_and_where_there_is_none_nothing_is_read",
        at_its_end_and_where_there_is_none_nothing_is_read,
    ),
    #[cfg(unix)]
    (
        "a_descriptor_that_cannot_be_read_is_an_error",
        a_descriptor_that_cannot_be_read_is_an_error,
    ),
    #[cfg(unix)]
    ("a_stream_goes_one_way", a_stream_goes_one_way),
    (
        "handles_take_turns_after_each_line",
        handles_take_turns_after_each_line,
    ),
    (
        "each_line_goes_to_one_of_two_readers",
        each_line_goes_to_one_of_two_readers,
    ),
    (
        "what_is_left_of_a_line_in_a_file_can_be_read_as_bytes",
        what_is_left_of_a_line_in_a_file_can_be_read_as_bytes,
    ),
    (
        "a_cancelled_read_loses_nothing",
        a_cancelled_read_loses_nothing,
    ),
    #[cfg(all(unix, feature = "testing"))]
    (
        "a_descriptor_that_cannot_be_had_is_an_error_and_asked_for_again",
        a_descriptor_that_cannot_be_had_is_an_error_and_asked_for_again,
    ),
];
