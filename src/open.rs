//! Opening files.

use std::future::Future;
use std::io::{self, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::AsyncSeekExt as _;

use crate::backend::{self, BackendKind, Description, Executor, Place, Shared, sys, trace};
use crate::error::Context;
use crate::file::File;
use crate::mode::Mode;
use crate::settle;
use crate::stream::{Buffering, Stream};

/// How a file is to be opened, and how it is to be buffered.
///
/// The options of [`std::fs::OpenOptions`], two for the buffers ([`buffer_size`](Self::buffer_size) and
/// [`unbuffered`](Self::unbuffered)), and [`backend`](Self::backend). What only one system has is in the traits of `unix` and
/// `windows`.
///
/// # Examples
///
/// Open a file for reading and writing, and create it if it does not exist:
///
/// ```
/// use aiofiles::OpenOptions;
///
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.txt");
/// let file = OpenOptions::new().read(true).write(true).create(true).open(&path).await?;
/// assert_eq!(file.metadata().await?.len(), 0);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    pub(crate) std: std::fs::OpenOptions,
    /// What std's options cannot be asked for.
    pub(crate) access: sys::Access,
    pub(crate) creation: sys::Creation,
    /// O_ flags; kept apart from std's options, which cannot be asked.
    pub(crate) custom_flags: i32,
    buffer_size: Option<usize>,
    unbuffered: bool,
    backend: Option<BackendKind>,
    direct: bool,
    executor: Option<Shared>,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions::new()
    }
}

