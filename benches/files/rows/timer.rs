//! How late a timer of one millisecond is while eight tasks read: does reading leave the executor to others?

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Bench, Better, MIB, Row, Workload};
use crate::contender::{Contender, Files, RingFiles, Runtime, at_once, at_once_here, threads};
use crate::measure::Sample;

pub const ROW: Row = Row {
    name: "p99 lateness of a 1 ms timer beside 8 tasks of 1 MiB reads",
    unit: "us",
    op: "a read",
    better: Better::Lower,
    target: 0.15,
    prepare: |scene| {
        let file = scene.data_file("data", scene.scaled(32 * MIB).max(2 * MIB))?;
        // Long enough for the hundredth part of the samples to be more than one.
        Ok(Some(Box::new(Timer {
            file,
            time: scene.effort.run_time * 2,
        })))
    },
};

const READERS: u64 = 8;
const TICK: Duration = Duration::from_millis(1);

struct Timer {
    file: PathBuf,
    /// How long to watch the timer.
    time: Duration,
}

struct Outcome {
    lateness: Vec<Duration>,
    reads: u64,
}

impl Bench for Timer {
    fn run(&self, contender: Contender, units: u64) -> io::Result<Sample> {
        let (
            sample,
            Outcome {
                mut lateness,
                reads,
            },
        ) = Sample::take(contender, || contender.run(self, units))?;
        lateness.sort();
        let p99 = lateness
            .get(lateness.len() * 99 / 100)
            .copied()
            .unwrap_or(Duration::MAX);
        Ok(Sample {
            figure: p99.as_secs_f64() * 1e6,
            ops: reads,
            ..sample
        })
    }
}

impl Workload for Timer {
    type Outcome = Outcome;

    fn blocking(&self, _: u64) -> io::Result<Outcome> {
        let end = Instant::now() + self.time;
        let reads = AtomicU64::new(0);
        thread::scope(|scope| {
            let timer = scope.spawn(|| {
                let mut lateness = Vec::new();
                while Instant::now() < end {
                    let due = Instant::now() + TICK;
                    thread::sleep(TICK);
                    lateness.push(due.elapsed());
                }
                lateness
            });
            threads(READERS, |_| {
                let mut file = File::open(&self.file)?;
                let mut buf = vec![0; MIB as usize];
                while Instant::now() < end {
                    if file.read(&mut buf)? == 0 {
                        file.seek(SeekFrom::Start(0))?;
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })?;
            let lateness = timer.join().expect("a thread panicked");
            Ok(Outcome {
                lateness,
                reads: reads.load(Ordering::Relaxed),
            })
        })
    }

    async fn with<F: Files, R: Runtime>(&self, _: u64) -> io::Result<Outcome> {
        let end = Instant::now() + self.time;
        let timer = R::spawn(async move {
            let mut lateness = Vec::new();
            while Instant::now() < end {
                let due = Instant::now() + TICK;
                R::sleep(TICK).await;
                lateness.push(due.elapsed());
            }
            lateness
        });
        let reads = Arc::new(AtomicU64::new(0));
        let reader = |_| {
            let path = self.file.clone();
            let reads = reads.clone();
            async move {
                let mut file = F::open(&path).await?;
                let mut buf = vec![0; MIB as usize];
                while Instant::now() < end {
                    if F::read(&mut file, &mut buf).await? == 0 {
                        F::seek(&mut file, 0).await?;
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }
        };
        at_once::<R, _, _>(READERS, reader).await?;
        Ok(Outcome {
            lateness: timer.await,
            reads: reads.load(Ordering::Relaxed),
        })
    }

    async fn ring<F: RingFiles>(&self, _: u64) -> io::Result<Outcome> {
        let end = Instant::now() + self.time;
        let timer = F::spawn(async move {
            let mut lateness = Vec::new();
            while Instant::now() < end {
                let due = Instant::now() + TICK;
                F::sleep(TICK).await;
                lateness.push(due.elapsed());
            }
            lateness
        });
        let reads = Rc::new(Cell::new(0));
        let reader = |_| {
            let path = self.file.clone();
            let reads = reads.clone();
            async move {
                let file = F::open(&path).await?;
                let mut buf = vec![0; MIB as usize];
                let mut offset = 0;
                while Instant::now() < end {
                    buf = F::read_at(&file, buf, offset).await?;
                    offset = match buf.len() {
                        0 => 0,
                        n => offset + n as u64,
                    };
                    reads.set(reads.get() + 1);
                }
                F::close(file).await
            }
        };
        at_once_here::<F, _, _>(READERS, reader).await?;
        Ok(Outcome {
            lateness: timer.await,
            reads: reads.get(),
        })
    }
}
