//! Counts lines in tasks of tokio:
//!
//! ```sh
//! cargo run --example on_tokio -- README.md CHANGELOG.md
//! ```

mod shared;

use std::process::ExitCode;

use shared::Tool;

const TOOL: Tool = Tool {
    name: "on_tokio",
    help: "\
Counts the lines of files.

Usage: on_tokio FILE...
",
};

#[tokio::main]
async fn main() -> ExitCode {
    let names = match shared::arguments(&TOOL) {
        Ok(names) => names,
        Err(code) => return code,
    };
    let tasks = names
        .iter()
        .map(|name| tokio::spawn(shared::count_lines(name.clone())))
        .collect::<Vec<_>>();
    let mut counts = Vec::new();
    for task in tasks {
        counts.push(task.await.expect("counting does not panic"));
    }
    shared::report(&TOOL, &names, counts)
}
