//! Every line of a text file, of 40 to 120 bytes, through `lines()` of the runtime, and through that of text files.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::PathBuf;

use super::{Better, MIB, Prepared, Rate, Row, Scene, Workload, by_build, check};
use crate::contender::{Files, Runtime};

pub const ROW: Row = Row {
    name: "lines of a text file",
    unit: "lines/s",
    op: "a line",
    better: Better::Higher,
    target: by_build(0.95, 1.0, 1.0),
    prepare: |scene| prepare(scene, false),
};

pub const TEXT: Row = Row {
    name: "lines of a `TextFile`",
    prepare: |scene| prepare(scene, true),
    ..ROW
};

fn prepare(scene: &Scene, text: bool) -> Prepared {
    let len = scene.scaled(128 * MIB);
    let (mut lines, mut bytes) = (0, 0);
    let file = scene.file("text", |file| {
        let mut rng = fastrand::Rng::with_seed(len);
        let mut file = BufWriter::new(file);
        while bytes + lines < len {
            let line = rng.u64(40..=120);
            writeln!(file, "{}", "t".repeat(line as usize))?;
            lines += 1;
            bytes += line;
        }
        file.flush()
    })?;
    Rate::per_unit(lines, Lines { file, bytes, text })
        .at_most(1)
        .boxed()
}

/// One unit is the whole file.
struct Lines {
    file: PathBuf,
    bytes: u64,
    text: bool,
}

impl Workload for Lines {
    type Outcome = ();

    fn blocking(&self, passes: u64) -> io::Result<()> {
        for _ in 0..passes {
            let mut bytes = 0;
            for line in BufReader::new(File::open(&self.file)?).lines() {
                bytes += line?.len() as u64;
            }
            check("bytes in lines", bytes, self.bytes)?;
        }
        Ok(())
    }

    async fn with<F: Files, R: Runtime>(&self, passes: u64) -> io::Result<()> {
        for _ in 0..passes {
            let found = match self.text {
                true => F::text_lines(&self.file).await?,
                false => F::lines(&self.file).await?,
            };
            check("bytes in lines", found, self.bytes)?;
        }
        Ok(())
    }
}
