//! One file of ours and one of std, doing the same.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use aiofiles::File;
use fastrand::Rng;
use futures_lite::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _,
};

use super::drive::Drive;
use super::steps::{Ending, Op, Plan, Shape, Step};
use crate::support::numbered;

/// Ends a step with the text of what is wrong.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}
#[cfg(feature = "testing")]
pub(super) use ensure;

/// What is wrong, if anything.
pub(super) type Verdict<T = ()> = Result<T, String>;

/// What writes take their bytes from, each from another place.
pub(super) static DATA: LazyLock<Vec<u8>> = LazyLock::new(|| numbered(8 << 20));

/// No buffer of a session is larger.
const LARGEST: usize = 2 << 20;

/// A session that went wrong.
#[derive(Debug)]
pub(super) struct Divergence {
    plan: Plan,
    drive: Drive,
    what: String,
    /// Those of the steps that went well.
    outcomes: Vec<Outcome>,
}

/// What our file answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Cancelled,
    Ok(u64),
    Err(io::ErrorKind),
}

impl Divergence {
    /// The last operations, and what they have led to.
    pub(super) fn story(&self) -> String {
        let mut story = String::new();
        let Plan {
            seed,
            shape,
            size,
            most,
            ..
        } = &self.plan;
        let _ = writeln!(
            story,
            "{}\nunder {:?}, seed {seed}, {shape:?}, beginning with {size} bytes of at most {most}; the steps:",
            self.what, self.drive
        );
        let at = self.outcomes.len();
        let begin = at.saturating_sub(40);
        for (index, step) in self.plan.steps.iter().enumerate().skip(begin) {
            if index > at {
                break;
            }
            let cancel = if step.cancel {
                " (may be cancelled)"
            } else {
                ""
            };
            let outcome = match self.outcomes.get(index) {
                Some(Outcome::Cancelled) => "cancelled".to_owned(),
                Some(Outcome::Ok(value)) => value.to_string(),
                Some(Outcome::Err(kind)) => kind.to_string(),
                None => "?".to_owned(),
            };
            let _ = writeln!(story, "{index:5}: {:?}{cancel} -> {outcome}", step.op);
        }
        let _ = write!(story, "to repeat this session first: AIOFILES_SEED={seed}");
        story
    }
}

/// What sessions have done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) operations: usize,
    /// Futures that were dropped while they were pending, or before they were polled.
    pub(super) cancelled: usize,
    /// Errors that both files agreed on.
    pub(super) errors: usize,
}

impl Tally {
    pub(super) fn add(&mut self, outcomes: &[Outcome]) {
        self.operations += outcomes.len();
        for outcome in outcomes {
            match outcome {
                Outcome::Cancelled => self.cancelled += 1,
                Outcome::Err(_) => self.errors += 1,
                Outcome::Ok(_) => {}
            }
        }
    }
}

/// Performs the plan in `dir`, and returns what our file answered.
pub(super) async fn perform(
    plan: &Plan,
    drive: Drive,
    dir: &Path,
) -> Result<Vec<Outcome>, Box<Divergence>> {
    let mut outcomes = Vec::with_capacity(plan.steps.len());
    let verdict = async {
        let mut session = Session::new(plan, drive, dir).await?;
        for step in &plan.steps {
            outcomes.push(session.step(*step).await?);
        }
        session.end().await
    }
    .await;
    match verdict {
        Ok(()) => Ok(outcomes),
        Err(what) => Err(Box::new(Divergence {
            plan: plan.clone(),
            drive,
            what,
            outcomes,
        })),
    }
}

struct Session {
    drive: Drive,
    shape: Shape,
    most: u64,
    cold: bool,
    path: PathBuf,
    twin_path: PathBuf,
    /// Handles made from one another, and those of std.
    handles: Vec<File>,
    twins: Vec<fs::File>,
    /// The handle in use.
    at: usize,
    /// A read was cancelled, and its answer may still be there for the next one.
    read_cancelled: bool,
    /// The same for a seek that asked for the end.
    seek_cancelled: bool,
    /// Another file, to copy to and from.
    other: File,
    other_twin: fs::File,
    other_path: PathBuf,
    other_twin_path: PathBuf,
    buf: Vec<u8>,
    twin_buf: Vec<u8>,
}

/// What a result looks like to the journal.
fn outcome<T: Copy + Into<u64>>(result: &io::Result<T>) -> Outcome {
    match result {
        Ok(value) => Outcome::Ok((*value).into()),
        Err(error) => Outcome::Err(error.kind()),
    }
}

fn size_outcome(result: &io::Result<usize>) -> Outcome {
    match result {
        Ok(value) => Outcome::Ok(*value as u64),
        Err(error) => Outcome::Err(error.kind()),
    }
}

fn unit_outcome(result: &io::Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Ok(0),
        Err(error) => Outcome::Err(error.kind()),
    }
}

/// Both results are good, or both are the same error.
fn same<T: PartialEq + std::fmt::Debug>(ours: io::Result<T>, twin: io::Result<T>) -> Verdict {
    match (&ours, &twin) {
        (Ok(one), Ok(other)) if one == other => Ok(()),
        (Err(one), Err(other)) => same_error(one, other),
        _ => Err(format!("we said {ours:?}, and std {twin:?}")),
    }
}

