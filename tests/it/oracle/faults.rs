//! Random operations while system calls fail: every error is told, no accepted byte is lost, and nothing is said to be
//! written before it is.
//!
//! The judge is not std here, because it does not fail in the same places, but a model in memory: what the file held when
//! everything was written last, and what was accepted since. At every moment the file must hold the first of these with
//! a beginning of the second over it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Seek as _, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use aiofiles::File;
use aiofiles::testing::{Call, Faults};
use fastrand::Rng;
use futures_lite::future::block_on;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::drive::{Drive, run_job, stepped};
use super::session::{DATA, Verdict, ensure, overlaid, same_bytes, told};
use super::steps::minimised;
use crate::support::{Seed, alone, iterations, temp_dir};

/// How many operations a session has.
const STEPS: usize = 200;

/// Error codes by the call that fails with them, so that an error tells where it is from.
const WRITE: [i32; 2] = [28, 122];
const READ: [i32; 2] = [5, 74];
const ASK: [i32; 1] = [12];
const SET_LEN: [i32; 2] = [27, 1];
/// The first is what a broken device says; the other means that there is nothing to sync, and is not final.
const SYNC: [i32; 2] = [6, 95];
const INTERRUPTED: i32 = 4;

/// A fault; only one is planned at a time, so that what was struck is known.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Fail {
        call: Call,
        nth: usize,
        times: usize,
        code: i32,
    },
    Short {
        call: Call,
        nth: usize,
        times: usize,
        most: usize,
    },
    /// The first write comes short, and those after it fail: a full disk.
    ShortThenFail {
        most: usize,
        times: usize,
        code: i32,
    },
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Plan(Fault),
    /// The fault ends.
    Clear,
    /// The fault ends, and flushing succeeds.
    Recover,
    RunJobs(usize),
    Write(usize),
    Read(usize),
    Seek(SeekFrom),
    SetLen(u64),
    Flush,
    SyncAll,
    SyncData,
    Position,
    Length,
    Clone,
    DropClone,
    Switch,
    Discard,
    IntoStd,
    Close,
    Drop,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    op: Op,
    cancel: bool,
    seed: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    seed: u64,
    append: bool,
    unbuffered: bool,
    buffer_size: Option<usize>,
    size: usize,
    most: usize,
    steps: Vec<Step>,
}

impl Plan {
    fn random(seed: u64) -> Plan {
        let mut rng = Rng::with_seed(seed);
        Plan::drawn(seed, std::iter::repeat_with(|| rng.u64(..)).take(STEPS))
    }

    /// Each step has a seed of its own.
    pub(super) fn drawn(seed: u64, steps: impl Iterator<Item = u64>) -> Plan {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let most = [100, 20_000, 70_000, 700_000][rng.usize(..4)];
        let mut plan = Plan {
            seed,
            append: rng.u8(..4) == 0,
            unbuffered: rng.u8(..5) == 0,
            buffer_size: [None, None, None, Some(10), Some(5000), Some(100_000)][rng.usize(..6)],
            size: rng.usize(..=most),
            most,
            steps: Vec::with_capacity(STEPS),
        };
        for seed in steps {
            let rng = &mut Rng::with_seed(seed);
            let op = operation(rng, most);
            plan.steps.push(Step {
                op,
                cancel: rng.u8(..4) == 0,
                seed: rng.u64(..),
            });
        }
        plan
    }
}

