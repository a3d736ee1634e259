//! `metadata` of paths whose inodes are cached.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Better, Prepared, Rate, Row, Scene, Workload, by_build, check};
use crate::contender::{Files, RingFiles, Runtime, at_once, at_once_here, threads};

pub const ONE: Row = Row {
    name: "metadata, one at a time",
    unit: "calls/s",
    op: "a call",
    better: Better::Higher,
    target: by_build(0.06, 0.06, 0.07),
    prepare: |scene| prepare(scene, 1),
};

pub const MANY: Row = Row {
    name: "metadata, 32 at a time",
    unit: "calls/s",
    op: "a call",
    better: Better::Higher,
    target: 0.40,
    prepare: |scene| prepare(scene, 32),
};

const FILES: usize = 64;
const LEN: u64 = 100;

struct Metadata {
    files: Arc<[PathBuf]>,
    tasks: u64,
}

fn prepare(scene: &Scene, tasks: u64) -> Prepared {
    let files = (0..FILES)
        .map(|number| scene.data_file(&number.to_string(), LEN))
        .collect::<io::Result<_>>()?;
    // One unit is one call in each task.
    Rate::per_unit(tasks, Metadata { files, tasks }).boxed()
}

impl Workload for Metadata {
    type Outcome = ();

    fn blocking(&self, calls: u64) -> io::Result<()> {
        threads(self.tasks, |task| {
            for call in task..task + calls {
                check(
                    "size",
                    fs::metadata(&self.files[call as usize % FILES])?.len(),
                    LEN,
                )?;
            }
            Ok(())
        })
    }

    async fn with<F: Files, R: Runtime>(&self, calls: u64) -> io::Result<()> {
        let task = |task| {
            let files = self.files.clone();
            async move {
                for call in task..task + calls {
                    check("size", F::size(&files[call as usize % FILES]).await?, LEN)?;
                }
                Ok(())
            }
        };
        at_once::<R, _, _>(self.tasks, task).await?;
        Ok(())
    }

    async fn ring<F: RingFiles>(&self, calls: u64) -> io::Result<()> {
        let task = |task| {
            let files = self.files.clone();
            async move {
                for call in task..task + calls {
                    check("size", F::size(&files[call as usize % FILES]).await?, LEN)?;
                }
                Ok(())
            }
        };
        at_once_here::<F, _, _>(self.tasks, task).await?;
        Ok(())
    }
}