/// The errors are the same, as far as both have an OS code.
fn same_error(ours: &io::Error, twin: &io::Error) -> Verdict {
    let code = aiofiles::raw_os_error(ours);
    ensure!(
        ours.kind() == twin.kind() && (code.is_none() || code == twin.raw_os_error()),
        "we failed with {ours:?}, and std with {twin:?}"
    );
    Ok(())
}

pub(super) fn same_bytes(found: &[u8], expected: &[u8]) -> Verdict {
    if found == expected {
        return Ok(());
    }
    let agree = found
        .iter()
        .zip(expected)
        .take_while(|(a, b)| a == b)
        .count();
    let excerpt = |bytes: &[u8]| format!("{:02x?}", &bytes[agree..bytes.len().min(agree + 12)]);
    Err(format!(
        "bytes differ from {agree} on: found {} bytes, there {}; expected {} bytes, there {}",
        found.len(),
        excerpt(found),
        expected.len(),
        excerpt(expected)
    ))
}

/// A failure of std or of the test itself.
pub(super) fn told<T>(result: io::Result<T>, what: &str) -> Verdict<T> {
    result.map_err(|error| format!("{what}: {error}"))
}

impl Session {
    async fn new(plan: &Plan, drive: Drive, dir: &Path) -> Verdict<Session> {
        let paths = ["ours", "std", "our other", "std's other"].map(|name| dir.join(name));
        let [path, twin_path, other_path, other_twin_path] = paths;
        let mut rng = Rng::with_seed(plan.seed);
        let begin = rng.usize(..DATA.len() - plan.most);
        let content = &DATA[begin..begin + plan.size];
        for path in [&path, &twin_path] {
            told(fs::write(path, content), "preparing")?;
        }
        let other_content = &content[..rng.usize(..=content.len().min(100_000))];
        for path in [&other_path, &other_twin_path] {
            told(fs::write(path, other_content), "preparing")?;
        }
        let other_shape = Shape {
            read: true,
            write: true,
            append: false,
            unbuffered: rng.u8(..4) == 0,
            buffer_size: None,
            direct: false,
        };
        let other = drive
            .run(&mut rng, false, other_shape.options().open(&other_path))
            .await;
        let other = told(other.expect("not cancelled"), "opening the other file")?;
        let other_twin = told(
            other_shape.std_options().open(&other_twin_path),
            "opening std's other file",
        )?;
        let mut session = Session {
            drive,
            shape: plan.shape,
            most: plan.most as u64,
            cold: plan.cold,
            path,
            twin_path,
            handles: Vec::new(),
            twins: Vec::new(),
            at: 0,
            read_cancelled: false,
            seek_cancelled: false,
            other,
            other_twin,
            other_path,
            other_twin_path,
            buf: vec![0; LARGEST],
            twin_buf: vec![0; LARGEST],
        };
        session.open(&mut rng, false, plan.shape).await?;
        Ok(session)
    }

    /// Opens both files anew.
    async fn open(&mut self, rng: &mut Rng, truncate: bool, shape: Shape) -> Verdict {
        let (mut options, mut std_options) = (shape.options(), shape.std_options());
        // Truncating is the only way in which both may be refused.
        if truncate {
            options.truncate(true);
            std_options.truncate(true);
        }
        if self.cold {
            make_cold(&self.path)?;
        }
        let ours = self
            .drive
            .run(rng, false, options.open(&self.path))
            .await
            .expect("not cancelled");
        let twin = std_options.open(&self.twin_path);
        match (ours, twin) {
            (Ok(ours), Ok(twin)) => {
                self.shape = shape;
                self.handles = vec![ours];
                self.twins = vec![twin];
                self.at = 0;
                Ok(())
            }
            (Err(ours), Err(twin)) => {
                same_error(&ours, &twin)?;
                Box::pin(self.open(rng, false, shape)).await
            }
            (ours, twin) => Err(format!("we opened {ours:?}, and std {twin:?}")),
        }
    }

    fn twin(&mut self) -> &mut fs::File {
        &mut self.twins[self.at]
    }

    fn twin_position(&mut self) -> Verdict<u64> {
        told(self.twin().stream_position(), "std's position")
    }

    fn twin_len(&mut self) -> Verdict<u64> {
        told(self.twin().metadata(), "std's metadata").map(|metadata| metadata.len())
    }