fn operation(rng: &mut Rng, most: usize) -> Op {
    let len = match rng.u8(..4) {
        0 => rng.usize(..20),
        1 => [512, 4096, 8192, 65_536, 262_144][rng.usize(..5)].min(most / 2),
        _ => rng.usize(..=most / 4),
    };
    match rng.u8(..100) {
        0..7 => Op::Plan(fault(rng)),
        7..10 => Op::Clear,
        10..12 => Op::Recover,
        12..18 => Op::RunJobs(rng.usize(1..4)),
        18..48 => Op::Write(len),
        48..62 => Op::Read(len),
        62..70 => Op::Seek(match rng.u8(..4) {
            0 => SeekFrom::Current(0),
            1 => SeekFrom::End(0),
            _ => SeekFrom::Start(rng.usize(..=most) as u64),
        }),
        70..74 => Op::SetLen(rng.usize(..=most) as u64),
        74..83 => Op::Flush,
        83 => Op::SyncAll,
        84 => Op::SyncData,
        85..87 => Op::Position,
        87..89 => Op::Length,
        89..91 => Op::Clone,
        91 => Op::DropClone,
        92 => Op::Switch,
        93 | 94 => Op::Discard,
        95 => Op::IntoStd,
        96 | 97 => Op::Close,
        _ => Op::Drop,
    }
}

fn fault(rng: &mut Rng) -> Fault {
    let nth = rng.usize(..3);
    let times = if rng.u8(..3) == 0 {
        usize::MAX
    } else {
        rng.usize(1..4)
    };
    let pick = |rng: &mut Rng, codes: &[i32]| codes[rng.usize(..codes.len())];
    let fail = |call, code| Fault::Fail {
        call,
        nth,
        times,
        code,
    };
    match rng.u8(..20) {
        0..7 => fail(Call::Write, pick(rng, &WRITE)),
        7..10 => Fault::ShortThenFail {
            most: rng.usize(1..5000),
            times,
            code: pick(rng, &WRITE),
        },
        10..12 => fail(Call::Read, pick(rng, &READ)),
        12 => fail(Call::SetLen, pick(rng, &SET_LEN)),
        13 => fail(Call::SyncAll, pick(rng, &SYNC)),
        14 => fail(Call::SyncData, pick(rng, &SYNC)),
        15 => fail([Call::Seek, Call::Metadata][rng.usize(..2)], ASK[0]),
        16 => Fault::Fail {
            call: [Call::Write, Call::Read, Call::SetLen][rng.usize(..3)],
            nth,
            // For ever would be for ever.
            times: rng.usize(1..5),
            code: INTERRUPTED,
        },
        _ => Fault::Short {
            call: [Call::Write, Call::Read][rng.usize(..2)],
            nth,
            times,
            most: rng.usize(1..5000),
        },
    }
}

/// The planned fault, and what it has done.
struct Planned {
    fault: Fault,
    /// Calls struck before this fault was planned.
    before: usize,
    /// Failures that were counted.
    failures: usize,
}

struct Session {
    plan: Plan,
    faults: Faults,
    planned: Option<Planned>,
    path: PathBuf,
    handles: Vec<File>,
    at: usize,
    unbuffered: bool,

    /// What the file held when everything was written last.
    base: Vec<u8>,
    /// What was accepted since, and where it goes.
    since: Vec<u8>,
    start: usize,
    /// The position, and where it was when nothing was left to be written.
    position: u64,
    settled_position: u64,

    /// A write has failed of which nobody has heard.
    untold: Option<i32>,
    /// How often other calls have failed, by the error.
    others: BTreeMap<i32, usize>,
    /// A sync has failed for good.
    final_sync: Option<i32>,
    tally: Tally,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    operations: usize,
    cancelled: usize,
    /// Writes of the operating system that failed.
    failed_writes: usize,
    errors: usize,
    recoveries: usize,
}

impl Session {
    async fn run(plan: &Plan, dir: &Path, journal: &mut Vec<String>) -> Verdict<Tally> {
        let path = dir.join("file");
        let mut rng = Rng::with_seed(plan.seed);
        let begin = rng.usize(..DATA.len() - plan.size);
        let base = DATA[begin..begin + plan.size].to_vec();
        told(fs::write(&path, &base), "preparing")?;
        let mut session = Session {
            plan: plan.clone(),
            faults: Faults::install(),
            planned: None,
            path,
            handles: Vec::new(),
            at: 0,
            unbuffered: plan.unbuffered,
            base,
            since: Vec::new(),
            start: 0,
            position: 0,
            settled_position: 0,
            untold: None,
            others: BTreeMap::new(),
            final_sync: None,
            tally: Tally::default(),
        };
        session.open(&mut rng).await?;
        for step in &plan.steps {
            journal.push("?".to_owned());
            let result = session.step(*step).await?;
            *journal.last_mut().expect("one was pushed") = result;
            session.tally.operations += 1;
        }
        session.recover(&mut rng).await?;
        session.handles.clear();
        Drive::Stepped
            .run(&mut rng, false, aiofiles::settle())
            .await;
        session.compare()?;
        Ok(session.tally)
    }

