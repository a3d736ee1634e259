//! New files of 4 KiB: each is written, read and removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Better, KIB, Prepared, Rate, Row, Scene, Workload, by_build, check};
use crate::contender::{Files, RingFiles, Runtime, at_once, at_once_here, threads};

pub const ONE: Row = Row {
    name: "4 KiB files: write, read, remove; one at a time",
    unit: "files/s",
    op: "a file",
    better: Better::Higher,
    target: by_build(0.25, 0.35, 0.40),
    prepare: |scene| prepare(scene, 1),
};

pub const MANY: Row = Row {
    name: "4 KiB files: write, read, remove; 32 at a time",
    unit: "files/s",
    op: "a file",
    better: Better::Higher,
    target: by_build(0.95, 1.0, 1.0),
    prepare: |scene| prepare(scene, 32),
};

const LEN: u64 = 4 * KIB;

/// How many files a directory sees in its life.
///
/// Without a journal, ext4 does not hand out an inode again for minutes, and each new file looks at all those of its
/// directory's block group that were removed lately. A run of thousands of files would mostly measure that search.
const FILES_PER_DIR: u64 = 50;

struct SmallFiles {
    /// Its subdirectories are made in different block groups.
    dir: PathBuf,
    tasks: u64,
}

fn prepare(scene: &Scene, tasks: u64) -> Prepared {
    let dir = scene.dir().to_owned();
    spread_subdirectories(&dir);
    // One unit is one file in each task.
    Rate::per_unit(tasks, SmallFiles { dir, tasks })
        .at_most(scene.scaled(2_000) / tasks)
        .boxed()
}

/// What `chattr +T` does. Where there is no such thing, there is no such search either.
#[cfg(target_os = "linux")]
fn spread_subdirectories(dir: &Path) {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

    if let Ok(dir) = fs::File::open(dir)
        && let Ok(flags) = ioctl_getflags(&dir)
    {
        let _ = ioctl_setflags(&dir, flags | IFlags::TOPDIR);
    }
}

#[cfg(not(target_os = "linux"))]
fn spread_subdirectories(_: &Path) {}

fn subdirectory(dir: &Path, task: u64, number: u64) -> PathBuf {
    dir.join(format!("{task}-{}", number / FILES_PER_DIR))
}

fn path(dir: &Path, task: u64, number: u64) -> PathBuf {
    subdirectory(dir, task, number).join(number.to_string())
}

impl Workload for SmallFiles {
    type Outcome = ();

    fn set_up(&self, files: u64) -> io::Result<()> {
        for task in 0..self.tasks {
            for first in (0..files).step_by(FILES_PER_DIR as usize) {
                fs::create_dir(subdirectory(&self.dir, task, first))?;
            }
        }
        Ok(())
    }

    fn blocking(&self, files: u64) -> io::Result<()> {
        threads(self.tasks, |task| {
            let bytes = vec![b'f'; LEN as usize];
            for number in 0..files {
                let path = path(&self.dir, task, number);
                fs::write(&path, &bytes)?;
                check("bytes read", fs::read(&path)?.len() as u64, LEN)?;
                fs::remove_file(&path)?;
            }
            Ok(())
        })
    }

    async fn with<F: Files, R: Runtime>(&self, files: u64) -> io::Result<()> {
        let task = |task| {
            let dir = self.dir.clone();
            async move {
                let bytes = vec![b'f'; LEN as usize];
                for number in 0..files {
                    let path = path(&dir, task, number);
                    F::write_path(&path, &bytes).await?;
                    check("bytes read", F::read_path(&path).await?.len() as u64, LEN)?;
                    F::remove(&path).await?;
                }
                Ok(())
            }
        };
        at_once::<R, _, _>(self.tasks, task).await?;
        Ok(())
    }

    async fn ring<F: RingFiles>(&self, files: u64) -> io::Result<()> {
        let task = |task| {
            let dir = self.dir.clone();
            async move {
                let mut bytes = vec![b'f'; LEN as usize];
                for number in 0..files {
                    let path = path(&dir, task, number);
                    bytes = F::write_path(&path, bytes).await?;
                    check("bytes read", F::read_path(&path).await?.len() as u64, LEN)?;
                    F::remove(&path).await?;
                }
                Ok(())
            }
        };
        at_once_here::<F, _, _>(self.tasks, task).await?;
        Ok(())
    }

    fn clean_up(&self) -> io::Result<()> {
        fs::read_dir(&self.dir)?.try_for_each(|dir| fs::remove_dir(dir?.path()))
    }
}
