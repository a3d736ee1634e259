//! Many reads with one dispatch: ranges of one open file, and whole small files.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_lite::Stream;

use crate::at;
use crate::backend::{self, Cached, Description, Fallible, InFlight, Place, ReadAt, sys};
use crate::buf::{self, BufResult};
use crate::error::{Context as _, same_error};
use crate::fairness;
use crate::file::File;
use crate::fs::{self, Content};
use crate::settle;

/// How many reads one job does at most, and how many bytes, before others have their turn.
const READS: usize = 256;
const BYTES: u64 = 16 * 1024 * 1024;

/// How many bytes wait for the device at the same time.
const AT_ONCE: u64 = 256 * 1024;

/// Neighbours are not read together beyond this size.
const TOGETHER: u64 = 1024 * 1024;

impl File {
    /// Reads ranges of the file, given in bytes, and gives the content of each, in the order of the ranges.
    ///
    /// Hundreds of ranges are one dispatch to the thread pool; a call of [`read_at`](Self::read_at) for each would be as
    /// many. The content of a range is shorter than the range if the file ends before. Each has a result of its own, so
    /// an error in one does not cost the others.
    ///
    /// This is `pread(2)` for each range. See [`read_at`](Self::read_at) for what it finds beside other operations.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    ///
    /// # Errors
    ///
    /// * A range ends before it begins, or where no file can ([`InvalidInput`](io::ErrorKind::InvalidInput)).
    /// * There is not enough memory ([`OutOfMemory`](io::ErrorKind::OutOfMemory)).
    /// * The same as [`read_at`](Self::read_at).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// # aiofiles::write(&path, "Hello, world").await?;
    /// let file = aiofiles::File::open(&path).await?;
    /// let mut results = file.read_many_at([7..12, 0..5]).await.into_iter();
    /// assert_eq!(results.next().unwrap()?, b"world");
    /// assert_eq!(results.next().unwrap()?, b"Hello");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn read_many_at<I: IntoIterator<Item = Range<u64>>>(
        &self,
        ranges: I,
    ) -> impl Future<Output = Vec<io::Result<Vec<u8>>>> + Send + use<'_, I> {
        let ranges = ranges.into_iter().collect::<Vec<_>>();
        let alone = (0..ranges.len()).map(|index| vec![index]).collect();
        self.read_groups(ranges, alone)
    }

    /// The same as [`read_many_at`](Self::read_many_at), but ranges that overlap, or have at most `gap` bytes between
    /// them, are read together, up to 1 MiB at once.
    ///
    /// It takes fewer system calls, and copies the bytes once more. An error is that of all who were read together.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    ///
    /// # Errors
    ///
    /// The same as [`read_many_at`](Self::read_many_at).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// # aiofiles::write(&path, "Hello, world").await?;
    /// let file = aiofiles::File::open(&path).await?;
    /// // One read of 12 bytes.
    /// let results = file.read_many_at_together([7..12, 0..5], 4096).await;
    /// assert_eq!(results[1].as_ref().unwrap(), b"Hello");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "coalesce")]
    pub fn read_many_at_together<I: IntoIterator<Item = Range<u64>>>(
        &self,
        ranges: I,
        gap: u64,
    ) -> impl Future<Output = Vec<io::Result<Vec<u8>>>> + Send + use<'_, I> {
        let ranges = ranges.into_iter().collect::<Vec<_>>();
        let groups = neighbours(&ranges, gap);
        self.read_groups(ranges, groups)
    }

    /// Reads groups of ranges, each group at once.
    async fn read_groups(
        &self,
        ranges: Vec<Range<u64>>,
        groups: Vec<Vec<usize>>,
    ) -> Vec<io::Result<Vec<u8>>> {
        let description = match self.positional(0) {
            Ok(description) => description.clone(),
            Err(error) => return ranges.iter().map(|_| Err(same_error(&error))).collect(),
        };
        let mut results = Vec::new();
        results.resize_with(ranges.len(), || Ok(Vec::new()));
        let mut rest = groups.into_iter().peekable();
        // What the page cache has needs no dispatch.
        while let Some(range) = rest.peek().and_then(|group| only(&ranges, group))
            && let Some(bytes) = read_cached(&description, range).await
            && let Some(group) = rest.next()
        {
            results[group[0]] = Ok(bytes);
        }
        // What waits for the device waits there together, if that takes no threads.
        let mut on_their_way = VecDeque::new();
        // What is in memory after all is copied when it is asked for: not more than one poll may copy.
        let mut room = AT_ONCE;
        loop {
            while let Some(group) = rest.peek()
                && let Some((len, read)) = begin_on_ring(&description, &ranges, group, room)
            {
                room -= len;
                on_their_way.push_back((rest.next(), len, read));
            }
            let Some((group, len, read)) = on_their_way.pop_front() else {
                break;
            };
            room += len;
            let group = with_ranges(group.into_iter().flatten(), &ranges);
            let (result, bytes) = at::taking_turns(read).await;
            let read = result.map(|_| without_spare(bytes));
            for (index, part) in divide(group, read) {
                results[index] = part;
            }
        }
        while rest.peek().is_some() {
            // As many as one job may do.
            let (mut job, mut bytes) = (Vec::new(), 0);
            while job.len() < READS && bytes < BYTES {
                let Some(group) = rest.next() else { break };
                let group = with_ranges(group, &ranges);
                bytes = bytes.saturating_add(span(&group).map_or(0, |all| all.end - all.start));
                job.push(group);
            }
            let description = description.clone();
            let found = backend::query("read many", description.place(), move || {
                description.prepare_cached();
                let groups = job.into_iter();
                groups
                    .flat_map(|group| read_group(&description, group))
                    .collect::<Vec<_>>()
            });
            for (index, result) in found.await {
                results[index] = result;
            }
        }
        results
    }
}