    async fn open(&mut self, rng: &mut Rng) -> Verdict {
        let mut options = aiofiles::OpenOptions::new();
        options
            .read(true)
            .write(!self.plan.append)
            .append(self.plan.append)
            .unbuffered(self.plan.unbuffered);
        if let Some(size) = self.plan.buffer_size {
            options.buffer_size(size);
        }
        for attempt in 0.. {
            if attempt == 3 {
                self.clear();
            }
            match self
                .drive(rng, false, options.open(self.path.clone()))
                .await
                .expect("not cancelled")
            {
                Ok(file) => {
                    self.handles = vec![file];
                    break;
                }
                Err(error) => self.explain(&error)?,
            }
        }
        self.at = 0;
        self.unbuffered = self.plan.unbuffered;
        self.position = 0;
        self.settled_position = 0;
        self.final_sync = None;
        self.untold = None;
        Ok(())
    }

    /// Runs the future, and takes note of what was struck meanwhile.
    async fn drive<F: Future>(
        &mut self,
        rng: &mut Rng,
        cancel: bool,
        future: F,
    ) -> Option<F::Output> {
        let output = Drive::Stepped.run(rng, cancel, future).await;
        self.count();
        if output.is_none() {
            self.tally.cancelled += 1;
        }
        output
    }

    fn count(&mut self) {
        let Some(planned) = &mut self.planned else {
            return;
        };
        let struck = self.faults.struck() - planned.before;
        let (call, code, first) = match planned.fault {
            Fault::Fail {
                code: INTERRUPTED, ..
            }
            | Fault::Short { .. } => return,
            Fault::Fail { call, code, .. } => (call, code, 0),
            Fault::ShortThenFail { code, .. } => (Call::Write, code, 1),
        };
        let failures = struck.saturating_sub(first);
        let more = failures - planned.failures;
        planned.failures = failures;
        if more == 0 {
            return;
        }
        match call {
            Call::Write => {
                self.untold = Some(code);
                self.tally.failed_writes += more;
            }
            Call::SyncAll | Call::SyncData if code == SYNC[0] => self.final_sync = Some(code),
            _ => *self.others.entry(code).or_default() += more,
        }
    }

    fn clear(&mut self) {
        self.count();
        self.faults.clear();
        self.planned = None;
    }

    /// The error is one that was planned and has struck.
    fn explain(&mut self, error: &io::Error) -> Verdict {
        self.tally.errors += 1;
        let code = aiofiles::raw_os_error(error);
        let Some(code) = code else {
            return Err(format!("an error without a code: {error:?}"));
        };
        if self.untold == Some(code) {
            self.untold = None;
            return Ok(());
        }
        match self.others.get_mut(&code) {
            Some(count) if *count > 0 => *count -= 1,
            _ => return Err(format!("an error from nowhere, or told twice: {error:?}")),
        }
        Ok(())
    }

    /// The outcome of a call that must tell of a failed write. `Ok` says that all is well.
    fn judge<T>(&mut self, result: io::Result<T>) -> Verdict<Option<T>> {
        match result {
            Ok(value) => {
                ensure!(
                    self.untold.is_none(),
                    "a write failed with {:?}, and the next call says nothing of it",
                    self.untold
                );
                Ok(Some(value))
            }
            Err(error) => {
                self.explain(&error)?;
                Ok(None)
            }
        }
    }

    /// What the file is to hold in the end.
    fn content(&self) -> Vec<u8> {
        let mut content = self.base.clone();
        if !self.since.is_empty() {
            let end = self.start + self.since.len();
            content.resize(content.len().max(end), 0);
            content[self.start..end].copy_from_slice(&self.since);
        }
        content
    }

