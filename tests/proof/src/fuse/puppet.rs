//! A small file system in memory that does what the test wants: it stops to answer and goes on, and answers with errors or
//! in part.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, InitFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request,
    TimeOrNow, WriteFlags,
};

use crate::passthrough::Caching;

/// A request of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    Lookup,
    Attributes,
    Change,
    Create,
    Open,
    Read,
    Write,
    Flush,
    Sync,
    List,
    Remove,
    Rename,
    Statistics,
}

/// What a planned answer is.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Error(Errno),
    /// No more bytes than these.
    Short(usize),
}

struct Planned {
    asked: Asked,
    skip: usize,
    times: usize,
    answer: Answer,
}

/// The file system, for the one who mounts it.
pub struct Puppet(Strings);

/// The same, for the one who plays with it.
#[derive(Clone)]
pub struct Strings(Arc<Stage>);

struct Stage {
    caching: Caching,
    ttl: Duration,
    files: Mutex<Files>,
    plan: Mutex<Vec<Planned>>,
    counts: Mutex<BTreeMap<Asked, usize>>,
    struck: Mutex<BTreeMap<Asked, usize>>,
    stopped: Mutex<Stopped>,
}

#[derive(Default)]
struct Files {
    names: BTreeMap<OsString, u64>,
    contents: BTreeMap<u64, Content>,
}

#[derive(Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    perm: u16,
}

/// Requests that wait until it goes on.
#[derive(Default)]
struct Stopped {
    is: bool,
    waiting: Vec<Box<dyn FnOnce() + Send>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Puppet {
    /// One whose names and attributes the kernel believes for so long.
    pub fn new(caching: Caching, ttl: Duration) -> (Puppet, Strings) {
        let strings = Strings(Arc::new(Stage {
            caching,
            ttl,
            files: Mutex::default(),
            plan: Mutex::default(),
            counts: Mutex::default(),
            struck: Mutex::default(),
            stopped: Mutex::default(),
        }));
        (Puppet(strings.clone()), strings)
    }
}

impl Strings {
    /// From now on, nothing is answered.
    pub fn stop(&self) {
        lock(&self.0.stopped).is = true;
    }

    /// Answers what was asked meanwhile, in its order, and goes on.
    pub fn go_on(&self) {
        loop {
            let waiting = {
                let mut stopped = lock(&self.0.stopped);
                if stopped.waiting.is_empty() {
                    stopped.is = false;
                    return;
                }
                std::mem::take(&mut stopped.waiting)
            };
            waiting.into_iter().for_each(|answer| answer());
        }
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        lock(&self.0.stopped).waiting.len()
    }

    /// After `skip` more requests of a kind, answers the next `times` with an error.
    pub fn fail(&self, asked: Asked, skip: usize, times: usize, error: Errno) {
        self.plan(asked, skip, times, Answer::Error(error));
    }

    /// The same, with at most so many bytes.
    pub fn short(&self, asked: Asked, skip: usize, times: usize, most: usize) {
        self.plan(asked, skip, times, Answer::Short(most));
    }

    fn plan(&self, asked: Asked, skip: usize, times: usize, answer: Answer) {
        lock(&self.0.plan).push(Planned {
            asked,
            skip,
            times,
            answer,
        });
    }

    /// Forgets what was planned.
    pub fn clear(&self) {
        lock(&self.0.plan).clear();
    }

    /// How many requests of a kind there were.
    pub fn count(&self, asked: Asked) -> usize {
        lock(&self.0.counts).get(&asked).copied().unwrap_or(0)
    }

    /// How many of them were answered as it was planned.
    pub fn struck(&self, asked: Asked) -> usize {
        lock(&self.0.struck).get(&asked).copied().unwrap_or(0)
    }

    /// What the file holds.
    pub fn content(&self, name: &str) -> Vec<u8> {
        let files = lock(&self.0.files);
        let number = files.names[OsStr::new(name)];
        files.contents[&number].bytes.clone()
    }

    /// Has a file of this content.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut files = lock(&self.0.files);
        let number = files.add(name.into(), 0o644);
        files.content(number).expect("it was added").bytes = bytes.to_vec();
    }