/// Puts ranges together that are near to one another: their indices, group by group.
fn neighbours(ranges: &[Range<u64>], gap: u64) -> Vec<Vec<usize>> {
    let mut order = (0..ranges.len()).collect::<Vec<_>>();
    order.sort_by_key(|index| ranges[*index].start);
    let mut groups = Vec::<Vec<usize>>::new();
    // What the last group covers. A range that makes no sense is a group of its own, and has no neighbours.
    let mut covered = None::<Range<u64>>;
    for index in order {
        let range = &ranges[index];
        if !makes_sense(range) {
            groups.push(vec![index]);
            covered = None;
            continue;
        }
        let together = covered.take().and_then(|all| {
            let end = all.end.max(range.end);
            (range.start <= all.end.saturating_add(gap) && end - all.start <= TOGETHER)
                .then_some(all.start..end)
        });
        match (&together, groups.last_mut()) {
            (Some(_), Some(group)) => group.push(index),
            _ => groups.push(vec![index]),
        }
        covered = Some(together.unwrap_or_else(|| range.clone()));
    }
    groups
}

fn makes_sense(range: &Range<u64>) -> bool {
    range.start <= range.end && range.end <= sys::LARGEST_OFFSET
}

/// From the beginning of the first range to the end of the last, if all of them make sense.
fn span(group: &[(usize, Range<u64>)]) -> Option<Range<u64>> {
    let begin = group.iter().map(|(_, range)| range.start).min()?;
    let end = group.iter().map(|(_, range)| range.end).max()?;
    group
        .iter()
        .all(|(_, range)| makes_sense(range))
        .then_some(begin..end)
}

/// A group's indices with their ranges.
fn with_ranges(
    group: impl IntoIterator<Item = usize>,
    ranges: &[Range<u64>],
) -> Vec<(usize, Range<u64>)> {
    let group = group.into_iter();
    group.map(|index| (index, ranges[index].clone())).collect()
}

/// A read on its way.
type Read = InFlight<BufResult<usize, Vec<u8>>>;

/// Begins to read a group of ranges by a ring, if that is the right place for it and they are `room` bytes at most.
fn begin_on_ring(
    description: &Arc<Description>,
    ranges: &[Range<u64>],
    group: &[usize],
    room: u64,
) -> Option<(u64, Read)> {
    if !description.fills_by_ring() {
        return None;
    }
    let all = span(&with_ranges(group.iter().copied(), ranges))?;
    let len = all.end - all.start;
    if !(1..=room).contains(&len) {
        return None;
    }
    let read = backend::transfer(ReadAt {
        description: description.clone(),
        buf: Vec::with_capacity(len as usize),
        offset: all.start,
        filled: 0,
        whole: true,
    });
    Some((len, read))
}

/// The range of a group that has one.
fn only<'a>(ranges: &'a [Range<u64>], group: &[usize]) -> Option<&'a Range<u64>> {
    match group {
        [index] => Some(&ranges[*index]),
        _ => None,
    }
}

