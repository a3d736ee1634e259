//! What may come of an operation that meets a fault.

use aiofiles::testing::Call;

use super::{Action, Fault, Outcome, Snapshot, Told};

/// Where the contract says that a fault is not told, or is told by another code.
struct Exception {
    /// How the names of the operations begin.
    operations: &'static [&'static str],
    calls: &'static [Call],
    /// None: all.
    codes: &'static [i32],
    /// Whether it is so too if the fault stays.
    ever: bool,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// It is as if there was no fault.
    Unnoticed,
    /// There is nobody to tell it to; what could not be done is not done.
    Nobody,
    /// The answer is this one.
    Answers(&'static str),
    /// It is told by this code.
    As(i32),
}
use What::{Answers, As, Nobody, Unnoticed};

/// Operations that read a file which is open.
const READING: &[&str] = &[
    "read",
    "fill_buf",
    "chunks",
    "LineReader",
    "TextFile::",
    "cursor",
];
/// Operations in which something is opened.
const OPENING: &[&str] = &[
    "File::",
    "OpenOptions::",
    "TextOptions::",
    "Dir::open",
    "open",
    "read",
    "write",
    "copy",
    "with",
    "drop",
    "reopen",
    "persist",
    "memory_dir",
    "temporary_",
    "Temporary",
    "named_",
    "Named",
    "close of a named",
    "close of a temporary",
    "remove of a named",
    "keep of a named",
    "spooled",
    "Spooled",
    "rollover",
];
/// Operations in which what was opened, and not written, goes away without having been closed.
const LEAVING: &[&str] = &[
    "read",
    "drop",
    "open",
    "reopen",
    "persist",
    "Dir::",
    "copy to a device",
    "copy_with_progress",
    "temporary_",
    "Temporary",
    "Named",
    "memory_dir",
];
/// Operations that close a file which has something to write.
const CLOSING: &[&str] = &[
    "close after a write",
    "close after an error",
    "close of a named",
    "remove of a named",
    "keep of a named",
    "temporary_file, written",
    "TextFile::close",
    "with",
    "write of a long file",
];
/// Operations that must know what kind of file it is only to be faster.
const KNOWING_NOTHING: &[&str] = &[
    "read_at (Foreign",
    "read_exact_at (Foreign",
    "read_to_end_at (Foreign",
    "read_vectored_at (Foreign",
    "read_many_at (Foreign",
    "read_many_at_together (Foreign",
];
const STREAMS: &[&str] = &[
    "open of a FIFO",
    "write of a whole FIFO",
    "read from a pipe",
    "write to a pipe",
    "stdin",
    "stdout",
    "into_std of a FIFO",
];
const NO_DESCRIPTOR: &[i32] = &[libc::EMFILE, libc::ENFILE];
const FORBIDDEN: &[i32] = &[libc::EACCES, libc::EPERM];
/// What a write consists of; with direct I/O it is not one call.
const WRITES: &[Call] = &[Call::Write, Call::Read, Call::Metadata, Call::SetLen];
const ALL: &[i32] = &[];

/// Only if the call works the next time.
const fn once(
    operations: &'static [&'static str],
    calls: &'static [Call],
    codes: &'static [i32],
    what: What,
) -> Exception {
    Exception {
        operations,
        calls,
        codes,
        ever: false,
        what,
    }
}

const fn ever(
    operations: &'static [&'static str],
    calls: &'static [Call],
    codes: &'static [i32],
    what: What,
) -> Exception {
    Exception {
        operations,
        calls,
        codes,
        ever: true,
        what,
    }
}