impl OpenOptions {
    /// Options with everything off.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let file = aiofiles::OpenOptions::new().read(true).open("Cargo.toml").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn new() -> OpenOptions {
        OpenOptions {
            std: std::fs::OpenOptions::new(),
            access: sys::Access::default(),
            creation: sys::Creation::default(),
            custom_flags: 0,
            buffer_size: None,
            unbuffered: false,
            backend: None,
            direct: false,
            executor: None,
        }
    }

    /// Opens for reading.
    pub fn read(&mut self, read: bool) -> &mut OpenOptions {
        self.std.read(read);
        self.access.read = read;
        self
    }

    /// Opens for writing. What the file holds is overwritten from its beginning on, and not truncated.
    pub fn write(&mut self, write: bool) -> &mut OpenOptions {
        self.std.write(write);
        self.access.write = write;
        self
    }

    /// Opens for writing at the end of the file, wherever that is at the moment of each write.
    ///
    /// The position is 0 at first, as in std, and the end of what was written after a write. A write of up to 64 KiB
    /// reaches the operating system whole, so that lines of several processes do not mix.
    pub fn append(&mut self, append: bool) -> &mut OpenOptions {
        self.std.append(append);
        self.access.append = append;
        self
    }

    /// Truncates a file that exists. Needs write access.
    pub fn truncate(&mut self, truncate: bool) -> &mut OpenOptions {
        self.std.truncate(truncate);
        self.creation.truncate = truncate;
        self
    }

    /// Creates the file if it does not exist. Needs write or append access.
    pub fn create(&mut self, create: bool) -> &mut OpenOptions {
        self.std.create(create);
        self.creation.create = create;
        self
    }

    /// Creates the file, and fails if it exists, in one step. Needs write or append access.
    pub fn create_new(&mut self, create_new: bool) -> &mut OpenOptions {
        self.std.create_new(create_new);
        self.creation.create_new = create_new;
        self
    }

    /// Bounds the buffers of the file, in bytes: how much is read ahead of the position, and how much may be accepted
    /// while a write is on its way.
    ///
    /// By default a file reads up to 1 MiB ahead, beginning with what is asked for and growing only while reading is
    /// sequential, and gathers up to 256 KiB. Sizes above 2 MiB count as 2 MiB. Buffers are given back when they are not
    /// used, and those of all files together keep to a few megabytes, so a file may get less than its bound.
    ///
    /// Opening fails with [`InvalidInput`](io::ErrorKind::InvalidInput) if the size is 0; see
    /// [`unbuffered`](Self::unbuffered).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let file = aiofiles::OpenOptions::new().read(true).buffer_size(64 * 1024).open("Cargo.toml").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn buffer_size(&mut self, size: usize) -> &mut OpenOptions {
        self.buffer_size = Some(size);
        self
    }

    /// Makes every write one write of the operating system, and reads nothing ahead.
    ///
    /// When a write returns `Ok(n)`, the operating system has those `n` bytes. What is neither a regular file on a real
    /// file system nor a block device is always unbuffered.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::AsyncWriteExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("log.txt");
    /// let mut log = aiofiles::OpenOptions::new().append(true).create(true).unbuffered(true).open(&path).await?;
    /// log.write_all(b"started\n").await?;
    /// assert_eq!(std::fs::read(&path)?, b"started\n");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn unbuffered(&mut self, unbuffered: bool) -> &mut OpenOptions {
        self.unbuffered = unbuffered;
        self
    }

    /// Asks for direct I/O: reads and writes go past the page cache, straight to the device (`O_DIRECT`, on Linux).
    ///
    /// Operations at offsets then need aligned memory ([`AlignedBuf`](crate::AlignedBuf)), and offsets and lengths that
    /// are multiples of a block; what is not is refused with an error that says what is needed.
    /// [`File::direct_alignment`] tells it too.
    ///
    /// Reading and writing at the position works at any length, by way of aligned memory of the crate. Blocks of which
    /// only a part is written are read before and written as a whole, so nothing else should write to them at the same
    /// time; at the end of the file, what the last block has too much is cut off again.
    ///
    /// Opening fails with [`Unsupported`](io::ErrorKind::Unsupported) where the operating system has no direct I/O, with
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) where the file system has none, and in append mode.
    ///
    /// # Examples
    ///
    /// ```
    /// use aiofiles::{AlignedBuf, OpenOptions};
    ///
    /// # futures_lite::future::block_on(async {
    /// let Ok(file) = OpenOptions::new().read(true).direct(true).open("Cargo.toml").await else {
    ///     return Ok(()); // not everywhere
    /// };
    /// let (result, buf) = file.read_at(AlignedBuf::with_capacity(8192, 4096)?, 0).await;
    /// assert_eq!(result?, buf.len());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "O_DIRECT")]
    pub fn direct(&mut self, direct: bool) -> &mut OpenOptions {
        self.direct = direct;
        self
    }

    /// Demands that a certain backend performs the operations on this file, whatever performs those on others.
    ///
    /// With [`BackendKind::Pool`] nothing is done but on the thread pool, and the page cache is not asked. With
    /// [`BackendKind::Uring`] reads and writes at offsets, and reading ahead, go through io_uring, also where the pool
    /// would be faster. Those of a file that a process serves (FUSE) stay on the pool, because the call that submits them
    /// to a ring would wait for the process.
    ///
    /// Opening fails with [`Unsupported`](io::ErrorKind::Unsupported) if it cannot be had; without this option it never
    /// fails for that reason. [`backend()`](crate::backend()) tells what runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use aiofiles::{BackendKind, OpenOptions};
    ///
    /// # futures_lite::future::block_on(async {
    /// let file = OpenOptions::new().read(true).backend(BackendKind::Pool).open("Cargo.toml").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn backend(&mut self, backend: BackendKind) -> &mut OpenOptions {
        self.backend = Some(backend);
        self
    }

    /// Runs the operations of the file on a pool of the user's own, from the opening on. Handles and cursors made from
    /// the file use the same pool.
    ///
    /// # Examples
    ///
    /// ```
    /// use aiofiles::{OpenOptions, Work};
    ///
    /// # futures_lite::future::block_on(async {
    /// let threads = |work: Work| drop(std::thread::spawn(|| work.run()));
    /// let file = OpenOptions::new().read(true).executor(threads).open("Cargo.toml").await?;
    /// assert!(file.metadata().await?.is_file());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn executor(&mut self, executor: impl Executor) -> &mut OpenOptions {
        self.executor = Some(Shared::new(executor));
        self
    }

    /// Opens the file at `path`.
    ///
    /// A FIFO opens at once for reading, and the first read waits for data; for writing it opens as soon as there is a
    /// reader. Neither holds a thread.
    ///
    /// This is `open(2)`, and `fstat(2)` to learn what was opened.
    ///
    /// # Cancel safety
    ///
    /// A dropped `open` leaks no descriptor. The file may have been created or truncated.
    ///
    /// # Errors
    ///
    /// * The file does not exist and is not to be created.
    /// * The file exists and was to be created anew.
    /// * The process lacks permission, or has too many open files.
    /// * The options make no sense together ([`InvalidInput`](io::ErrorKind::InvalidInput)).
    /// * The backend asked for cannot be had ([`Unsupported`](io::ErrorKind::Unsupported)).
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let file = aiofiles::OpenOptions::new().read(true).open("Cargo.toml").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn open<P: AsRef<Path>>(&self, path: P) -> impl Future<Output = io::Result<File>> + use<P> {
        let path = path.as_ref().to_owned();
        let options = self.clone();
        async move {
            let result = match options.check() {
                Ok(()) => options.open_description(&path).await,
                Err(error) => Err(error),
            };
            let description = result.on("open", &path)?;
            Ok(options.file(description))
        }
    }

    /// Opens `path` relative to a directory. The file has the name `full`.
    #[cfg(unix)]
    pub(crate) async fn open_in(
        &self,
        dir: &Arc<Description>,
        path: &Path,
        full: Arc<Path>,
    ) -> io::Result<File> {
        self.check()?;
        let (dir, path) = (dir.clone(), Arc::<Path>::from(path));
        let (asked_dir, asked) = (dir.clone(), path.clone());
        let place = Place::of(&full);
        settle::reached(place.clone(), move || {
            sys::dirfd::identity(asked_dir.file(), &asked)
        })
        .await;
        let options = self.clone();
        let open = move || {
            let (dir, flags) = (dir.file(), options.flags());
            let (access, creation) = (options.access, options.creation);
            let open = || sys::dirfd::open(dir, &path, access, creation, flags);
            let is_fifo = || sys::dirfd::is_fifo(dir, &path);
            options.open_by(open, is_fifo, full.clone(), false)
        };
        Ok(self.file(open_in_the_end(place, open).await?))
    }

    /// The file of what was opened.
    fn file(&self, description: Arc<Description>) -> File {
        File::from_stream(Stream::new(description, self.buffering()))
    }

    /// Refuses what std does not know of.
    fn check(&self) -> io::Result<()> {
        if let Some(refusal) = self.backend.and_then(BackendKind::refusal) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, refusal));
        }
        if self.direct && sys::DIRECT.is_none() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this system has no direct I/O",
            ));
        }
        if self.direct && self.access.append {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "direct I/O cannot append, because a file need not end with a block",
            ));
        }
        match self.buffer_size {
            Some(0) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a buffer size of 0 makes no sense; use `unbuffered`",
            )),
            _ => Ok(()),
        }
    }

    fn buffering(&self) -> Buffering {
        const LARGEST: usize = 2 * 1024 * 1024;
        Buffering {
            unbuffered: self.unbuffered,
            size: self.buffer_size.map(|size| size.min(LARGEST)),
        }
    }

    /// Opens the file, and waits for a FIFO's reader if need be.
    pub(crate) async fn open_description(&self, path: &Path) -> io::Result<Arc<Description>> {
        settle::reached_by(path).await;
        let path = Arc::<Path>::from(path);
        let options = self.clone();
        let place = Place::of(&path)
            .on(self.executor.as_ref())
            .plainly(self.backend == Some(BackendKind::Pool));
        open_in_the_end(place, move || options.open_now(path.clone(), false)).await
    }

    /// Opens the file here and now, perhaps only for a moment. Runs on a pool thread.
    pub(crate) fn open_now(&self, path: Arc<Path>, for_a_moment: bool) -> io::Result<Opened> {
        let open = || sys::open(&path, &self.std, self.access, self.creation, self.flags());
        let is_fifo = || sys::is_fifo(&path);
        self.open_by(open, is_fifo, path.clone(), for_a_moment)
    }

    /// Opens a file by calling `open`. Runs on a pool thread.
    fn open_by(
        &self,
        open: impl Fn() -> io::Result<std::fs::File>,
        is_fifo: impl FnOnce() -> bool,
        path: Arc<Path>,
        for_a_moment: bool,
    ) -> io::Result<Opened> {
        let file = match open_patiently(open) {
            Err(error) if sys::is_no_reader(&error) && !self.asked_nonblocking() && is_fifo() => {
                return Ok(Opened::NoReader);
            }
            result => result?,
        };
        let facts = sys::probe_opened(&file, self.access, self.flags(), for_a_moment)?;
        let made_nonblocking = facts.nonblocking && !self.asked_nonblocking();
        let opened = Description::opened(file, facts, made_nonblocking, path, self.backend)?;
        Ok(Opened::Description(opened))
    }

    /// The flags that are passed beside std's options.
    fn flags(&self) -> i32 {
        self.custom_flags | sys::DIRECT.filter(|_| self.direct).unwrap_or(0)
    }

    /// The user set O_NONBLOCK: then the answer of the kernel is the answer.
    fn asked_nonblocking(&self) -> bool {
        sys::has_nonblocking(self.custom_flags)
    }
}

