//! Calls at offsets: 4 KiB at random page boundaries, by all tasks on one open file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{Better, KIB, MIB, Prepared, Rate, Row, Scene, Workload, by_build, check};
use crate::contender::{Files, RingFiles, Runtime, at_once, at_once_here, threads};
use crate::latency::Stopwatch;

// `preadv2`, with which `nowait` reads, is itself a little slower than the `pread` of std.

pub const READ_ONE: Row = Row {
    name: "random 4 KiB read_at, one at a time",
    unit: "reads/s",
    op: "a read",
    better: Better::Higher,
    target: by_build(0.04, 0.88, 0.88),
    prepare: |scene| prepare_reads(scene, 1),
};

pub const READ_MANY: Row = Row {
    name: "random 4 KiB read_at, 32 at a time",
    unit: "reads/s",
    op: "a read",
    better: Better::Higher,
    target: by_build(0.30, 0.88, 0.88),
    prepare: |scene| prepare_reads(scene, 32),
};

pub const READ_HUNDREDS: Row = Row {
    name: "random 4 KiB read_at, 256 at a time",
    unit: "reads/s",
    op: "a read",
    better: Better::Higher,
    target: by_build(0.30, 0.88, 0.88),
    prepare: |scene| prepare_reads(scene, 256),
};

pub const WRITE: Row = Row {
    name: "random 4 KiB write_at, 32 at a time, sync_data",
    unit: "writes/s",
    op: "a write",
    better: Better::Higher,
    target: by_build(0.55, 0.55, 0.60),
    prepare: |scene| {
        let at = At::new(scene, 32)?;
        // As many writes as the file has pages. With more, whoever is faster would have more writes of one page that
        // reach the disk as one.
        let most = at.pages / at.tasks;
        Rate::per_unit(at.tasks, Writes(at)).at_most(most).boxed()
    },
};

pub const PAGE: u64 = 4 * KIB;

/// Where the calls go.
struct At {
    file: PathBuf,
    pages: u64,
    tasks: u64,
}

impl At {
    fn new(scene: &Scene, tasks: u64) -> io::Result<At> {
        let pages = scene.scaled(64 * MIB) / PAGE;
        let file = scene.data_file("data", pages * PAGE)?;
        Ok(At { file, pages, tasks })
    }
}

/// One unit is one read in each task.
struct Reads(At);

fn prepare_reads(scene: &Scene, tasks: u64) -> Prepared {
    Rate::per_unit(tasks, Reads(At::new(scene, tasks)?)).boxed()
}

impl Workload for Reads {
    type Outcome = ();

    fn blocking(&self, reads: u64) -> io::Result<()> {
        let file = open(&self.0.file)?;
        threads(self.0.tasks, |number| {
            let mut rng = fastrand::Rng::with_seed(number);
            let mut buf = vec![0; PAGE as usize];
            let mut watch = Stopwatch::start(self.0.tasks);
            for _ in 0..reads {
                let n = read_at(&file, &mut buf, rng.u64(..self.0.pages) * PAGE)?;
                check("bytes read", n as u64, PAGE)?;
                watch.lap();
            }
            Ok(())
        })
    }

    async fn with<F: Files, R: Runtime>(&self, reads: u64) -> io::Result<()> {
        let mut files = F::open_at(&self.0.file, self.0.tasks).await?;
        let (pages, tasks) = (self.0.pages, self.0.tasks);
        let task = |number| {
            let mut file = files.pop().expect("as many files as tasks");
            async move {
                let mut rng = fastrand::Rng::with_seed(number);
                let mut buf = vec![0; PAGE as usize];
                let mut watch = Stopwatch::start(tasks);
                for _ in 0..reads {
                    buf = F::read_at(&mut file, buf, rng.u64(..pages) * PAGE).await?;
                    watch.lap();
                }
                Ok(())
            }
        };
        at_once::<R, _, _>(self.0.tasks, task).await?;
        Ok(())
    }

    async fn ring<F: RingFiles>(&self, reads: u64) -> io::Result<()> {
        let file = Rc::new(F::open_both(&self.0.file).await?);
        let (pages, tasks) = (self.0.pages, self.0.tasks);
        let task = |number| {
            let file = file.clone();
            async move {
                let mut rng = fastrand::Rng::with_seed(number);
                let mut buf = vec![0; PAGE as usize];
                let mut watch = Stopwatch::start(tasks);
                for _ in 0..reads {
                    buf = F::read_at(&file, buf, rng.u64(..pages) * PAGE).await?;
                    check("bytes read", buf.len() as u64, PAGE)?;
                    watch.lap();
                }
                Ok(())
            }
        };
        at_once_here::<F, _, _>(self.0.tasks, task).await?;
        Ok(())
    }
}

/// One unit is one write in each task.
struct Writes(At);

impl Workload for Writes {
    type Outcome = ();

    fn blocking(&self, writes: u64) -> io::Result<()> {
        let file = open(&self.0.file)?;
        threads(self.0.tasks, |number| {
            let mut rng = fastrand::Rng::with_seed(number);
            let buf = vec![b'w'; PAGE as usize];
            for _ in 0..writes {
                let n = write_at(&file, &buf, rng.u64(..self.0.pages) * PAGE)?;
                check("bytes written", n as u64, PAGE)?;
            }
            Ok(())
        })?;
        file.sync_data()
    }

    async fn with<F: Files, R: Runtime>(&self, writes: u64) -> io::Result<()> {
        let mut files = F::open_at(&self.0.file, self.0.tasks).await?;
        let pages = self.0.pages;
        let task = |number| {
            let mut file = files.pop().expect("as many files as tasks");
            async move {
                let mut rng = fastrand::Rng::with_seed(number);
                let mut buf = vec![b'w'; PAGE as usize];
                for _ in 0..writes {
                    buf = F::write_all_at(&mut file, buf, rng.u64(..pages) * PAGE).await?;
                }
                Ok(file)
            }
        };
        let mut files = at_once::<R, _, _>(self.0.tasks, task).await?;
        // Everything is with the operating system, whichever handle it came through.
        F::sync_data(&mut files[0]).await
    }

    async fn ring<F: RingFiles>(&self, writes: u64) -> io::Result<()> {
        let file = Rc::new(F::open_both(&self.0.file).await?);
        let pages = self.0.pages;
        let task = |number| {
            let file = file.clone();
            async move {
                let mut rng = fastrand::Rng::with_seed(number);
                let mut buf = vec![b'w'; PAGE as usize];
                for _ in 0..writes {
                    buf = F::write_all_at(&file, buf, rng.u64(..pages) * PAGE).await?;
                }
                Ok(())
            }
        };
        at_once_here::<F, _, _>(self.0.tasks, task).await?;
        F::sync_data(&file).await
    }
}

/// As [`Files::open_at`] opens it.
pub fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).open(path)
}

#[cfg(unix)]
pub fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(unix)]
fn write_at(file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, buf, offset)
}

#[cfg(windows)]
pub fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

#[cfg(windows)]
fn write_at(file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, buf, offset)
}
