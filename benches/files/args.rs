//! The command line.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::contender::Contender;

pub const USAGE: &str = "\
Usage: cargo bench --bench files -- [options]
  --row <text>        only rows whose name contains <text>
  --contender <text>  only std and contenders whose name contains <text>
  --quick             three short runs on smaller files
  --latency           p50 and p99 of single operations, in rows of reads one at a time
  --markdown          print tables for benches/RESULTS.md
  --dir <path>        where the files are (default: cargo's directory for temporary files of benches)
  --once <units>      one run of so much work for each contender, std only if it is named, and how many operations that was
  --list              print the names of the rows";

/// What was asked for.
pub enum Command {
    Measure(Args),
    List,
    /// What the memory row runs in a process of its own; `None` is the empty program.
    MemoryOf {
        contender: Option<Contender>,
        dir: PathBuf,
    },
}

pub struct Args {
    pub row: String,
    pub contender: String,
    pub latency: bool,
    pub markdown: bool,
    pub once: Option<u64>,
    pub effort: Effort,
    pub dir: PathBuf,
}

impl Args {
    pub fn parse(args: impl Iterator<Item = String>) -> Result<Command, String> {
        let mut parsed = Args {
            row: String::new(),
            contender: String::new(),
            latency: false,
            markdown: false,
            once: None,
            effort: Effort::SMOKE,
            dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
        };
        let mut quick = false;
        let mut bench = false;

        let mut args = args;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--row" => parsed.row = value()?.to_lowercase(),
                "--contender" => parsed.contender = value()?.to_lowercase(),
                "--dir" => parsed.dir = PathBuf::from(value()?),
                "--once" => {
                    let units = value()?.parse();
                    parsed.once = Some(units.map_err(|error| format!("--once: {error}"))?);
                }
                "--quick" => quick = true,
                "--latency" => parsed.latency = true,
                "--markdown" => parsed.markdown = true,
                // `cargo bench` says this, `cargo test --benches` does not.
                "--bench" => bench = true,
                "--list" => return Ok(Command::List),
                "--memory-of" => {
                    let contender = Contender::from_name(&value()?);
                    return Ok(Command::MemoryOf {
                        contender,
                        dir: PathBuf::from(value()?),
                    });
                }
                _ => return Err(format!("unknown argument {arg}")),
            }
        }

        if quick {
            parsed.effort = Effort::QUICK;
        } else if bench {
            parsed.effort = Effort::FULL;
        }
        Ok(Command::Measure(parsed))
    }

    pub fn wants_row(&self, name: &str) -> bool {
        name.to_lowercase().contains(&self.row)
    }

    /// `std` always runs: without it there is no ratio.
    pub fn wants_contender(&self, contender: Contender) -> bool {
        contender == Contender::Std || contender.name().contains(&self.contender)
    }

    /// The arguments that start the memory row's child.
    pub fn memory_of(contender: Option<Contender>, dir: &OsStr) -> [&OsStr; 3] {
        let name = contender.map_or("nothing", Contender::name);
        ["--memory-of".as_ref(), name.as_ref(), dir]
    }
}

/// How long and how often to measure.
#[derive(Clone, Copy)]
pub struct Effort {
    pub runs: usize,
    /// About how long one run takes, unless the work is bounded.
    pub run_time: Duration,
    /// What the sizes of files and directories are divided by.
    pub shrink: u64,
}

impl Effort {
    const FULL: Effort = Effort {
        runs: 7,
        run_time: Duration::from_millis(250),
        shrink: 1,
    };
    const QUICK: Effort = Effort {
        runs: 3,
        run_time: Duration::from_millis(60),
        shrink: 4,
    };
    /// For `cargo test --benches`: does each row still work?
    const SMOKE: Effort = Effort {
        runs: 1,
        run_time: Duration::from_millis(2),
        shrink: 64,
    };
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Effort {
            runs,
            run_time,
            shrink,
        } = self;
        if *runs == 1 {
            return write!(
                f,
                "only a check that every row runs (no --bench, no --quick): the figures say nothing"
            );
        }
        write!(
            f,
            "medians of {runs} alternating runs of about {} ms",
            run_time.as_millis()
        )?;
        if *shrink > 1 {
            write!(
                f,
                ", files and directories {shrink} times smaller than in a full run"
            )?;
        }
        Ok(())
    }
}