/// Opens a file of bytes with a [`Mode`]: `"r"`, `"w+b"`, `"a"`.
///
/// The position is 0 at first, and with `a` the end of the file. [`OpenOptions`] can say more, and
/// [`open_text`](crate::open_text) opens files of text.
///
/// # Cancel safety
///
/// A dropped `open` leaks no descriptor. The file may have been created or truncated.
///
/// # Errors
///
/// * The mode is none, or one of text ([`InvalidInput`](io::ErrorKind::InvalidInput)). Nothing was opened.
/// * Those of [`OpenOptions::open`].
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
///
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.bin");
/// let mut file = aiofiles::open(&path, "w+").await?;
/// file.write_all(b"Hello").await?;
/// file.seek(std::io::SeekFrom::Start(0)).await?;
///
/// let mut found = Vec::new();
/// file.read_to_end(&mut found).await?;
/// assert_eq!(found, b"Hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn open<P: AsRef<Path>>(path: P, mode: &str) -> io::Result<File> {
    let path = path.as_ref();
    open_mode(path, Mode::of_bytes(mode).on("open", path)?).await
}

/// Opens a file with a mode, and goes where that begins.
pub(crate) async fn open_mode(path: &Path, mode: Mode) -> io::Result<File> {
    let file = mode.options().open(path).await?;
    at_its_begin(file, mode).await.on("open", path)
}