    /// Bytes that nobody else writes, at least not at this place.
    fn data(rng: &mut Rng, len: usize) -> &'static [u8] {
        let begin = rng.usize(..=DATA.len() - len);
        &DATA[begin..begin + len]
    }

    /// With tiny buffers, large operations take a poll for every few bytes.
    fn bounded(&self, len: usize) -> usize {
        match self.shape.buffer_size {
            Some(size) => len.min(size.saturating_mul(256)).min(LARGEST),
            None => len.min(LARGEST),
        }
    }

    /// Whether `len` bytes more may be written without the file becoming too large.
    fn has_room(&mut self, len: usize) -> Verdict<bool> {
        let begin = if self.shape.append {
            self.twin_len()?
        } else {
            self.twin_position()?
        };
        Ok(!self.shape.is_writable() || begin + len as u64 <= self.most)
    }

    async fn step(&mut self, step: Step) -> Verdict<Outcome> {
        let mut rng = Rng::with_seed(step.seed);
        let rng = &mut rng;
        let cancel = step.cancel;
        let len = match step.op {
            Op::Write(len) | Op::WriteAll(len) => len,
            Op::WriteVectored(lens) => lens.iter().sum(),
            _ => 0,
        };
        let op = if len > 0 && !self.has_room(self.bounded(len))? {
            match self.shape.append {
                true => Op::SetLen(rng.u64(..=self.most / 2)),
                false => Op::Seek(SeekFrom::Start(rng.u64(..=self.most / 2))),
            }
        } else {
            step.op
        };
        let outcome = match op {
            Op::Read(len) => {
                self.read(rng, cancel, [self.bounded(len), 0, 0], false)
                    .await?
            }
            Op::ReadVectored(lens) => {
                let lens = lens.map(|len| self.bounded(len) / 3);
                self.read(rng, cancel, lens, true).await?
            }
            Op::ReadExact(len) => self.read_exact(rng, cancel, self.bounded(len)).await?,
            Op::ReadToEnd => self.read_to_end(rng, cancel).await?,
            Op::ReadToLast(piece) => self.read_to_last(rng, piece.max(1)).await?,
            Op::Fill(most) => self.fill(rng, cancel, most).await?,
            Op::Write(len) => {
                self.write(rng, cancel, [self.bounded(len), 0, 0], false)
                    .await?
            }
            Op::WriteVectored(lens) => {
                let lens = lens.map(|len| self.bounded(len) / 3);
                self.write(rng, cancel, lens, true).await?
            }
            Op::WriteAll(len) => self.write_all(rng, cancel, self.bounded(len)).await?,
            Op::Seek(to) => self.seek(rng, cancel, to).await?,
            Op::SetLen(len) => {
                let outcome = self.set_len(rng, cancel, len).await?;
                if self.twin_len()? > self.most {
                    // Some file systems take any length. Nobody wants to read such a file.
                    self.set_len(rng, false, self.most / 2).await?;
                }
                outcome
            }
            Op::Flush => {
                let flush = self.handles[self.at].flush();
                match self.drive.run(rng, cancel, flush).await {
                    Some(result) => {
                        let outcome = unit_outcome(&result);
                        told(result, "flush")?;
                        self.compare_length()?;
                        outcome
                    }
                    None => Outcome::Cancelled,
                }
            }
            Op::SyncAll | Op::SyncData => {
                let file = &self.handles[self.at];
                let sync = async {
                    match op {
                        Op::SyncAll => file.sync_all().await,
                        _ => file.sync_data().await,
                    }
                };
                match self.drive.run(rng, cancel, sync).await {
                    Some(result) => {
                        let outcome = unit_outcome(&result);
                        told(result, "sync")?;
                        self.compare_length()?;
                        outcome
                    }
                    None => Outcome::Cancelled,
                }
            }
            Op::Position => {
                let position = self.handles[self.at].stream_position();
                match self.drive.run(rng, cancel, position).await {
                    Some(result) => {
                        let outcome = outcome(&result);
                        same(result, self.twin().stream_position())?;
                        outcome
                    }
                    None => Outcome::Cancelled,
                }
            }
            Op::Length => {
                let metadata = self.handles[self.at].metadata();
                match self.drive.run(rng, cancel, metadata).await {
                    Some(result) => {
                        let result = result.map(|metadata| metadata.len());
                        let outcome = outcome(&result);
                        same(result, Ok(self.twin_len()?))?;
                        outcome
                    }
                    None => Outcome::Cancelled,
                }
            }
            Op::Reopen(ending, shape) => self.reopen(rng, cancel, ending, shape).await?,
            Op::Clone => self.try_clone(rng, cancel).await?,
            Op::DropClone => {
                if self.handles.len() > 1 {
                    self.handles.remove(self.at);
                    self.twins.remove(self.at);
                    self.at = rng.usize(..self.handles.len());
                }
                Outcome::Ok(0)
            }
            Op::Switch => {
                self.at = rng.usize(..self.handles.len());
                Outcome::Ok(self.at as u64)
            }
            Op::IntoStd => self.through_std(rng, cancel).await?,
            Op::CopyOut | Op::CopyIn => {
                self.copy_between(rng, cancel, matches!(op, Op::CopyIn))
                    .await?
            }
            Op::Path => self.look_at_path(rng).await?,
            Op::ForeignAppend(len) => self.foreign_append(rng, len).await?,
            Op::Compare => {
                self.compare(rng).await?;
                Outcome::Ok(0)
            }
        };

        // Asking for the position settles a file in append mode, which is not to happen after every operation.
        if !self.shape.append || rng.u8(..4) == 0 {
            self.compare_position(rng).await?;
        }
        Ok(outcome)
    }

    async fn compare_position(&mut self, rng: &mut Rng) -> Verdict {
        let at = rng.usize(..self.handles.len());
        let position = self.handles[at].stream_position();
        let ours = self
            .drive
            .run(rng, false, position)
            .await
            .expect("not cancelled");
        let twin = self.twins[at].stream_position();
        same(ours, twin).map_err(|text| format!("the position: {text}"))
    }

    /// Compares what the operating system has, which must be everything now.
    fn compare_length(&mut self) -> Verdict {
        let ours = told(fs::metadata(&self.path), "std's look at our path")?.len();
        let twin = self.twin_len()?;
        ensure!(
            ours == twin,
            "our file has {ours} bytes on the disk, and std's {twin}"
        );
        Ok(())
    }

    /// Flushes, and compares both files as wholes.
    async fn compare(&mut self, rng: &mut Rng) -> Verdict {
        self.flush(rng).await?;
        self.compare_contents()?;
        let flush = self.other.flush();
        let result = self
            .drive
            .run(rng, false, flush)
            .await
            .expect("not cancelled");
        told(result, "flushing the other file")?;
        self.compare_other_contents()
    }

    fn compare_contents(&self) -> Verdict {
        let ours = told(fs::read(&self.path), "std's look at our path")?;
        let twin = told(fs::read(&self.twin_path), "reading std's file")?;
        same_bytes(&ours, &twin).map_err(|text| format!("the whole file: {text}"))
    }

    fn compare_other_contents(&self) -> Verdict {
        let ours = told(fs::read(&self.other_path), "std's look at our other path")?;
        let twin = told(fs::read(&self.other_twin_path), "reading std's other file")?;
        same_bytes(&ours, &twin).map_err(|text| format!("the other file: {text}"))
    }

    async fn flush(&mut self, rng: &mut Rng) -> Verdict {
        let flush = self.handles[self.at].flush();
        let result = self
            .drive
            .run(rng, false, flush)
            .await
            .expect("not cancelled");
        told(result, "flush")
    }

    /// `lens` are those of the buffers.
    async fn read(
        &mut self,
        rng: &mut Rng,
        cancel: bool,
        lens: [usize; 3],
        vectored: bool,
    ) -> Verdict<Outcome> {
        let len = lens.iter().sum();
        let file = &mut self.handles[self.at];
        let result = if vectored {
            let (one, rest) = self.buf[..len].split_at_mut(lens[0]);
            let (two, three) = rest.split_at_mut(lens[1]);
            let mut bufs = [one, two, three].map(IoSliceMut::new);
            self.drive
                .run(rng, cancel, file.read_vectored(&mut bufs))
                .await
        } else {
            self.drive
                .run(rng, cancel, file.read(&mut self.buf[..len]))
                .await
        };
        match result {
            Some(result) => {
                let outcome = size_outcome(&result);
                self.judge_read(result, len)?;
                Ok(outcome)
            }
            // It has not read: the position is compared after this.
            None => {
                self.read_cancelled = true;
                Ok(Outcome::Cancelled)
            }
        }
    }

    /// Our file has read into the first `len` bytes of the buffer: std must agree.
    fn judge_read(&mut self, result: io::Result<usize>, len: usize) -> Verdict {
        self.read_cancelled &= len == 0;
        let twin = &mut self.twins[self.at];
        match result {
            Err(error) => match twin.read(&mut self.twin_buf[..len]) {
                Err(twin) => same_error(&error, &twin),
                Ok(n) => Err(format!(
                    "a read failed with {error:?}, and std read {n} bytes"
                )),
            },
            Ok(n) => {
                ensure!(n <= len, "a read into {len} bytes returned {n}");
                // A short read is no mistake, unless it is said to be the end.
                let wanted = if n == 0 { len } else { n };
                let twin = told(read_up_to(twin, &mut self.twin_buf[..wanted]), "std's read")?;
                ensure!(
                    n == twin,
                    "a read of {len} bytes returned {n}, and there are {twin}"
                );
                same_bytes(&self.buf[..n], &self.twin_buf[..n])
            }
        }
    }

    async fn read_exact(&mut self, rng: &mut Rng, cancel: bool, len: usize) -> Verdict<Outcome> {
        let before = self.twin_position()?;
        let file = &mut self.handles[self.at];
        let result = self
            .drive
            .run(rng, cancel, file.read_exact(&mut self.buf[..len]))
            .await;
        let Some(result) = result else {
            // What was read is in the buffer, and the position tells how much that is.
            let read = self.distance(rng, before).await?;
            ensure!(
                read <= len as u64,
                "a cancelled read of {len} bytes moved by {read}"
            );
            self.judge_read_exactly(read as usize)?;
            self.read_cancelled = true;
            return Ok(Outcome::Cancelled);
        };
        let outcome = unit_outcome(&result);
        match result {
            Ok(()) => self.judge_read_exactly(len)?,
            Err(error) => same(
                Err(error),
                self.twins[self.at].read_exact(&mut self.twin_buf[..len]),
            )?,
        }
        Ok(outcome)
    }

    fn judge_read_exactly(&mut self, len: usize) -> Verdict {
        told(
            self.twins[self.at].read_exact(&mut self.twin_buf[..len]),
            "std's read_exact",
        )?;
        same_bytes(&self.buf[..len], &self.twin_buf[..len])
    }

    /// How far our position is behind `before`.
    async fn distance(&mut self, rng: &mut Rng, before: u64) -> Verdict<u64> {
        let position = self.handles[self.at].stream_position();
        let now = told(
            self.drive
                .run(rng, false, position)
                .await
                .expect("not cancelled"),
            "stream_position",
        )?;
        now.checked_sub(before)
            .ok_or_else(|| format!("the position went back from {before} to {now}"))
    }

    async fn read_to_end(&mut self, rng: &mut Rng, cancel: bool) -> Verdict<Outcome> {
        let before = self.twin_position()?;
        let rest = self.twin_len()?.saturating_sub(before);
        if rest > self.bounded(usize::MAX) as u64 {
            return Ok(Outcome::Ok(0));
        }
        let mut ours = Vec::new();
        let file = &mut self.handles[self.at];
        let result = self
            .drive
            .run(rng, cancel, file.read_to_end(&mut ours))
            .await;
        let mut expected = Vec::new();
        let Some(result) = result else {
            let read = self.distance(rng, before).await?;
            if self.shape.read {
                told(
                    self.twin().take(read).read_to_end(&mut expected),
                    "std's read_to_end",
                )?;
            }
            ensure!(
                expected.len() as u64 == read,
                "a cancelled read_to_end moved by {read} of {rest} bytes"
            );
            // The vector may have been cut back to what it was.
            let (ours, expected) = if ours.is_empty() {
                (&[][..], &[][..])
            } else {
                (&ours[..], &expected[..])
            };
            same_bytes(ours, expected)?;
            self.read_cancelled = true;
            return Ok(Outcome::Cancelled);
        };
        let outcome = size_outcome(&result);
        same(result, self.twin().read_to_end(&mut expected))?;
        same_bytes(&ours, &expected)?;
        Ok(outcome)
    }

    async fn read_to_last(&mut self, rng: &mut Rng, piece: usize) -> Verdict<Outcome> {
        let piece = self.bounded(piece);
        let rest = self.twin_len()?.saturating_sub(self.twin_position()?) as usize;
        if !self.shape.read || rest > self.bounded(usize::MAX) {
            return Ok(Outcome::Ok(0));
        }
        let mut left = rest;
        while left > 0 {
            match self
                .read(rng, false, [piece.min(left), 0, 0], false)
                .await?
            {
                Outcome::Ok(n) => left -= n as usize,
                outcome => return Ok(outcome),
            }
        }
        Ok(Outcome::Ok(rest as u64))
    }

    async fn fill(&mut self, rng: &mut Rng, cancel: bool, most: usize) -> Verdict<Outcome> {
        let file = &mut self.handles[self.at];
        let buf = &mut self.buf;
        let fill = async {
            let lent = file.fill_buf().await?;
            buf[..lent.len()].copy_from_slice(lent);
            Ok(lent.len())
        };
        let Some(result) = self.drive.run(rng, cancel, fill).await else {
            self.read_cancelled = true;
            return Ok(Outcome::Cancelled);
        };
        let outcome = size_outcome(&result);
        let Ok(lent) = result else {
            self.judge_read(result, LARGEST)?;
            return Ok(outcome);
        };
        // All of what was lent must be right, also what is not taken.
        let begin = self.twin_position()?;
        self.judge_read(Ok(lent), LARGEST)?;
        let taken = lent.min(most);
        self.handles[self.at].consume(taken);
        told(
            self.twin().seek(SeekFrom::Start(begin + taken as u64)),
            "std's seek",
        )?;
        Ok(outcome)
    }

    async fn write(
        &mut self,
        rng: &mut Rng,
        cancel: bool,
        lens: [usize; 3],
        vectored: bool,
    ) -> Verdict<Outcome> {
        let data = Session::data(rng, lens.iter().sum());
        let before = self.before_write()?;
        let file = &mut self.handles[self.at];
        let result = if vectored {
            let (one, rest) = data.split_at(lens[0]);
            let (two, three) = rest.split_at(lens[1]);
            let bufs = [one, two, three].map(IoSlice::new);
            self.drive
                .run(rng, cancel, file.write_vectored(&bufs))
                .await
        } else {
            self.drive.run(rng, cancel, file.write(data)).await
        };
        let Some(result) = result else {
            if !self.shape.unbuffered {
                // Pending means that nothing was accepted: the position is compared after this.
                if self.shape.append {
                    self.flush(rng).await?;
                    self.compare_length()?;
                }
            } else if rng.bool() {
                self.written_perhaps(rng, data, before).await?;
            } else {
                // Who repeats a cancelled write gets its answer, and it happens once.
                let file = &mut self.handles[self.at];
                let again = self
                    .drive
                    .run(rng, false, file.write(data))
                    .await
                    .expect("not cancelled");
                self.judge_write(again, data)?;
            }
            return Ok(Outcome::Cancelled);
        };
        let outcome = size_outcome(&result);
        self.judge_write(result, data)?;
        Ok(outcome)
    }

    /// Our file has accepted so much of `data`: std does the same.
    fn judge_write(&mut self, result: io::Result<usize>, data: &[u8]) -> Verdict {
        let twin = &mut self.twins[self.at];
        match result {
            Ok(n) => {
                ensure!(
                    n <= data.len(),
                    "a write of {} bytes returned {n}",
                    data.len()
                );
                ensure!(
                    n > 0 || data.is_empty(),
                    "a write of {} bytes returned 0",
                    data.len()
                );
                told(write_all(twin, &data[..n]), "std's write")
            }
            Err(error) => match twin.write(data) {
                Err(twin) => same_error(&error, &twin),
                Ok(n) => Err(format!(
                    "a write failed with {error:?}, and std wrote {n} bytes"
                )),
            },
        }
    }

    /// Where a write begins: the position, or in append mode the end.
    fn before_write(&mut self) -> Verdict<u64> {
        if self.shape.append {
            self.twin_len()
        } else {
            self.twin_position()
        }
    }

    /// A cancelled write may have taken any part of `data` from its beginning: finds out how much, and std does it too.
    async fn written_perhaps(&mut self, rng: &mut Rng, data: &[u8], before: u64) -> Verdict {
        let written = if self.shape.append || self.shape.unbuffered {
            self.flush(rng).await?;
            if self.shape.unbuffered {
                // Makes the file forget the write, which a write of the same bytes would be answered by.
                let seek = self.handles[self.at].seek(SeekFrom::Current(0));
                let result = self
                    .drive
                    .run(rng, false, seek)
                    .await
                    .expect("not cancelled");
                told(result, "seeking to where it is")?;
            }
            if self.shape.append {
                let len = told(fs::metadata(&self.path), "std's look at our path")?.len();
                len.checked_sub(before).ok_or_else(|| {
                    format!("a write has shortened the file from {before} to {len}")
                })?
            } else {
                self.distance(rng, before).await?
            }
        } else {
            self.distance(rng, before).await?
        };
        ensure!(
            written <= data.len() as u64,
            "of {} bytes {written} were written",
            data.len()
        );
        if written > 0 {
            told(
                write_all(self.twin(), &data[..written as usize]),
                "std's write",
            )?;
        }
        Ok(())
    }

    async fn write_all(&mut self, rng: &mut Rng, cancel: bool, len: usize) -> Verdict<Outcome> {
        let data = Session::data(rng, len);
        let before = self.before_write()?;
        let file = &mut self.handles[self.at];
        let Some(result) = self.drive.run(rng, cancel, file.write_all(data)).await else {
            if self.shape.is_writable() {
                self.written_perhaps(rng, data, before).await?;
            }
            return Ok(Outcome::Cancelled);
        };
        let outcome = unit_outcome(&result);
        if !data.is_empty() {
            same(result, self.twin().write_all(data))?;
        }
        Ok(outcome)
    }

    async fn seek(&mut self, rng: &mut Rng, cancel: bool, to: SeekFrom) -> Verdict<Outcome> {
        let seek = self.handles[self.at].seek(to);
        match self.drive.run(rng, cancel, seek).await {
            Some(result) => {
                self.seek_cancelled &= !matches!(to, SeekFrom::End(_));
                let outcome = outcome(&result);
                same(result, self.twin().seek(to))?;
                Ok(outcome)
            }
            None => {
                self.seek_cancelled = true;
                Ok(Outcome::Cancelled)
            }
        }
    }

    async fn set_len(&mut self, rng: &mut Rng, cancel: bool, len: u64) -> Verdict<Outcome> {
        let before = self.twin_len()?;
        let set_len = self.handles[self.at].set_len(len);
        if let Some(result) = self.drive.run(rng, cancel, set_len).await {
            let outcome = unit_outcome(&result);
            let changed = result.is_ok();
            same(result, self.twin().set_len(len))?;
            if changed {
                self.compare_length()?;
            }
            return Ok(outcome);
        }
        // It may have happened, or have failed; then the next call says so.
        let flush = self.handles[self.at].flush();
        match self
            .drive
            .run(rng, false, flush)
            .await
            .expect("not cancelled")
        {
            Ok(()) => {
                let now = told(fs::metadata(&self.path), "std's look at our path")?.len();
                if now != before {
                    ensure!(
                        now == len,
                        "set_len({len}) was cancelled; the length went from {before} to {now}"
                    );
                    told(self.twin().set_len(len), "std's set_len")?;
                }
            }
            Err(error) => same(Err(error), self.twin().set_len(len))?,
        }
        Ok(Outcome::Cancelled)
    }

    async fn reopen(
        &mut self,
        rng: &mut Rng,
        cancel: bool,
        ending: Ending,
        shape: Shape,
    ) -> Verdict<Outcome> {
        rng.shuffle(&mut self.handles);
        self.twins.clear();
        let mut cancelled = false;
        for mut file in std::mem::take(&mut self.handles) {
            if let Ending::Close = ending {
                match self.drive.run(rng, cancel, file.close()).await {
                    Some(result) => told(result, "close")?,
                    None => cancelled = true,
                }
            }
        }
        match ending {
            Ending::Drop | Ending::Close | Ending::DropAndTruncate => {}
            Ending::DropAndRead => {
                let read = aiofiles::read(&self.path);
                let read = self.drive.run(rng, cancel, read).await;
                if let Some(read) = read {
                    let expected = told(fs::read(&self.twin_path), "reading std's file")?;
                    same_bytes(&told(read, "reading the path")?, &expected)?;
                }
            }
            Ending::DropAndSettle => {
                self.drive
                    .run(rng, false, aiofiles::settle())
                    .await
                    .expect("not cancelled");
                self.compare_contents()?;
            }
        }
        if cancel {
            // An abandoned open changes nothing.
            let open = shape.options().open(&self.path);
            cancelled |= self.drive.run(rng, true, open).await.is_none();
        }
        let truncate = matches!(ending, Ending::DropAndTruncate);
        self.open(rng, truncate, shape).await?;
        self.compare_length()?;
        Ok(if cancelled {
            Outcome::Cancelled
        } else {
            Outcome::Ok(0)
        })
    }

    async fn try_clone(&mut self, rng: &mut Rng, cancel: bool) -> Verdict<Outcome> {
        if self.handles.len() >= 3 {
            return Ok(Outcome::Ok(0));
        }
        let clone = self.handles[self.at].try_clone();
        let Some(result) = self.drive.run(rng, cancel, clone).await else {
            return Ok(Outcome::Cancelled);
        };
        self.handles.push(told(result, "try_clone")?);
        let twin = told(self.twin().try_clone(), "std's try_clone")?;
        self.twins.push(twin);
        Ok(Outcome::Ok(0))
    }

    /// Only for a single handle: clones of the taken one would no longer share its position.
    async fn through_std(&mut self, rng: &mut Rng, cancel: bool) -> Verdict<Outcome> {
        if self.shape.direct {
            // What std then reads and writes would have to be aligned.
            return Ok(Outcome::Ok(0));
        }
        let file = self.handles.swap_remove(self.at);
        let twin = self.twins.swap_remove(self.at);
        self.handles.clear();
        self.twins.clear();
        let Some(result) = self.drive.run(rng, cancel, file.into_std()).await else {
            drop(twin);
            self.open(rng, false, self.shape).await?;
            self.compare_length()?;
            return Ok(Outcome::Cancelled);
        };
        let mut file = result.map_err(|error| format!("into_std: {error}"))?;
        let mut twin = twin;
        same(file.stream_position(), twin.stream_position())
            .map_err(|text| format!("after into_std: {text}"))?;
        let data = Session::data(rng, 10);
        for _ in 0..rng.usize(..3) {
            let mut bufs = [[0; 10]; 2];
            match rng.u8(..3) {
                0 => same(file.read(&mut bufs[0]), twin.read(&mut bufs[1]))?,
                1 if !self.shape.append
                    && twin.stream_position().is_ok_and(|at| at > self.most) => {}
                1 => same(file.write(data), twin.write(data))?,
                _ => {
                    let to = SeekFrom::Start(rng.u64(..=self.most / 2));
                    same(file.seek(to), twin.seek(to))?;
                }
            }
            same_bytes(&bufs[0], &bufs[1])?;
        }
        self.handles.push(File::from(file));
        self.twins.push(twin);
        self.at = 0;
        self.shape.unbuffered = false;
        self.shape.buffer_size = None;
        Ok(Outcome::Ok(0))
    }

    async fn copy_between(&mut self, rng: &mut Rng, cancel: bool, into: bool) -> Verdict<Outcome> {
        if self.shape.buffer_size.is_some_and(|size| size < 512)
            || into && !self.shape.is_writable()
        {
            return Ok(Outcome::Ok(0));
        }
        // Neither file may grow too large, nor is a hole of a terabyte worth copying.
        let other_len = told(self.other_twin.metadata(), "std's metadata")?.len();
        let read_at = if into { rng.u64(..=other_len) } else { 0 };
        let seek = self.other.seek(SeekFrom::Start(read_at));
        told(
            self.drive
                .run(rng, false, seek)
                .await
                .expect("not cancelled"),
            "seek",
        )?;
        told(self.other_twin.seek(SeekFrom::Start(read_at)), "std's seek")?;
        if into && !self.has_room((other_len - read_at) as usize)? {
            return Ok(Outcome::Ok(0));
        }
        if !into && !self.shape.read {
            // Nothing is copied.
            let file = &mut self.handles[self.at];
            let copy = aiofiles::copy_between(file, &mut self.other);
            let result = self.drive.run(rng, cancel, copy).await;
            let twin = io::copy(&mut self.twins[self.at], &mut self.other_twin);
            let Some(result) = result else {
                // If it has failed after it was cancelled, the next call on the target says so.
                let flush = self.other.flush();
                if let Err(error) = self
                    .drive
                    .run(rng, false, flush)
                    .await
                    .expect("not cancelled")
                {
                    same(Err(error), twin)?;
                }
                return Ok(Outcome::Cancelled);
            };
            let outcome = outcome(&result);
            same(result, twin)?;
            return Ok(outcome);
        }

        let from_before = if into { read_at } else { self.twin_position()? };
        let to_before = if into { self.before_write()? } else { 0 };
        let file = &mut self.handles[self.at];
        let copy = async {
            if into {
                aiofiles::copy_between(&mut self.other, file).await
            } else {
                aiofiles::copy_between(file, &mut self.other).await
            }
        };
        if let Some(result) = self.drive.run(rng, cancel, copy).await {
            let outcome = outcome(&result);
            let twin = &mut self.twins[self.at];
            same(
                result,
                if into {
                    io::copy(&mut self.other_twin, twin)
                } else {
                    io::copy(twin, &mut self.other_twin)
                },
            )?;
            self.compare_other_position(rng).await?;
            return Ok(outcome);
        }

        self.read_cancelled |= !into;
        // Some bytes were copied, from the beginning; the positions tell how many at least.
        self.flush(rng).await?;
        let flush = self.other.flush();
        told(
            self.drive
                .run(rng, false, flush)
                .await
                .expect("not cancelled"),
            "flushing the other file",
        )?;
        let from = told(
            fs::read(if into {
                &self.other_twin_path
            } else {
                &self.twin_path
            }),
            "reading std's file",
        )?;
        let old = told(
            fs::read(if into {
                &self.twin_path
            } else {
                &self.other_twin_path
            }),
            "reading std's file",
        )?;
        let new = told(
            fs::read(if into { &self.path } else { &self.other_path }),
            "reading our file",
        )?;
        let from = from.get(from_before as usize..).unwrap_or_default();
        let copied = overlaid(&old, &new, to_before as usize, from)
            .ok_or("a cancelled copy left something that is no beginning of the copy")?;

        // Go on from the same positions with the same content.
        let ours = self.handles[self.at].stream_position();
        let ours = told(
            self.drive
                .run(rng, false, ours)
                .await
                .expect("not cancelled"),
            "stream_position",
        )?;
        let other = self.other.stream_position();
        let other = told(
            self.drive
                .run(rng, false, other)
                .await
                .expect("not cancelled"),
            "stream_position",
        )?;
        let (from_now, to_now) = if into { (other, ours) } else { (ours, other) };
        ensure!(
            (from_before..=from_before + from.len() as u64).contains(&from_now),
            "a cancelled copy left the source at {from_now}, which began at {from_before} and has {} bytes",
            from.len()
        );
        if !(into && self.shape.append) {
            ensure!(
                (to_before..=to_before + copied as u64).contains(&to_now),
                "a cancelled copy of {copied} bytes left the target at {to_now}, which began at {to_before}"
            );
        }
        let (twin, other_twin) = (&mut self.twins[self.at], &mut self.other_twin);
        let target = if into { &mut *twin } else { &mut *other_twin };
        if copied > 0 {
            told(target.seek(SeekFrom::Start(to_before)), "std's seek")?;
            told(write_all(target, &from[..copied]), "std's write")?;
        }
        told(twin.seek(SeekFrom::Start(ours)), "std's seek")?;
        told(other_twin.seek(SeekFrom::Start(other)), "std's seek")?;
        if self.shape.unbuffered {
            let seek = self.handles[self.at].seek(SeekFrom::Current(0));
            told(
                self.drive
                    .run(rng, false, seek)
                    .await
                    .expect("not cancelled"),
                "seek",
            )?;
        }
        Ok(Outcome::Cancelled)
    }

    async fn compare_other_position(&mut self, rng: &mut Rng) -> Verdict {
        let position = self.other.stream_position();
        let ours = self
            .drive
            .run(rng, false, position)
            .await
            .expect("not cancelled");
        same(ours, self.other_twin.stream_position())
            .map_err(|text| format!("the other file's position: {text}"))
    }

    /// What is flushed is what the path shows.
    async fn look_at_path(&mut self, rng: &mut Rng) -> Verdict<Outcome> {
        self.flush(rng).await?;
        let metadata = self
            .drive
            .run(rng, false, aiofiles::metadata(&self.path))
            .await
            .expect("not cancelled");
        let len = told(metadata, "metadata of the path")?.len();
        same(Ok(len), Ok(self.twin_len()?))?;
        let read = self
            .drive
            .run(rng, false, aiofiles::read(&self.path))
            .await
            .expect("not cancelled");
        let expected = told(fs::read(&self.twin_path), "reading std's file")?;
        same_bytes(&told(read, "reading the path")?, &expected)?;
        Ok(Outcome::Ok(len))
    }

    /// The end of a file is never remembered, so bytes that somebody else appends are seen.
    async fn foreign_append(&mut self, rng: &mut Rng, len: usize) -> Verdict<Outcome> {
        if self.twin_len()? + len as u64 > self.most {
            return Ok(Outcome::Ok(0));
        }
        self.flush(rng).await?;
        if self.read_cancelled {
            // It may have found the end, which is then the answer to whoever polls next.
            self.read(rng, false, [1, 0, 0], false).await?;
        }
        if self.seek_cancelled {
            self.seek(rng, false, SeekFrom::End(0)).await?;
        }
        let data = Session::data(rng, len);
        for path in [&self.path, &self.twin_path] {
            let mut foreign = told(
                fs::OpenOptions::new().append(true).open(path),
                "opening for appending",
            )?;
            told(foreign.write_all(data), "appending")?;
        }
        Ok(Outcome::Ok(len as u64))
    }

    /// Drops everything; all that was accepted must still arrive.
    async fn end(&mut self) -> Verdict {
        let mut rng = Rng::with_seed(self.most);
        self.handles.clear();
        self.twins.clear();
        let flush = self.other.flush();
        told(
            self.drive
                .run(&mut rng, false, flush)
                .await
                .expect("not cancelled"),
            "flushing the other file",
        )?;
        self.drive
            .run(&mut rng, false, aiofiles::settle())
            .await
            .expect("not cancelled");
        self.compare_contents()?;
        self.compare_other_contents()
    }
}

