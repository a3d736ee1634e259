//! Copies of a file in the page cache: between two open files, and by path.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use super::outputs::{self, Outputs};
use super::{Better, KIB, MIB, Prepared, Rate, Row, Scene, Workload, check};
use crate::contender::{Files, RingFiles, Runtime};

pub const OPEN_FILES: Row = Row {
    name: "io::copy between two files (futures-lite)",
    unit: "MiB/s",
    op: "a MiB",
    better: Better::Higher,
    target: 1.0,
    prepare: |scene| prepare(scene, How::OpenFiles),
};

pub const OPEN_FILES_UTIL: Row = Row {
    name: "io::copy between two files (futures-util)",
    unit: "MiB/s",
    op: "a MiB",
    better: Better::Higher,
    target: 1.0,
    prepare: |scene| prepare(scene, How::OpenFilesUtil),
};

pub const PATHS: Row = Row {
    name: "fs::copy",
    unit: "MiB/s",
    op: "a MiB",
    better: Better::Higher,
    target: 1.0,
    prepare: |scene| prepare(scene, How::Paths),
};

const RING_BUFFER: u64 = 64 * KIB;

#[derive(Clone, Copy)]
enum How {
    /// The async contenders without an `io::copy` of their own use that of futures-lite.
    OpenFiles,
    /// The same with futures-util.
    OpenFilesUtil,
    Paths,
}

/// One unit is one copy.
struct Copies {
    from: PathBuf,
    outputs: Outputs,
    len: u64,
    how: How,
}

fn prepare(scene: &Scene, how: How) -> Prepared {
    let len = scene.scaled(128 * MIB);
    let from = scene.data_file("data", len)?;
    let outputs = Outputs::new(scene, len);
    Rate::per_unit(
        len / MIB,
        Copies {
            from,
            outputs,
            len,
            how,
        },
    )
    .in_mib(MIB)
    .at_most(outputs::MOST)
    .boxed()
}

impl Workload for Copies {
    type Outcome = ();

    fn blocking(&self, copies: u64) -> io::Result<()> {
        for number in 0..copies {
            let to = self.outputs.path(number);
            let copied = match self.how {
                How::OpenFiles | How::OpenFilesUtil => {
                    io::copy(&mut File::open(&self.from)?, &mut File::create(to)?)?
                }
                How::Paths => fs::copy(&self.from, to)?,
            };
            check("bytes copied", copied, self.len)?;
        }
        Ok(())
    }

    async fn with<F: Files, R: Runtime>(&self, copies: u64) -> io::Result<()> {
        for number in 0..copies {
            let to = self.outputs.path(number);
            let copied = match self.how {
                How::OpenFiles => {
                    let (mut from, mut to) = (F::open(&self.from).await?, F::create(&to).await?);
                    F::copy_open(&mut from, &mut to).await?
                }
                How::OpenFilesUtil => {
                    let (mut from, mut to) = (F::open(&self.from).await?, F::create(&to).await?);
                    F::copy_open_util(&mut from, &mut to).await?
                }
                How::Paths => F::copy(&self.from, &to).await?,
            };
            check("bytes copied", copied, self.len)?;
        }
        Ok(())
    }

    /// With calls at offsets: not all of these runtimes have an `io::copy` for files, and those that do use less memory,
    /// which costs them more calls.
    async fn ring<F: RingFiles>(&self, copies: u64) -> io::Result<()> {
        if !matches!(self.how, How::OpenFiles) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut buf = Vec::with_capacity(RING_BUFFER as usize);
        for number in 0..copies {
            let from = F::open(&self.from).await?;
            let to = F::create(&self.outputs.path(number)).await?;
            let mut copied = 0;
            loop {
                buf = F::read_at(&from, buf, copied).await?;
                let read = buf.len() as u64;
                if read == 0 {
                    break;
                }
                buf = F::write_all_at(&to, buf, copied).await?;
                copied += read;
            }
            check("bytes copied", copied, self.len)?;
            F::close(from).await?;
            F::close(to).await?;
        }
        Ok(())
    }

    fn clean_up(&self) -> io::Result<()> {
        self.outputs.remove_all()
    }
}
