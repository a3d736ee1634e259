//! Every runtime behind one face.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::thread::{self, JoinHandle};

use futures_lite::{FutureExt as _, Stream as _};

use super::{Seed, hostile, within_limit};

/// Which runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    SmolOne,
    SmolFour,
    AsyncStd,
    TokioMulti,
    TokioCurrent,
    BlockOn,
    Hostile,
}

impl Kind {
    pub const ALL: [Kind; 7] = [
        Kind::SmolOne,
        Kind::SmolFour,
        Kind::AsyncStd,
        Kind::TokioMulti,
        Kind::TokioCurrent,
        Kind::BlockOn,
        Kind::Hostile,
    ];

    /// Those whose context `tokio::net` and `tokio::spawn` need.
    pub const TOKIO: [Kind; 2] = [Kind::TokioMulti, Kind::TokioCurrent];

    /// Those that drive nothing of tokio.
    pub const NOT_TOKIO: [Kind; 5] = [
        Kind::SmolOne,
        Kind::SmolFour,
        Kind::AsyncStd,
        Kind::BlockOn,
        Kind::Hostile,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::SmolOne => "smol with 1 thread",
            Kind::SmolFour => "smol with 4 threads",
            Kind::AsyncStd => "async-std",
            Kind::TokioMulti => "tokio with 2 workers",
            Kind::TokioCurrent => "tokio on the current thread",
            Kind::BlockOn => "block_on",
            Kind::Hostile => "the hostile executor",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Runs the body once under every runtime.
#[track_caller]
pub fn every_runtime<B, F>(body: B)
where
    B: Fn(Handle) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    on_runtimes(&Kind::ALL, body);
}

/// Runs the body once under each of these runtimes.
#[track_caller]
pub fn on_runtimes<B, F>(kinds: &[Kind], body: B)
where
    B: Fn(Handle) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    run_on(kinds, &|handle| Box::pin(body(handle)));
}

/// A future whose type is the same for all tests: with hundreds of types, each runtime would be compiled as often.
type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

#[track_caller]
fn run_on(kinds: &[Kind], body: &dyn Fn(Handle) -> Boxed<()>) {
    let wanted = std::env::var("AIOFILES_RUNTIME").unwrap_or_default();
    for &kind in kinds.iter().filter(|kind| kind.name().contains(&wanted)) {
        let runtime = Runtime::new(kind);
        let future = body(runtime.handle());
        within_limit(kind.name(), move || runtime.block_on_boxed(future));
    }
}

/// A runtime that somebody owns. Dropping it ends its threads (those of async-std live on) and drops its tasks.
pub struct Runtime {
    kind: Kind,
    engine: Engine,
}

enum Engine {
    Smol(SmolThreads),
    Tokio(tokio::runtime::Runtime),
    /// Global, or made for each future anew.
    None,
}

impl Runtime {
    pub fn new(kind: Kind) -> Runtime {
        let engine = match kind {
            Kind::SmolOne => Engine::Smol(SmolThreads::start(1)),
            Kind::SmolFour => Engine::Smol(SmolThreads::start(4)),
            Kind::TokioMulti => Engine::Tokio(
                tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .expect("a tokio runtime"),
            ),
            Kind::TokioCurrent => Engine::Tokio(
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a tokio runtime"),
            ),
            Kind::AsyncStd | Kind::BlockOn | Kind::Hostile => Engine::None,
        };
        Runtime { kind, engine }
    }

    /// Runs the future as a task of this runtime and waits for it here; its panic goes on here.
    pub fn block_on<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.block_on_boxed(Box::pin(future))
    }

    fn block_on_boxed<T: Send + 'static>(&self, future: Boxed<T>) -> T {
        match (&self.engine, self.kind) {
            (Engine::Smol(smol), _) => {
                let task = self.handle().spawn_boxed(future);
                smol::block_on(smol.executor.run(task))
            }
            (Engine::Tokio(tokio), _) => tokio.block_on(self.handle().spawn_boxed(future)),
            (Engine::None, Kind::AsyncStd) => {
                async_std::task::block_on(self.handle().spawn_boxed(future))
            }
            (Engine::None, Kind::Hostile) => hostile_block_on(future),
            (Engine::None, _) => futures_lite::future::block_on(future),
        }
    }

    pub fn handle(&self) -> Handle {
        let spawner = match (&self.engine, self.kind) {
            (Engine::Smol(smol), _) => Spawner::Smol(Arc::downgrade(&smol.executor)),
            (Engine::Tokio(tokio), _) => Spawner::Tokio(tokio.handle().clone()),
            (Engine::None, Kind::AsyncStd) => Spawner::AsyncStd,
            (Engine::None, Kind::Hostile) => Spawner::HostileThread,
            (Engine::None, _) => Spawner::BlockOnThread,
        };
        Handle {
            kind: self.kind,
            spawner,
        }
    }
}

