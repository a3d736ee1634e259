//! Copies files into a temporary directory, and runs a command there:
//!
//! ```sh
//! cargo run --example tempdir -- --run='wc -l *' README.md CHANGELOG.md
//! ```
//!
//! The directory is removed in the end, whatever has happened, and any error of that is told.

#[path = "shared/tool.rs"]
mod tool;

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::process::{ExitCode, ExitStatus};

use aiofiles::tempfile::{Builder, TemporaryDirectory};
use smol::process::Command;
use tool::Tool;

const TOOL: Tool = Tool {
    name: "tempdir",
    help: "\
Copies files into a temporary directory, prints its path, and removes it.

Usage: tempdir [--keep] [--run=COMMAND] [FILE]...

With a command, the shell runs it in the directory before that is removed, and its code is the one to exit with.

Options:
  --keep         Do not remove the directory
  --run=COMMAND  Run a command
  --help         Show this help
",
};

fn main() -> ExitCode {
    let (mut keep, mut command) = (false, None);
    let option = |option: &str| {
        match option.strip_prefix("--run=") {
            Some(text) => command = Some(text.to_owned()),
            None => keep |= option == "--keep",
        }
        option == "--keep" || command.is_some() && option.starts_with("--run=")
    };
    let names = match TOOL.operands(option) {
        Ok(names) => names,
        Err(code) => return code,
    };
    smol::block_on(async {
        let created = Builder::new()
            .prefix("tempdir-")
            .temporary_directory()
            .await;
        let mut dir = match created {
            Ok(dir) => dir,
            Err(error) => {
                TOOL.complain("directory".as_ref(), &error);
                return ExitCode::FAILURE;
            }
        };
        let code = work(&dir, &names, command.as_deref()).await;
        if keep {
            dir.keep();
            return code;
        }
        match dir.close().await {
            Ok(()) => code,
            Err(error) => {
                TOOL.complain(dir.path().as_os_str(), &error);
                ExitCode::FAILURE
            }
        }
    })
}

/// Fills the directory, prints its path, and runs the command.
async fn work(dir: &TemporaryDirectory, names: &[OsString], command: Option<&str>) -> ExitCode {
    for name in names {
        if let Err(error) = copy_into(dir.path(), name).await {
            TOOL.complain(name, &error);
            return ExitCode::FAILURE;
        }
    }
    if let Err(error) = writeln!(io::stdout(), "{}", dir.path().display()) {
        return TOOL.cannot_print(&error);
    }
    let Some(command) = command else {
        return ExitCode::SUCCESS;
    };
    match shell(command).current_dir(dir.path()).status().await {
        Ok(status) => code_of(status),
        Err(error) => {
            TOOL.complain(command.as_ref(), &error);
            ExitCode::FAILURE
        }
    }
}

/// Copies a file into the directory, under the name it has, where nothing may have that name yet.
async fn copy_into(dir: &Path, name: &OsStr) -> io::Result<()> {
    let last = Path::new(name).file_name();
    let to = dir.join(last.ok_or_else(|| io::Error::other("not the name of a file"))?);
    if aiofiles::try_exists(&to).await? {
        return Err(io::Error::new(
            ErrorKind::AlreadyExists,
            "another file has the same name",
        ));
    }
    aiofiles::copy(name, &to).await?;
    Ok(())
}

/// The shell of the system, with a command to run.
fn shell(command: &str) -> Command {
    let (program, flag) = match cfg!(windows) {
        true => ("cmd", "/C"),
        false => ("sh", "-c"),
    };
    let mut shell = Command::new(program);
    shell.args([flag, command]);
    shell
}

/// What a command has exited with; 1 if it was killed.
fn code_of(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}