    fn len(&self) -> usize {
        if self.since.is_empty() {
            self.base.len()
        } else {
            self.base.len().max(self.start + self.since.len())
        }
    }

    /// Everything is written: the file must say so too.
    fn compare(&mut self) -> Verdict {
        let found = told(fs::read(&self.path), "std's look at the path")?;
        same_bytes(&found, &self.content())
            .map_err(|text| format!("all should be written: {text}"))?;
        self.base = found;
        self.since.clear();
        self.settled_position = self.position;
        Ok(())
    }

    /// A beginning of what was accepted is written, and nothing else.
    fn compare_beginning(&self) -> Verdict<usize> {
        let found = told(fs::read(&self.path), "std's look at the path")?;
        overlaid(&self.base, &found, self.start, &self.since).ok_or_else(|| {
            format!(
                "the file holds no beginning of the {} bytes that were accepted for {}: {:?}",
                self.since.len(),
                self.start,
                same_bytes(&found, &self.content())
            )
        })
    }

    /// These bytes were accepted.
    fn accept(&mut self, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        if self.since.is_empty() {
            self.settled_position = self.position;
            self.start = if self.plan.append {
                self.base.len()
            } else {
                self.position as usize
            };
        }
        self.since.extend_from_slice(data);
        self.position = (self.start + self.since.len()) as u64;
    }

    /// Ends the fault and flushes: at most one error is left to tell, and then everything is written.
    async fn recover(&mut self, rng: &mut Rng) -> Verdict {
        self.clear();
        self.flush_until_ok(rng).await?;
        self.tally.recoveries += 1;
        Ok(())
    }

    async fn flush_until_ok(&mut self, rng: &mut Rng) -> Verdict {
        for attempt in 0.. {
            if attempt == 3 {
                self.clear();
            }
            ensure!(attempt < 8, "no fault is left, and flush still fails");
            let mut handles = std::mem::take(&mut self.handles);
            let result = self
                .drive(rng, false, handles[self.at].flush())
                .await
                .expect("not cancelled");
            self.handles = handles;
            if self.judge(result)?.is_some() {
                break;
            }
        }
        self.compare()
    }

    async fn step(&mut self, step: Step) -> Verdict<String> {
        let mut rng = Rng::with_seed(step.seed);
        let rng = &mut rng;
        // Handles are taken out so that futures of theirs can run while the session counts.
        let mut handles = std::mem::take(&mut self.handles);
        let cancel = step.cancel;
        let outcome = match step.op {
            Op::Drop | Op::Close | Op::IntoStd => {
                // Only one handle is left.
                let file = handles.swap_remove(self.at);
                drop(handles);
                self.at = 0;
                match step.op {
                    Op::Drop => self.drop_file(rng, file).await?,
                    Op::Close => self.close(rng, cancel, file).await?,
                    _ => self.through_std(rng, cancel, file).await?,
                }
            }
            _ => {
                let result = self.on_handles(rng, step, &mut handles).await;
                self.handles = handles;
                result?
            }
        };
        // Whatever needs the handles in order to find out what a cancelled operation has done.
        if outcome == "cancelled" {
            match step.op {
                Op::SetLen(len) => self.after_cancelled_set_len(rng, len as usize).await?,
                Op::Write(len) if self.unbuffered => {
                    let data = Session::data(step.seed, self.bounded(len));
                    self.after_cancelled_write(rng, data).await?;
                }
                _ => {}
            }
        }
        if let Op::Recover = step.op {
            self.recover(rng).await?;
        }
        self.compare_beginning()?;
        Ok(outcome)
    }

