//! How fast `aiofiles` is beside `std::fs`, `async-fs` and `tokio::fs`, all in one run.
//!
//! Run with:
//!
//! ```text
//! cargo bench --bench files                        # every row, some six minutes
//! cargo bench --bench files -- --quick             # three short runs per contender
//! cargo bench --bench files -- --row metadata --contender tokio
//! cargo bench --bench files -- --latency           # also the percentiles of reads one at a time
//! cargo bench --bench files -- --markdown          # the form kept in benches/RESULTS.md
//! ```
//!
//! A *row* is one kind of work (`rows/`), a *contender* one crate under one runtime (`contender/`). Within a row the
//! contenders take turns, so that a drifting machine drifts for all of them. The first, discarded run of each also
//! finds out how much work fills the time of one run: a contender a hundred times slower is given a hundredth of the
//! work. What counts is the median of the runs, and its ratio to that of `std::fs`.
//!
//! The same rows beside compio, monoio and tokio-uring are in `benches/rings`.
//!
//! Nothing here passes or fails: a verdict is printed, not asserted.

mod args;
mod contender;
mod latency;
mod measure;
mod report;
mod rings;
mod rows;
mod run;

fn main() -> std::io::Result<()> {
    run::run()
}
