//! No function is forgotten: those of the source, beside those that are cut.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::bench::Bench;
use crate::everything;

/// Those that are cut nowhere, and why.
const EXCEPTED: [(&str, &str); 3] = [
    (
        "windows::symlink_dir",
        "of another system; the code is that of unix::symlink",
    ),
    (
        "windows::symlink_file",
        "of another system; the code is that of unix::symlink",
    ),
    (
        "memory::memory_dir",
        "what it makes stands among directories of others; it is Builder::temporary_directory behind one question",
    ),
];

/// The public asynchronous functions of a source file, as `Type::function`, or `file::function` outside of a type.
fn functions(path: &Path, found: &mut BTreeSet<String>) {
    let text = fs::read_to_string(path).expect("a source file");
    let mut module = path
        .file_stem()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    if module == "mod" {
        let dir = path.parent().and_then(Path::file_name);
        module = dir.expect("a directory").to_string_lossy().into_owned();
    }
    let mut owner = module.clone();
    let lines = text.lines().collect::<Vec<_>>();
    for (number, line) in lines.iter().enumerate() {
        if let Some(of) = line.strip_prefix("impl") {
            // `impl<F: Bounds> Type<F> {`
            let of = match of.strip_prefix('<') {
                Some(bounds) => bounds.split_once("> ").map_or("", |(_, of)| of),
                None => of.trim_start(),
            };
            let name = of.split(|c: char| !c.is_alphanumeric()).next();
            owner = name.expect("there is a first").to_owned();
        }
        let is_inside = line.starts_with(' ');
        let code = line.trim_start();
        let name = match code.strip_prefix("pub async fn ") {
            Some(name) => name,
            None => {
                let Some(name) = code.strip_prefix("pub fn ") else {
                    continue;
                };
                let signature = lines[number..]
                    .iter()
                    .take_while(|line| !line.ends_with('{') || line.contains("impl Future"));
                let mut signature = signature.take(12);
                if !signature.any(|line| line.contains("impl Future<")) {
                    continue;
                }
                name
            }
        };
        let end = name.find(['<', '(']).expect("a function has arguments");
        let owner = if is_inside { &owner } else { &module };
        found.insert(format!("{owner}::{}", &name[..end]));
    }
}

#[test]
fn every_public_asynchronous_function_is_cut() {
    let mut found = BTreeSet::new();
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory");
            left.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else {
            functions(&path, &mut found);
        }
    }
    assert!(
        found.len() > 120,
        "only {} functions were found",
        found.len()
    );

    let mut bench = Bench::listing();
    everything(&mut bench);
    let excepted = EXCEPTED.map(|(name, _)| name);
    let is_cut = |name: &str| bench.covered.contains(name) || excepted.contains(&name);
    let forgotten = found
        .iter()
        .filter(|name| !is_cut(name))
        .collect::<Vec<_>>();
    assert!(forgotten.is_empty(), "cut nowhere: {forgotten:#?}");

    // What is listed is there. (Methods of traits, streams and constructors are in no signature that was looked at.)
    let named = bench.covered.iter().copied().chain(excepted);
    let unknown = named.filter(|name| name.contains("::") && !found.contains(*name));
    let others = ["TextFile::lines", "TextFile::into_lines"];
    let unknown = unknown
        .filter(|name| !others.contains(name))
        .collect::<Vec<_>>();
    assert!(unknown.is_empty(), "of no such name: {unknown:#?}");
}
