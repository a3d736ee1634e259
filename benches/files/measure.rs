//! Runs, their samples, and what is made of them.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::contender::{Contender, Hops};
use crate::latency::{self, Latency};
use crate::rows::{Bench, Better, Row, Scene};

/// One run of one contender.
pub struct Sample {
    /// In the row's unit.
    pub figure: f64,
    pub ops: u64,
    pub elapsed: Duration,
    /// User and system time of the whole process, where the system tells.
    pub cpu: Option<Duration>,
    pub hops: Option<Hops>,
    /// How long single operations took, if that was asked for.
    pub laps: Vec<Duration>,
}

impl Sample {
    /// Does `work` and takes its time; the figure and the number of operations are the caller's.
    pub fn take<T>(
        contender: Contender,
        work: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<(Sample, T)> {
        latency::take();
        let (hops, cpu, start) = (contender.hops(), cpu_time(), Instant::now());
        let outcome = work()?;
        let sample = Sample {
            figure: 0.0,
            ops: 0,
            elapsed: start.elapsed(),
            cpu: cpu_time().zip(cpu).map(|(after, before)| after - before),
            hops: contender.hops().zip(hops).map(|(after, before)| Hops {
                operations: after.operations - before.operations,
                jobs: after.jobs - before.jobs,
            }),
            laps: latency::take(),
        };
        Ok((sample, outcome))
    }
}

#[cfg(unix)]
fn cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

#[cfg(not(unix))]
fn cpu_time() -> Option<Duration> {
    None
}

/// The runs of one row.
pub struct RowResult {
    pub row: &'static Row,
    /// `std` first; empty if the row cannot be measured here.
    pub entries: Vec<Entry>,
}

/// What one contender did in one row.
pub struct Entry {
    pub contender: Contender,
    /// The median of its runs.
    pub figure: f64,
    /// From the lowest to the highest figure, as a part of the median.
    pub spread: f64,
    /// The median, to that of `std`.
    pub ratio: f64,
    /// Microseconds of processor time per operation.
    pub cpu_per_op: Option<f64>,
    pub operations_per_op: Option<f64>,
    pub jobs_per_op: Option<f64>,
    /// Of the operations of all runs.
    pub latency: Option<Latency>,
}

pub enum Verdict {
    Reached,
    WithinTenPercent,
    Missed,
}

impl Row {
    pub fn verdict(&self, ratio: f64) -> Verdict {
        let reached = match self.better {
            Better::Higher => ratio / self.target,
            Better::Lower => self.target / ratio,
        };
        match reached {
            1.0.. => Verdict::Reached,
            0.9.. => Verdict::WithinTenPercent,
            _ => Verdict::Missed,
        }
    }
}

impl RowResult {
    pub fn of(&self, contender: Contender) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.contender == contender)
    }

    /// The lowest processor time per operation among the other async crates.
    pub fn best_peer_cpu(&self) -> Option<f64> {
        let peers = self
            .entries
            .iter()
            .filter(|entry| entry.contender != Contender::Std && !entry.contender.is_ours());
        peers
            .filter_map(|entry| entry.cpu_per_op)
            .min_by(f64::total_cmp)
    }
}

/// Measures one row: first how much work each contender can do in the time of a run, then the runs, turn by turn.
pub fn measure(row: &'static Row, args: &Args) -> io::Result<RowResult> {
    let scene = Scene::new(&args.dir, args.effort)?;
    let Some(bench) = (row.prepare)(&scene)? else {
        return Ok(RowResult {
            row,
            entries: Vec::new(),
        });
    };

    let mut turns = Vec::new();
    for contender in Contender::all().filter(|&contender| args.wants_contender(contender)) {
        match units_per_run(&*bench, contender, args.effort.run_time) {
            Ok(units) => turns.push((contender, units, Vec::new())),
            Err(error) if contender.lacks(&error) => {}
            Err(error) => return Err(error),
        }
    }

    for round in 0..args.effort.runs {
        // Each round begins with another contender: nobody always runs after the same neighbour.
        let count = turns.len();
        for turn in 0..count {
            let (contender, units, samples) = &mut turns[(round + turn) % count];
            // What the one before has left to its threads is done by now.
            thread::sleep(Duration::from_millis(5));
            samples.push(bench.run(*contender, *units)?);
        }
    }

    let mut entries: Vec<_> = turns
        .into_iter()
        .map(|(contender, _, samples)| Entry::new(contender, samples))
        .collect();
    let std = entries[0].figure;
    for entry in &mut entries {
        entry.ratio = entry.figure / std;
    }
    Ok(RowResult { row, entries })
}

/// Runs one row once for each contender that is named.
pub fn once(
    row: &'static Row,
    args: &Args,
    units: u64,
    mut tell: impl FnMut(Contender, u64),
) -> io::Result<()> {
    let scene = Scene::new(&args.dir, args.effort)?;
    let Some(bench) = (row.prepare)(&scene)? else {
        return Ok(());
    };
    let named = |contender: &Contender| contender.name().contains(&args.contender);
    for contender in Contender::all().filter(named) {
        match bench.run(contender, units.min(bench.most_units())) {
            Ok(sample) => tell(contender, sample.ops),
            Err(error) if contender.lacks(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Doubles the work until it takes a good part of the time, and goes on from there. What runs here is the warm-up.
fn units_per_run(bench: &dyn Bench, contender: Contender, run_time: Duration) -> io::Result<u64> {
    let most = bench.most_units();
    let mut units = 1;
    loop {
        let elapsed = bench.run(contender, units)?.elapsed;
        if units == most || elapsed >= run_time / 4 {
            let fitting = units as f64 * run_time.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
            return Ok((fitting as u64).clamp(1, most));
        }
        units = (units * 2).min(most);
    }
}

impl Entry {
    fn new(contender: Contender, samples: Vec<Sample>) -> Entry {
        let figures = || samples.iter().map(|sample| sample.figure);
        let figure = median(figures()).expect("at least one run");
        let lowest = figures().fold(f64::INFINITY, f64::min);
        let highest = figures().fold(f64::NEG_INFINITY, f64::max);
        let per_op = |total: fn(&Sample) -> Option<f64>| {
            median(
                samples
                    .iter()
                    .filter_map(|sample| Some(total(sample)? / sample.ops as f64)),
            )
        };
        Entry {
            contender,
            figure,
            spread: (highest - lowest) / figure,
            ratio: 1.0,
            cpu_per_op: per_op(|sample| Some(sample.cpu?.as_secs_f64() * 1e6)),
            operations_per_op: per_op(|sample| Some(sample.hops?.operations as f64)),
            jobs_per_op: per_op(|sample| Some(sample.hops?.jobs as f64)),
            latency: Latency::of(samples.into_iter().flat_map(|sample| sample.laps).collect()),
        }
    }
}

fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    match (figures.len(), figures.len() / 2) {
        (0, _) => None,
        (len, middle) if len % 2 == 1 => Some(figures[middle]),
        (_, middle) => Some((figures[middle - 1] + figures[middle]) / 2.0),
    }
}
