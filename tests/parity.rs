//! Everything that Python's aiofiles and aiofile have is here, and each of it has a test.
//!
//! `tests/data/parity.txt` says which test that is. This one fails when there is no such test, or when the guide for
//! readers, "Coming from Python", leaves a name out.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

struct Entry<'a> {
    python: &'a str,
    here: &'a str,
    file: &'a str,
    test: &'a str,
}

fn entries() -> Vec<Entry<'static>> {
    let lines = include_str!("data/parity.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let columns = line.split(" | ").collect::<Vec<_>>();
            let [python, here, place] = columns[..] else {
                panic!("three columns: {line}");
            };
            let (file, test) = place.split_once(' ').expect("a file and a test");
            Entry {
                python,
                here,
                file,
                test,
            }
        })
        .collect()
}

/// Whether the file has a test of this name: a function under `#[test]`, or a check of a binary with a `main` of its own.
fn has_test(text: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let heads = text.match_indices(&head);
    let of_libtest = heads.map(|(at, _)| &text[..at]).any(|before| {
        let attributes = before.trim_end().lines().rev();
        let mut attributes = attributes.take_while(|line| {
            let line = line.trim_start();
            line.starts_with('#') || line.starts_with("//")
        });
        attributes.any(|line| line.trim() == "#[test]")
    });
    of_libtest || text.contains(&format!("\"{name}\","))
}

#[test]
fn every_name_of_python_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let all = entries();
    let proven = all.iter().filter(|entry| {
        let text = fs::read_to_string(root.join(entry.file));
        let found = text.is_ok_and(|text| has_test(&text, entry.test));
        if !found {
            eprintln!(
                "{} ({}): no test {} in {}",
                entry.python, entry.here, entry.test, entry.file
            );
        }
        found
    });
    let proven = proven.count();
    // Past the capture of libtest, which would show it of a failure only.
    let summary = format!("parity: {proven} of {}\n", all.len());
    std::io::stderr()
        .write_all(summary.as_bytes())
        .expect("standard error is open");
    assert_eq!(proven, all.len());
    assert!(all.len() > 150);
    let names = all.iter().map(|entry| entry.python);
    assert_eq!(
        names.collect::<BTreeSet<_>>().len(),
        all.len(),
        "a name stands there twice"
    );
}

#[test]
fn the_guide_names_everything() {
    let guide = include_str!("../src/python.md");
    for entry in entries() {
        assert!(
            guide.contains(&format!("`{}`", entry.python)),
            "the guide lacks `{}`",
            entry.python
        );
    }
}
