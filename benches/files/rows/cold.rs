//! Cold reads: 4 KiB from random places of a file through the page cache, which has forgotten the file before each run.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::at::{self, PAGE, read_at};
use super::{Better, MIB, Prepared, Rate, Row, Scene, Workload, by_build, check};
use crate::contender::{Files, RingFiles, Runtime, at_once, at_once_here, threads};
use crate::latency::Stopwatch;

// No requirement names targets for cold reads: these are those of direct ones, which wait for the same device.

pub const ONE: Row = Row {
    name: "cold 4 KiB reads, one at a time",
    unit: "reads/s",
    op: "a read",
    better: Better::Higher,
    target: by_build(0.60, 0.60, 1.0),
    prepare: |scene| prepare(scene, 1),
};

pub const MANY: Row = Row {
    name: "cold 4 KiB reads, 32 at a time",
    unit: "reads/s",
    op: "a read",
    better: Better::Higher,
    target: by_build(0.85, 0.85, 1.0),
    prepare: |scene| prepare(scene, 32),
};

/// One unit is one read in each task.
struct Cold {
    file: PathBuf,
    /// The order in which the tasks, taking turns, read pages. None comes twice: then it would not be cold.
    order: Arc<[u64]>,
    tasks: u64,
}

fn prepare(scene: &Scene, tasks: u64) -> Prepared {
    let pages = scene.scaled(256 * MIB) / PAGE;
    let file = scene.data_file("data", pages * PAGE)?;
    forget(&file)?;
    if !is_cold(&file, pages / 2 * PAGE)? {
        return Ok(None);
    }

    let mut order: Vec<u64> = (0..pages).collect();
    fastrand::Rng::with_seed(pages).shuffle(&mut order);
    // Where most neighbours have been read already, the kernel takes a reader for a sequential one and reads ahead.
    let most = pages / 4 / tasks;
    let cold = Cold {
        file,
        order: order.into(),
        tasks,
    };
    Rate::per_unit(tasks, cold).at_most(most).boxed()
}

/// Drops the pages of this file, and of no other, from the page cache. They are on the disk already.
#[cfg(target_os = "linux")]
fn forget(path: &Path) -> io::Result<()> {
    let file = std::fs::File::open(path)?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn forget(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether a read has to wait for the device. On a file system without one, or without a way to ask, it does not.
#[cfg(target_os = "linux")]
fn is_cold(path: &Path, offset: u64) -> io::Result<bool> {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    let file = std::fs::File::open(path)?;
    let mut buf = [0; PAGE as usize];
    let bufs = &mut [io::IoSliceMut::new(&mut buf)];
    Ok(preadv2(&file, bufs, offset, ReadWriteFlags::NOWAIT) == Err(Errno::AGAIN))
}

#[cfg(not(target_os = "linux"))]
fn is_cold(_: &Path, _: u64) -> io::Result<bool> {
    Ok(false)
}

impl Workload for Cold {
    type Outcome = ();

    fn set_up(&self, _: u64) -> io::Result<()> {
        forget(&self.file)
    }

    fn blocking(&self, reads: u64) -> io::Result<()> {
        let file = at::open(&self.file)?;
        threads(self.tasks, |number| {
            let mut buf = vec![0; PAGE as usize];
            let mut watch = Stopwatch::start(self.tasks);
            for read in 0..reads {
                let page = self.order[(read * self.tasks + number) as usize];
                let n = read_at(&file, &mut buf, page * PAGE)?;
                check("bytes read", n as u64, PAGE)?;
                watch.lap();
            }
            Ok(())
        })
    }

    async fn with<F: Files, R: Runtime>(&self, reads: u64) -> io::Result<()> {
        let mut files = F::open_at(&self.file, self.tasks).await?;
        let tasks = self.tasks;
        let task = |number| {
            let mut file = files.pop().expect("as many files as tasks");
            let order = self.order.clone();
            async move {
                let mut buf = vec![0; PAGE as usize];
                let mut watch = Stopwatch::start(tasks);
                for read in 0..reads {
                    let page = order[(read * tasks + number) as usize];
                    buf = F::read_at(&mut file, buf, page * PAGE).await?;
                    watch.lap();
                }
                Ok(())
            }
        };
        at_once::<R, _, _>(self.tasks, task).await?;
        Ok(())
    }

    async fn ring<F: RingFiles>(&self, reads: u64) -> io::Result<()> {
        let file = Rc::new(F::open_both(&self.file).await?);
        let tasks = self.tasks;
        let task = |number| {
            let file = file.clone();
            let order = self.order.clone();
            async move {
                let mut buf = vec![0; PAGE as usize];
                let mut watch = Stopwatch::start(tasks);
                for read in 0..reads {
                    let page = order[(read * tasks + number) as usize];
                    buf = F::read_at(&file, buf, page * PAGE).await?;
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
