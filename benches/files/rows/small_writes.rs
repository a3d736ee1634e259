//! Many writes of 100 bytes, as a log has them, and one flush at the end.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;

use super::{Better, Rate, Row, Workload};
use crate::contender::{Files, RingFiles, Runtime};

pub const ROW: Row = Row {
    name: "100-byte writes, flush",
    unit: "writes/s",
    op: "a write",
    better: Better::Higher,
    target: 15.0,
    prepare: |scene| {
        let file = scene.path("log");
        Rate::per_unit(1, SmallWrites { file })
            .at_most(scene.scaled(3_000_000))
            .boxed()
    },
};

const LINE: [u8; 100] = [b'l'; 100];

struct SmallWrites {
    file: PathBuf,
}

impl Workload for SmallWrites {
    type Outcome = ();

    fn blocking(&self, writes: u64) -> io::Result<()> {
        let mut file = File::create(&self.file)?;
        for _ in 0..writes {
            file.write_all(&LINE)?;
        }
        file.flush()
    }

    async fn with<F: Files, R: Runtime>(&self, writes: u64) -> io::Result<()> {
        let mut file = F::create(&self.file).await?;
        for _ in 0..writes {
            F::write_all(&mut file, &LINE).await?;
        }
        F::flush(&mut file).await
    }

    /// These runtimes have nothing to flush.
    async fn ring<F: RingFiles>(&self, writes: u64) -> io::Result<()> {
        let file = F::create(&self.file).await?;
        let mut buf = LINE.to_vec();
        for number in 0..writes {
            buf = F::write_all_at(&file, buf, number * LINE.len() as u64).await?;
        }
        F::close(file).await
    }

    fn clean_up(&self) -> io::Result<()> {
        std::fs::remove_file(&self.file)
    }
}
