//! What the examples that are command line tools have in common: their arguments and their complaints.

#![allow(dead_code, reason = "not every tool needs all of it")]

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use aiofiles::{File, PathError};

/// A command line tool.
pub struct Tool {
    pub name: &'static str,
    pub help: &'static str,
}

impl Tool {
    /// The operands, or the code to exit with. `option` is given every option, and says whether there is such a one.
    pub fn operands(&self, option: impl FnMut(&str) -> bool) -> Result<Vec<OsString>, ExitCode> {
        self.operands_beside_values(&[], option)
    }

    /// The same where some options have a value. It is given together with the option, also if it stands apart.
    pub fn operands_beside_values(
        &self,
        with_value: &[&str],
        mut option: impl FnMut(&str) -> bool,
    ) -> Result<Vec<OsString>, ExitCode> {
        let mut operands = Vec::new();
        let mut options = true;
        let mut arguments = env::args_os().skip(1);
        while let Some(mut argument) = arguments.next() {
            if options && with_value.iter().any(|option| argument == *option) {
                argument.push(arguments.next().unwrap_or_default());
            }
            match argument.to_str() {
                Some("--") if options => options = false,
                Some("--help") if options => {
                    // It is no error if nobody reads it.
                    let _ = io::stdout().write_all(self.help.as_bytes());
                    return Err(ExitCode::SUCCESS);
                }
                // A single dash is an operand: it may stand for standard input.
                Some(text) if options && text.starts_with('-') && text != "-" => {
                    if !option(text) {
                        return Err(self.misused(&format!("unknown option `{text}`")));
                    }
                }
                _ => operands.push(argument),
            }
        }
        Ok(operands)
    }

    /// Tells what is wrong with the arguments.
    pub fn misused(&self, message: &str) -> ExitCode {
        let name = self.name;
        let _ = writeln!(io::stderr(), "{name}: {message}; see `{name} --help`");
        ExitCode::from(2)
    }

    /// Tells what went wrong, and with which file, unless the error names it itself.
    pub fn complain(&self, file: &OsStr, error: &io::Error) {
        let mut stderr = io::stderr();
        // If even that fails, there is nobody left to tell.
        let _ = match PathError::of(error) {
            Some(error) => writeln!(stderr, "{}: {error}", self.name),
            None => writeln!(stderr, "{}: {}: {error}", self.name, file.display()),
        };
    }

    /// What the tool exits with when standard output has failed.
    pub fn cannot_print(&self, error: &io::Error) -> ExitCode {
        // Whoever reads the output has seen enough.
        if error.kind() == ErrorKind::BrokenPipe {
            return ExitCode::SUCCESS;
        }
        self.complain("standard output".as_ref(), error);
        ExitCode::FAILURE
    }
}

/// Standard input or output, as a file like others.
#[cfg(unix)]
pub fn file_of(stream: impl std::os::fd::AsFd) -> io::Result<File> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

/// Standard input or output, as a file like others.
#[cfg(windows)]
pub fn file_of(stream: impl std::os::windows::io::AsHandle) -> io::Result<File> {
    Ok(stream.as_handle().try_clone_to_owned()?.into())
}
