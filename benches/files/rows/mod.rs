//! What is measured: one file per kind of work, one [`Row`] per line of the tables.

mod at;
mod batches;
mod cold;
mod copy;
mod direct;
mod lines;
pub mod memory;
mod metadata;
mod outputs;
mod random_reads;
mod read_dir;
mod sequential;
mod small_files;
mod small_writes;
mod timer;
mod whole_files;

pub use at::read_at;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::args::Effort;
use crate::contender::{Contender, Files, RingFiles, Runtime};
use crate::measure::Sample;

pub const KIB: u64 = 1024;
pub const MIB: u64 = 1024 * KIB;

/// In the order of the tables.
pub const ALL: &[Row] = &[
    random_reads::ONE,
    random_reads::MANY,
    at::READ_ONE,
    at::READ_MANY,
    at::READ_HUNDREDS,
    at::WRITE,
    direct::ONE,
    direct::MANY,
    direct::BESIDE_REACTOR,
    cold::ONE,
    cold::MANY,
    batches::OF_8,
    batches::OF_32,
    batches::OF_256,
    sequential::READ,
    sequential::WRITE,
    small_writes::ROW,
    copy::OPEN_FILES,
    copy::OPEN_FILES_UTIL,
    copy::PATHS,
    lines::ROW,
    lines::TEXT,
    small_files::ONE,
    small_files::MANY,
    whole_files::ROW,
    metadata::ONE,
    metadata::MANY,
    read_dir::ROW,
    timer::ROW,
    memory::ROW,
];

/// One line of the tables.
pub struct Row {
    pub name: &'static str,
    pub unit: &'static str,
    /// What processor time and dispatches are counted for.
    pub op: &'static str,
    pub better: Better,
    /// The ratio to std that this build is to reach.
    pub target: f64,
    /// Makes the files and returns what is measured over them.
    pub prepare: fn(&Scene) -> Prepared,
}

/// The target of the build that is measured, of those with the default features, with `nowait` and with `uring`.
const fn by_build(default: f64, nowait: f64, uring: f64) -> f64 {
    if cfg!(feature = "uring") {
        uring
    } else if cfg!(feature = "nowait") {
        nowait
    } else {
        default
    }
}

/// `None` where the row cannot be measured.
pub type Prepared = io::Result<Option<Box<dyn Bench>>>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Better {
    Higher,
    Lower,
}

/// Work whose runs give a figure.
pub trait Bench {
    /// Does `units` units of work once.
    fn run(&self, contender: Contender, units: u64) -> io::Result<Sample>;

    /// One run does not do more units than this.
    fn most_units(&self) -> u64 {
        1
    }
}

/// Work that every contender does in its own way.
pub trait Workload {
    type Outcome;

    /// Makes what a run of so many units uses up; its time does not count.
    fn set_up(&self, _units: u64) -> io::Result<()> {
        Ok(())
    }

    /// With `std::fs`, on threads if several things are to happen at once.
    fn blocking(&self, units: u64) -> io::Result<Self::Outcome>;

    /// With `F` under `R`.
    fn with<F: Files, R: Runtime>(
        &self,
        units: u64,
    ) -> impl Future<Output = io::Result<Self::Outcome>>;

    /// With a runtime on io_uring, unless that has no calls for it.
    #[allow(
        dead_code,
        reason = "only the package `benches/rings` has such runtimes"
    )]
    async fn ring<F: RingFiles>(&self, _units: u64) -> io::Result<Self::Outcome> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Removes what a run has left behind; its time does not count.
    fn clean_up(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A workload whose figure is work per second.
pub struct Rate<W> {
    work: W,
    ops_per_unit: u64,
    most_units: u64,
    /// What one operation adds to the figure.
    figure_per_op: f64,
}

impl<W> Rate<W> {
    /// Work of which one unit is `ops` operations.
    fn per_unit(ops: u64, work: W) -> Rate<W> {
        Rate {
            work,
            ops_per_unit: ops,
            most_units: u64::MAX,
            figure_per_op: 1.0,
        }
    }

    /// The figure is in MiB, of which one operation moves `bytes`.
    fn in_mib(self, bytes: u64) -> Rate<W> {
        Rate {
            figure_per_op: bytes as f64 / MIB as f64,
            ..self
        }
    }

    fn at_most(self, units: u64) -> Rate<W> {
        Rate {
            most_units: units.max(1),
            ..self
        }
    }

    fn boxed(self) -> Prepared
    where
        W: Workload<Outcome = ()> + 'static,
    {
        Ok(Some(Box::new(self)))
    }
}

impl<W: Workload<Outcome = ()>> Bench for Rate<W> {
    fn run(&self, contender: Contender, units: u64) -> io::Result<Sample> {
        let ops = units * self.ops_per_unit;
        self.work.set_up(units)?;
        let taken = Sample::take(contender, || contender.run(&self.work, units));
        let cleaned = self.work.clean_up();
        let (sample, ()) = taken?;
        cleaned?;
        let figure = ops as f64 * self.figure_per_op / sample.elapsed.as_secs_f64();
        Ok(Sample {
            figure,
            ops,
            ..sample
        })
    }

    fn most_units(&self) -> u64 {
        self.most_units
    }
}

/// Where a row keeps its files, and how large they are to be.
pub struct Scene {
    dir: TempDir,
    pub effort: Effort,
}

impl Scene {
    pub fn new(parent: &Path, effort: Effort) -> io::Result<Scene> {
        fs::create_dir_all(parent)?;
        let dir = tempfile::Builder::new()
            .prefix("files-")
            .tempdir_in(parent)?;
        Ok(Scene { dir, effort })
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `full`, less in a quick run.
    pub fn scaled(&self, full: u64) -> u64 {
        full / self.effort.shrink
    }

    /// A file of `len` random bytes.
    pub fn data_file(&self, name: &str, len: u64) -> io::Result<PathBuf> {
        let mut rng = fastrand::Rng::with_seed(len);
        let mut block = vec![0; MIB as usize];
        self.file(name, |file| {
            let mut left = len;
            while left > 0 {
                rng.fill(&mut block);
                let part = left.min(MIB);
                file.write_all(&block[..part as usize])?;
                left -= part;
            }
            Ok(())
        })
    }

    /// A file, page-cached and already on the disk, so that writing it back does not disturb the measurement.
    pub fn file(
        &self,
        name: &str,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<PathBuf> {
        let path = self.path(name);
        let mut file = File::create(&path)?;
        fill(&mut file)?;
        file.sync_all()?;
        Ok(path)
    }
}

/// Fails a run that did not do its work.
pub fn check(what: &str, found: u64, expected: u64) -> io::Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{what}: {found}, expected {expected}"
    )))
}
