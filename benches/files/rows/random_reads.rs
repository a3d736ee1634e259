//! Seek and read: 4 KiB at random page boundaries of a file in the page cache.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use super::{Better, KIB, MIB, Prepared, Rate, Row, Scene, Workload, by_build, check};
use crate::contender::{Files, RingFiles, Runtime, at_once, at_once_here, threads};
use crate::latency::Stopwatch;

pub const ONE: Row = Row {
    name: "random 4 KiB cached reads, one at a time",
    unit: "reads/s",
    op: "a read",
    better: Better::Higher,
    target: by_build(0.04, 0.95, 0.95),
    prepare: |scene| prepare(scene, 1),
};

pub const MANY: Row = Row {
    name: "random 4 KiB cached reads, 32 at a time",
    unit: "reads/s",
    op: "a read",
    better: Better::Higher,
    target: by_build(0.30, 0.95, 0.95),
    prepare: |scene| prepare(scene, 32),
};

const PAGE: u64 = 4 * KIB;

/// Each task has a handle of its own.
struct RandomReads {
    file: PathBuf,
    pages: u64,
    tasks: u64,
}

fn prepare(scene: &Scene, tasks: u64) -> Prepared {
    let pages = scene.scaled(64 * MIB) / PAGE;
    let file = scene.data_file("data", pages * PAGE)?;
    // One unit is one read in each task.
    Rate::per_unit(tasks, RandomReads { file, pages, tasks }).boxed()
}

impl Workload for RandomReads {
    type Outcome = ();

    fn blocking(&self, reads: u64) -> io::Result<()> {
        let task = |number| {
            let mut rng = fastrand::Rng::with_seed(number);
            let mut file = File::open(&self.file)?;
            let mut buf = vec![0; PAGE as usize];
            let mut watch = Stopwatch::start(self.tasks);
            for _ in 0..reads {
                file.seek(SeekFrom::Start(rng.u64(..self.pages) * PAGE))?;
                file.read_exact(&mut buf)?;
                watch.lap();
            }
            Ok(())
        };
        threads(self.tasks, task)
    }

    async fn with<F: Files, R: Runtime>(&self, reads: u64) -> io::Result<()> {
        let task = |number| {
            let path = self.file.clone();
            let (pages, tasks) = (self.pages, self.tasks);
            async move {
                let mut rng = fastrand::Rng::with_seed(number);
                let mut file = F::open(&path).await?;
                let mut buf = vec![0; PAGE as usize];
                let mut watch = Stopwatch::start(tasks);
                for _ in 0..reads {
                    F::seek(&mut file, rng.u64(..pages) * PAGE).await?;
                    F::read_exact(&mut file, &mut buf).await?;
                    watch.lap();
                }
                Ok(())
            }
        };
        at_once::<R, _, _>(self.tasks, task).await?;
        Ok(())
    }

    async fn ring<F: RingFiles>(&self, reads: u64) -> io::Result<()> {
        let task = |number| {
            let path = self.file.clone();
            let (pages, tasks) = (self.pages, self.tasks);
            async move {
                let mut rng = fastrand::Rng::with_seed(number);
                let file = F::open(&path).await?;
                let mut buf = vec![0; PAGE as usize];
                let mut watch = Stopwatch::start(tasks);
                for _ in 0..reads {
                    buf = F::read_at(&file, buf, rng.u64(..pages) * PAGE).await?;
                    check("bytes read", buf.len() as u64, PAGE)?;
                    watch.lap();
                }
                F::close(file).await
            }
        };
        at_once_here::<F, _, _>(self.tasks, task).await?;
        Ok(())
    }
}
