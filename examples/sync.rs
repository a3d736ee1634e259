//! Counts lines in a program that has no executor at all:
//!
//! ```sh
//! cargo run --example sync -- README.md CHANGELOG.md
//! ```

mod shared;

use std::process::ExitCode;

use futures_lite::future::block_on;

fn main() -> ExitCode {
    let names = match shared::arguments("sync") {
        Ok(names) => names,
        Err(code) => return code,
    };
    let counts = names
        .iter()
        .map(|name| block_on(shared::count_lines(name.clone())));
    shared::report("sync", &names, counts)
}
