//! Counts lines in tasks of async-std:
//!
//! ```sh
//! cargo run --example on_async_std -- README.md CHANGELOG.md
//! ```

mod shared;

use std::process::ExitCode;

use async_std::task;
use shared::Tool;

const TOOL: Tool = Tool {
    name: "on_async_std",
    help: "\
Counts the lines of files.

Usage: on_async_std FILE...
",
};

fn main() -> ExitCode {
    let names = match shared::arguments(&TOOL) {
        Ok(names) => names,
        Err(code) => return code,
    };
    let tasks = names
        .iter()
        .map(|name| task::spawn(shared::count_lines(name.clone())))
        .collect::<Vec<_>>();
    let mut counts = Vec::new();
    task::block_on(async {
        for task in tasks {
            counts.push(task.await);
        }
    });
    shared::report(&TOOL, &names, counts)
}
