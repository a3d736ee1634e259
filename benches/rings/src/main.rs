//! How fast `aiofiles` is beside the runtimes on io_uring: compio, monoio and tokio-uring. Linux only.
//!
//! Run with:
//!
//! ```text
//! cd benches/rings
//! cargo bench                                   # the default build of the crate
//! cargo bench --features nowait
//! cargo bench --features uring
//! cargo bench -- --row o_direct --latency       # the options are those of benches/files
//! ```
//!
//! Everything but the contenders in `rings` is that of `benches/files`, which says more: the rows, the other contenders
//! and the tables. A runtime has no figure in the rows that its calls cannot do.

#[path = "../../files/args.rs"]
mod args;
#[path = "../../files/contender/mod.rs"]
mod contender;
#[path = "../../files/latency.rs"]
mod latency;
#[path = "../../files/measure.rs"]
mod measure;
#[path = "../../files/report.rs"]
mod report;
mod rings;
#[path = "../../files/rows/mod.rs"]
mod rows;
#[path = "../../files/run.rs"]
mod run;

fn main() -> std::io::Result<()> {
    run::run()
}
