//! The examples: as programs of their own, beside the tools of the system that they imitate.
//!
//! `cargo test` builds them. Where a tool of the system is missing, or is not the one whose output is known, the test says
//! that it is skipped.

#[path = "common/mod.rs"]
mod support;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use support::{assert_same_bytes, numbered, skip, temp_dir};

/// The three programs that differ in their executor only.
const COUNTERS: [&str; 3] = ["on_tokio", "on_async_std", "sync"];

/// An example, ready to be run in the directory of the package.
fn example(name: &str) -> Command {
    let test = env::current_exe().expect("the path of this binary");
    let profile = test.ancestors().nth(2).expect("the directory of a profile");
    let path = profile
        .join("examples")
        .join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{} is missing: run the whole of `cargo test`, or `cargo build --examples` first",
        path.display()
    );
    let mut command = Command::new(path);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// A tool of the system, in the same directory, if it is the one of GNU.
fn gnu(name: &str) -> Option<Command> {
    let version = Command::new(name).arg("--version").output();
    if !version.is_ok_and(|version| String::from_utf8_lossy(&version.stdout).contains("GNU")) {
        skip(&format!("GNU {name}"));
        return None;
    }
    let mut command = Command::new(name);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("LC_ALL", "C");
    Some(command)
}

/// Runs a program with nothing to read.
#[track_caller]
fn run(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

/// Runs a program that reads these bytes from a pipe.
#[track_caller]
fn run_with_input(command: &mut Command, input: &[u8]) -> Output {
    assert!(input.len() <= 4096, "a pipe holds so much on any system");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // Dropped at once, so that the program sees the end.
    let mut stdin = child.stdin.take().expect("a pipe");
    match stdin.write_all(input) {
        // It does not read its input, and has ended.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        result => result.expect("the pipe has room"),
    }
    drop(stdin);
    child.wait_with_output().expect("the program ends")
}

/// What the program wrote to standard error, as lines.
fn complaints(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stderr.clone()).expect("messages are UTF-8");
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_success(output: &Output) {
    assert_eq!(complaints(output), Vec::<String>::new());
    assert_eq!(output.status.code(), Some(0));
}

/// Real text of this repository: its sources and more, in a fixed order.
fn sources() -> Vec<PathBuf> {
    let mut found = vec![
        "Cargo.toml".into(),
        "Cargo.lock".into(),
        "LICENSE-APACHE".into(),
    ];
    let mut dirs = vec![PathBuf::from("src")];
    while let Some(dir) = dirs.pop() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for entry in fs::read_dir(root.join(&dir)).expect("a directory") {
            let entry = entry.expect("an entry");
            let path = dir.join(entry.file_name());
            match entry.file_type().expect("a type").is_dir() {
                true => dirs.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "{found:?}");
    found
}

// ---------------------------------------------------------------------------------------------------------------------
// All of them

#[test]
fn every_example_shows_its_help_and_refuses_what_it_does_not_know() {
    for name in [
        "cat", "wc", "cp", "hash", "gather", "tail", "csv", "tempdir",
    ]
    .into_iter()
    .chain(COUNTERS)
    {
        let help = run(example(name).arg("--help"));
        assert_success(&help);
        let text = String::from_utf8(help.stdout).expect("the help is UTF-8");
        assert!(text.contains(&format!("Usage: {name} ")), "{name}: {text}");
    }
    for (name, arguments, complaint) in [
        ("cat", &["-x"][..], "cat: unknown option `-x`"),
        ("wc", &["-lx"], "wc: unknown option `-lx`"),
        ("cp", &["--what", "a", "b"], "cp: unknown option `--what`"),
        ("cp", &["a"], "cp: a source and a destination are needed"),
        ("cp", &[], "cp: a source and a destination are needed"),
        ("hash", &["-x", "a"], "hash: unknown option `-x`"),
        ("hash", &[], "hash: one file is needed"),
        ("hash", &["a", "b"], "hash: one file is needed"),
        ("gather", &["a", "-x"], "gather: unknown option `-x`"),
        (
            "gather",
            &["a"],
            "gather: an output and an input are needed",
        ),
        ("tail", &["-x", "a"], "tail: unknown option `-x`"),
        ("tail", &[], "tail: one file is needed"),
        ("tail", &["a", "b"], "tail: one file is needed"),
        ("tail", &["a", "-n"], "tail: a number of lines is needed"),
        ("tail", &["-n-3", "a"], "tail: a number of lines is needed"),
        ("csv", &["-x"], "csv: unknown option `-x`"),
        ("on_tokio", &[], "on_tokio: no file given"),
        ("on_async_std", &[], "on_async_std: no file given"),
        ("sync", &[], "sync: no file given"),
    ] {
        let refused = run(example(name).args(arguments));
        assert_eq!(refused.status.code(), Some(2), "{name} {arguments:?}");
        assert_eq!(refused.stdout, b"");
        let complaints = complaints(&refused);
        assert_eq!(complaints, [format!("{complaint}; see `{name} --help`")]);
    }
}

#[cfg(unix)]
#[test]
fn after_two_dashes_everything_is_a_name() {
    let dir = temp_dir();
    fs::write(dir.path().join("-x"), "a b\n").expect("a file");
    let found = run(example("cat")
        .current_dir(dir.path())
        .args(["--", "-x", "--"]));
    assert_eq!(found.stdout, b"a b\n");
    assert_eq!(
        complaints(&found),
        ["cat: failed to open `--`: No such file or directory (os error 2)"]
    );
    let counted = run(example("wc").current_dir(dir.path()).args(["--", "-x"]));
    assert_eq!(counted.stdout, b"1 2 4 -x\n");
    let copied = run(example("cp")
        .current_dir(dir.path())
        .args(["--", "-x", "-y"]));
    assert_success(&copied);
    assert!(dir.path().join("-y").exists());
    let hashed = run(example("hash").current_dir(dir.path()).args(["--", "-x"]));
    assert_success(&hashed);
    assert!(String::from_utf8_lossy(&hashed.stdout).contains("SHA256 (-x) = "));
    let gathered = run(example("gather")
        .current_dir(dir.path())
        .args(["--", "-z", "-x", "-y"]));
    assert_success(&gathered);
    assert_same_bytes(
        fs::read(dir.path().join("-z")).expect("a file"),
        "a b\na b\n",
    );
}

/// The name of every tool's errors comes first, then what was tried on which path; the rest is worked on all the same.
#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_told_of_and_the_rest_goes_on() {
    for name in ["cat", "wc"].into_iter().chain(COUNTERS) {
        let mixed = ["LICENSE-MIT", "no/such.file", "src", "LICENSE-APACHE"];
        let output = run(example(name).args(mixed));
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert_eq!(
            complaints(&output),
            [
                format!(
                    "{name}: failed to open `no/such.file`: No such file or directory (os error 2)"
                ),
                format!("{name}: src: Is a directory (os error 21)"),
            ]
        );
        let good = run(example(name).args(["LICENSE-MIT", "LICENSE-APACHE"]));
        assert_success(&good);
        // The columns of `wc` are wider where something among the names has no size.
        let words = |output: &Output| {
            let text = String::from_utf8_lossy(&output.stdout);
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&output), words(&good), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn an_output_that_nobody_reads_is_no_error() {
    let dir = temp_dir();
    let large = dir.path().join("large");
    fs::write(&large, numbered(8 << 20)).expect("a file");
    // More than any pipe holds, so that each of them is stopped in the middle.
    for (name, arguments) in [
        ("cat", vec![large.into_os_string()]),
        ("wc", vec![OsString::from("LICENSE-MIT"); 5_000]),
        ("sync", vec![OsString::from("LICENSE-MIT"); 5_000]),
    ] {
        let mut child = example(name)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdout = child.stdout.take().expect("a pipe");
        stdout
            .read_exact(&mut [0; 10])
            .expect("the beginning of its output");
        drop(stdout);
        assert_success(&child.wait_with_output().expect("the program ends"));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_is_full_is_an_error() {
    for name in ["cat", "wc", "hash", "sync"] {
        let full = File::options()
            .write(true)
            .open("/dev/full")
            .expect("a device");
        let output = example(name)
            .arg("LICENSE-MIT")
            .stdin(Stdio::null())
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .expect("the program starts");
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert_eq!(
            complaints(&output),
            [format!(
                "{name}: standard output: No space left on device (os error 28)"
            )]
        );
    }
}

#[cfg(unix)]
#[test]
fn names_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt as _;

    let dir = temp_dir();
    let name = OsStr::from_bytes(b"\xff\xfe");
    match fs::write(dir.path().join(name), "a b\n") {
        Err(error) if error.kind() == ErrorKind::InvalidFilename => {
            return skip("a file system that takes any bytes as a name");
        }
        result => result.expect("a file"),
    }
    let run = |program| run(example(program).current_dir(dir.path()).arg(name));
    assert_same_bytes(run("cat").stdout, "a b\n");
    assert_same_bytes(run("wc").stdout, b"1 2 4 \xff\xfe\n");
}

// ---------------------------------------------------------------------------------------------------------------------
// cat

#[test]
fn cat_writes_what_the_system_s_cat_writes() {
    let Some(mut cat) = gnu("cat") else { return };
    let dir = temp_dir();
    let mut files = sources();
    for (name, len) in [
        ("empty", 0),
        ("one", 1),
        ("odd", 300_007),
        ("large", 5 << 20),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, numbered(len)).expect("a file");
        files.push(path);
    }
    let (ours, theirs) = (run(example("cat").args(&files)), run(cat.args(&files)));
    assert_success(&ours);
    assert_same_bytes(&ours.stdout, &theirs.stdout);

    // The same into a file, at its beginning and at its end.
    let into = |file: &File| {
        let file = file.try_clone().expect("a descriptor");
        let status = example("cat")
            .args(&files)
            .stdin(Stdio::null())
            .stdout(file)
            .status();
        assert!(status.expect("the program starts").success());
    };
    let path = dir.path().join("output");
    let output = File::create(&path).expect("a file");
    into(&output);
    assert_same_bytes(fs::read(&path).expect("its content"), &theirs.stdout);
    let appended = File::options().append(true).open(&path).expect("a file");
    into(&appended);
    assert_same_bytes(
        fs::read(&path).expect("its content"),
        theirs.stdout.repeat(2),
    );
}

#[test]
fn cat_reads_standard_input_where_it_is_named_and_when_nothing_is() {
    let named = run_with_input(
        example("cat").args(["LICENSE-MIT", "-", "LICENSE-MIT", "-"]),
        b"in between\n",
    );
    assert_success(&named);
    let licence = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT")).expect("a file");
    assert_same_bytes(
        named.stdout,
        [&licence, &b"in between\n"[..], &licence].concat(),
    );

    let alone = run_with_input(&mut example("cat"), b"alone\n");
    assert_success(&alone);
    assert_same_bytes(alone.stdout, "alone\n");
}

/// The kernel keeps one position for all processes that have a file from one another.
#[test]
fn cat_shares_the_positions_of_its_input_and_output_with_other_processes() {
    let dir = temp_dir();
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    fs::write(&input, numbered(100_000)).expect("a file");
    let stdin = File::open(&input).expect("a file");
    let stdout = File::create(&output).expect("a file");

    // The second one finds the input at its end, and goes on behind the output of the first.
    for arguments in [&["-"][..], &["-", "LICENSE-MIT"]] {
        let status = example("cat")
            .args(arguments)
            .stdin(stdin.try_clone().expect("a descriptor"))
            .stdout(stdout.try_clone().expect("a descriptor"))
            .status();
        assert!(status.expect("the program starts").success());
    }
    let licence = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT")).expect("a file");
    assert_same_bytes(
        fs::read(&output).expect("its content"),
        [&numbered(100_000)[..], &licence].concat(),
    );
}

#[cfg(unix)]
#[test]
fn cat_tells_of_an_error_between_the_contents_it_stands_between() {
    let dir = temp_dir();
    fs::write(dir.path().join("one"), "one\n").expect("a file");
    fs::write(dir.path().join("two"), "two\n").expect("a file");
    let output = File::create(dir.path().join("output")).expect("a file");
    let status = example("cat")
        .current_dir(dir.path())
        .args(["one", "missing", "two"])
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a descriptor"))
        .stderr(output)
        .status();
    assert_eq!(status.expect("the program starts").code(), Some(1));
    assert_same_bytes(
        fs::read(dir.path().join("output")).expect("its content"),
        "one\ncat: failed to open `missing`: No such file or directory (os error 2)\ntwo\n",
    );
}

#[cfg(unix)]
#[test]
fn cat_passes_on_what_a_fifo_brings_while_it_comes() {
    let dir = temp_dir();
    let path = dir.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a FIFO");
    let mut child = example("cat")
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut fifo = File::options()
        .write(true)
        .open(&path)
        .expect("it is being read");
    let mut stdout = child.stdout.take().expect("a pipe");
    for word in ["one\n", "two\n"] {
        fifo.write_all(word.as_bytes()).expect("room in the FIFO");
        // It comes although the FIFO stays open.
        let mut found = [0; 4];
        stdout.read_exact(&mut found).expect("what was written");
        assert_eq!(found, word.as_bytes());
    }
    drop(fifo);
    let mut rest = Vec::new();
    stdout
        .read_to_end(&mut rest)
        .expect("the end of its output");
    assert_eq!(rest, b"");
    assert!(child.wait().expect("the program ends").success());
}

// ---------------------------------------------------------------------------------------------------------------------
// wc

#[test]
fn wc_prints_what_the_system_s_wc_prints() {
    if gnu("wc").is_none() {
        return;
    }
    let compare = |arguments: &[OsString], input: &[u8]| {
        let ours = run_with_input(example("wc").args(arguments), input);
        let mut theirs = Command::new("wc");
        theirs
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("LC_ALL", "C");
        let theirs = run_with_input(theirs.args(arguments), input);
        assert_eq!(
            String::from_utf8_lossy(&ours.stdout),
            String::from_utf8_lossy(&theirs.stdout),
            "{arguments:?}"
        );
        assert_eq!(
            ours.status.code(),
            theirs.status.code(),
            "{arguments:?}: {:?}",
            complaints(&ours)
        );
        assert_eq!(ours.stderr.is_empty(), theirs.stderr.is_empty());
    };

    let dir = temp_dir();
    let odd = dir.path().join("odd");
    fs::write(&odd, " \x0b a\x0cb\r\n\n\tno end").expect("a file");
    let odd = odd.into_os_string();
    let empty = dir.path().join("empty");
    fs::write(&empty, "").expect("a file");
    let empty = empty.into_os_string();
    // To the other, in the plainest of locales, what has no ASCII is no word.
    let is_plain = |path: &PathBuf| fs::read(path).is_ok_and(|bytes| bytes.is_ascii());
    let many = sources()
        .into_iter()
        .filter(is_plain)
        .map(PathBuf::into_os_string)
        .collect::<Vec<_>>();
    assert!(many.len() > 40, "{many:?}");

    let options = ["", "-l", "-w", "-c", "-lw", "-cl", "-lwc"];
    for option in options {
        let option = (!option.is_empty()).then(|| OsString::from(option));
        let lists: [&[OsString]; 8] = [
            &[],
            &["-".into()],
            &["Cargo.lock".into()],
            std::slice::from_ref(&odd),
            std::slice::from_ref(&empty),
            &[odd.clone(), "-".into(), empty.clone(), "-".into()],
            &["no/such.file".into(), "LICENSE-MIT".into()],
            &many,
        ];
        for list in lists {
            let arguments = option.iter().chain(list).cloned().collect::<Vec<_>>();
            compare(&arguments, b"from a pipe\nwithout an end");
        }
    }
}

#[cfg(unix)]
#[test]
fn wc_leaves_the_position_of_its_input_where_it_stopped() {
    let dir = temp_dir();
    fs::write(dir.path().join("file"), "a b\n").expect("a file");
    let stdin = File::open(dir.path().join("file")).expect("a file");
    for expected in ["1 2 4\n", "0 0 0\n"] {
        let output = example("wc")
            .stdin(stdin.try_clone().expect("a descriptor"))
            .output()
            .expect("the program starts");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The same code on three kinds of executor

#[test]
fn the_same_code_counts_the_same_on_every_executor() {
    let files = sources();
    let expected = files
        .iter()
        .map(|path| {
            let bytes = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file");
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
            format!("{lines} {}\n", path.display())
        })
        .collect::<String>();
    for name in COUNTERS {
        let output = run(example(name).args(&files));
        assert_success(&output);
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{name}");
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// cp

/// Everything below a directory: relative path, and what it is.
fn listed(root: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(below) = left.pop() {
        let path = root.join(&below);
        let metadata = fs::symlink_metadata(&path).expect("metadata");
        let what = if metadata.is_symlink() {
            format!("link to {:?}", fs::read_link(&path).expect("a link"))
        } else if metadata.is_dir() {
            for entry in fs::read_dir(&path).expect("a directory") {
                left.push(below.join(entry.expect("an entry").file_name()));
            }
            format!("directory {}", permissions(&metadata))
        } else {
            let content = fs::read(&path).expect("a file");
            format!("file {} {content:?}", permissions(&metadata))
        };
        found.push((below, what));
    }
    found.sort();
    found
}

#[cfg(unix)]
fn permissions(metadata: &fs::Metadata) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    format!("{:o}", metadata.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn permissions(_: &fs::Metadata) -> String {
    String::new()
}

/// A tree with some of everything.
fn make_tree(root: &Path) {
    for dir in ["", "empty", "a", "a/b", "a/b/c"] {
        fs::create_dir(root.join(dir)).expect("a directory");
    }
    for n in 0..40 {
        let dir = ["", "a", "a/b", "a/b/c"][n % 4];
        fs::write(root.join(dir).join(format!("{n}")), numbered(n * n * 7)).expect("a file");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let mode = |path, mode| {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).expect("a mode");
        };
        mode("a/b/2", 0o755);
        mode("a/b/c/3", 0o600);
        mode("empty", 0o700);
        symlink("a/b", root.join("to-directory")).expect("a link");
        symlink("../0", root.join("a/to-file")).expect("a link");
        symlink("nowhere", root.join("dangling")).expect("a link");
    }
}

#[test]
fn cp_copies_a_tree_as_the_system_s_cp_does() {
    let Some(mut cp) = gnu("cp") else { return };
    let dir = temp_dir();
    make_tree(&dir.path().join("from"));
    let cp = cp.current_dir(dir.path()).args(["-r", "from", "theirs"]);
    assert_success(&run(cp));
    assert_success(&run(example("cp")
        .current_dir(dir.path())
        .args(["-r", "from", "ours"])));
    assert_eq!(
        listed(&dir.path().join("ours")),
        listed(&dir.path().join("theirs"))
    );

    // Into a directory that is there, it comes under its own name, and what is there already is replaced.
    fs::create_dir(dir.path().join("into")).expect("a directory");
    fs::remove_file(dir.path().join("from/to-directory")).expect("links are not replaced");
    fs::remove_file(dir.path().join("from/a/to-file")).expect("links are not replaced");
    fs::remove_file(dir.path().join("from/dangling")).expect("links are not replaced");
    for _ in 0..2 {
        assert_success(&run(example("cp")
            .current_dir(dir.path())
            .args(["-r", "from", "into"])));
    }
    assert_eq!(
        listed(&dir.path().join("into/from")),
        listed(&dir.path().join("from"))
    );
}

#[test]
fn cp_copies_chunk_by_chunk_and_what_has_no_size() {
    let dir = temp_dir();
    let bytes = numbered(100_001);
    fs::write(dir.path().join("from"), &bytes).expect("a file");
    let cp = |arguments: &[&str]| run(example("cp").current_dir(dir.path()).args(arguments));
    let content = |name: &str| fs::read(dir.path().join(name)).expect("a file");
    for size in ["1000", "65535", "1000000"] {
        assert_success(&cp(&[&format!("--chunk-size={size}"), "from", "to"]));
        assert_same_bytes(content("to"), &bytes);
    }
    for size in ["0", "-1", "", "x"] {
        let refused = cp(&[&format!("--chunk-size={size}"), "from", "none"]);
        assert_eq!(refused.status.code(), Some(2), "{size}");
        assert!(!dir.path().join("none").exists());
    }
    #[cfg(target_os = "linux")]
    for arguments in [
        &["/proc/cpuinfo", "cpus"][..],
        &["--chunk-size=10", "/proc/cpuinfo", "cpus"],
    ] {
        assert_success(&cp(arguments));
        let text = String::from_utf8(content("cpus")).expect("text");
        let processors = |text: &str| text.matches("processor").count();
        let expected = fs::read_to_string("/proc/cpuinfo").expect("procfs");
        assert_eq!(processors(&text), processors(&expected));
        assert!(text.len() > 100);
    }
}

#[test]
fn stamp_leaves_the_file_open_and_its_position_behind_the_lines() {
    let dir = temp_dir();
    fs::write(dir.path().join("a"), "12345").expect("a file");
    fs::write(dir.path().join("b"), "").expect("a file");
    let stamp = |arguments: &[&str]| run(example("stamp").current_dir(dir.path()).args(arguments));
    assert_success(&stamp(&["log", "a", "b"]));
    let log = fs::read_to_string(dir.path().join("log")).expect("the output");
    assert_eq!(log, "files:\n         5 a\n         0 b\n2 in all\n");
    let again = stamp(&["log", "a"]);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(
        complaints(&again),
        ["stamp: log: File exists (os error 17)"]
    );
}

#[test]
fn cp_copies_files_to_a_name_and_into_a_directory() {
    let dir = temp_dir();
    let bytes = numbered(40 << 20);
    fs::write(dir.path().join("large"), &bytes).expect("a file");
    fs::write(dir.path().join("small"), "small").expect("a file");
    fs::create_dir(dir.path().join("into")).expect("a directory");
    let cp = |arguments: &[&str]| run(example("cp").current_dir(dir.path()).args(arguments));
    let content = |name: &str| fs::read(dir.path().join(name)).expect("a file");

    assert_success(&cp(&["large", "copy"]));
    assert_same_bytes(content("copy"), &bytes);
    // A longer one is replaced to its end.
    assert_success(&cp(&["small", "copy"]));
    assert_same_bytes(content("copy"), "small");
    assert_success(&cp(&["large", "small", "into"]));
    assert_same_bytes(content("into/large"), &bytes);
    assert_same_bytes(content("into/small"), "small");
    // Standard error is a pipe here, so nothing was shown on it: `assert_success` has seen to that.
}

#[cfg(unix)]
#[test]
fn cp_refuses_what_would_destroy_something() {
    let dir = temp_dir();
    let root = dir.path();
    fs::create_dir_all(root.join("dir/below")).expect("a directory");
    fs::write(root.join("file"), "content").expect("a file");
    fs::hard_link(root.join("file"), root.join("hard")).expect("a link");
    std::os::unix::fs::symlink("file", root.join("soft")).expect("a link");
    let before = listed(root);

    for (arguments, complaint) in [
        (&["file", "file"][..], "`file` and `file` are the same file"),
        (&["file", "hard"], "`file` and `hard` are the same file"),
        (&["soft", "file"], "`soft` and `file` are the same file"),
        (&["file", "."], "`file` and `./file` are the same file"),
        (&["file", "soft", "hard"], "`hard` is no directory"),
        (
            &["dir", "new"],
            "`dir` is a directory, and `-r` was not given",
        ),
        (&["-r", "dir", "dir"], "`dir` would be copied into itself"),
        (
            &["-r", "dir", "dir/below/new"],
            "`dir` would be copied into itself",
        ),
        (&["-r", ".", "dir/below"], "`.` would be copied into itself"),
    ] {
        let refused = run(example("cp").current_dir(root).args(arguments));
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert_eq!(complaints(&refused), [format!("cp: {complaint}")]);
        assert_eq!(listed(root), before, "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn cp_tells_of_what_it_cannot_copy_and_copies_the_rest() {
    let dir = temp_dir();
    let root = dir.path();
    fs::create_dir(root.join("into")).expect("a directory");
    fs::create_dir(root.join("from")).expect("a directory");
    fs::write(root.join("from/file"), "content").expect("a file");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("from/fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a FIFO");

    let output = run(example("cp")
        .current_dir(root)
        .args(["-r", "missing", "from", "into"]));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        complaints(&output),
        [
            "cp: failed to query metadata of `missing`: No such file or directory (os error 2)",
            "cp: failed to copy `from/fifo` to `into/from/fifo`: the source path is neither a regular file nor a \
             symlink to a regular file",
        ]
    );
    assert_same_bytes(
        fs::read(root.join("into/from/file")).expect("a file"),
        "content",
    );
}

#[cfg(target_os = "linux")]
#[test]
fn cp_shows_on_a_terminal_how_far_it_is() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let dir = temp_dir();
    fs::write(dir.path().join("from"), numbered(40 << 20)).expect("a file");
    let Ok(terminal) = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY) else {
        return skip("a pseudo-terminal");
    };
    grantpt(&terminal).expect("a terminal");
    unlockpt(&terminal).expect("a terminal");
    let name = ptsname(&terminal, Vec::new()).expect("its name");
    let name = name.to_str().expect("a path");
    // Opened without becoming the terminal of this process.
    let end = rustix::fs::open(
        name,
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY,
        rustix::fs::Mode::empty(),
    )
    .expect("the other end");
    let mut cp = example("cp");
    cp.current_dir(dir.path())
        .args(["from", "to"])
        .stdin(Stdio::null())
        .stderr(end);
    let status = cp.status().expect("the program starts");
    // The command holds the last descriptor of the other end: without it, reading ends.
    drop(cp);
    assert!(status.success());

    let mut shown = Vec::new();
    // A terminal whose other end is closed answers EIO when all was read.
    let _ = File::from(terminal).read_to_end(&mut shown);
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains(" of 40 MiB"), "{shown:?}");
    assert!(shown.contains('#'), "{shown:?}");
    assert!(shown.ends_with("\r\x1b[K"), "it is erased: {shown:?}");
    assert_same_bytes(
        fs::read(dir.path().join("to")).expect("a file"),
        numbered(40 << 20),
    );
}

// ---------------------------------------------------------------------------------------------------------------------
// hash

#[test]
fn hash_prints_what_the_system_s_tools_print() {
    const TOOLS: [&str; 4] = ["md5sum", "sha1sum", "sha256sum", "sha512sum"];
    if TOOLS.iter().any(|tool| gnu(tool).is_none()) {
        return;
    }
    let dir = temp_dir();
    for (name, len) in [
        ("empty", 0),
        ("small", 1_000),
        ("chunk", 128 << 10),
        ("large", 5 << 20),
    ] {
        fs::write(dir.path().join(name), numbered(len)).expect("a file");
        let mut expected = TOOLS.map(|tool| {
            let theirs = run(Command::new(tool)
                .current_dir(dir.path())
                .args(["--tag", name]));
            assert_success(&theirs);
            String::from_utf8(theirs.stdout).expect("a line")
        });
        expected.sort();

        let ours = run(example("hash").current_dir(dir.path()).arg(name));
        assert_success(&ours);
        // They come in the order in which they are known.
        let text = String::from_utf8(ours.stdout).expect("four lines");
        let mut found = text.split_inclusive('\n').collect::<Vec<_>>();
        found.sort_unstable();
        assert_eq!(found, expected, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn hash_prints_nothing_of_what_it_cannot_read() {
    for (name, complaint) in [
        (
            "no/such.file",
            "hash: failed to open `no/such.file`: No such file or directory (os error 2)",
        ),
        ("src", "hash: src: Is a directory (os error 21)"),
    ] {
        let output = run(example("hash").arg(name));
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert_eq!(output.stdout, b"");
        assert_eq!(complaints(&output), [complaint]);
    }
    // A pipe cannot be read four times.
    let output = run_with_input(example("hash").arg("/dev/stdin"), b"from a pipe");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        complaints(&output),
        ["hash: /dev/stdin: Illegal seek (os error 29)"]
    );
}

// ---------------------------------------------------------------------------------------------------------------------
// gather

#[test]
fn gather_puts_everything_in_its_place() {
    let dir = temp_dir();
    let inputs = [
        ("empty", 0),
        ("large", 20 << 20),
        ("one", 1),
        ("piece", 64 << 10),
        ("more", (64 << 10) + 1),
        ("odd", 300_007),
    ];
    let mut expected = Vec::new();
    for (n, (name, len)) in inputs.into_iter().enumerate() {
        // Each begins elsewhere in the numbers, so that no piece is like one of another input.
        let bytes = &numbered((n << 10) + len)[n << 10..];
        fs::write(dir.path().join(name), bytes).expect("a file");
        expected.extend_from_slice(bytes);
    }
    let gather = |output: &str, names: &[&str]| {
        assert_success(&run(example("gather")
            .current_dir(dir.path())
            .arg(output)
            .args(names)));
        fs::read(dir.path().join(output)).expect("its output")
    };
    assert_same_bytes(gather("all", &inputs.map(|(name, _)| name)), &expected);
    assert_same_bytes(gather("nothing", &["empty", "empty"]), "");
    assert_same_bytes(gather("twice", &["all", "all"]), expected.repeat(2));
}

#[cfg(unix)]
#[test]
fn gather_leaves_no_half_output_and_overwrites_nothing() {
    let dir = temp_dir();
    fs::write(dir.path().join("one"), "one").expect("a file");
    let before = listed(dir.path());
    for (arguments, complaint) in [
        (
            ["new", "missing"],
            "gather: failed to open `missing`: No such file or directory (os error 2)",
        ),
        (["new", "."], "gather: .: not a regular file"),
        (
            ["one", "one"],
            "gather: failed to open `one`: File exists (os error 17)",
        ),
        (
            ["no/new", "one"],
            "gather: failed to open `no/new`: No such file or directory (os error 2)",
        ),
    ] {
        let refused = run(example("gather").current_dir(dir.path()).args(arguments));
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert_eq!(complaints(&refused), [complaint]);
        assert_eq!(listed(dir.path()), before, "{arguments:?}");
    }
}

/// It cannot be written to its end.
#[cfg(target_os = "linux")]
#[test]
fn gather_removes_what_it_could_not_fill() {
    let dir = temp_dir();
    fs::write(dir.path().join("large"), numbered(1 << 20)).expect("a file");
    let before = listed(dir.path());
    // Without the signal that a write beyond the limit sends, it fails with an error.
    let mut limited = Command::new("sh");
    limited
        .current_dir(dir.path())
        .args(["-c", "trap '' XFSZ; ulimit -f 16 && exec \"$0\" new large"])
        .arg(example("gather").get_program());
    let failed = run(&mut limited);
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(
        complaints(&failed),
        ["gather: new: File too large (os error 27)"]
    );
    assert_eq!(listed(dir.path()), before);
}

// ---------------------------------------------------------------------------------------------------------------------
// tempdir

/// The names in a directory.
#[cfg(unix)]
fn entries_of(dir: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(dir).expect("a directory");
    entries
        .map(|entry| entry.expect("an entry").file_name())
        .collect()
}

/// `tempdir` with its directories in this one.
#[cfg(unix)]
fn tempdir_in(dir: &Path) -> Command {
    let mut command = example("tempdir");
    command.env("TMPDIR", dir);
    command
}

#[cfg(unix)]
#[test]
fn tempdir_fills_a_directory_and_removes_it() {
    let dir = temp_dir();
    let script = "pwd -P; cat LICENSE-MIT Cargo.toml; echo new > new; mkdir sub; exit 3";
    let output = run(tempdir_in(dir.path())
        .arg(format!("--run={script}"))
        .args(["LICENSE-MIT", "Cargo.toml"]));
    assert_eq!(complaints(&output), Vec::<String>::new());
    assert_eq!(output.status.code(), Some(3), "that of the command");
    let text = String::from_utf8(output.stdout).expect("text");
    let (path, rest) = text.split_once('\n').expect("a line");
    let (place, rest) = rest.split_once('\n').expect("a second line");
    assert!(Path::new(path).starts_with(dir.path()), "{path}");
    assert!(path.contains("/tempdir-"), "{path}");
    assert!(place.ends_with(path.rsplit('/').next().expect("a name")));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read(root.join(name)).expect("a file");
    assert_same_bytes(rest, [read("LICENSE-MIT"), read("Cargo.toml")].concat());
    assert_eq!(entries_of(dir.path()), Vec::<OsString>::new());
}

#[cfg(unix)]
#[test]
fn tempdir_keeps_the_directory_if_it_is_to() {
    let dir = temp_dir();
    let output = run(tempdir_in(dir.path()).args(["--keep", "LICENSE-MIT"]));
    assert_success(&output);
    let text = String::from_utf8(output.stdout).expect("text");
    let path = Path::new(text.trim_end());
    assert_eq!(entries_of(path), ["LICENSE-MIT"]);
    assert_eq!(path.parent(), Some(dir.path()));
}

#[cfg(unix)]
#[test]
fn tempdir_removes_the_directory_also_when_it_fails() {
    let dir = temp_dir();
    for (arguments, complaint) in [
        (
            ["LICENSE-MIT", "missing"],
            "tempdir: failed to copy `missing` to ",
        ),
        (
            ["LICENSE-MIT", "./LICENSE-MIT"],
            "tempdir: ./LICENSE-MIT: another file has the same name",
        ),
        (["LICENSE-MIT", ".."], "tempdir: ..: not the name of a file"),
    ] {
        let output = run(tempdir_in(dir.path()).args(arguments));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let [told] = &complaints(&output)[..] else {
            panic!("{arguments:?}: {:?}", complaints(&output));
        };
        assert!(told.starts_with(complaint), "{told}");
        assert_eq!(entries_of(dir.path()), Vec::<OsString>::new());
    }
    let output = run(tempdir_in(&dir.path().join("no")).arg("LICENSE-MIT"));
    assert_eq!(output.status.code(), Some(1));
    assert!(complaints(&output)[0].contains("create temporary directory in"));
    let output = run(tempdir_in(dir.path()).arg("--kept"));
    assert_eq!(output.status.code(), Some(2));
}

// ---------------------------------------------------------------------------------------------------------------------
// tail

#[test]
fn tail_writes_the_same_lines_as_the_systems() {
    let Some(mut version) = gnu("tail") else {
        return;
    };
    assert_success(&run(version.arg("--version")));
    let dir = temp_dir();
    let long = "x".repeat(70_000);
    let texts = [
        String::new(),
        "\n".to_owned(),
        "no end".to_owned(),
        "one\ntwo\nthree\n".to_owned(),
        "one\ntwo\n\nthree".to_owned(),
        format!("{long}\n{long}\n{long}\nend"),
        (0..50_000).map(|n| format!("{n}\n")).collect(),
    ];
    for (index, text) in texts.iter().enumerate() {
        let path = dir.path().join(index.to_string());
        fs::write(&path, text).expect("a file");
        for lines in ["-n0", "-n1", "-n2", "-n3", "-n10", "-n20000", "-n60000"] {
            let ours = run(example("tail").args(["-n", &lines[2..]]).arg(&path));
            assert_success(&ours);
            let theirs = run(gnu("tail").expect("it was there").arg(lines).arg(&path));
            assert_same_bytes(&ours.stdout, &theirs.stdout);
        }
        assert_same_bytes(
            run(example("tail").arg(&path)).stdout,
            run(gnu("tail").expect("it was there").arg(&path)).stdout,
        );
    }
}

#[cfg(unix)]
#[test]
fn tail_reads_a_pipe_to_its_end() {
    let output = run_with_input(
        example("tail").args(["-n", "2", "/dev/stdin"]),
        b"one\ntwo\nthree\n",
    );
    assert_success(&output);
    assert_eq!(output.stdout, b"two\nthree\n");
}

/// A `tail -f` that is ended with the test, and what it writes.
#[cfg(unix)]
struct Following {
    child: std::process::Child,
    output: std::io::BufReader<std::process::ChildStdout>,
}

#[cfg(unix)]
impl Following {
    fn new(path: &Path) -> Following {
        let mut child = example("tail")
            .args(["-n", "2", "-f"])
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let output = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
        Following { child, output }
    }

    #[track_caller]
    fn expect(&mut self, line: &str) {
        use std::io::BufRead as _;
        let mut found = String::new();
        self.output.read_line(&mut found).expect("a line");
        assert_eq!(found, format!("{line}\n"));
    }
}

#[cfg(unix)]
impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
#[test]
fn tail_follows_a_file_through_truncation_and_rotation() {
    support::within_limit("tail -f", || {
        let dir = temp_dir();
        let (path, old) = (dir.path().join("log"), dir.path().join("log.1"));
        fs::write(&path, "one\ntwo\nthree\n").expect("a file");
        let mut tail = Following::new(&path);
        tail.expect("two");
        tail.expect("three");
        let append = |path: &Path, text: &str| {
            let mut file = File::options().append(true).open(path).expect("it exists");
            file.write_all(text.as_bytes()).expect("written");
        };
        append(&path, "four\n");
        tail.expect("four");
        // In two parts, and more than any buffer holds.
        append(&path, "fi");
        append(&path, "ve\n");
        tail.expect("five");
        let long = "x".repeat(3 << 20);
        append(&path, &format!("{long}\n"));
        tail.expect(&long);
        // Truncated, and written anew.
        fs::write(&path, "after\n").expect("a file");
        tail.expect("after");
        // Renamed while the last lines are written, and later than that.
        append(&path, "the last of the old\n");
        fs::rename(&path, &old).expect("renamed");
        fs::write(&path, "the first of the new\n").expect("a file");
        tail.expect("the last of the old");
        tail.expect("the first of the new");
        append(&path, "the second\n");
        tail.expect("the second");
        // Gone for a while.
        fs::remove_file(&path).expect("removed");
        fs::write(dir.path().join("next"), "there again\n").expect("a file");
        fs::rename(dir.path().join("next"), &path).expect("renamed");
        tail.expect("there again");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn tail_sleeps_while_nothing_comes() {
    let (_dir, path) = {
        let dir = temp_dir();
        let path = dir.path().join("log");
        fs::write(&path, "one\n").expect("a file");
        (dir, path)
    };
    let mut tail = Following::new(&path);
    tail.expect("one");
    // Processor time in hundredths of a second: fields 14 and 15, counted behind the name.
    let used = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", tail.child.id())).expect("/proc");
        let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
        let times = fields.skip(11).take(2);
        times
            .map(|time| time.parse::<u64>().expect("a number"))
            .sum::<u64>()
    };
    let before = used();
    std::thread::sleep(std::time::Duration::from_millis(700));
    // A loop that does not sleep would take 70.
    assert!(used() - before < 20, "{} hundredths", used() - before);
}

// ---------------------------------------------------------------------------------------------------------------------
// csv and mock

#[test]
fn csv_names_the_fields_and_takes_what_is_quoted_together() {
    let dir = temp_dir();
    let path = dir.path().join("table.csv");
    let table = "id,name,remark\r\n1,Äpfel,\"two\nlines, and \"\"quotes\"\"\"\r\n2,,none\r\n";
    fs::write(&path, table).expect("a file");
    let expected = concat!(
        r#"{"id": "1", "name": "Äpfel", "remark": "two\nlines, and \"quotes\""}"#,
        "\n",
        r#"{"id": "2", "name": "", "remark": "none"}"#,
        "\n"
    );
    let named = run(example("csv").arg(&path));
    assert_success(&named);
    assert_same_bytes(named.stdout, expected);
    let piped = run_with_input(&mut example("csv"), table.as_bytes());
    assert_success(&piped);
    assert_same_bytes(piped.stdout, expected);

    fs::write(&path, "a,b\n1,2\n3\n").expect("a file");
    let uneven = run(example("csv").arg(&path));
    assert_eq!(uneven.status.code(), Some(1));
    assert_eq!(complaints(&uneven).len(), 1);
    assert_eq!(uneven.stdout, b"{\"a\": \"1\", \"b\": \"2\"}\n");
}

#[test]
fn mock_finds_what_it_expects() {
    let output = run(&mut example("mock"));
    assert_success(&output);
    assert_eq!(
        output.stdout,
        b"in memory: as expected\nwith a mock: as expected\n"
    );
}
