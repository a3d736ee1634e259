//! Counts lines in a program that has no executor at all:
//!
//! ```sh
//! cargo run --example sync -- README.md CHANGELOG.md
//! ```

mod shared;

use std::process::ExitCode;

use futures_lite::future::block_on;
use shared::Tool;

const TOOL: Tool = Tool {
    name: "sync",
    help: "\
Counts the lines of files.

Usage: sync FILE...
",
};

fn main() -> ExitCode {
    let names = match shared::arguments(&TOOL) {
        Ok(names) => names,
        Err(code) => return code,
    };
    let counts = names
        .iter()
        .map(|name| block_on(shared::count_lines(name.clone())));
    shared::report(&TOOL, &names, counts)
}
