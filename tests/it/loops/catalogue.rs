//! Nothing is forgotten: every function of the crate that waits for something is in the list of operations, or here, with
//! the reason why it is not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::operations;

/// What makes no system call of its own, or has another test that does the same.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "backend/executor.rs with_executor",
        "runs a future of the user's",
    ),
    ("unblock.rs unblock", "runs a closure of the user's"),
    ("wrap.rs get_mut", "what is wrapped makes its own calls"),
    ("wrap.rs into_inner", "what is wrapped makes its own calls"),
    (
        "wrap.rs AsyncRead for Wrapped",
        "what is wrapped makes its own calls",
    ),
    (
        "wrap.rs AsyncBufRead for Wrapped",
        "what is wrapped makes its own calls",
    ),
    (
        "wrap.rs AsyncWrite for Wrapped",
        "what is wrapped makes its own calls",
    ),
    (
        "wrap.rs AsyncSeek for Wrapped",
        "what is wrapped makes its own calls",
    ),
    ("windows.rs symlink_dir", "not on Unix"),
    ("windows.rs symlink_file", "not on Unix"),
    ("buf/aligned.rs with_capacity", "memory only"),
    ("buf/aligned.rs zeroed", "memory only"),
    ("tempfile/file.rs AsyncRead for $type", "forwards to `File`"),
    (
        "tempfile/file.rs AsyncBufRead for $type",
        "forwards to `File`",
    ),
    (
        "tempfile/file.rs AsyncWrite for $type",
        "forwards to `File`",
    ),
    ("tempfile/file.rs AsyncSeek for $type", "forwards to `File`"),
];

/// Functions and trait implementations of the public modules that wait, as `file.rs name`.
fn found() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::new();
    visit(&root, "", &mut found);
    found
}

fn visit(dir: &Path, prefix: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).expect("the sources are there") {
        let entry = entry.expect("an entry");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            visit(&entry.path(), &format!("{name}/"), found);
        } else {
            let text = fs::read_to_string(entry.path()).expect("a source");
            found.extend(names(&text).into_iter().map(|it| format!("{name} {it}")));
        }
    }
}

fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        // The head of a function may take several lines.
        let mut head = line.to_owned();
        if line.starts_with("pub fn ") || line.starts_with("pub async fn ") {
            while !head.ends_with('{')
                && !head.ends_with(';')
                && let Some(more) = lines.next()
            {
                head.push(' ');
                head.push_str(more);
            }
        }
        let waits = head.starts_with("pub async fn ")
            || head.starts_with("pub fn ")
                && (head.contains("-> impl Future") || head.contains("-> io::Result<"));
        let name = head.split_once("fn ").map_or("", |(_, rest)| rest);
        if waits {
            let end = name.find(['<', '(']).unwrap_or(name.len());
            names.push(name[..end].to_owned());
        }
        for of in [
            "AsyncRead",
            "AsyncBufRead",
            "AsyncWrite",
            "AsyncSeek",
            "Stream",
        ] {
            if line.starts_with("impl")
                && let Some((_, rest)) = line.split_once(&format!(" {of} for "))
            {
                let end = rest.find(['<', ' ']).unwrap_or(rest.len());
                names.push(format!("{of} for {}", &rest[..end]));
            }
        }
    }
    names
}

#[test]
fn every_operation_is_in_the_catalogue() {
    let found = found();
    assert!(found.len() > 120, "only {} were found", found.len());
    let mut known = BTreeSet::new();
    for operation in operations() {
        known.extend(operation.covers.iter().map(|name| (*name).to_owned()));
    }
    known.extend(EXCEPTIONS.iter().map(|(name, _)| (*name).to_owned()));
    let missing = found.difference(&known).collect::<Vec<_>>();
    assert!(missing.is_empty(), "nobody performs {missing:?}");
    let gone = known.difference(&found).collect::<Vec<_>>();
    assert!(gone.is_empty(), "there is no {gone:?} any more");
}
