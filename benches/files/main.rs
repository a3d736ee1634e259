//! How fast `aiofiles` is beside `std::fs`, `async-fs` and `tokio::fs`, all in one run.
//!
//! Run with:
//!
//! ```text
//! cargo bench --bench files                        # every row, some five minutes
//! cargo bench --bench files -- --quick             # three short runs per contender
//! cargo bench --bench files -- --row metadata --contender tokio
//! cargo bench --bench files -- --markdown          # the form kept in benches/RESULTS.md
//! ```
//!
//! A *row* is one kind of work (`rows/`), a *contender* one crate under one runtime (`contender/`). Within a row the
//! contenders take turns, so that a drifting machine drifts for all of them. The first, discarded run of each also
//! finds out how much work fills the time of one run: a contender a hundred times slower is given a hundredth of the
//! work. What counts is the median of the runs, and its ratio to that of `std::fs`.
//!
//! Nothing here passes or fails: a verdict is printed, not asserted.

mod args;
mod contender;
mod measure;
mod report;
mod rows;

use std::io;

use args::{Args, Command};

fn main() -> io::Result<()> {
    match Args::parse(std::env::args().skip(1)) {
        Ok(Command::Measure(args)) => measure_rows(&args),
        Ok(Command::List) => {
            rows::ALL.iter().for_each(|row| println!("{}", row.name));
            Ok(())
        }
        Ok(Command::MemoryOf { contender, dir }) => rows::memory::child(contender, &dir),
        Err(message) => {
            eprintln!("{message}\n\n{}", args::USAGE);
            std::process::exit(2);
        }
    }
}

/// Measures the rows asked for, printing each as soon as it is known and a summary at the end.
fn measure_rows(args: &Args) -> io::Result<()> {
    let place = report::Place::of(&args.dir);
    if !args.markdown {
        println!("{place}\n{}\n", args.effort);
    }

    let mut results = Vec::new();
    for row in rows::ALL.iter().filter(|row| args.wants_row(row.name)) {
        if args.markdown {
            eprintln!("{} ...", row.name);
        }
        let result = measure::measure(row, args)?;
        if !args.markdown {
            println!("{}", report::Detail(&result));
        }
        results.push(result);
    }

    if args.markdown {
        print!(
            "{}",
            report::Markdown {
                place,
                effort: args.effort,
                results: &results
            }
        );
    } else {
        print!("{}", report::Summary(&results));
    }
    Ok(())
}