const EXCEPTIONS: &[Exception] = &[
    // Whoever finds no free descriptor waits for dropped files, and opens once more, with all that belongs to it.
    once(
        OPENING,
        &[
            Call::Open,
            Call::Metadata,
            Call::Seek,
            Call::Read,
            Call::Write,
            Call::Close,
            Call::CreateDir,
        ],
        NO_DESCRIPTOR,
        Unnoticed,
    ),
    // What was created anew is there the second time. (No system says so when it is asked about an open file.)
    ever(
        &["File::create_new"],
        &[Call::Metadata],
        NO_DESCRIPTOR,
        As(libc::EEXIST),
    ),
    // A walk gives back what it can do without.
    once(&["walk"], &[Call::ReadDir], NO_DESCRIPTOR, Unnoticed),
    // A file system may have nothing to say about its directories.
    ever(
        &["write_atomic"],
        &[Call::SyncAll],
        &[libc::EROFS],
        Unnoticed,
    ),
    // What cannot be opened without blocking is opened as std does it.
    once(OPENING, &[Call::Open], &[libc::EAGAIN], Unnoticed),
    // What close(2) says of a file that was dropped, and of one that was only read, is told to nobody.
    ever(LEAVING, &[Call::Close], ALL, Unnoticed),
    // What cannot be asked is not so.
    ever(
        &["exists", "os::access", "Dir::access", "os::path::is"],
        &[Call::Metadata],
        ALL,
        Answers("false"),
    ),
    // The directory above is found in another way.
    once(&["os::path::ismount"], &[Call::Metadata], ALL, Unnoticed),
    // What was read ahead in vain is read again when it is wanted.
    once(READING, &[Call::Read], ALL, Unnoticed),
    // Whether a path has a NUL in it is asked beforehand, of a system that refuses those.
    once(
        &["os::makedirs", "os::renames"],
        &[Call::Metadata],
        ALL,
        Unnoticed,
    ),
    // Whatever the system says to it: the directory is there.
    ever(
        &["os::makedirs of what is there"],
        &[Call::CreateDir],
        ALL,
        Unnoticed,
    ),
    // Directories above are removed as far as that goes.
    ever(
        &["os::removedirs", "os::renames"],
        &[Call::RemoveDir],
        ALL,
        Nobody,
    ),
    // Whether the target is a FIFO is asked beforehand.
    once(&["copy"], &[Call::Metadata], ALL, Unnoticed),
    // If it is not known whether the kernel can copy, it is read and written.
    once(
        &["copy_between (Foreign"],
        &[Call::Metadata, Call::Seek],
        ALL,
        Unnoticed,
    ),
    ever(
        KNOWING_NOTHING,
        &[Call::Metadata, Call::Seek],
        ALL,
        Unnoticed,
    ),
    // Closing tries once more what could not be written, and so does dropping.
    once(CLOSING, WRITES, ALL, Unnoticed),
    once(&["drop"], WRITES, ALL, Unnoticed),
    // Only the error of what was dropped has nobody left to go to.
    ever(&["drop"], WRITES, ALL, Nobody),
    ever(
        &["drop", "Named", "named_", "reopen"],
        &[Call::RemoveFile],
        ALL,
        Nobody,
    ),
    ever(
        &["temporary_directory", "TemporaryDirectory", "memory_dir"],
        &[Call::RemoveDirAll],
        ALL,
        Nobody,
    ),
    // Where the mode of a directory is in the way, it is changed, and the removal tried again.
    once(
        &["close of a temporary directory"],
        &[Call::RemoveDirAll],
        FORBIDDEN,
        Unnoticed,
    ),
    // The owner of the old file is kept where the process may do so.
    ever(
        &["write_atomic of another's"],
        &[Call::SetPermissions],
        FORBIDDEN,
        Unnoticed,
    ),
    // Then the next place is tried.
    ever(
        &["memory_dir"],
        &[
            Call::Open,
            Call::Metadata,
            Call::CreateDir,
            Call::SetPermissions,
        ],
        &[libc::EACCES, libc::EPERM, libc::EROFS],
        Unnoticed,
    ),
    // Types and entries are asked for before they are wanted, and their errors told to whoever wants them.
    ever(
        &["os::listdir", "read_dir", "DirEntry::metadata"],
        &[Call::Metadata],
        ALL,
        Unnoticed,
    ),
    ever(
        &["DirEntry::file_type"],
        &[Call::ReadDir, Call::Metadata],
        ALL,
        Unnoticed,
    ),
    // What is not ready is waited for.
    ever(
        STREAMS,
        &[Call::Read, Call::Write, Call::Metadata],
        &[libc::EAGAIN],
        Unnoticed,
    ),
    // A sandbox that forbids the call which does not wait does not forbid the usual one.
    ever(
        STREAMS,
        &[Call::Read, Call::Write],
        &[libc::EPERM],
        Unnoticed,
    ),
    ever(&["sendfile"], &[Call::Copy], &[libc::EAGAIN], Unnoticed),
    // What has to do with the ring, and not with the file, is no answer: the pool makes the call.
    ever(
        &[""],
        &[Call::RingRead, Call::RingWrite],
        &[libc::EINTR, libc::EAGAIN],
        Unnoticed,
    ),
    // A file system that is not known is treated as one whose files are interfaces.
    ever(
        &["open of procfs", "read of procfs", "stdin", "stdout"],
        &[Call::Metadata],
        ALL,
        Unnoticed,
    ),
];

