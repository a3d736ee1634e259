//! What the examples of three kinds of executor have in common: all of it but the executor.

mod tool;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use aiofiles::File;
use futures_lite::AsyncBufReadExt as _;
pub use tool::Tool;

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
pub fn arguments(tool: &Tool) -> Result<Vec<OsString>, ExitCode> {
    let names = tool.operands(|_| false)?;
    if names.is_empty() {
        return Err(tool.misused("no file given"));
    }
    Ok(names)
}

/// Prints the counts, and the error of every file that could not be counted.
pub fn report(
    tool: &Tool,
    names: &[OsString],
    counts: impl IntoIterator<Item = io::Result<usize>>,
) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (name, lines) in names.iter().zip(counts) {
        match lines {
            Ok(lines) => {
                if let Err(error) = writeln!(io::stdout(), "{lines} {}", name.display()) {
                    return tool.cannot_print(&error);
                }
            }
            Err(error) => {
                tool.complain(name, &error);
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
