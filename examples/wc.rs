//! Counts lines, words and bytes, as wc(1) does, in many files at once:
//!
//! ```sh
//! cargo run --example wc -- README.md
//! ```

#[path = "shared/tool.rs"]
mod tool;

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::process::ExitCode;

use aiofiles::File;
use smol::Task;
use smol::io::AsyncBufReadExt as _;
use tool::{Tool, file_of};

const TOOL: Tool = Tool {
    name: "wc",
    help: "\
Counts lines, words and bytes of files.

Usage: wc [-l] [-w] [-c] [FILE]...

Where FILE is `-`, and when there is none, standard input is read. With more than one FILE, a line of totals follows.
A word is a longest run of bytes that are no ASCII white space.

Options:
  -l      Show the number of lines
  -w      Show the number of words
  -c      Show the number of bytes
  --help  Show this help
",
};

/// So many files are worked on at the same time.
const AT_ONCE: usize = 32;

fn main() -> ExitCode {
    let mut chosen = String::new();
    let operands = TOOL.operands(|option| {
        chosen.push_str(&option[1..]);
        option[1..].chars().all(|letter| "lwc".contains(letter))
    });
    let names = match operands {
        Ok(names) => names,
        Err(code) => return code,
    };
    let columns = ['l', 'w', 'c'].map(|letter| chosen.is_empty() || chosen.contains(letter));
    // The files are counted by tasks on smol's own threads. This one prints, so it may wait for standard output.
    match smol::block_on(wc(columns, &names)) {
        Ok(code) => code,
        Err(error) => TOOL.cannot_print(&error),
    }
}

/// Which numbers are shown: lines, words, bytes.
type Columns = [bool; 3];

/// Prints a line for every file, and the totals.
///
/// The error is that of standard output.
async fn wc(columns: Columns, names: &[OsString]) -> io::Result<ExitCode> {
    let no_names = [OsString::from("-")];
    let inputs = if names.is_empty() { &no_names } else { names };
    let width = width(columns, inputs).await?;
    let print = |counts: &Counts, name: Option<&OsStr>| print(columns, width, counts, name);

    // Standard input is at its end after the first time.
    let mut input = Some(file_of(io::stdin())?);
    let tasks = inputs.iter().map(|name| {
        let source = if name == "-" {
            input.take().map_or(Source::Ended, Source::Input)
        } else {
            Source::Path(name.clone())
        };
        smol::spawn(source.count())
    });

    let mut code = ExitCode::SUCCESS;
    let mut total = Counts::default();
    let mut counted = inputs.iter();
    in_order(tasks, |counts| {
        let Some(name) = counted.next() else {
            return Ok(());
        };
        match counts {
            Ok(counts) => {
                total.add(&counts);
                print(&counts, (!names.is_empty()).then_some(name))
            }
            Err(error) => {
                TOOL.complain(name, &error);
                code = ExitCode::FAILURE;
                Ok(())
            }
        }
    })
    .await?;
    if inputs.len() > 1 {
        print(&total, Some("total".as_ref()))?;
    }
    Ok(code)
}

/// Starts the tasks one after another, [`AT_ONCE`] at the same time, and takes their results in order.
async fn in_order<T>(
    mut tasks: impl Iterator<Item = Task<T>>,
    mut take: impl FnMut(T) -> io::Result<()>,
) -> io::Result<()> {
    let mut running = tasks.by_ref().take(AT_ONCE).collect::<VecDeque<_>>();
    while let Some(task) = running.pop_front() {
        take(task.await)?;
        running.extend(tasks.next());
    }
    Ok(())
}

/// How wide the columns are: as wide as the number of all bytes. What has no size gets seven digits.
async fn width(columns: Columns, names: &[OsString]) -> io::Result<usize> {
    if names.len() == 1 && columns.iter().filter(|shown| **shown).count() == 1 {
        return Ok(1);
    }
    let (mut sum, mut least) = (0, 1);
    let tasks = names.iter().map(|name| {
        let name = name.clone();
        smol::spawn(async move {
            match name == "-" {
                true => file_of(io::stdin())?.metadata().await,
                false => aiofiles::metadata(name).await,
            }
        })
    });
    in_order(tasks, |metadata| {
        match metadata {
            Ok(metadata) if metadata.is_file() => sum += metadata.len(),
            Ok(_) => least = 7,
            // Counting will say so.
            Err(_) => {}
        }
        Ok(())
    })
    .await?;
    Ok(sum.to_string().len().max(least))
}

/// Prints one line.
fn print(columns: Columns, width: usize, counts: &Counts, name: Option<&OsStr>) -> io::Result<()> {
    let numbers = [counts.lines, counts.words, counts.bytes];
    let mut line = numbers
        .iter()
        .zip(columns)
        .filter(|(_, shown)| *shown)
        .map(|(number, _)| format!("{number:>width$}"))
        .collect::<Vec<_>>()
        .join(" ")
        .into_bytes();
    if let Some(name) = name {
        line.push(b' ');
        line.extend_from_slice(name.as_encoded_bytes());
    }
    line.push(b'\n');
    io::stdout().write_all(&line)
}

/// Where bytes come from.
enum Source {
    Path(OsString),
    /// Standard input.
    Input(File),
    /// Standard input, when it was read before.
    Ended,
}

impl Source {
    async fn count(self) -> io::Result<Counts> {
        match self {
            Source::Path(path) => Counts::of(&mut File::open(path).await?).await,
            Source::Input(mut file) => {
                let counts = Counts::of(&mut file).await?;
                // Whoever goes on with it after this program finds the kernel's position where ours is.
                file.into_std().await?;
                Ok(counts)
            }
            Source::Ended => Ok(Counts::default()),
        }
    }
}

#[derive(Default)]
struct Counts {
    lines: u64,
    words: u64,
    bytes: u64,
}

impl Counts {
    /// Counts what is left of `file`.
    async fn of(file: &mut File) -> io::Result<Counts> {
        let mut counts = Counts::default();
        let mut in_word = false;
        loop {
            let bytes = file.fill_buf().await?;
            if bytes.is_empty() {
                return Ok(counts);
            }
            for byte in bytes {
                let space = matches!(byte, b' ' | b'\t'..=b'\r');
                counts.lines += u64::from(*byte == b'\n');
                counts.words += u64::from(!space && !in_word);
                in_word = !space;
            }
            let n = bytes.len();
            counts.bytes += n as u64;
            file.consume(n);
        }
    }

    fn add(&mut self, other: &Counts) {
        self.lines += other.lines;
        self.words += other.words;
        self.bytes += other.bytes;
    }
}