    /// What was planned for this request.
    fn planned(&self, asked: Asked) -> Option<Answer> {
        let mut plan = lock(&self.0.plan);
        for planned in plan.iter_mut().filter(|planned| planned.asked == asked) {
            if planned.skip > 0 {
                planned.skip -= 1;
            } else if planned.times > 0 {
                planned.times = planned
                    .times
                    .saturating_sub(usize::from(planned.times != usize::MAX));
                *lock(&self.0.struck).entry(asked).or_default() += 1;
                return Some(planned.answer);
            }
        }
        None
    }

    /// Answers a request: now, or when it goes on. `work` is told of how many bytes there may be.
    fn answer<R, T>(
        &self,
        asked: Asked,
        reply: R,
        refuse: fn(R, Errno),
        work: impl FnOnce(&mut Files, usize) -> Result<T, Errno> + Send + 'static,
        tell: impl FnOnce(R, T) + Send + 'static,
    ) where
        R: Send + 'static,
    {
        *lock(&self.0.counts).entry(asked).or_default() += 1;
        let strings = self.clone();
        let answer = move || {
            let result = match strings.planned(asked) {
                Some(Answer::Error(code)) => Err(code),
                Some(Answer::Short(most)) => work(&mut lock(&strings.0.files), most),
                None => work(&mut lock(&strings.0.files), usize::MAX),
            };
            match result {
                Ok(done) => tell(reply, done),
                Err(code) => refuse(reply, code),
            }
        };
        let mut stopped = lock(&self.0.stopped);
        if stopped.is {
            stopped.waiting.push(Box::new(answer));
        } else {
            drop(stopped);
            answer();
        }
    }

    fn open_flags(&self) -> FopenFlags {
        match self.0.caching {
            Caching::None => FopenFlags::FOPEN_DIRECT_IO,
            Caching::Through | Caching::Back => FopenFlags::empty(),
        }
    }
}

impl Files {
    fn add(&mut self, name: OsString, perm: u16) -> u64 {
        let number = self.contents.keys().last().copied().unwrap_or(1) + 1;
        let content = Content {
            bytes: Vec::new(),
            perm,
        };
        self.contents.insert(number, content);
        self.names.insert(name, number);
        number
    }

    fn find(&self, name: &OsStr) -> Result<u64, Errno> {
        self.names.get(name).copied().ok_or(Errno::ENOENT)
    }

    fn content(&mut self, number: u64) -> Result<&mut Content, Errno> {
        self.contents.get_mut(&number).ok_or(Errno::ENOENT)
    }

