//! A file from its first byte to its last, 64 KiB per call.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use super::outputs::{self, Outputs};
use super::{Better, KIB, MIB, Rate, Row, Workload, by_build, check};
use crate::contender::{Files, RingFiles, Runtime};

pub const READ: Row = Row {
    name: "sequential read, 64 KiB calls",
    unit: "MiB/s",
    op: "a call",
    better: Better::Higher,
    target: by_build(0.85, 0.98, 0.98),
    prepare: |scene| {
        let len = scene.scaled(256 * MIB);
        let file = scene.data_file("data", len)?;
        Rate::per_unit(len / CALL, Read { file, len })
            .in_mib(CALL)
            .boxed()
    },
};

pub const WRITE: Row = Row {
    name: "sequential write, 64 KiB calls, flush",
    unit: "MiB/s",
    op: "a call",
    better: Better::Higher,
    target: 0.95,
    prepare: |scene| {
        let len = scene.scaled(128 * MIB);
        let outputs = Outputs::new(scene, len);
        Rate::per_unit(len / CALL, Write { outputs, len })
            .in_mib(CALL)
            .at_most(outputs::MOST)
            .boxed()
    },
};

const CALL: u64 = 64 * KIB;

/// One unit is a pass over the file.
struct Read {
    file: PathBuf,
    len: u64,
}

impl Workload for Read {
    type Outcome = ();

    fn blocking(&self, passes: u64) -> io::Result<()> {
        let mut buf = vec![0; CALL as usize];
        for _ in 0..passes {
            let mut file = File::open(&self.file)?;
            let mut bytes = 0;
            loop {
                match file.read(&mut buf)? {
                    0 => break,
                    n => bytes += n as u64,
                }
            }
            check("bytes read", bytes, self.len)?;
        }
        Ok(())
    }

    async fn with<F: Files, R: Runtime>(&self, passes: u64) -> io::Result<()> {
        let mut buf = vec![0; CALL as usize];
        for _ in 0..passes {
            let mut file = F::open(&self.file).await?;
            let mut bytes = 0;
            loop {
                match F::read(&mut file, &mut buf).await? {
                    0 => break,
                    n => bytes += n as u64,
                }
            }
            check("bytes read", bytes, self.len)?;
        }
        Ok(())
    }

    async fn ring<F: RingFiles>(&self, passes: u64) -> io::Result<()> {
        let mut buf = vec![0; CALL as usize];
        for _ in 0..passes {
            let file = F::open(&self.file).await?;
            let mut bytes = 0;
            loop {
                buf = F::read_at(&file, buf, bytes).await?;
                match buf.len() {
                    0 => break,
                    n => bytes += n as u64,
                }
            }
            check("bytes read", bytes, self.len)?;
            F::close(file).await?;
        }
        Ok(())
    }
}

/// One unit is a new file.
struct Write {
    outputs: Outputs,
    len: u64,
}

impl Workload for Write {
    type Outcome = ();

    fn blocking(&self, files: u64) -> io::Result<()> {
        let buf = vec![b'w'; CALL as usize];
        for number in 0..files {
            let mut file = File::create(self.outputs.path(number))?;
            for _ in 0..self.len / CALL {
                file.write_all(&buf)?;
            }
            file.flush()?;
        }
        Ok(())
    }

    async fn with<F: Files, R: Runtime>(&self, files: u64) -> io::Result<()> {
        let buf = vec![b'w'; CALL as usize];
        for number in 0..files {
            let mut file = F::create(&self.outputs.path(number)).await?;
            for _ in 0..self.len / CALL {
                F::write_all(&mut file, &buf).await?;
            }
            F::flush(&mut file).await?;
        }
        Ok(())
    }

    /// These runtimes have nothing to flush.
    async fn ring<F: RingFiles>(&self, files: u64) -> io::Result<()> {
        let mut buf = vec![b'w'; CALL as usize];
        for number in 0..files {
            let file = F::create(&self.outputs.path(number)).await?;
            for call in 0..self.len / CALL {
                buf = F::write_all_at(&file, buf, call * CALL).await?;
            }
            F::close(file).await?;
        }
        Ok(())
    }

    fn clean_up(&self) -> io::Result<()> {
        self.outputs.remove_all()
    }
}
