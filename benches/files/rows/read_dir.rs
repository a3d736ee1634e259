//! A large directory, asking each entry for its type.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use super::{Better, Rate, Row, Workload, check};
use crate::contender::{Files, Runtime};

pub const ROW: Row = Row {
    name: "read_dir of 10,000 with types",
    unit: "entries/s",
    op: "an entry",
    better: Better::Higher,
    target: 0.90,
    prepare: |scene| {
        let entries = scene.scaled(10_000);
        for number in 0..entries {
            File::create(scene.path(&format!("entry-{number:05}")))?;
        }
        let dir = scene.dir().to_owned();
        Rate::per_unit(entries, ReadDir { dir, entries }).boxed()
    },
};

/// One unit is one pass over the directory.
struct ReadDir {
    dir: PathBuf,
    entries: u64,
}

impl Workload for ReadDir {
    type Outcome = ();

    fn blocking(&self, passes: u64) -> io::Result<()> {
        for _ in 0..passes {
            let mut files = 0;
            for entry in fs::read_dir(&self.dir)? {
                files += u64::from(entry?.file_type()?.is_file());
            }
            check("entries", files, self.entries)?;
        }
        Ok(())
    }

    async fn with<F: Files, R: Runtime>(&self, passes: u64) -> io::Result<()> {
        for _ in 0..passes {
            check("entries", F::count_files(&self.dir).await?, self.entries)?;
        }
        Ok(())
    }
}
