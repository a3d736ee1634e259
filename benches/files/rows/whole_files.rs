//! Small files in the page cache, each read as a whole.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use super::{Better, KIB, Rate, Row, Workload, check};
use crate::contender::{Files, Runtime};

pub const ROW: Row = Row {
    name: "read_many of 2,000 files of 4 KiB",
    unit: "files/s",
    op: "a file",
    better: Better::Higher,
    // No requirement names one: it is our own.
    target: 0.50,
    prepare: |scene| {
        let files = (0..scene.scaled(2_000))
            .map(|number| scene.file(&number.to_string(), |file| file.write_all(&CONTENT)))
            .collect::<io::Result<Vec<_>>>()?;
        Rate::per_unit(files.len() as u64, WholeFiles { files }).boxed()
    },
};

const LEN: u64 = 4 * KIB;
const CONTENT: [u8; LEN as usize] = [b'f'; LEN as usize];

/// One unit is all of them once.
struct WholeFiles {
    files: Vec<PathBuf>,
}

impl Workload for WholeFiles {
    type Outcome = ();

    fn blocking(&self, passes: u64) -> io::Result<()> {
        for _ in 0..passes {
            let mut bytes = 0;
            for path in &self.files {
                bytes += fs::read(path)?.len() as u64;
            }
            check("bytes read", bytes, self.files.len() as u64 * LEN)?;
        }
        Ok(())
    }

    async fn with<F: Files, R: Runtime>(&self, passes: u64) -> io::Result<()> {
        for _ in 0..passes {
            let bytes = F::read_many(&self.files).await?;
            check("bytes read", bytes, self.files.len() as u64 * LEN)?;
        }
        Ok(())
    }
}
