//! Direct I/O: 4 KiB from random places of a file, past the page cache.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use aiofiles::AlignedBuf;

use super::at::{PAGE, read_at};
use super::{Bench, Better, MIB, Prepared, Rate, Row, Scene, Workload, by_build, check};
use crate::contender::{
    Contender, Files, RingFiles, Runtime, at_once, at_once_here, open_direct, threads,
};
use crate::latency::Stopwatch;
use crate::measure::Sample;

pub const ONE: Row = Row {
    name: "O_DIRECT 4 KiB reads, one at a time",
    unit: "reads/s",
    op: "a read",
    better: Better::Higher,
    target: by_build(0.60, 0.60, 1.0),
    prepare: |scene| prepare(scene, 1),
};

pub const MANY: Row = Row {
    name: "O_DIRECT 4 KiB reads, 32 at a time",
    unit: "reads/s",
    op: "a read",
    better: Better::Higher,
    target: by_build(0.85, 0.85, 1.0),
    prepare: |scene| prepare(scene, 32),
};

// What drives `async-io` decides who hears first of a read that the device has done.
pub const BESIDE_REACTOR: Row = Row {
    name: "O_DIRECT 4 KiB reads, one at a time, idle block_on beside",
    prepare: |scene| {
        let bench = prepare(scene, 1)?;
        Ok(bench.map(|bench| Box::new(BesideReactor(bench)) as _))
    },
    ..ONE
};

/// While it runs, another thread has nothing to do but to wait in `async_io::block_on`, and so drives the reactor.
struct BesideReactor(Box<dyn Bench>);

impl Bench for BesideReactor {
    fn run(&self, contender: Contender, units: u64) -> io::Result<Sample> {
        thread::scope(|scope| {
            let (end, ended) = smol::channel::bounded::<()>(1);
            scope.spawn(move || smol::block_on(ended.recv()));
            // By then it waits.
            thread::sleep(Duration::from_millis(5));
            let sample = self.0.run(contender, units);
            drop(end);
            sample
        })
    }

    fn most_units(&self) -> u64 {
        self.0.most_units()
    }
}

/// One unit is one read in each task.
struct Direct {
    file: PathBuf,
    pages: u64,
    tasks: u64,
}

fn prepare(scene: &Scene, tasks: u64) -> Prepared {
    let pages = scene.scaled(64 * MIB) / PAGE;
    let file = scene.data_file("data", pages * PAGE)?;
    if open_direct(&file).is_err() {
        return Ok(None);
    }
    Rate::per_unit(tasks, Direct { file, pages, tasks }).boxed()
}

fn buffer() -> io::Result<AlignedBuf> {
    AlignedBuf::zeroed(PAGE as usize, PAGE as usize)
}

impl Workload for Direct {
    type Outcome = ();

    fn blocking(&self, reads: u64) -> io::Result<()> {
        let file = open_direct(&self.file)?;
        threads(self.tasks, |number| {
            let mut rng = fastrand::Rng::with_seed(number);
            let mut buf = buffer()?;
            let mut watch = Stopwatch::start(self.tasks);
            for _ in 0..reads {
                let n = read_at(&file, &mut buf, rng.u64(..self.pages) * PAGE)?;
                check("bytes read", n as u64, PAGE)?;
                watch.lap();
            }
            Ok(())
        })
    }

    async fn with<F: Files, R: Runtime>(&self, reads: u64) -> io::Result<()> {
        let file = F::open_direct(&self.file).await?;
        let (pages, tasks) = (self.pages, self.tasks);
        let task = |number| {
            let file = file.clone();
            async move {
                let mut rng = fastrand::Rng::with_seed(number);
                let mut buf = buffer()?;
                let mut watch = Stopwatch::start(tasks);
                for _ in 0..reads {
                    buf = F::read_direct(&file, buf, rng.u64(..pages) * PAGE).await?;
                    check("bytes read", buf.len() as u64, PAGE)?;
                    watch.lap();
                }
                Ok(())
            }
        };
        at_once::<R, _, _>(self.tasks, task).await?;
        Ok(())
    }

    async fn ring<F: RingFiles>(&self, reads: u64) -> io::Result<()> {
        let file = Rc::new(F::open_direct(&self.file).await?);
        let (pages, tasks) = (self.pages, self.tasks);
        let task = |number| {
            let file = file.clone();
            async move {
                let mut rng = fastrand::Rng::with_seed(number);
                let mut buf = buffer()?;
                let mut watch = Stopwatch::start(tasks);
                for _ in 0..reads {
                    buf = F::read_direct(&file, buf, rng.u64(..pages) * PAGE).await?;
                    check("bytes read", buf.len() as u64, PAGE)?;
                    watch.lap();
                }
                Ok(())
            }
        };
        at_once_here::<F, _, _>(self.tasks, task).await?;
        Ok(())
    }
}