/// What is wrong about `found`.
pub fn judge(operation: &str, fault: &Fault, clean: &Outcome, found: &Outcome) -> Vec<String> {
    let mut wrong = found.wrong.clone();
    // Not every call has a length that could come short.
    let is_short = matches!(fault.action, Action::Short(_));
    if found.struck == 0 && !is_short {
        wrong.push("nothing was struck".to_owned());
    }
    let same = || {
        let mut wrong = Vec::new();
        if found.told != clean.told {
            wrong.push(format!("{:?}, and not {:?}", found.told, clean.told));
        }
        if found.notes != clean.notes {
            wrong.push(format!("{:?}, and not {:?}", found.notes, clean.notes));
        }
        if found.after != clean.after {
            wrong.push(difference(&found.after, &clean.after));
        }
        wrong
    };
    let exceptions = EXCEPTIONS.iter().filter(|exception| {
        let named = |begin: &&str| operation.starts_with(begin);
        let of_code = |code| exception.codes.contains(&code);
        exception.operations.iter().any(named)
            && exception.calls.contains(&fault.call)
            && (exception.ever || !fault.persistent)
            && (exception.codes.is_empty() || fault.code().is_some_and(of_code))
    });
    let allowed = exceptions
        .map(|exception| exception.what)
        .collect::<Vec<_>>();
    // It is done, or not done, or a part of it is.
    let partly = |wrong: &mut Vec<String>| {
        let bare = |snapshot: &Snapshot| {
            let mut snapshot = snapshot.clone();
            snapshot.retain(|name, _| {
                !found.partial.contains_key(name) && !found.checked.contains(name)
            });
            snapshot
        };
        let after = bare(&found.after);
        if after != bare(&found.before) && after != bare(&clean.after) {
            wrong.push(difference(&after, &bare(&found.before)));
        }
        for (name, whole) in &found.partial {
            if let Some((_, left)) = found.after.get(name)
                && found.after.get(name) != found.before.get(name)
                && !whole.starts_with(left)
            {
                wrong.push(format!("{name} was left with what nobody wrote"));
            }
        }
    };
    match &found.told {
        None => wrong.push("it did not come to its end".to_owned()),
        Some(Told::Panic(text)) if fault.planned_panic().as_ref() == Some(text) => {
            partly(&mut wrong);
        }
        Some(Told::Panic(text)) => wrong.push(format!("it panicked: {text}")),
        // A fault that is none.
        Some(_) if matches!(fault.action, Action::Short(_)) => wrong.extend(same()),
        Some(_) if fault.code() == Some(libc::EINTR) => wrong.extend(same()),
        Some(Told::Ok(text)) => {
            let answers = |what: &What| matches!(what, Answers(answer) if answer == text);
            if allowed.iter().any(answers) {
                return wrong;
            }
            let same = same();
            if found.told_later || allowed.contains(&Unnoticed) && same.is_empty() {
                wrong.extend(same);
            } else if allowed.contains(&Nobody) {
                partly(&mut wrong);
            } else {
                wrong.push("nobody heard of it".to_owned());
                wrong.extend(same);
            }
        }
        Some(Told::Err(code, text)) => {
            // Where the panic itself is not at hand any more, there is an error with these words.
            let of_panic = fault.planned_panic().is_some() && text.contains("panicked");
            let as_other = code.is_some_and(|code| allowed.contains(&As(code)));
            if !of_panic && !as_other && *code != fault.code() {
                wrong.push(format!("it is told as {code:?}: {text}"));
            }
            partly(&mut wrong);
        }
    }
    wrong
}

/// The first difference, in words.
fn difference(found: &Snapshot, expected: &Snapshot) -> String {
    for (name, (mode, content)) in found {
        match expected.get(name) {
            None => return format!("`{name}` is there, and ought not to be"),
            Some((expected, _)) if expected != mode => {
                return format!("`{name}` has the mode {mode:o}, and not {expected:o}");
            }
            Some((_, expected)) if expected != content => {
                return format!(
                    "`{name}` has {} bytes, and not {}, or others",
                    content.len(),
                    expected.len()
                );
            }
            Some(_) => {}
        }
    }
    let missing = expected.keys().find(|name| !found.contains_key(*name));
    format!("`{}` is not there", missing.map_or("?", |name| name))
}