/// Goes to the end of a file that is appended to.
async fn at_its_begin(mut file: File, mode: Mode) -> io::Result<File> {
    if mode.appends() {
        match file.seek(SeekFrom::End(0)).await {
            Err(error) if error.kind() != io::ErrorKind::NotSeekable => return Err(error),
            _ => {}
        }
    }
    Ok(file)
}

/// Opens a file of bytes with a [`Mode`], by calling `opener` for the system call.
///
/// It gets the path and std's options for the mode, and may do whatever a program can do to get an open file: open it
/// relative to a directory, with flags that nobody else knows, or hand out one that came through a socket. It runs on the
/// thread pool, and may block.
///
/// # Cancel safety
///
/// A dropped `open_with` leaks no descriptor. The opener may still be called.
///
/// # Errors
///
/// * The mode is none, or one of text ([`InvalidInput`](io::ErrorKind::InvalidInput)). The opener was not called.
/// * That of the opener.
///
/// # Panics
///
/// With the panic of the opener.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let file = aiofiles::open_with("Cargo.toml", "r", |path, options| options.open(path)).await?;
/// assert!(file.metadata().await?.len() > 0);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "opener")]
pub async fn open_with<P, O>(path: P, mode: &str, opener: O) -> io::Result<File>
where
    P: AsRef<Path>,
    O: FnOnce(&Path, &std::fs::OpenOptions) -> io::Result<std::fs::File> + Send + 'static,
{
    let path = path.as_ref();
    let mode = Mode::of_bytes(mode).on("open", path)?;
    settle::reached_by(path).await;
    let opened = Arc::<Path>::from(path);
    let options = mode.options().std;
    let open = backend::change("open", Place::of(&opened), {
        let path = opened.clone();
        move || opener(&path, &options)
    });
    let file = open.await.on("open", path)?;
    let file = File::from_description(Description::foreign_at(file, opened));
    at_its_begin(file, mode).await.on("open", path)
}

/// Opens, and does so once more if dropped files that nobody has begun to close may hold what is missing. Runs on a pool
/// thread.
pub(crate) fn open_patiently<T>(open: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match open() {
        Err(error) if sys::is_out_of_descriptors(&error) && backend::pending_closes() > 0 => {
            trace::waits_for_descriptors(backend::pending_closes());
            backend::work_off_closes();
            open()
        }
        result => result,
    }
}

/// Opens on the pool, and waits for a FIFO's reader if need be.
async fn open_in_the_end(
    place: Place,
    open: impl Fn() -> io::Result<Opened> + Send + Sync + 'static,
) -> io::Result<Arc<Description>> {
    let open = Arc::new(open);
    let mut pause = FIRST_PAUSE;
    let mut descriptors = Descriptors::default();
    loop {
        let open = open.clone();
        match backend::change("open", place.clone(), move || open()).await {
            Ok(Opened::Description(description)) => return Ok(description),
            Ok(Opened::NoReader) => {
                backend::pause(pause).await?;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) if descriptors.may_come_free(&error).await => {}
            Err(error) => return Err(error),
        }
    }
}

/// How long to wait before a FIFO is tried again: doubled each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Waits once for descriptors that dropped files still hold.
#[derive(Debug, Default)]
pub(crate) struct Descriptors {
    waited: bool,
}

impl Descriptors {
    /// Whether it is worth trying once more after `error`, which says that there was no descriptor.
    pub(crate) async fn may_come_free(&mut self, error: &io::Error) -> bool {
        if !sys::is_out_of_descriptors(error) || std::mem::replace(&mut self.waited, true) {
            return false;
        }
        trace::waits_for_descriptors(backend::pending_closes());
        backend::one_close_ended().await;
        true
    }
}

/// What came of opening.
#[derive(Debug)]
pub(crate) enum Opened {
    Description(Arc<Description>),
    /// A FIFO that nobody reads yet.
    NoReader,
}
