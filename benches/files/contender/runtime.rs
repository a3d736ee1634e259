//! The runtimes, and how each does several things at once.

use std::io;
use std::sync::LazyLock;
use std::time::Duration;

use super::RingFiles;

pub trait Runtime: 'static {
    fn block_on<T>(future: impl Future<Output = T>) -> T;
    fn spawn<T: Send + 'static>(
        future: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T>;
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;
}

/// An executor that is driven by `block_on`, and by nothing else: one thread, as in a small tool.
pub struct Smol;

static EXECUTOR: smol::Executor<'static> = smol::Executor::new();

impl Runtime for Smol {
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        smol::block_on(EXECUTOR.run(future))
    }

    fn spawn<T: Send + 'static>(
        future: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> {
        EXECUTOR.spawn(future)
    }

    async fn sleep(time: Duration) {
        smol::Timer::after(time).await;
    }
}

/// The multi-threaded runtime with two workers.
pub struct Tokio;

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a tokio runtime")
});

impl Runtime for Tokio {
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        RUNTIME.block_on(future)
    }

    fn spawn<T: Send + 'static>(
        future: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> {
        let handle = RUNTIME.spawn(future);
        async { handle.await.expect("a task panicked") }
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(time)
    }
}

/// Runs `tasks` tasks at once and waits for all of them. A single one is not spawned.
pub async fn at_once<R: Runtime, T, F>(
    tasks: u64,
    mut task: impl FnMut(u64) -> F,
) -> io::Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    if tasks == 1 {
        return Ok(vec![task(0).await?]);
    }
    let spawned: Vec<_> = (0..tasks).map(|number| R::spawn(task(number))).collect();
    let mut results = Vec::with_capacity(spawned.len());
    for task in spawned {
        results.push(task.await?);
    }
    Ok(results)
}

/// The same where tasks stay on their thread.
pub async fn at_once_here<F: RingFiles, T, Task>(
    tasks: u64,
    mut task: impl FnMut(u64) -> Task,
) -> io::Result<Vec<T>>
where
    T: 'static,
    Task: Future<Output = io::Result<T>> + 'static,
{
    if tasks == 1 {
        return Ok(vec![task(0).await?]);
    }
    let spawned: Vec<_> = (0..tasks).map(|number| F::spawn(task(number))).collect();
    let mut results = Vec::with_capacity(spawned.len());
    for task in spawned {
        results.push(task.await?);
    }
    Ok(results)
}

/// The same for `std`: shares the tasks among up to 32 threads. A single one stays on this thread.
pub fn threads(tasks: u64, task: impl Fn(u64) -> io::Result<()> + Sync) -> io::Result<()> {
    if tasks == 1 {
        return task(0);
    }
    let threads = tasks.min(32);
    std::thread::scope(|scope| {
        let task = &task;
        let running: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn(move || (first..tasks).step_by(threads as usize).try_for_each(task))
            })
            .collect();
        running
            .into_iter()
            .try_for_each(|thread| thread.join().expect("a thread panicked"))
    })
}