/// Starts tasks on a runtime that somebody else owns.
#[derive(Clone)]
pub struct Handle {
    kind: Kind,
    spawner: Spawner,
}

#[derive(Clone)]
enum Spawner {
    /// Weak, so that a task holding its own handle does not keep the executor alive.
    Smol(Weak<smol::Executor<'static>>),
    Tokio(tokio::runtime::Handle),
    AsyncStd,
    BlockOnThread,
    HostileThread,
}

impl Handle {
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// Starts another task on the runtime, concurrent with the caller. (`block_on` and the hostile executor have no
    /// tasks: there the future gets a thread of its own.) A panic in it goes on in whoever awaits the [`Task`].
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        self.spawn_boxed(Box::pin(future))
    }

    fn spawn_boxed<T: Send + 'static>(&self, future: Boxed<T>) -> Task<T> {
        let (finished, outcome) = smol::channel::bounded(1);
        self.start(Box::pin(async move {
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            // Nobody may be waiting any more.
            let _ = finished.try_send(outcome);
        }));
        Task(Box::pin(outcome))
    }

    fn start(&self, task: Boxed<()>) {
        match &self.spawner {
            Spawner::Smol(executor) => {
                executor
                    .upgrade()
                    .expect("the runtime has not been dropped")
                    .spawn(task)
                    .detach();
            }
            Spawner::Tokio(tokio) => drop(tokio.spawn(task)),
            Spawner::AsyncStd => drop(async_std::task::spawn(task)),
            Spawner::BlockOnThread => drop(self.thread(|| futures_lite::future::block_on(task))),
            Spawner::HostileThread => drop(self.thread(|| hostile_block_on(task))),
        }
    }

    fn thread(&self, main: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        thread::Builder::new()
            .name(self.name().to_owned())
            .spawn(main)
            .expect("a thread")
    }
}

fn hostile_block_on<T: Send + 'static>(future: Boxed<T>) -> T {
    let seed = Seed::new();
    hostile::block_on(seed.value(), future)
}

/// A task of a runtime. Dropping it lets the task run on.
pub struct Task<T>(Pin<Box<smol::channel::Receiver<thread::Result<T>>>>);

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(self.0.as_mut().poll_next(cx)) {
            Some(Ok(output)) => Poll::Ready(output),
            Some(Err(panic)) => resume_unwind(panic),
            None => panic!("the runtime dropped the task"),
        }
    }
}

/// An executor with threads; the thread inside `block_on` counts as one of them.
struct SmolThreads {
    executor: Arc<smol::Executor<'static>>,
    stop: smol::channel::Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

impl SmolThreads {
    fn start(threads: usize) -> SmolThreads {
        let executor = Arc::new(smol::Executor::new());
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let threads = (1..threads)
            .map(|_| {
                let (executor, stopped) = (executor.clone(), stopped.clone());
                thread::Builder::new()
                    .name("smol".to_owned())
                    .spawn(move || {
                        // An error: the sender is gone, which is the signal.
                        let _ = smol::block_on(executor.run(stopped.recv()));
                    })
                    .expect("a thread")
            })
            .collect();
        SmolThreads {
            executor,
            stop,
            threads,
        }
    }
}

impl Drop for SmolThreads {
    fn drop(&mut self) {
        self.stop.close();
        for thread in self.threads.drain(..) {
            thread
                .join()
                .expect("tasks do not panic: their panics travel to whoever awaits them");
        }
    }
}
