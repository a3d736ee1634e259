//! Lends a file that is open elsewhere to asynchronous code, which adds lines to it and leaves it open:
//!
//! ```sh
//! cargo run --example stamp -- /tmp/log README.md CHANGELOG.md
//! ```

#[path = "shared/tool.rs"]
mod tool;

use std::io::{self, Write as _};
use std::process::ExitCode;

use aiofiles::{File, TextOptions};
use futures_lite::future::block_on;
use tool::Tool;

const TOOL: Tool = Tool {
    name: "stamp",
    help: "\
Writes the names and sizes of files to a new one, between a head and a foot.

Usage: stamp OUTPUT FILE...

Options:
  --help  Show this help
",
};

fn main() -> ExitCode {
    let paths = match TOOL.operands(|_| false) {
        Ok(paths) => paths,
        Err(code) => return code,
    };
    let Some((output, inputs @ [_, ..])) = paths.split_first() else {
        return TOOL.misused("an output and a file are needed");
    };
    let stamped = || -> io::Result<()> {
        // Code that knows nothing of this crate opens the file, and closes it.
        let mut file = std::fs::File::create_new(output)?;
        writeln!(file, "files:")?;
        block_on(stamp(&file, inputs))?;
        writeln!(file, "{} in all", inputs.len())
    };
    match stamped() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            TOOL.complain(output, &error);
            ExitCode::FAILURE
        }
    }
}

/// Adds a line for each file, where `open` is, and leaves it behind them.
async fn stamp(open: &std::fs::File, paths: &[std::ffi::OsString]) -> io::Result<()> {
    let mut lines = TextOptions::new().wrap(File::from_borrowed(open)?);
    for path in paths {
        let len = aiofiles::metadata(path).await?.len();
        lines
            .write(&format!("{len:>10} {}\n", path.display()))
            .await?;
    }
    // The position of the open file goes where ours is, and the duplicate is closed.
    lines.detach().await?.into_std().await?;
    Ok(())
}
