//! What a subscriber of `tracing` is told.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_lite::AsyncWriteExt as _;
use futures_lite::future::block_on;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, set_default, set_global_default};
use tracing::{Event, Level, Metadata, Subscriber, info, info_span};
use tracing_core::span::Current;

use crate::support::*;

/// What was told: a span, or an event.
#[derive(Clone, Debug)]
struct Told {
    level: Level,
    target: String,
    /// The name of the span; empty for an event.
    span: &'static str,
    id: u64,
    parent: Option<u64>,
    fields: BTreeMap<&'static str, String>,
}

impl Told {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn message(&self) -> &str {
        self.field("message")
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

/// A subscriber that writes everything down, and may do something of its own with each thing it is told.
#[derive(Clone)]
struct Recorder {
    most: LevelFilter,
    told: Arc<Mutex<Vec<Told>>>,
    each: Arc<dyn Fn(&Told) + Send + Sync>,
    /// Spans that are open, and how many handles they have.
    open: Arc<Mutex<BTreeMap<u64, usize>>>,
}

thread_local! {
    /// The spans that this thread is in.
    static INSIDE: RefCell<Vec<(u64, &'static Metadata<'static>)>> = const { RefCell::new(Vec::new()) };
}

/// The description of each span.
static KNOWN: Mutex<BTreeMap<u64, &'static Metadata<'static>>> = Mutex::new(BTreeMap::new());

impl Recorder {
    fn new(most: LevelFilter) -> Recorder {
        Recorder::with(most, |_| ())
    }

    fn with(most: LevelFilter, each: impl Fn(&Told) + Send + Sync + 'static) -> Recorder {
        Recorder {
            most,
            told: Arc::default(),
            each: Arc::new(each),
            open: Arc::default(),
        }
    }