/// Reads a range that the page cache has all of.
async fn read_cached(description: &Description, range: &Range<u64>) -> Option<Vec<u8>> {
    const MOST: u64 = 256 * 1024;
    let len = range.end.checked_sub(range.start)?;
    if !makes_sense(range) || !(1..=MOST).contains(&len) || !description.tries_cached() {
        return None;
    }
    fairness::turn().await;
    let len = len as usize;
    let mut bytes = Vec::with_capacity(len);
    let mut cached = Cached::Miss;
    buf::append(&mut bytes, len, |memory| {
        cached = description.read_cached(memory, range.start);
        match cached {
            Cached::All(n) => n,
            Cached::Part(_) | Cached::Miss => 0,
        }
    });
    fairness::charge(bytes.len());
    matches!(cached, Cached::All(_)).then_some(bytes)
}

type Found = (usize, io::Result<Vec<u8>>);

/// Reads ranges at once, and gives each what is its own. Runs on a pool thread.
fn read_group(description: &Description, group: Vec<(usize, Range<u64>)>) -> Vec<Found> {
    backend::still_moving();
    let Some(all) = span(&group) else {
        let refused = |(index, _)| {
            let error = io::Error::new(
                io::ErrorKind::InvalidInput,
                "a range that ends before it begins, or where no file can",
            );
            (index, Err(error))
        };
        return group.into_iter().map(refused).collect();
    };
    let read = read_range(description, all);
    divide(group, read)
}

/// Gives each range of a group what is its own of what was read for all.
fn divide(group: Vec<(usize, Range<u64>)>, read: io::Result<Vec<u8>>) -> Vec<Found> {
    let begin = group.iter().map(|(_, range)| range.start).min();
    match &group[..] {
        [(index, _)] => vec![(*index, read)],
        _ => {
            let part = |(index, range): (usize, Range<u64>)| {
                let part = read.as_ref().map_err(same_error).map(|bytes| {
                    let begin = begin.unwrap_or(range.start);
                    let at = |offset: u64| ((offset - begin) as usize).min(bytes.len());
                    bytes[at(range.start)..at(range.end)].to_vec()
                });
                (index, part)
            };
            group.into_iter().map(part).collect()
        }
    }
}

/// Reads a range, as far as the file reaches.
fn read_range(description: &Description, range: Range<u64>) -> io::Result<Vec<u8>> {
    /// A long range gets its memory in steps, in case the file is not that long.
    const STEP: u64 = 4 * 1024 * 1024;
    let mut bytes = Vec::new();
    let mut next = range.start;
    while next < range.end {
        let len = (range.end - next).min(STEP) as usize;
        bytes.try_reserve_exact(len)?;
        match description.read_at(&mut bytes, len, next)? {
            0 => break,
            n => next += n as u64,
        }
    }
    Ok(without_spare(bytes))
}

/// Gives memory back that the file was too short for.
fn without_spare(mut bytes: Vec<u8>) -> Vec<u8> {
    /// More than this is not kept for nothing.
    const SPARE: usize = 4096;
    if bytes.capacity() - bytes.len() > SPARE {
        bytes.shrink_to_fit();
    }
    bytes
}

/// Reads whole files, and gives each as soon as it is read, with its path: a [`Stream`] of `(PathBuf, io::Result<Vec<u8>>)`.
///
/// For many small files: one dispatch to the thread pool reads a number of them, and a few dispatches are on their way at
/// the same time. What is read ahead of the stream is bounded, by some ten megabytes unless single files are larger. The
/// order is that in which they are read.
///
/// Each is read as [`read`](crate::read) does it.
///
/// # Cancel safety
///
/// Cancel safe: it changes nothing.
///
/// # Errors
///
/// Those of [`read`](crate::read), for each file.
///
/// # Examples
///
/// ```
/// use futures_lite::StreamExt;
///
/// # futures_lite::future::block_on(async {
/// let mut files = aiofiles::read_many(["Cargo.toml", "README.md", "src/lib.rs"]);
/// let mut bytes = 0;
/// while let Some((path, content)) = files.next().await {
///     bytes += content?.len();
/// }
/// assert!(bytes > 0);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub fn read_many<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> ReadMany {
    let paths = paths.into_iter();
    ReadMany {
        waiting: paths.map(|path| Arc::from(path.as_ref())).collect(),
        running: Vec::new(),
        waiting_alone: VecDeque::new(),
        running_alone: Vec::new(),
        done: VecDeque::new(),
        waited: false,
    }
}

/// Whole files on their way: a [`Stream`], made by [`read_many`].
pub struct ReadMany {
    waiting: VecDeque<Arc<Path>>,
    running: Vec<Job>,
    /// Files that may take long: they wait to be read by themselves, or are.
    waiting_alone: VecDeque<Arc<Path>>,
    running_alone: Vec<Job>,
    done: VecDeque<(PathBuf, io::Result<Vec<u8>>)>,
    /// The last poll was pending, so the next one must not yield.
    waited: bool,
}

