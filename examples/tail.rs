//! Writes the last lines of a file to standard output, and what is appended to it later, as tail(1) does:
//!
//! ```sh
//! cargo run --example tail -- -n 3 -f /var/log/syslog
//! ```
//!
//! It looks at the file ten times a second, and sleeps meanwhile. A file that was truncated is read from its beginning,
//! and one that another has taken the name of is read to its end, and then the other.

#[path = "shared/tool.rs"]
mod tool;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, SeekFrom};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use aiofiles::stdio::{self, Stdio};
use aiofiles::{File, Metadata};
use smol::Timer;
use smol::io::{AsyncBufReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tool::Tool;

const TOOL: Tool = Tool {
    name: "tail",
    help: "\
Writes the last lines of a file to standard output.

Usage: tail [-n LINES] [-f] FILE

Options:
  -n LINES  How many lines, instead of 10
  -f        Go on with what is appended; follow the name of the file, also to
            another that takes it
  --help    Show this help
",
};

/// How often a file that is followed is looked at.
const LOOK: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let (mut lines, mut follows) = (Some(10), false);
    let names = TOOL.operands_beside_values(&["-n"], |option| {
        match option.strip_prefix("-n") {
            Some(number) => lines = number.parse().ok(),
            None if option == "-f" => follows = true,
            None => return false,
        }
        true
    });
    let names = match names {
        Ok(names) => names,
        Err(code) => return code,
    };
    let Some(lines) = lines else {
        return TOOL.misused("a number of lines is needed");
    };
    let [name] = &names[..] else {
        return TOOL.misused("one file is needed");
    };
    match smol::block_on(tail(name.as_ref(), lines, follows)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Read(error)) => {
            TOOL.complain(name, &error);
            ExitCode::FAILURE
        }
        Err(Failed::Write(error)) => TOOL.cannot_print(&error),
    }
}

/// Which side has failed.
enum Failed {
    Read(io::Error),
    Write(io::Error),
}

async fn tail(path: &Path, lines: u64, follows: bool) -> Result<(), Failed> {
    let mut output = stdio::stdout();
    let mut file = File::open(path).await.map_err(Failed::Read)?;
    let metadata = file.metadata().await.map_err(Failed::Read)?;
    if metadata.is_file() {
        let begin = begin_of_last(&file, metadata.len(), lines).await;
        let begin = SeekFrom::Start(begin.map_err(Failed::Read)?);
        file.seek(begin).await.map_err(Failed::Read)?;
        copy(&mut file, &mut output).await?;
    } else {
        for line in last_of_stream(&mut file, lines)
            .await
            .map_err(Failed::Read)?
        {
            output.write_all(&line).await.map_err(Failed::Write)?;
        }
    }
    output.flush().await.map_err(Failed::Write)?;
    match follows {
        true => follow(path, file, output).await,
        false => Ok(()),
    }
}

/// Where the last lines of a file begin: looked for from its end, block by block.
async fn begin_of_last(file: &File, len: u64, lines: u64) -> io::Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    if lines == 0 {
        return Ok(len);
    }
    let mut found = 0;
    let mut end = len;
    while end > 0 {
        let begin = end.saturating_sub(BLOCK);
        let block = vec![0; (end - begin) as usize];
        let (result, block) = file.read_exact_at(block, begin).await;
        result?;
        for (at, _) in block.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            let next = begin + at as u64 + 1;
            // What ends the last line begins none.
            found += u64::from(next != len);
            if found == lines {
                return Ok(next);
            }
        }
        end = begin;
    }
    Ok(0)
}

/// The last lines of something that can only be read from its beginning.
async fn last_of_stream(file: &mut File, lines: u64) -> io::Result<VecDeque<Vec<u8>>> {
    let mut last = VecDeque::new();
    loop {
        let mut line = Vec::new();
        if file.read_until(b'\n', &mut line).await? == 0 {
            return Ok(last);
        }
        last.push_back(line);
        if last.len() as u64 > lines {
            last.pop_front();
        }
    }
}

/// Writes what comes, for ever.
async fn follow(path: &Path, mut file: File, mut output: Stdio) -> Result<(), Failed> {
    loop {
        Timer::after(LOOK).await;
        // The name is looked at first: what the old file got before another took its name is still read.
        let named = aiofiles::metadata(path).await;
        let own = file.metadata().await.map_err(Failed::Read)?;
        let position = file.stream_position().await;
        if own.is_file() && position.is_ok_and(|position| own.len() < position) {
            TOOL.complain(path.as_ref(), &io::Error::other("file truncated"));
            file.seek(SeekFrom::Start(0)).await.map_err(Failed::Read)?;
        }
        copy(&mut file, &mut output).await?;
        if named.is_ok_and(|named| !is_same(&named, &own)) {
            match File::open(path).await {
                Ok(other) => {
                    TOOL.complain(path.as_ref(), &io::Error::other("file replaced"));
                    file = other;
                    copy(&mut file, &mut output).await?;
                }
                // It is gone again; there will be another.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(Failed::Read(error)),
            }
        }
        output.flush().await.map_err(Failed::Write)?;
    }
}

/// Writes what is left of the file.
async fn copy(file: &mut File, output: &mut Stdio) -> Result<(), Failed> {
    loop {
        let bytes = file.fill_buf().await.map_err(Failed::Read)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let n = bytes.len();
        output.write_all(bytes).await.map_err(Failed::Write)?;
        file.consume(n);
    }
}

/// Whether both are of the same file.
#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use aiofiles::unix::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Whether both are of the same file, as far as the time tells.
#[cfg(not(unix))]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.created().ok() == other.created().ok()
}
