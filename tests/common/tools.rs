//! Directories, data, seeds, skips and counts.

use std::any::type_name_of_val;
use std::env;
use std::io::{self, Write as _};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// A new empty directory that is removed when the value is dropped.
pub fn temp_dir() -> TempDir {
    tempfile::Builder::new()
        .prefix("aiofiles-test-")
        .tempdir()
        .expect("a temporary directory")
}

/// Bytes that count themselves, in groups of eight: a lost, doubled or swapped piece shows, and tells where it is from.
pub fn numbered(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    for n in 0..len.div_ceil(8) as u64 {
        // The factor keeps the bytes of one group different from each other.
        bytes.extend_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Bytes that the generator decides.
pub fn random_bytes(rng: &mut fastrand::Rng, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rng.fill(&mut bytes);
    bytes
}

/// Panics with the place of the first difference.
#[track_caller]
pub fn assert_same_bytes(found: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) {
    let (found, expected) = (found.as_ref(), expected.as_ref());
    let same = found
        .iter()
        .zip(expected)
        .take_while(|(a, b)| a == b)
        .count();
    if same == found.len() && same == expected.len() {
        return;
    }
    let excerpt = |bytes: &[u8]| format!("{:02x?}", &bytes[same..bytes.len().min(same + 16)]);
    panic!(
        "bytes differ from offset {same} on: found {} bytes, there {}; expected {} bytes, there {}",
        found.len(),
        excerpt(found),
        expected.len(),
        excerpt(expected)
    );
}

/// The seed of one random test, printed when the test panics while this value is alive.
pub struct Seed(u64);

impl Seed {
    /// `AIOFILES_SEED` if it is set, else a random one.
    pub fn new() -> Seed {
        match env::var("AIOFILES_SEED") {
            Ok(text) => Seed(
                text.parse()
                    .expect("AIOFILES_SEED is a decimal number of 64 bits"),
            ),
            Err(_) => Seed(fastrand::u64(..)),
        }
    }

    pub fn value(&self) -> u64 {
        self.0
    }

    /// The generator of this seed, at its beginning.
    pub fn rng(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.0)
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("to repeat this failure: AIOFILES_SEED={}", self.0);
        }
    }
}

/// The number of rounds, scaled by `AIOFILES_TEST_SCALE`, at least 1.
pub fn iterations(normal: usize) -> usize {
    ((normal as f64 * scale()) as usize).max(1)
}

fn scale() -> f64 {
    match env::var("AIOFILES_TEST_SCALE") {
        Ok(text) => text.parse().expect("AIOFILES_TEST_SCALE is a number"),
        Err(_) => 1.0,
    }
}

/// Says that a test did not run, and why. The count of the last such line is that of the whole run.
pub fn skip(needs: &str) {
    static SKIPS: AtomicUsize = AtomicUsize::new(0);
    let count = SKIPS.fetch_add(1, Ordering::Relaxed) + 1;
    let thread = thread::current();
    let test = thread.name().unwrap_or("?");
    show(&format!(
        "skipped: needs {needs} [{test}; skip {count} of this run]"
    ));
}

/// What a line begins with that tells how much a test has done.
const FIGURE: &str = "figure: ";

/// Says how much a test has done. Said in a process that [`alone`] has started, it is heard in the first one, too.
pub fn figure(text: &str) {
    show(&format!("{FIGURE}{text}"));
}

/// Not `eprintln!`: libtest captures that, and shows it of failed tests only.
fn show(line: &str) {
    io::stderr()
        .write_all(format!("{line}\n").as_bytes())
        .expect("standard error is open");
}

/// Whether this process may do what only root may: its new files belong to user 0.
#[cfg(unix)]
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    tempfile::tempfile()
        .and_then(|file| file.metadata())
        .expect("a temporary file")
        .uid()
        == 0
}