    fn data(seed: u64, len: usize) -> &'static [u8] {
        let begin = Rng::with_seed(seed ^ 1).usize(..=DATA.len() - len);
        &DATA[begin..begin + len]
    }

    fn bounded(&self, len: usize) -> usize {
        let end = if self.plan.append {
            self.len()
        } else {
            self.position as usize
        };
        let len = len.min((2 * self.plan.most).saturating_sub(end));
        self.plan.buffer_size.map_or(len, |size| len.min(size * 50))
    }

    async fn on_handles(
        &mut self,
        rng: &mut Rng,
        step: Step,
        handles: &mut Vec<File>,
    ) -> Verdict<String> {
        const CANCELLED: &str = "cancelled";
        let Step { op, cancel, seed } = step;
        let at = self.at;
        let outcome = match op {
            Op::Plan(fault) => {
                self.clear();
                match fault {
                    Fault::Fail {
                        call,
                        nth,
                        times,
                        code,
                    } => self.faults.fail(call, nth, times, code),
                    Fault::Short {
                        call,
                        nth,
                        times,
                        most,
                    } => self.faults.short(call, nth, times, most),
                    Fault::ShortThenFail { most, times, code } => {
                        self.faults.short(Call::Write, 0, 1, most);
                        self.faults.fail(Call::Write, 1, times, code);
                    }
                }
                self.planned = Some(Planned {
                    fault,
                    before: self.faults.struck(),
                    failures: 0,
                });
                String::new()
            }
            Op::Clear | Op::Recover => {
                self.clear();
                String::new()
            }
            Op::RunJobs(jobs) => {
                let ran = (0..jobs).take_while(|_| run_job()).count();
                self.count();
                ran.to_string()
            }
            Op::Write(len) => {
                let len = self.bounded(len);
                let data = Session::data(seed, len);
                let Some(result) = self.drive(rng, cancel, handles[at].write(data)).await else {
                    return Ok(CANCELLED.to_owned());
                };
                let text = format!("{result:?}");
                if let Some(n) = self.judge(result)? {
                    ensure!(
                        n <= len && (n > 0 || len == 0),
                        "a write of {len} bytes returned {n}"
                    );
                    self.accept(&data[..n]);
                    if self.unbuffered {
                        self.compare()?;
                    }
                }
                text
            }
            Op::Read(len) => {
                let mut buf = vec![0; self.plan.buffer_size.map_or(len, |size| len.min(size * 50))];
                let Some(result) = self.drive(rng, cancel, handles[at].read(&mut buf)).await else {
                    return Ok(CANCELLED.to_owned());
                };
                let text = format!("{result:?}");
                if let Some(n) = self.judge(result)? {
                    self.compare()?;
                    let rest = self.base.get(self.position as usize..).unwrap_or_default();
                    ensure!(
                        n <= rest.len() && (n > 0 || buf.is_empty() || rest.is_empty()),
                        "a read of {} bytes returned {n}, and there are {}",
                        buf.len(),
                        rest.len()
                    );
                    same_bytes(&buf[..n], &rest[..n])?;
                    self.position += n as u64;
                    self.settled_position = self.position;
                }
                text
            }
            Op::Seek(to) => {
                let expected = match to {
                    SeekFrom::Start(at) => at,
                    SeekFrom::Current(_) => self.position,
                    SeekFrom::End(_) => self.len() as u64,
                };
                let Some(result) = self.drive(rng, cancel, handles[at].seek(to)).await else {
                    return Ok(CANCELLED.to_owned());
                };
                let text = format!("{result:?}");
                if let Some(found) = self.judge(result)? {
                    ensure!(
                        found == expected,
                        "seeking to {to:?} led to {found} instead of {expected}"
                    );
                    self.position = expected;
                    self.compare()?;
                }
                text
            }
            Op::SetLen(len) => {
                let Some(result) = self.drive(rng, cancel, handles[at].set_len(len)).await else {
                    return Ok(CANCELLED.to_owned());
                };
                let text = format!("{result:?}");
                if self.judge(result)?.is_some() {
                    self.base = self.content();
                    self.since.clear();
                    self.base.resize(len as usize, 0);
                    self.compare()?;
                }
                text
            }
            Op::Flush => {
                let Some(result) = self.drive(rng, cancel, handles[at].flush()).await else {
                    return Ok(CANCELLED.to_owned());
                };
                let text = format!("{result:?}");
                if self.judge(result)?.is_some() {
                    self.compare()?;
                }
                text
            }
            Op::SyncAll | Op::SyncData => {
                let file = &handles[at];
                let sync = async {
                    match op {
                        Op::SyncAll => file.sync_all().await,
                        _ => file.sync_data().await,
                    }
                };
                let Some(result) = self.drive(rng, cancel, sync).await else {
                    return Ok(CANCELLED.to_owned());
                };
                let text = format!("{result:?}");
                match (result, self.final_sync) {
                    (Err(error), Some(code)) if aiofiles::raw_os_error(&error) == Some(code) => {}
                    (Ok(()), Some(code)) => {
                        return Err(format!(
                            "a sync failed with {code}, and a later one says Ok"
                        ));
                    }
                    (result, _) => {
                        if self.judge(result)?.is_some() {
                            self.compare()?;
                        }
                    }
                }
                text
            }
            Op::Position => {
                let Some(result) = self.drive(rng, cancel, handles[at].stream_position()).await
                else {
                    return Ok(CANCELLED.to_owned());
                };
                let text = format!("{result:?}");
                match result {
                    Ok(found) => {
                        ensure!(
                            found == self.position,
                            "the position is {found} instead of {}",
                            self.position
                        );
                    }
                    Err(error) => self.explain(&error)?,
                }
                text
            }
            Op::Length => {
                let Some(result) = self.drive(rng, cancel, handles[at].metadata()).await else {
                    return Ok(CANCELLED.to_owned());
                };
                match result {
                    Ok(metadata) => {
                        let found = told(fs::metadata(&self.path), "std's look at the path")?.len();
                        ensure!(
                            metadata.len() == found,
                            "the length is {} instead of {found}",
                            metadata.len()
                        );
                        found.to_string()
                    }
                    Err(error) => {
                        self.explain(&error)?;
                        format!("{error:?}")
                    }
                }
            }
            Op::Clone => {
                if handles.len() > 2 {
                    return Ok(String::new());
                }
                let Some(result) = self.drive(rng, cancel, handles[at].try_clone()).await else {
                    return Ok(CANCELLED.to_owned());
                };
                if let Some(clone) = self.judge(result)? {
                    handles.push(clone);
                    self.compare()?;
                }
                String::new()
            }
            Op::DropClone => {
                if handles.len() > 1 {
                    handles.remove(at);
                    self.at = rng.usize(..handles.len());
                }
                String::new()
            }
            Op::Switch => {
                self.at = rng.usize(..handles.len());
                String::new()
            }
            Op::Discard => {
                let Some(given_up) = self
                    .drive(rng, cancel, handles[at].discard_unwritten())
                    .await
                else {
                    return Ok(CANCELLED.to_owned());
                };
                let appends = self.plan.append && given_up > 0;
                self.discarded(given_up as usize)?;
                if appends {
                    self.clear();
                    let position = self.drive(rng, false, handles[at].stream_position()).await;
                    let position = told(position.expect("not cancelled"), "stream_position")?;
                    // Where std would stand after a write that failed, or where the bytes would have gone.
                    let likely = [self.position, self.base.len() as u64];
                    ensure!(
                        likely.contains(&position),
                        "the position is {position}, not one of {likely:?}"
                    );
                    self.position = position;
                    self.settled_position = position;
                }
                given_up.to_string()
            }
            Op::IntoStd | Op::Close | Op::Drop => unreachable!("they take the handle"),
        };
        Ok(outcome)
    }

    /// The tail is gone, and the position is where it began.
    fn discarded(&mut self, given_up: usize) -> Verdict {
        let accepted = self.since.len();
        ensure!(
            given_up <= accepted,
            "{given_up} bytes were given up of {accepted}"
        );
        let written = accepted - given_up;
        if given_up > 0 {
            self.since.truncate(written);
            self.position = if self.plan.append && written == 0 {
                self.settled_position
            } else {
                (self.start + written) as u64
            };
            // Whoever gives bytes up is told how many.
            self.untold = None;
        }
        self.compare()
    }

    async fn after_cancelled_set_len(&mut self, rng: &mut Rng, len: usize) -> Verdict {
        // What was accepted before is written first, so the length says whether it happened.
        let before = self.content();
        for attempt in 0.. {
            if attempt == 3 {
                self.clear();
            }
            ensure!(attempt < 8, "no fault is left, and flush still fails");
            let mut handles = std::mem::take(&mut self.handles);
            let result = self
                .drive(rng, false, handles[self.at].flush())
                .await
                .expect("not cancelled");
            self.handles = handles;
            if self.judge(result)?.is_some() {
                break;
            }
        }
        self.base = before;
        self.since.clear();
        let now = told(fs::metadata(&self.path), "std's look at the path")?.len() as usize;
        if now != self.base.len() {
            ensure!(
                now == len,
                "set_len({len}) was cancelled; the length went from {} to {now}",
                self.base.len()
            );
            self.base.resize(len, 0);
        }
        self.compare()
    }

    async fn after_cancelled_write(&mut self, rng: &mut Rng, data: &[u8]) -> Verdict {
        // What was written is a beginning of it; the first error or flush ends it.
        let start = if self.plan.append {
            self.base.len()
        } else {
            self.position as usize
        };
        for attempt in 0.. {
            if attempt == 3 {
                self.clear();
            }
            ensure!(attempt < 8, "no fault is left, and seeking still fails");
            let mut handles = std::mem::take(&mut self.handles);
            // Makes the file forget the write, too.
            let result = self
                .drive(rng, false, handles[self.at].seek(SeekFrom::Current(0)))
                .await
                .expect("not cancelled");
            self.handles = handles;
            let Some(position) = self.judge(result)? else {
                continue;
            };
            let found = told(fs::read(&self.path), "std's look at the path")?;
            let most = overlaid(&self.base, &found, start, data)
                .ok_or("a cancelled write left something else than a beginning of its bytes")?;
            let written = match position {
                _ if position == self.position => 0,
                _ => (position as usize)
                    .checked_sub(start)
                    .ok_or_else(|| format!("the position went back to {position}"))?,
            };
            ensure!(
                written <= most,
                "the position says that {written} bytes were written, the file {most}"
            );
            self.accept(&data[..written]);
            return self.compare();
        }
        Ok(())
    }

    /// The file was dropped, after so many failed writes. What it had not written is tried once more; then it is given up.
    async fn dropped(&mut self, rng: &mut Rng, failed: usize) -> Verdict {
        self.drive(rng, false, aiofiles::settle())
            .await
            .expect("not cancelled");
        if self.tally.failed_writes == failed {
            self.compare()?;
        } else {
            self.compare_beginning()?;
            self.base = told(fs::read(&self.path), "std's look at the path")?;
            self.since.clear();
        }
        self.open(rng).await
    }

    async fn drop_file(&mut self, rng: &mut Rng, file: File) -> Verdict<String> {
        let failed = self.tally.failed_writes;
        drop(file);
        self.dropped(rng, failed).await?;
        Ok(String::new())
    }

    async fn close(&mut self, rng: &mut Rng, cancel: bool, mut file: File) -> Verdict<String> {
        let failed = self.tally.failed_writes;
        let Some(result) = self.drive(rng, cancel, file.close()).await else {
            drop(file);
            self.dropped(rng, failed).await?;
            return Ok("cancelled".to_owned());
        };
        let text = format!("{result:?}");
        match result {
            // It has tried a tail once more: if that worked, there is nothing to tell.
            Ok(()) => self.compare()?,
            Err(error) => {
                self.explain(&error)?;
                self.compare_beginning()?;
                self.base = told(fs::read(&self.path), "std's look at the path")?;
                self.since.clear();
            }
        }
        drop(file);
        self.open(rng).await?;
        Ok(text)
    }

    async fn through_std(&mut self, rng: &mut Rng, cancel: bool, file: File) -> Verdict<String> {
        let failed = self.tally.failed_writes;
        let Some(result) = self.drive(rng, cancel, file.into_std()).await else {
            self.dropped(rng, failed).await?;
            return Ok("cancelled".to_owned());
        };
        match result {
            Ok(mut file) => {
                self.judge(Ok(()))?;
                self.compare()?;
                let position = told(file.stream_position(), "std's position")?;
                ensure!(
                    position == self.position,
                    "std's file stands at {position} instead of {}",
                    self.position
                );
                let file = File::from(file);
                // What kind of file it is, is asked without faults: std's files do not fail to say where they stand.
                self.clear();
                let asked = self.drive(rng, false, file.stream_position()).await;
                told(asked.expect("not cancelled"), "stream_position")?;
                self.handles = vec![file];
                self.unbuffered = false;
                self.final_sync = None;
                Ok(String::new())
            }
            Err(error) => {
                let text = format!("{:?}", error.error());
                self.explain(error.error())?;
                self.handles = vec![error.into_file()];
                Ok(text)
            }
        }
    }
}

