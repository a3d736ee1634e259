//! What the examples of three kinds of executor have in common: all of it but the executor.

use std::env;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use aiofiles::{File, PathError};
use futures_lite::AsyncBufReadExt as _;

/// Counts the lines of a file. It runs on whatever executor polls it.
pub async fn count_lines(path: OsString) -> io::Result<usize> {
    let mut file = File::open(path).await?;
    let mut lines = 0;
    loop {
        let bytes = file.fill_buf().await?;
        if bytes.is_empty() {
            return Ok(lines);
        }
        lines += bytes.iter().filter(|byte| **byte == b'\n').count();
        let n = bytes.len();
        file.consume(n);
    }
}

/// The names of the files, or the code to exit with.
pub fn arguments(program: &str) -> Result<Vec<OsString>, ExitCode> {
    let names = env::args_os().skip(1).collect::<Vec<_>>();
    if names.iter().any(|name| name == "--help") {
        // It is no error if nobody reads it.
        let _ = write!(
            io::stdout(),
            "Counts the lines of files.\n\nUsage: {program} FILE...\n"
        );
        return Err(ExitCode::SUCCESS);
    }
    if names.is_empty() {
        let _ = writeln!(
            io::stderr(),
            "{program}: no file given; see `{program} --help`"
        );
        return Err(ExitCode::from(2));
    }
    Ok(names)
}

/// Prints the counts, and the error of every file that could not be counted.
pub fn report(
    program: &str,
    names: &[OsString],
    counts: impl IntoIterator<Item = io::Result<usize>>,
) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (name, lines) in names.iter().zip(counts) {
        let name = name.display();
        let printed = match &lines {
            Ok(lines) => writeln!(io::stdout(), "{lines} {name}"),
            Err(error) => {
                code = ExitCode::FAILURE;
                // The errors of functions that take a path name it, those of open files do not.
                let _ = match PathError::of(error) {
                    Some(error) => writeln!(io::stderr(), "{program}: {error}"),
                    None => writeln!(io::stderr(), "{program}: {name}: {error}"),
                };
                Ok(())
            }
        };
        match printed {
            Ok(()) => {}
            // Whoever reads the output has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            Err(error) => {
                let _ = writeln!(io::stderr(), "{program}: standard output: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    code
}
