//! From the command line to the last table.

use std::io;

use crate::args::{self, Args, Command};
use crate::{latency, measure, report, rows};

/// Does what the command line asks for.
pub fn run() -> io::Result<()> {
    match Args::parse(std::env::args().skip(1)) {
        Ok(Command::Measure(args)) => match args.once {
            Some(units) => run_once(&args, units),
            None => measure_rows(&args),
        },
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

/// Runs the row of exactly this name once, or all, for those who count what that takes from outside.
fn run_once(args: &Args, units: u64) -> io::Result<()> {
    let wanted = |row: &&rows::Row| args.row.is_empty() || row.name.to_lowercase() == args.row;
    for row in rows::ALL.iter().filter(wanted) {
        measure::once(row, args, units, |contender, ops| {
            println!("{}\t{}\t{ops}", row.name, contender.name());
        })?;
    }
    Ok(())
}

/// Measures the rows asked for, printing each as soon as it is known and a summary at the end.
fn measure_rows(args: &Args) -> io::Result<()> {
    let place = report::Place::of(&args.dir);
    if !args.markdown {
        println!("{place}\n{}\n{}\n", args.effort, report::Ours);
    }

    if args.latency {
        latency::enable();
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
        print!("{}", report::Latencies(&results));
        println!("\n{:?}", aiofiles::backend());
    }
    Ok(())
}