pub(super) struct Failure {
    what: String,
    journal: Vec<String>,
}

pub(super) fn attempt(plan: &Plan, dir: &Path) -> Result<Tally, Failure> {
    let mut journal = Vec::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        stepped(|| block_on(Session::run(plan, dir, &mut journal)))
    }));
    outcome
        .unwrap_or_else(|_| Err("a panic (see above)".to_owned()))
        .map_err(|what| Failure { what, journal })
}

pub(super) fn story(plan: &Plan, failure: &Failure) -> String {
    let mut story = String::new();
    let Plan {
        seed,
        append,
        unbuffered,
        buffer_size,
        size,
        most,
        ..
    } = plan;
    let _ = writeln!(
        story,
        "{}\nseed {seed}, append {append}, unbuffered {unbuffered}, buffer {buffer_size:?}, beginning with {size} bytes of at most {most}; the steps:",
        failure.what
    );
    for (step, outcome) in plan.steps.iter().zip(&failure.journal) {
        let cancel = if step.cancel {
            " (may be cancelled)"
        } else {
            ""
        };
        let _ = writeln!(story, "  {:?}{cancel} -> {outcome}", step.op);
    }
    let _ = write!(story, "to repeat this session first: AIOFILES_SEED={seed}");
    story
}

#[test]
fn errors_are_told_and_every_accepted_byte_is_written_once_faults_end() {
    // `settle`, which the sessions call, also waits for the files of other tests.
    alone(|| {
        let dir = temp_dir();
        let seed = Seed::new();
        let mut tally = Tally::default();
        let wanted = iterations(40_000);
        for number in 0.. {
            if tally.operations >= wanted {
                break;
            }
            let plan = Plan::random(seed.value().wrapping_add(number));
            match attempt(&plan, dir.path()) {
                Ok(more) => {
                    tally.operations += more.operations;
                    tally.cancelled += more.cancelled;
                    tally.failed_writes += more.failed_writes;
                    tally.errors += more.errors;
                    tally.recoveries += more.recoveries;
                }
                Err(first) => {
                    let with = |steps: &[Step]| Plan {
                        steps: steps.to_vec(),
                        ..plan.clone()
                    };
                    let fails = |steps: &[Step]| attempt(&with(steps), dir.path()).is_err();
                    let shortest = with(&minimised(plan.steps.clone(), fails));
                    match attempt(&shortest, dir.path()) {
                        Err(failure) => panic!("{}", story(&shortest, &failure)),
                        Ok(_) => panic!("not the same twice: {}", story(&plan, &first)),
                    }
                }
            }
        }
        assert!(
            tally.failed_writes > tally.operations / 100,
            "hardly any write failed: {tally:?}"
        );
        assert!(
            tally.errors > tally.operations / 100,
            "hardly any error was told: {tally:?}"
        );
        assert!(
            tally.cancelled > tally.operations / 100,
            "hardly any operation was cut: {tally:?}"
        );
    });
}
