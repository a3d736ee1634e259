//! Writes files to standard output, one after another, as cat(1) does:
//!
//! ```sh
//! cargo run --example cat -- README.md - CHANGELOG.md
//! ```
//!
//! Standard input and output are files like the others here, so a terminal or a pipe holds no thread.

#[path = "shared/tool.rs"]
mod tool;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use aiofiles::File;
use aiofiles::stdio::{self, Stdio};
use smol::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWriteExt as _};
use tool::Tool;

const TOOL: Tool = Tool {
    name: "cat",
    help: "\
Writes files to standard output, one after another.

Usage: cat [FILE]...

Where FILE is `-`, and when there is none, standard input is read.

Options:
  --help  Show this help
",
};

fn main() -> ExitCode {
    let mut names = match TOOL.operands(|_| false) {
        Ok(names) => names,
        Err(code) => return code,
    };
    if names.is_empty() {
        names.push("-".into());
    }
    match smol::block_on(cat(&names)) {
        Ok(code) => code,
        Err(error) => TOOL.cannot_print(&error),
    }
}

/// Copies every file to standard output. One that cannot be read is told of, and the others follow.
///
/// The error is that of standard output: then nothing can follow.
async fn cat(names: &[OsString]) -> io::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    let (mut input, mut output) = (stdio::stdin(), stdio::stdout());
    for name in names {
        let read = if name == "-" {
            copy(&mut input, &mut output).await?
        } else {
            match File::open(name).await {
                Ok(mut file) => copy(&mut file, &mut output).await?,
                Err(error) => Err(error),
            }
        };
        if let Err(error) = read {
            // Standard error may lead to the same file: first what comes first.
            output.flush().await?;
            TOOL.complain(name, &error);
            code = ExitCode::FAILURE;
        }
    }
    // Whoever goes on with standard input finds it where this program has left it.
    input.flush().await?;
    output.flush().await?;
    Ok(code)
}

/// Copies what is left of `input`. The outer error is that of writing, the inner one that of reading.
async fn copy(
    input: &mut (impl AsyncBufRead + Unpin),
    output: &mut Stdio,
) -> io::Result<io::Result<()>> {
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