type Job = Pin<Box<dyn Future<Output = Vec<(Arc<Path>, Outcome)>> + Send + Sync>>;

/// What came of reading one file together with others.
enum Outcome {
    Read(io::Result<Vec<u8>>),
    /// Enough was read in this job.
    Later,
    /// It may take long, or must wait for something: it is read by itself.
    Alone,
}

impl Fallible for Outcome {
    fn error(&self) -> Option<&io::Error> {
        match self {
            Outcome::Read(result) => result.error(),
            Outcome::Later | Outcome::Alone => None,
        }
    }
}

impl ReadMany {
    /// How many jobs are on their way, and how many files one of them reads at most, and how many bytes.
    const JOBS: usize = 4;
    const FILES: usize = 16;
    const BYTES: usize = 2 * 1024 * 1024;
    /// How many files are read by themselves at the same time: each of them may have a descriptor for ever.
    const ALONE: usize = 64;

    /// Sends jobs for what waits.
    fn start(&mut self) {
        while self.running_alone.len() < ReadMany::ALONE
            && let Some(path) = self.waiting_alone.pop_front()
        {
            self.running_alone.push(Box::pin(async move {
                let read = fs::read_all(&path).await;
                vec![(path, Outcome::Read(read))]
            }));
        }
        while self.running.len() < ReadMany::JOBS
            && self.done.len() < ReadMany::JOBS * ReadMany::FILES
            && !self.waiting.is_empty()
        {
            let count = self.waiting.len().min(ReadMany::FILES);
            let paths = self.waiting.drain(..count).collect::<Vec<_>>();
            let place = Place::of(&paths[0]);
            self.running
                .push(Box::pin(backend::query("read files", place, move || {
                    read_some(paths)
                })));
        }
    }

    /// Takes note of what a job has done.
    fn take(&mut self, read: Vec<(Arc<Path>, Outcome)>) {
        let mut later = Vec::new();
        for (path, outcome) in read {
            match outcome {
                Outcome::Read(result) => {
                    self.done
                        .push_back((path.to_path_buf(), result.on("read", &path)));
                }
                Outcome::Later => later.push(path),
                Outcome::Alone => self.waiting_alone.push_back(path),
            }
        }
        for path in later.into_iter().rev() {
            self.waiting.push_front(path);
        }
    }

    /// The next file that was read; `None` at the end.
    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<Option<(PathBuf, io::Result<Vec<u8>>)>> {
        loop {
            self.start();
            if let Some(done) = self.done.pop_front() {
                return Poll::Ready(Some(done));
            }
            if self.running.is_empty() && self.running_alone.is_empty() {
                return Poll::Ready(None);
            }
            let mut ended = Vec::new();
            for jobs in [&mut self.running, &mut self.running_alone] {
                jobs.retain_mut(|job| match job.as_mut().poll(cx) {
                    Poll::Ready(read) => {
                        ended.push(read);
                        false
                    }
                    Poll::Pending => true,
                });
            }
            if ended.is_empty() {
                return Poll::Pending;
            }
            ended.into_iter().for_each(|read| self.take(read));
        }
    }
}

impl Stream for ReadMany {
    type Item = (PathBuf, io::Result<Vec<u8>>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(fairness::poll_turn(&mut self.waited, cx));
        let done = self.poll_done(cx);
        self.waited = done.is_pending();
        done
    }
}

impl fmt::Debug for ReadMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadMany")
            .field("waiting", &(self.waiting.len() + self.waiting_alone.len()))
            .field("running", &(self.running.len() + self.running_alone.len()))
            .field("done", &self.done.len())
            .finish_non_exhaustive()
    }
}

/// Reads files until it is enough. Runs on a pool thread.
fn read_some(paths: Vec<Arc<Path>>) -> Vec<(Arc<Path>, Outcome)> {
    let mut bytes = 0;
    let read = paths.into_iter().map(|path| {
        if bytes > ReadMany::BYTES {
            return (path, Outcome::Later);
        }
        backend::still_moving();
        // A dropped file may still be written.
        if settle::anything() && sys::identity(&path).is_ok_and(settle::lingers) {
            return (path, Outcome::Alone);
        }
        let outcome = match fs::read_now(path.clone()) {
            Ok(Content::All(content)) => {
                bytes += content.len();
                Outcome::Read(Ok(content))
            }
            Ok(Content::Special(_)) => Outcome::Alone,
            Err(error) if sys::is_out_of_descriptors(&error) => Outcome::Alone,
            Err(error) => Outcome::Read(Err(error)),
        };
        (path, outcome)
    });
    read.collect()
}