/// Has the page cache forget the file.
#[cfg(target_os = "linux")]
fn make_cold(path: &Path) -> Verdict {
    let file = told(fs::File::open(path), "opening to make it cold")?;
    told(file.sync_data(), "writing out what is to be forgotten")?;
    let forget = rustix::fs::Advice::DontNeed;
    told(
        rustix::fs::fadvise(&file, 0, None, forget).map_err(io::Error::from),
        "making it cold",
    )
}

#[cfg(not(target_os = "linux"))]
fn make_cold(_: &Path) -> Verdict {
    Ok(())
}

/// Reads until the buffer is full or the file ends.
fn read_up_to(file: &mut fs::File, buf: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    loop {
        match file.read(&mut buf[read..])? {
            0 => return Ok(read),
            n => read += n,
        }
    }
}

/// Like std's, but writes nothing also by a system call, which then may fail.
fn write_all(file: &mut fs::File, data: &[u8]) -> io::Result<()> {
    match data {
        [] => file.write(data).map(drop),
        _ => file.write_all(data),
    }
}

/// How much of `from` was written over `old` at `at`, if `new` is what that gives: the largest answer.
pub(super) fn overlaid(old: &[u8], new: &[u8], at: usize, from: &[u8]) -> Option<usize> {
    let agree = match new.get(at..) {
        Some(new) => new.iter().zip(from).take_while(|(a, b)| a == b).count(),
        None => 0,
    };
    // What lies behind the copied bytes is as it was.
    let expected_len = if agree > 0 {
        old.len().max(at + agree)
    } else {
        old.len()
    };
    let before = old.len().min(at);
    let tail = at + agree;
    let right = new.len() == expected_len
        && new[..before] == old[..before]
        && (agree == 0 || new[before..at].iter().all(|byte| *byte == 0))
        && (tail >= new.len() || new[tail..] == old[tail..]);
    right.then_some(agree)
}
