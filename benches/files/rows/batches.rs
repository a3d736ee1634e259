//! Many ranges with one call: 4 KiB each, at random page boundaries of a file in the page cache, one batch at a time.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use super::at::{self, PAGE};
use super::{Better, MIB, Prepared, Rate, Row, Scene, Workload, check};
use crate::contender::{Files, Runtime};

// No requirement names targets for batches: these three are our own.

pub const OF_8: Row = Row {
    name: "read_many_at, 8 ranges of 4 KiB",
    unit: "ranges/s",
    op: "a range",
    better: Better::Higher,
    target: 0.20,
    prepare: |scene| prepare(scene, 8),
};

pub const OF_32: Row = Row {
    name: "read_many_at, 32 ranges of 4 KiB",
    unit: "ranges/s",
    op: "a range",
    better: Better::Higher,
    target: 0.50,
    prepare: |scene| prepare(scene, 32),
};

pub const OF_256: Row = Row {
    name: "read_many_at, 256 ranges of 4 KiB",
    unit: "ranges/s",
    op: "a range",
    better: Better::Higher,
    target: 0.80,
    prepare: |scene| prepare(scene, 256),
};

struct Batches {
    file: PathBuf,
    pages: u64,
    ranges: u64,
}

fn prepare(scene: &Scene, ranges: u64) -> Prepared {
    let pages = scene.scaled(64 * MIB) / PAGE;
    let file = scene.data_file("data", pages * PAGE)?;
    let batches = Batches {
        file,
        pages,
        ranges,
    };
    // One unit is one batch.
    Rate::per_unit(ranges, batches).boxed()
}

impl Batches {
    fn ranges(&self, rng: &mut fastrand::Rng) -> Vec<Range<u64>> {
        let mut range = |_| {
            let begin = rng.u64(..self.pages) * PAGE;
            begin..begin + PAGE
        };
        (0..self.ranges).map(&mut range).collect()
    }
}

impl Workload for Batches {
    type Outcome = ();

    /// Each range into memory of its own: that is what a batch gives.
    fn blocking(&self, batches: u64) -> io::Result<()> {
        let mut rng = fastrand::Rng::with_seed(0);
        let file = at::open(&self.file)?;
        for _ in 0..batches {
            let mut read = Vec::new();
            for range in self.ranges(&mut rng) {
                let mut buf = vec![0; PAGE as usize];
                let n = at::read_at(&file, &mut buf, range.start)?;
                check("bytes read", n as u64, PAGE)?;
                read.push(buf);
            }
        }
        Ok(())
    }

    async fn with<F: Files, R: Runtime>(&self, batches: u64) -> io::Result<()> {
        let mut rng = fastrand::Rng::with_seed(0);
        let mut files = F::open_at(&self.file, 1).await?;
        for _ in 0..batches {
            let bytes = F::read_many_at(&mut files[0], self.ranges(&mut rng)).await?;
            check("bytes read", bytes, self.ranges * PAGE)?;
        }
        Ok(())
    }
}
