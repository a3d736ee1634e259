//! What may come of an operation that meets a fault.

use aiofiles::testing::Call;

use super::{Action, Fault, Outcome, Snapshot, Told};

/// Where the contract says that a fault is not told, or is told by another code.
struct Exception {
    /// How the name of the operation begins.
    operation: &'static str,
    call: Call,
    /// None: all.
    codes: &'static [i32],
    what: What,
    #[expect(dead_code, reason = "for whoever reads it")]
    reason: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// It is as if there was no fault.
    Unnoticed,
    /// It is told by this code.
    As(i32),
    /// The answer is this one.
    Answers(&'static str),
}

const EXCEPTIONS: &[Exception] = &[];

/// What is wrong about `found`.
pub fn judge(operation: &str, fault: &Fault, clean: &Outcome, found: &Outcome) -> Vec<String> {
    let mut wrong = found.wrong.clone();
    if found.struck == 0 {
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
        operation.starts_with(exception.operation)
            && exception.call == fault.call
            && (exception.codes.is_empty()
                || fault
                    .code()
                    .is_some_and(|code| exception.codes.contains(&code)))
    });
    let allowed = |what: What| exceptions.clone().any(|exception| exception.what == what);
    match &found.told {
        None => wrong.push("it did not come to its end".to_owned()),
        Some(Told::Panic(text)) => wrong.push(format!("it panicked: {text}")),
        // A fault that is none.
        Some(_) if !matches!(fault.action, Action::Fail(_)) => wrong.extend(same()),
        Some(_) if fault.code() == Some(libc::EINTR) => wrong.extend(same()),
        Some(Told::Ok(_)) => {
            if !found.told_later && !allowed(What::Unnoticed) {
                let answers = |exception: &Exception| match exception.what {
                    What::Answers(text) => found.told == Some(Told::Ok(text.to_owned())),
                    _ => false,
                };
                if exceptions.clone().any(answers) {
                    return wrong;
                }
                wrong.push("nobody heard of it".to_owned());
            }
            wrong.extend(same());
        }
        Some(Told::Err(code, text)) => {
            let other = code.is_some_and(|code| allowed(What::As(code)));
            if *code != fault.code() && !other {
                wrong.push(format!("it is told as {code:?}: {text}"));
            }
            // It is done, or not done, or a part of it is.
            let bare = |snapshot: &Snapshot| {
                let mut snapshot = snapshot.clone();
                snapshot.retain(|name, _| !found.partial.contains_key(name));
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