/// Open descriptors of this process, without those of the reactor and of rings, which stay for ever.
#[cfg(target_os = "linux")]
pub fn fd_count() -> usize {
    let listing = std::fs::read_dir("/proc/self/fd").expect("/proc");
    let targets = listing.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    // The listing's own descriptor does not count.
    targets
        .filter(|target| {
            !target
                .as_os_str()
                .as_encoded_bytes()
                .starts_with(b"anon_inode:")
        })
        .count()
        - 1
}

/// All open descriptors of this process.
#[cfg(target_os = "linux")]
pub fn all_fd_count() -> usize {
    // The listing's own descriptor does not count.
    std::fs::read_dir("/proc/self/fd").expect("/proc").count() - 1
}

/// Threads of this process, without those that the kernel has added for io_uring.
#[cfg(target_os = "linux")]
pub fn thread_count() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc");
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| !name.starts_with("iou-")).count()
}

/// The most memory that this process has had, in KiB.
#[cfg(target_os = "linux")]
pub fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

/// Runs the closure on a thread of its own, and panics with the name if it panics or has not returned after two
/// minutes (times `AIOFILES_TEST_SCALE` if above 1). That is not a limit on speed: it reports a hang.
#[track_caller]
pub fn within_limit<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    let limit = Duration::from_secs(120).mul_f64(scale().max(1.0));
    let (finished, outcome) = channel();
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // The receiver is gone only if the limit was passed.
            let _ = finished.send(run());
        })
        .expect("a thread");
    match outcome.recv_timeout(limit) {
        Ok(output) => {
            thread.join().expect("nothing is left to panic");
            output
        }
        Err(RecvTimeoutError::Timeout) => panic!("under {name}: still running after {limit:?}"),
        Err(RecvTimeoutError::Disconnected) => {
            let panic = thread
                .join()
                .expect_err("the sender is dropped unused only by a panic");
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a panic without a text");
            panic!("under {name}: {message}");
        }
    }
}

/// Present in the environment of a process that runs one test alone.
const MARK: &str = "AIOFILES_TEST_ALONE";

/// Whether this process is one that [`alone`] has started.
pub fn is_alone() -> bool {
    env::var_os(MARK).is_some()
}

/// Whether a command runs and succeeds: for `alone_under`, with this binary's `--list` or `true` appended.
pub fn succeeds(command: &[&str]) -> bool {
    let [program, args @ ..] = command else {
        return false;
    };
    let output = Command::new(program).args(args).output();
    output.is_ok_and(|output| output.status.success())
}

/// Runs the body of the calling test in a process where no other test runs.
///
/// The closure must stand directly in the test function: its type's name tells which test the new process is to run.
#[track_caller]
pub fn alone<B: FnOnce() + Send + 'static>(body: B) {
    alone_under(&[], body);
}

/// The same as [`alone`], started by a command that gets the program and its arguments appended: `["unshare", "-m"]`.
#[track_caller]
pub fn alone_under<B: FnOnce() + Send + 'static>(command: &[&str], body: B) {
    let name = type_name_of_val(&body).trim_end_matches("::{{closure}}");
    let (_, name) = name
        .split_once("::")
        .expect("the name of a function in a crate");
    if is_alone() {
        return within_limit(name, body);
    }
    let exe = env::current_exe().expect("the path of this binary");
    let mut child = match command {
        [] => Command::new(exe),
        [program, args @ ..] => {
            let mut child = Command::new(program);
            child.args(args).arg(exe);
            child
        }
    };
    let output = child
        .args([
            "--exact",
            name,
            "--nocapture",
            "--include-ignored",
            "--test-threads=1",
        ])
        .env(MARK, "1")
        .output()
        .expect("this binary starts again");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{name}, in a process of its own: {}\n{out}{err}",
        output.status
    );
    assert!(
        out.contains("1 passed"),
        "no test of the name {name} ran:\n{out}{err}"
    );
    for line in err.lines() {
        if let Some(needs) = line.strip_prefix("skipped: needs ") {
            skip(needs.split(" [").next().unwrap_or(needs));
        } else if line.starts_with(FIGURE) {
            show(line);
        }
    }
}