    fn attr(&self, number: INodeNo) -> Result<FileAttr, Errno> {
        let content = if number == INodeNo::ROOT {
            None
        } else {
            Some(self.contents.get(&number.0).ok_or(Errno::ENOENT)?)
        };
        let size = content.map_or(0, |content| content.bytes.len() as u64);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        Ok(FileAttr {
            ino: number,
            size,
            blocks: size.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind: content.map_or(FileType::Directory, |_| FileType::RegularFile),
            perm: content.map_or(0o755, |content| content.perm),
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}

impl Filesystem for Puppet {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        if self.0.0.caching == Caching::Back {
            config
                .add_capabilities(InitFlags::FUSE_WRITEBACK_CACHE)
                .expect("a kernel that writes behind");
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let (name, ttl) = (name.to_owned(), self.0.0.ttl);
        let work = move |files: &mut Files, _| files.attr(INodeNo(files.find(&name)?));
        let tell = move |reply: ReplyEntry, attr: FileAttr| reply.entry(&ttl, &attr, Generation(0));
        self.0
            .answer(Asked::Lookup, reply, ReplyEntry::error, work, tell);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let ttl = self.0.0.ttl;
        let work = move |files: &mut Files, _| files.attr(number);
        let tell = move |reply: ReplyAttr, attr: FileAttr| reply.attr(&ttl, &attr);
        self.0
            .answer(Asked::Attributes, reply, ReplyAttr::error, work, tell);
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let ttl = self.0.0.ttl;
        let work = move |files: &mut Files, _| {
            let content = files.content(number.0)?;
            if let Some(size) = size {
                content.bytes.resize(size as usize, 0);
            }
            if let Some(mode) = mode {
                content.perm = (mode & 0o7777) as u16;
            }
            files.attr(number)
        };
        let tell = move |reply: ReplyAttr, attr: FileAttr| reply.attr(&ttl, &attr);
        self.0
            .answer(Asked::Change, reply, ReplyAttr::error, work, tell);
    }

    fn create(
        &self,
        _: &Request,
        _: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let (name, ttl, flags) = (name.to_owned(), self.0.0.ttl, self.0.open_flags());
        let work = move |files: &mut Files, _| {
            let number = files.add(name, (mode & 0o7777) as u16);
            files.attr(INodeNo(number))
        };
        let tell = move |reply: ReplyCreate, attr: FileAttr| {
            reply.created(&ttl, &attr, Generation(0), FileHandle(1), flags);
        };
        self.0
            .answer(Asked::Create, reply, ReplyCreate::error, work, tell);
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let flags = self.0.open_flags();
        let tell = move |reply: ReplyOpen, ()| reply.opened(FileHandle(1), flags);
        self.0
            .answer(Asked::Open, reply, ReplyOpen::error, |_, _| Ok(()), tell);
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let work = move |files: &mut Files, most: usize| {
            let bytes = &files.content(number.0)?.bytes;
            let begin = bytes.len().min(offset as usize);
            let end = bytes.len().min(begin + most.min(size as usize));
            Ok(bytes[begin..end].to_vec())
        };
        let tell = |reply: ReplyData, bytes: Vec<u8>| reply.data(&bytes);
        self.0
            .answer(Asked::Read, reply, ReplyData::error, work, tell);
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let data = data.to_vec();
        let work = move |files: &mut Files, most: usize| {
            let bytes = &mut files.content(number.0)?.bytes;
            let data = &data[..data.len().min(most)];
            let (begin, end) = (offset as usize, offset as usize + data.len());
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[begin..end].copy_from_slice(data);
            Ok(data.len())
        };
        let tell = |reply: ReplyWrite, written: usize| reply.written(written as u32);
        self.0
            .answer(Asked::Write, reply, ReplyWrite::error, work, tell);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.0.succeed(Asked::Flush, reply);
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.0.succeed(Asked::Sync, reply);
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.0.succeed(Asked::Sync, reply);
    }

    fn readdir(&self, _: &Request, _: INodeNo, _: FileHandle, offset: u64, reply: ReplyDirectory) {
        let work = move |files: &mut Files, _| {
            let names = files.names.iter().skip(offset as usize);
            let names = names.map(|(name, number)| (name.clone(), *number));
            Ok(names.collect::<Vec<_>>())
        };
        let tell = move |mut reply: ReplyDirectory, names: Vec<(OsString, u64)>| {
            for (n, (name, number)) in names.into_iter().enumerate() {
                let next = offset + n as u64 + 1;
                if reply.add(INodeNo(number), next, FileType::RegularFile, name) {
                    break;
                }
            }
            reply.ok();
        };
        self.0
            .answer(Asked::List, reply, ReplyDirectory::error, work, tell);
    }

    fn unlink(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        let work = move |files: &mut Files, _| {
            // Its content stays for those who have it open.
            files.names.remove(&name).ok_or(Errno::ENOENT)?;
            Ok(())
        };
        let tell = |reply: ReplyEmpty, ()| reply.ok();
        self.0
            .answer(Asked::Remove, reply, ReplyEmpty::error, work, tell);
    }

    fn rename(
        &self,
        _: &Request,
        _: INodeNo,
        name: &OsStr,
        _: INodeNo,
        new_name: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (name, new_name) = (name.to_owned(), new_name.to_owned());
        let work = move |files: &mut Files, _| {
            let number = files.names.remove(&name).ok_or(Errno::ENOENT)?;
            files.names.insert(new_name, number);
            Ok(())
        };
        let tell = |reply: ReplyEmpty, ()| reply.ok();
        self.0
            .answer(Asked::Rename, reply, ReplyEmpty::error, work, tell);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let tell = |reply: ReplyStatfs, ()| {
            reply.statfs(1 << 20, 1 << 19, 1 << 19, 0, 0, 4096, 255, 4096);
        };
        let work = |_: &mut Files, _| Ok(());
        self.0
            .answer(Asked::Statistics, reply, ReplyStatfs::error, work, tell);
    }
}

impl Strings {
    fn succeed(&self, asked: Asked, reply: ReplyEmpty) {
        let tell = |reply: ReplyEmpty, ()| reply.ok();
        self.answer(asked, reply, ReplyEmpty::error, |_, _| Ok(()), tell);
    }
}
