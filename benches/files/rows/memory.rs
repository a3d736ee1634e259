//! Peak memory of 64 files read at once, in a process of its own for each contender.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Barrier;
use std::time::Duration;

use super::{Bench, Better, KIB, MIB, Prepared, Row, Scene, Workload, by_build, check};
use crate::args::Args;
use crate::contender::{Contender, Files, RingFiles, Runtime, at_once, at_once_here, threads};
use crate::measure::Sample;

pub const ROW: Row = Row {
    name: "peak memory, 64 files of 8 MiB at once",
    unit: "KiB",
    op: "a file",
    better: Better::Lower,
    target: by_build(3.0, 2.0, 2.0),
    prepare,
};

const FILES: u64 = 64;
const BUFFER: u64 = 64 * KIB;

/// The figure is what a process needs above the empty program.
struct Memory {
    dir: PathBuf,
    /// KiB.
    empty: u64,
}

fn prepare(scene: &Scene) -> Prepared {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    for number in 0..FILES {
        scene.data_file(&number.to_string(), scene.scaled(8 * MIB))?;
    }
    let dir = scene.dir().to_owned();
    let empty = peak_of_child(None, &dir)?;
    Ok(Some(Box::new(Memory { dir, empty })))
}

impl Bench for Memory {
    fn run(&self, contender: Contender, _: u64) -> io::Result<Sample> {
        let peak = peak_of_child(Some(contender), &self.dir)?.saturating_sub(self.empty);
        Ok(Sample {
            figure: peak as f64,
            ops: FILES,
            elapsed: Duration::ZERO,
            cpu: None,
            hops: None,
            laps: Vec::new(),
        })
    }
}

fn peak_of_child(contender: Option<Contender>, dir: &Path) -> io::Result<u64> {
    let output = Command::new(std::env::current_exe()?)
        .args(Args::memory_of(contender, dir.as_os_str()))
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.trim().parse().map_err(|_| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        io::Error::other(format!(
            "the memory row's child printed {printed:?}, {complaint}"
        ))
    })
}

/// Runs in the child: reads the files, if a contender is named, and prints the peak in KiB.
pub fn child(contender: Option<Contender>, dir: &Path) -> io::Result<()> {
    if let Some(contender) = contender {
        contender.run(
            &ReadAll {
                dir: dir.to_owned(),
            },
            1,
        )?;
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    println!(
        "{}",
        peak.ok_or_else(|| io::Error::other("no VmHWM in /proc/self/status"))?
    );
    Ok(())
}

struct ReadAll {
    dir: PathBuf,
}

impl ReadAll {
    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(number.to_string())
    }
}

/// All readers have their file open before one reads.
impl Workload for ReadAll {
    type Outcome = ();

    fn blocking(&self, _: u64) -> io::Result<()> {
        let barrier = Barrier::new(32);
        threads(FILES, |number| {
            let mut file = File::open(self.path(number))?;
            let mut buf = vec![0; BUFFER as usize];
            barrier.wait();
            let mut bytes = 0;
            loop {
                match file.read(&mut buf)? {
                    0 => break,
                    n => bytes += n as u64,
                }
            }
            check("bytes read", bytes, file.metadata()?.len())
        })
    }

    async fn with<F: Files, R: Runtime>(&self, _: u64) -> io::Result<()> {
        let open = |number| {
            let path = self.path(number);
            async move { Ok((F::open(&path).await?, F::size(&path).await?)) }
        };
        let mut files = at_once::<R, _, _>(FILES, open).await?;
        let read = |_| {
            let (mut file, size) = files.pop().expect("as many files as tasks");
            async move {
                let mut buf = vec![0; BUFFER as usize];
                let mut bytes = 0;
                loop {
                    match F::read(&mut file, &mut buf).await? {
                        0 => break,
                        n => bytes += n as u64,
                    }
                }
                check("bytes read", bytes, size)
            }
        };
        at_once::<R, _, _>(FILES, read).await?;
        Ok(())
    }

    async fn ring<F: RingFiles>(&self, _: u64) -> io::Result<()> {
        let open = |number| {
            let path = self.path(number);
            async move { Ok((F::open(&path).await?, F::size(&path).await?)) }
        };
        let mut files = at_once_here::<F, _, _>(FILES, open).await?;
        let read = |_| {
            let (file, size) = files.pop().expect("as many files as tasks");
            async move {
                let mut buf = vec![0; BUFFER as usize];
                let mut bytes = 0;
                loop {
                    buf = F::read_at(&file, buf, bytes).await?;
                    match buf.len() {
                        0 => break,
                        n => bytes += n as u64,
                    }
                }
                check("bytes read", bytes, size)?;
                F::close(file).await
            }
        };
        at_once_here::<F, _, _>(FILES, read).await?;
        Ok(())
    }
}
