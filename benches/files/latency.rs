//! How long single operations take, in the rows of reads one at a time. Only with `--latency`: looking at the clock
//! after each operation costs a cached read of std some percent.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static WANTED: AtomicBool = AtomicBool::new(false);
static LAPS: Mutex<Vec<Duration>> = Mutex::new(Vec::new());

/// Lets stopwatches run from now on.
pub fn enable() {
    WANTED.store(true, Ordering::Relaxed);
}

/// What the stopwatches have measured since the last call.
pub fn take() -> Vec<Duration> {
    std::mem::take(&mut LAPS.lock().expect("no stopwatch panics"))
}

/// Measures the operations of a loop: each lap ends where the next one begins.
pub struct Stopwatch {
    /// When the lap began, and those before it; `None` if nobody wants to know.
    running: Option<(Instant, Vec<Duration>)>,
}

impl Stopwatch {
    /// Runs only in a task that has no others beside it.
    pub fn start(tasks: u64) -> Stopwatch {
        let wanted = tasks == 1 && WANTED.load(Ordering::Relaxed);
        Stopwatch {
            running: wanted.then(|| (Instant::now(), Vec::new())),
        }
    }

    /// Ends a lap.
    pub fn lap(&mut self) {
        if let Some((began, laps)) = &mut self.running {
            let now = Instant::now();
            laps.push(now - *began);
            *began = now;
        }
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        if let Some((_, laps)) = self.running.take() {
            LAPS.lock().expect("no stopwatch panics").extend(laps);
        }
    }
}

/// What half of the operations, and all but the hundredth part of them, did not exceed.
#[derive(Clone, Copy)]
pub struct Latency {
    pub p50: Duration,
    pub p99: Duration,
}

impl Latency {
    pub fn of(mut laps: Vec<Duration>) -> Option<Latency> {
        laps.sort_unstable();
        let percentile = |percent: usize| laps.get(laps.len() * percent / 100).copied();
        Some(Latency {
            p50: percentile(50)?,
            p99: percentile(99)?,
        })
    }
}
