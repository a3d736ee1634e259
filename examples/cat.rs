//! Writes files to standard output, one after another, as cat(1) does:
//!
//! ```sh
//! cargo run --example cat -- README.md - CHANGELOG.md
//! ```
//!
//! Standard input and output are files like the others here, so a terminal or a pipe holds no thread.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use aiofiles::{File, PathError};
use smol::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

const HELP: &str = "\
Writes files to standard output, one after another.

Usage: cat [FILE]...

Where FILE is `-`, and when there is none, standard input is read.

Options:
  --help  Show this help
";

fn main() -> ExitCode {
    let names = match arguments() {
        Ok(names) => names,
        Err(code) => return code,
    };
    match smol::block_on(cat(&names)) {
        Ok(code) => code,
        // Whoever reads the output has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain("standard output".as_ref(), &error);
            ExitCode::FAILURE
        }
    }
}

/// The names of the files, or the code to exit with.
fn arguments() -> Result<Vec<OsString>, ExitCode> {
    let mut names = Vec::new();
    let mut options = true;
    for argument in env::args_os().skip(1) {
        match argument.to_str() {
            Some("--") if options => options = false,
            Some("--help") if options => {
                // It is no error if nobody reads it.
                let _ = io::stdout().write_all(HELP.as_bytes());
                return Err(ExitCode::SUCCESS);
            }
            Some(option) if options && option.starts_with('-') && option != "-" => {
                let _ = writeln!(
                    io::stderr(),
                    "cat: unknown option `{option}`; see `cat --help`"
                );
                return Err(ExitCode::from(2));
            }
            _ => names.push(argument),
        }
    }
    if names.is_empty() {
        names.push("-".into());
    }
    Ok(names)
}

/// Copies every file to standard output. One that cannot be read is told of, and the others follow.
///
/// The error is that of standard output: then nothing can follow.
async fn cat(names: &[OsString]) -> io::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    let mut input = None;
    let mut output = standard_output()?;
    for name in names {
        let read = if name == "-" {
            match &mut input {
                Some(input) => copy(input, &mut output).await?,
                none => match standard_input() {
                    Ok(file) => copy(none.insert(file), &mut output).await?,
                    Err(error) => Err(error),
                },
            }
        } else {
            match File::open(name).await {
                Ok(mut file) => copy(&mut file, &mut output).await?,
                Err(error) => Err(error),
            }
        };
        if let Err(error) = read {
            // Standard error may be the same open file, whose position the kernel keeps. Ours is put there first.
            output = File::from(output.into_std().await?);
            complain(name, &error);
            code = ExitCode::FAILURE;
        }
    }
    // The same for whoever goes on with these two files after this program.
    if let Some(input) = input {
        input.into_std().await?;
    }
    output.into_std().await?;
    Ok(code)
}

/// Copies what is left of `input`. The outer error is that of writing, the inner one that of reading.
async fn copy(input: &mut File, output: &mut File) -> io::Result<io::Result<()>> {
    loop {
        let bytes = match input.fill_buf().await {
            Ok([]) => return Ok(Ok(())),
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error)),
        };
        output.write_all(bytes).await?;
        let n = bytes.len();
        input.consume(n);
    }
}

/// Tells what went wrong, and with which file, unless the error names it itself.
fn complain(name: &OsStr, error: &io::Error) {
    let mut stderr = io::stderr();
    // If even that fails, there is nobody left to tell.
    let _ = match PathError::of(error) {
        Some(error) => writeln!(stderr, "cat: {error}"),
        None => writeln!(stderr, "cat: {}: {error}", name.display()),
    };
}

#[cfg(unix)]
fn standard_input() -> io::Result<File> {
    use std::os::fd::AsFd as _;
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

#[cfg(unix)]
fn standard_output() -> io::Result<File> {
    use std::os::fd::AsFd as _;
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn standard_input() -> io::Result<File> {
    use std::os::windows::io::AsHandle as _;
    Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn standard_output() -> io::Result<File> {
    use std::os::windows::io::AsHandle as _;
    Ok(io::stdout().as_handle().try_clone_to_owned()?.into())
}