    fn all(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// Waits until something is told, and gives it.
    #[track_caller]
    fn wait_for(&self, what: &str, is_it: impl Fn(&Told) -> bool) -> Told {
        let begin = Instant::now();
        loop {
            if let Some(told) = self.all().into_iter().find(&is_it) {
                return told;
            }
            let late = begin.elapsed() > Duration::from_secs(60);
            assert!(!late, "{what} was not told: {:#?}", self.all());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The span of an operation on a path, and the event of its end.
    #[track_caller]
    fn operation(&self, op: &str, path: &std::path::Path) -> (Told, Told) {
        let path = path.display().to_string();
        let is_it = |told: &Told| {
            told.span == "operation" && told.field("op") == op && told.field("path") == path
        };
        let span = self.wait_for(op, is_it);
        let end = self.wait_for("its end", |told| {
            told.span.is_empty() && told.parent == Some(span.id) && !told.field("waited").is_empty()
        });
        (span, end)
    }

    fn keep(&self, mut told: Told, parent: Option<&Id>, is_contextual: bool) {
        told.parent = match parent {
            Some(parent) => Some(parent.into_u64()),
            None if is_contextual => INSIDE.with(|inside| Some(inside.borrow().last()?.0)),
            None => None,
        };
        self.told.lock().unwrap().push(told.clone());
        (self.each)(&told);
    }
}

fn told(metadata: &Metadata<'_>) -> Told {
    Told {
        level: *metadata.level(),
        target: metadata.target().to_owned(),
        span: "",
        id: 0,
        parent: None,
        fields: BTreeMap::new(),
    }
}

impl Subscriber for Recorder {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.most
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let id = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut new = told(span.metadata());
        new.span = span.metadata().name();
        new.id = id;
        span.record(&mut new);
        KNOWN.lock().unwrap().insert(id, span.metadata());
        self.open.lock().unwrap().insert(id, 1);
        self.keep(new, span.parent(), span.is_contextual());
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut all = self.told.lock().unwrap();
        if let Some(span) = all.iter_mut().find(|told| told.id == span.into_u64()) {
            values.record(span);
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut new = told(event.metadata());
        event.record(&mut new);
        self.keep(new, event.parent(), event.is_contextual());
    }

    fn enter(&self, span: &Id) {
        let id = span.into_u64();
        let metadata = KNOWN.lock().unwrap()[&id];
        INSIDE.with(|inside| inside.borrow_mut().push((id, metadata)));
    }

    fn exit(&self, span: &Id) {
        INSIDE.with(|inside| {
            let mut inside = inside.borrow_mut();
            let last = inside.iter().rposition(|(id, _)| *id == span.into_u64());
            last.map(|index| inside.remove(index));
        });
    }

    fn clone_span(&self, id: &Id) -> Id {
        *self
            .open
            .lock()
            .unwrap()
            .get_mut(&id.into_u64())
            .expect("only open spans are cloned") += 1;
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut open = self.open.lock().unwrap();
        let handles = open.get_mut(&id.into_u64()).expect("closed once");
        *handles -= 1;
        let last = *handles == 0;
        if last {
            open.remove(&id.into_u64());
        }
        last
    }

    fn current_span(&self) -> Current {
        INSIDE.with(|inside| match inside.borrow().last() {
            Some((id, metadata)) => Current::new(Id::from_u64(*id), metadata),
            None => Current::none(),
        })
    }
}

/// A directory with a file of seven bytes.
fn sample() -> (::tempfile::TempDir, std::path::PathBuf) {
    let dir = temp_dir();
    let path = dir.path().join("sample.txt");
    std::fs::write(&path, "content").unwrap();
    (dir, path)
}

// ---------------------------------------------------------------------------------------------------------------------
// Operations

#[test]
fn an_operation_belongs_to_the_span_of_its_caller() {
    within_limit("operations", || {
        let recorder = Recorder::new(LevelFilter::TRACE);
        let _default = set_default(recorder.clone());
        let (dir, path) = sample();
        let renamed = dir.path().join("renamed.txt");
        let caller = info_span!("caller").in_scope(|| {
            block_on(async {
                aiofiles::read(&path).await.unwrap();
                aiofiles::rename(&path, &renamed).await.unwrap();
                let mut file = aiofiles::File::create(&path).await.unwrap();
                file.write_all(b"written").await.unwrap();
                file.sync_all().await.unwrap();
                file.close().await.unwrap();
                aiofiles::canonicalize(&path).await.unwrap();
            });
            tracing::Span::current().id().unwrap().into_u64()
        });
        let expected = [
            ("read", "pool"),
            ("rename", "pool"),
            ("open", "pool"),
            ("write behind", "pool"),
            ("sync", "job"),
            ("close", "pool"),
            ("canonicalize", "pool"),
        ];
        for (op, on) in expected {
            let (span, end) = recorder.operation(op, &path);
            assert_eq!(span.parent, Some(caller), "{span:?}");
            assert_eq!(span.field("on"), on, "{span:?}");
            assert_eq!(
                (span.target.as_str(), span.level),
                ("aiofiles", Level::TRACE)
            );
            assert_eq!(end.message(), "done", "{end:?}");
            assert_ne!(end.field("ran"), "");
        }
        // The span of the caller ends when those of its operations have.
        let begin = Instant::now();
        while !recorder.open.lock().unwrap().is_empty() {
            assert!(begin.elapsed() < Duration::from_secs(60), "spans stay open");
            std::thread::yield_now();
        }
    });
}

#[test]
fn an_operation_that_failed_says_why() {
    within_limit("errors", || {
        let recorder = Recorder::new(LevelFilter::TRACE);
        let _default = set_default(recorder.clone());
        let (dir, path) = sample();
        let missing = dir.path().join("missing.txt");
        block_on(async {
            aiofiles::read(&missing).await.unwrap_err();
            aiofiles::read_link(&path).await.unwrap_err();
            let file = aiofiles::OpenOptions::new().write(true).open(&path).await;
            let read = file.unwrap().read_at(vec![0; 8], 0).await;
            read.0.unwrap_err();
        });
        for (op, path, code) in [
            ("read", &missing, 2),
            ("read link", &path, 22),
            ("read at", &path, 9),
        ] {
            let (_, end) = recorder.operation(op, path);
            assert_eq!(end.message(), "failed", "{op}: {end:?}");
            let error = end.field("error");
            assert!(error.contains(&format!("os error {code}")), "{op}: {end:?}");
        }
    });
}

/// At any level: it has nothing to do with what we tell.
#[test]
fn code_of_a_user_finds_itself_in_the_span_of_its_caller() {
    within_limit("unblock", || {
        for level in [LevelFilter::INFO, LevelFilter::TRACE] {
            let recorder = Recorder::new(level);
            let _default = set_default(recorder.clone());
            let span = info_span!("caller");
            let id = span.id().unwrap().into_u64();
            span.in_scope(|| block_on(aiofiles::unblock(|| info!("inside"))));
            let inside = recorder.wait_for("the event", |told| told.message() == "inside");
            assert_eq!(inside.parent, Some(id), "{level}");
            if level == LevelFilter::TRACE {
                let call = recorder.wait_for("the call", |told| told.field("op") == "call");
                assert_eq!((call.parent, call.field("on")), (Some(id), "job"));
            }
        }
    });
}

#[test]
fn an_operation_of_a_users_own_pool_says_so() {
    within_limit("executors", || {
        let recorder = Recorder::new(LevelFilter::TRACE);
        let _default = set_default(recorder.clone());
        let (_dir, path) = sample();
        let threads = |work: aiofiles::Work| drop(std::thread::spawn(|| work.run()));
        block_on(aiofiles::with_executor(threads, aiofiles::metadata(&path))).unwrap();
        let (span, end) = recorder.operation("query metadata of", &path);
        assert_eq!(span.field("on"), "executor");
        assert_eq!(end.message(), "done");
    });
}

/// Reads that wait for the device go through a ring, where there is one.
#[test]
#[cfg(all(feature = "uring", target_os = "linux"))]
fn an_operation_of_a_ring_says_so() {
    within_limit("rings", || {
        if aiofiles::backend().kind() != aiofiles::BackendKind::Uring {
            return skip("io_uring");
        }
        let recorder = Recorder::new(LevelFilter::TRACE);
        let _default = set_default(recorder.clone());
        let (_dir, path) = sample();
        let span = info_span!("caller");
        let id = span.id().unwrap().into_u64();
        let _inside = span.enter();
        let read = block_on(async {
            let mut options = aiofiles::OpenOptions::new();
            options.read(true).backend(aiofiles::BackendKind::Uring);
            let file = options.open(&path).await.unwrap();
            file.read_at(vec![0; 7], 0).await
        });
        assert_eq!(read.0.unwrap(), 7);
        let (span, end) = recorder.operation("read at", &path);
        assert_eq!((span.parent, span.field("on")), (Some(id), "ring"));
        assert_eq!(end.message(), "done");
    });
}

/// Below the level of single operations, nothing is told of those that go well; and where nobody listens, no thread is
/// there that could tell anything.
#[test]
fn nothing_is_told_to_those_who_do_not_want_to_hear() {
    alone(|| {
        let work = || {
            let (_dir, path) = sample();
            block_on(async {
                aiofiles::read(&path).await.unwrap();
                aiofiles::write(&path, "again").await.unwrap();
                aiofiles::read("no/such.file").await.unwrap_err();
            });
        };
        work();
        let recorder = Recorder::new(LevelFilter::OFF);
        {
            let _default = set_default(recorder.clone());
            work();
        }
        assert!(recorder.all().is_empty(), "{:?}", recorder.all());
        assert!(!has_teller());

        let recorder = Recorder::new(LevelFilter::INFO);
        let _default = set_default(recorder.clone());
        work();
        std::thread::sleep(Duration::from_millis(50));
        assert!(recorder.all().is_empty(), "{:?}", recorder.all());

        let recorder = Recorder::new(LevelFilter::DEBUG);
        let _default = set_default(recorder.clone());
        work();
        std::thread::sleep(Duration::from_millis(50));
        assert!(
            recorder
                .all()
                .iter()
                .all(|told| told.message() == "backend")
        );
    });
}

/// Whether the thread that tells is there.
fn has_teller() -> bool {
    if !cfg!(target_os = "linux") {
        return false;
    }
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
    names
        .flatten()
        .any(|name| name.starts_with("aiofiles-trac"))
}

// ---------------------------------------------------------------------------------------------------------------------
// The backend

/// Rule 19: a value that is not known, or cannot be had, is one warning.
#[test]
fn the_backend_is_told_once() {
    alone(|| {
        let recorder = Recorder::new(LevelFilter::DEBUG);
        set_global_default(recorder.clone()).unwrap();
        for _ in 0..3 {
            assert!(!block_on(aiofiles::exists("no/such.file")));
        }
        let told = recorder.wait_for("the backend", |told| told.message() == "backend");
        let backend = aiofiles::backend();
        assert_eq!(told.level, Level::DEBUG);
        assert_eq!(told.field("backend"), format!("{:?}", backend.kind()));
        assert_eq!(told.field("reason"), backend.reason());
        std::thread::sleep(Duration::from_millis(50));
        let all = recorder.all();
        let count = all
            .iter()
            .filter(|told| told.message() == "backend")
            .count();
        assert_eq!(count, 1, "{all:?}");
    });
}

#[test]
fn a_backend_that_cannot_be_had_is_one_warning() {
    alone_under(&["env", "AIOFILES_BACKEND=nonsense"], || {
        let recorder = Recorder::new(LevelFilter::WARN);
        set_global_default(recorder.clone()).unwrap();
        for _ in 0..3 {
            assert!(!block_on(aiofiles::exists("no/such.file")));
        }
        recorder.wait_for("the value", |told| {
            told.level == Level::WARN && told.message().contains("nonsense")
        });
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(recorder.all().len(), 1, "{:?}", recorder.all());
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// A subscriber that uses this crate itself

/// Does much at once, with files that are shared with the subscriber.
fn much_at_once(dir: &std::path::Path) {
    let path = dir.join("work.txt");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                block_on(async {
                    let mut file = aiofiles::File::create(&path).await.unwrap();
                    for _ in 0..20 {
                        file.write_all(b"some bytes").await.unwrap();
                        file.flush().await.unwrap();
                        file.read_at(vec![0; 3], 0).await.0.unwrap_err();
                        aiofiles::metadata(&path).await.unwrap();
                        aiofiles::unblock(|| info!("inside")).await;
                    }
                    drop(file);
                    aiofiles::settle().await;
                });
            });
        }
    });
}

/// Each line goes to the disk before the subscriber returns, with one thread for everything.
#[test]
fn a_subscriber_may_write_files_of_this_crate_and_wait_for_them() {
    alone(|| {
        aiofiles::set_max_concurrent_operations(1);
        let dir = temp_dir();
        let log = dir.path().join("log.txt");
        let file = Mutex::new(block_on(aiofiles::File::create(&log)).unwrap());
        let lines = Arc::new(AtomicUsize::new(0));
        let count = lines.clone();
        let recorder = Recorder::with(LevelFilter::TRACE, move |told| {
            let mut file = file.lock().unwrap();
            let line = format!("{} {}\n", told.span, told.message());
            block_on(async {
                file.write_all(line.as_bytes()).await.unwrap();
                file.flush().await.unwrap();
            });
            count.fetch_add(1, Ordering::SeqCst);
        });
        set_global_default(recorder.clone()).unwrap();
        much_at_once(dir.path());
        // What the subscriber does itself is not told, or there would be no end of it.
        let begin = Instant::now();
        let mut before = 0;
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let now = lines.load(Ordering::SeqCst);
            if now == before {
                break;
            }
            before = now;
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "there is no end of it"
            );
        }
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!(text.lines().count(), lines.load(Ordering::SeqCst));
        assert!(text.contains("operation") && text.contains("done"));
    });
}

/// Lines go to a thread of the program, which is waited for when it falls behind.
#[test]
fn a_subscriber_may_have_another_thread_write_files_of_this_crate() {
    alone(|| {
        aiofiles::set_max_concurrent_operations(1);
        let dir = temp_dir();
        let log = dir.path().join("log.txt");
        let (sender, receiver) = std::sync::mpsc::sync_channel::<String>(1);
        std::thread::spawn({
            let log = log.clone();
            move || {
                let _nobody = set_default(tracing::subscriber::NoSubscriber::new());
                let mut file = block_on(aiofiles::File::create(log)).unwrap();
                while let Ok(line) = receiver.recv() {
                    block_on(async {
                        file.write_all(line.as_bytes()).await.unwrap();
                        file.flush().await.unwrap();
                    });
                }
            }
        });
        let sender = Mutex::new(sender);
        let recorder = Recorder::with(LevelFilter::TRACE, move |told| {
            let line = format!("{} {}\n", told.span, told.message());
            sender.lock().unwrap().send(line).unwrap();
        });
        set_global_default(recorder.clone()).unwrap();
        much_at_once(dir.path());
        let count = recorder.all().len();
        let begin = Instant::now();
        while std::fs::read_to_string(&log).unwrap().lines().count() < count {
            assert!(begin.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(10));
        }
        // Nothing of the log itself is told.
        let name = log.display().to_string();
        assert!(recorder.all().iter().all(|told| told.field("path") != name));
    });
}

/// A subscriber that asks the very files that it is told of, whatever is locked meanwhile.
#[test]
fn a_subscriber_may_use_the_file_that_it_is_told_of() {
    within_limit("the same file", || {
        let (_dir, path) = sample();
        let file = block_on(
            aiofiles::OpenOptions::new()
                .read(true)
                .append(true)
                .open(&path),
        );
        let mut file = file.unwrap();
        let other = Mutex::new(block_on(file.try_clone()).unwrap());
        let recorder = Recorder::with(LevelFilter::TRACE, move |told| {
            if told.target != "aiofiles" {
                return;
            }
            let mut other = other.lock().unwrap();
            block_on(async {
                other.flush().await.unwrap();
                other.metadata().await.unwrap();
            });
        });
        let _default = set_default(recorder.clone());
        block_on(async {
            for _ in 0..50 {
                file.write_all(b"x").await.unwrap();
                file.flush().await.unwrap();
            }
            file.sync_all().await.unwrap();
            file.close().await.unwrap();
        });
        recorder.operation("write behind", &path);
        recorder.operation("close", &path);
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// What goes wrong

#[cfg(feature = "testing")]
mod faults {
    use std::process::Command;

    use aiofiles::testing::Call;
    use rustix::io::Errno;

    use super::*;
    use crate::steps::{EVER, Held, with_faults};

    const EIO: i32 = Errno::IO.raw_os_error();
    const EMFILE: i32 = Errno::MFILE.raw_os_error();
    const ENOSPC: i32 = Errno::NOSPC.raw_os_error();

    #[test]
    fn a_write_in_the_background_that_failed_is_told() {
        with_faults(|faults| {
            let recorder = Recorder::new(LevelFilter::DEBUG);
            let _default = set_default(recorder.clone());
            let (_dir, path) = sample();
            faults.fail(Call::Write, 0, EVER, ENOSPC);
            let span = info_span!("caller");
            let id = span.id().unwrap().into_u64();
            let _inside = span.enter();
            block_on(async {
                let mut file = aiofiles::File::create(&path).await.unwrap();
                file.write_all(b"lost bytes").await.unwrap();
                file.flush().await.unwrap_err();
                let told = recorder.wait_for("the failure", |told| {
                    told.message() == "a write in the background failed"
                });
                assert_eq!((told.level, told.parent), (Level::DEBUG, Some(id)));
                assert_eq!(told.field("kept"), "10");
                assert_eq!(told.field("path"), path.display().to_string());
                assert!(told.field("error").contains("os error 28"), "{told:?}");

                // The last one that could hear of it goes.
                drop(file);
                aiofiles::settle().await;
            });
            let told = recorder.wait_for("the loss", |told| told.level == Level::WARN);
            assert_eq!(
                told.message(),
                "bytes of a dropped file could not be written"
            );
            assert_eq!(told.field("lost"), "10");
            assert_eq!(told.field("path"), path.display().to_string());
            assert!(told.field("error").contains("os error 28"), "{told:?}");
        });
    }

    #[test]
    fn a_sync_that_failed_for_good_is_told_once() {
        with_faults(|faults| {
            let recorder = Recorder::new(LevelFilter::DEBUG);
            let _default = set_default(recorder.clone());
            let (_dir, path) = sample();
            faults.fail(Call::SyncAll, 0, 1, EIO);
            block_on(async {
                let file = aiofiles::File::create(&path).await.unwrap();
                file.sync_all().await.unwrap_err();
                file.sync_all().await.unwrap_err();
                file.sync_data().await.unwrap_err();
            });
            let is_it = |told: &Told| told.message() == "a sync failed, which is final";
            let told = recorder.wait_for("the sync", is_it);
            assert_eq!(told.field("path"), path.display().to_string());
            assert!(told.field("error").contains("os error 5"), "{told:?}");
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(recorder.all().iter().filter(|told| is_it(told)).count(), 1);
        });
    }

    #[test]
    fn waiting_for_descriptors_is_told() {
        with_faults(|faults| {
            let recorder = Recorder::new(LevelFilter::DEBUG);
            let _default = set_default(recorder.clone());
            let (_dir, path) = sample();
            block_on(async {
                let gate = Held::new(faults, Call::Close, 0);
                drop(aiofiles::File::open(&path).await.unwrap());
                while gate.waiting() == 0 {
                    std::thread::yield_now();
                }
                faults.fail(Call::Open, 0, 1, EMFILE);
                aiofiles::File::open(&path).await.unwrap();
            });
            recorder.wait_for("waiting", |told| {
                told.level == Level::DEBUG && told.message().starts_with("out of descriptors")
            });
        });
    }

    #[test]
    fn a_thread_that_takes_over_from_those_that_are_stuck_is_told() {
        alone(|| {
            let recorder = Recorder::new(LevelFilter::DEBUG);
            set_global_default(recorder.clone()).unwrap();
            with_faults(move |faults| {
                let (_dir, path) = sample();
                block_on(async {
                    let gate = Held::new(faults, Call::Write, 0);
                    let mut file = aiofiles::File::create(&path).await.unwrap();
                    file.write_all(b"stuck").await.unwrap();
                    while gate.waiting() == 0 {
                        std::thread::yield_now();
                    }
                    aiofiles::metadata("Cargo.toml").await.unwrap();
                });
                let told = recorder.wait_for("the other thread", |told| {
                    told.message().starts_with("all threads are stuck")
                });
                assert_eq!((told.level, told.field("stuck")), (Level::DEBUG, "1"));
            });
        });
    }

    /// The process waits for the write in vain, gives up, and says so.
    #[test]
    fn giving_up_at_the_end_of_the_process_is_told() {
        const MARK: &str = "AIOFILES_TEST_GIVES_UP";
        if std::env::var_os(MARK).is_some() {
            let recorder = Recorder::with(LevelFilter::WARN, |told| {
                eprintln!("told: {} {}", told.message(), told.field("jobs"));
            });
            set_global_default(recorder).unwrap();
            let faults = aiofiles::testing::Faults::install();
            let gate = faults.stall(Call::Write, 0, EVER);
            let mut file = block_on(aiofiles::File::create(std::env::var_os(MARK).unwrap()));
            let file = file.as_mut().unwrap();
            block_on(file.write_all(b"never")).unwrap();
            while gate.waiting() == 0 {
                std::thread::yield_now();
            }
            std::process::exit(0);
        }
        let (_dir, path) = sample();
        let name = std::thread::current().name().unwrap().to_owned();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture", "--test-threads=1"])
            .env(MARK, &path)
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{err}");
        let told = "told: the process ends, and what it accepted is not all written 1";
        assert!(err.contains(told), "{err}");
    }
}
