//! In place of the crate `blocking`: a thread of the model for each job. Beside that, the time of the model.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A job.
pub struct Task;

impl Task {
    pub fn detach(self) {}
}

pub fn unblock(job: impl FnOnce() + Send + 'static) -> Task {
    shuttle::thread::spawn(job);
    Task
}

/// The number of the schedule that runs.
static SCHEDULE: AtomicU64 = AtomicU64::new(0);

/// Another schedule begins.
pub fn begin_schedule() {
    SCHEDULE.fetch_add(1, Ordering::Relaxed);
}

/// Tells one schedule from another.
pub fn schedule() -> u64 {
    SCHEDULE.load(Ordering::Relaxed)
}

/// The time of the model, in nanoseconds.
static CLOCK: AtomicU64 = AtomicU64::new(0);

/// Lets some time pass, and says how late it is then.
pub fn pass(time: Duration) -> u64 {
    let time = time.as_nanos() as u64;
    CLOCK.fetch_add(time, Ordering::Relaxed) + time
}
