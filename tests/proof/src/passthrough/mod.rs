//! A directory shown once more at another place, by a FUSE file system made with `aiofiles`.
//!
//! The kernel asks, and every request is served by a task of its own on the executor of `smol`: the thread that takes
//! requests from the kernel waits for no file, and neither does an executor's thread. Many requests are under way at
//! once, on as few threads as the disk needs.
//!
//! * A file of the tree is known by a descriptor that stands for its place ([`nodes`]), so renaming it, or a directory above
//!   it, is nobody's concern, and a file that was removed while it is open can still be asked for its length.
//! * Files are read and written at offsets (`read_exact_at`, `write_all_at`), because it is the kernel that knows positions.
//! * Errors have their codes when the kernel is told of them ([`aiofiles::raw_os_error`]).
//! * The few calls that the crate has no function for are made by [`aiofiles::unblock`].
//!
//! It stays on the file system of its directory: what is mounted below is refused with `EXDEV`. It does not pass on extended
//! attributes, and locks are those that the kernel keeps by itself.

mod nodes;

use std::ffi::OsStr;
use std::fs::{FileTimes, Permissions};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aiofiles::unix::{Dir, DirEntryExt as _, OpenOptionsExt as _};
use aiofiles::{File, IoBuf as _, Metadata, OpenOptions};
use fuser::{
    BackgroundSession, BsdFileFlags, Config, CopyFileRangeFlags, Errno, FileAttr, FileHandle,
    FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig, LockOwner,
    MountOption, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite,
    Request, Session, TimeOrNow, WriteFlags,
};
use futures_lite::{AsyncWriteExt as _, StreamExt as _};
use rustix::fs::{AtFlags, FallocateFlags, OFlags};
use smol::lock::RwLock;

use nodes::{Node, Nodes, Table, error};

/// What the kernel keeps of the files, beside us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caching {
    /// Nothing: every read and write comes to us as it was made.
    None,
    /// What was read or written; writes come to us at once.
    #[default]
    Through,
    /// The same, and writes come to us later, gathered.
    Back,
}

/// The file system.
pub struct Passthrough {
    tree: Arc<Tree>,
}

/// What the tasks share.
struct Tree {
    nodes: Nodes,
    /// Reads and writes share a file; whoever flushes or closes it has it alone, after them.
    files: Table<RwLock<File>>,
    listings: Table<RwLock<Vec<Entry>>>,
    caching: Caching,
}

/// One of a directory.
struct Entry {
    number: u64,
    kind: FileType,
    name: std::ffi::OsString,
}

impl Passthrough {
    /// Makes a file system of what is below the directory `source`.
    pub async fn new<P: AsRef<Path>>(source: P, caching: Caching) -> io::Result<Passthrough> {
        // Where the path itself may be a link, what it leads to is meant.
        let source = aiofiles::canonicalize(source).await?;
        let nodes = Nodes::new(Node::options().open(source).await?).await?;
        let tree = Tree {
            nodes,
            files: Table::default(),
            listings: Table::default(),
            caching,
        };
        let tree = Arc::new(tree);
        Ok(Passthrough { tree })
    }

    /// Mounts it. What serves the requests is given back, and runs until it is unmounted.
    pub fn mount<P: AsRef<Path>>(self, mount_point: P) -> io::Result<Session<Passthrough>> {
        Session::new(self, mount_point, &Passthrough::config())
    }

    /// Mounts it, and serves it until the value is dropped.
    pub fn spawn<P: AsRef<Path>>(self, mount_point: P) -> io::Result<BackgroundSession> {
        self.mount(mount_point)?.spawn()
    }

    fn config() -> Config {
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("aiofiles".to_owned()),
            // The kernel knows who may do what as well as we do.
            MountOption::DefaultPermissions,
        ];
        config
    }

    /// Serves a request: a task does the work, and then tells the kernel what came of it.
    fn serve<R, W, T>(
        &self,
        reply: R,
        work: impl FnOnce(Arc<Tree>) -> W,
        tell: impl FnOnce(R, T) + Send + 'static,
    ) where
        R: Refuse,
        W: Future<Output = io::Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let work = work(self.tree.clone());
        let task = async move {
            match work.await {
                Ok(done) => tell(reply, done),
                Err(error) => {
                    let code = aiofiles::raw_os_error(&error);
                    reply.refuse(code.map_or(Errno::EIO, Errno::from_i32));
                }
            }
        };
        smol::spawn(task).detach();
    }

    /// Serves a request that is answered by a file, which the kernel gets to know by it.
    fn serve_entry<W>(&self, reply: ReplyEntry, work: impl FnOnce(Arc<Tree>) -> W)
    where
        W: Future<Output = io::Result<FileAttr>> + Send + 'static,
    {
        let ttl = self.tree.ttl();
        self.serve(reply, work, move |reply, attr| {
            reply.entry(&ttl, &attr, Generation(0));
        });
    }

    /// Serves a request that is answered by nothing but success.
    fn serve_empty<W>(&self, reply: ReplyEmpty, work: impl FnOnce(Arc<Tree>) -> W)
    where
        W: Future<Output = io::Result<()>> + Send + 'static,
    {
        self.serve(reply, work, |reply, ()| reply.ok());
    }
}

impl Tree {
    /// How long the kernel may believe what it was told.
    fn ttl(&self) -> Duration {
        match self.caching {
            Caching::None => Duration::ZERO,
            Caching::Through | Caching::Back => Duration::from_secs(1),
        }
    }

    fn open_flags(&self) -> FopenFlags {
        match self.caching {
            Caching::None => FopenFlags::FOPEN_DIRECT_IO,
            Caching::Through | Caching::Back => FopenFlags::empty(),
        }
    }

    /// Looks up a name, of which the kernel is told.
    async fn entry(&self, dir: &Node, name: &OsStr) -> io::Result<FileAttr> {
        let place = dir.dir()?.open_file_with(name, &Node::options()).await?;
        let (node, metadata) = self.nodes.tell(place).await?;
        attributes(&metadata, node.number)
    }

    /// How a file is opened whose user opens it with these flags.
    fn options(&self, flags: OpenFlags) -> OpenOptions {
        let mut further = OFlags::from_bits_retain(flags.0 as u32)
            & (OFlags::APPEND | OFlags::SYNC | OFlags::DSYNC | OFlags::NOFOLLOW);
        let mut options = OpenOptions::new();
        let mode = flags.acc_mode();
        options
            .read(mode != OpenAccMode::O_WRONLY)
            .write(mode != OpenAccMode::O_RDONLY);
        if self.caching == Caching::Back {
            // The kernel reads what surrounds the bytes that are written, and knows itself where the end is.
            options.read(true);
            further -= OFlags::APPEND;
        }
        options.custom_flags(further.bits() as i32);
        options
    }

    fn add_file(&self, file: File) -> FileHandle {
        FileHandle(self.files.insert(RwLock::new(file)))
    }

    fn file(&self, handle: FileHandle) -> io::Result<Arc<RwLock<File>>> {
        self.files.get(handle.0)
    }

    /// A file that is open anyway, or one that is opened for a moment.
    async fn file_or(
        &self,
        handle: Option<FileHandle>,
        node: &Node,
        options: &OpenOptions,
    ) -> io::Result<Arc<RwLock<File>>> {
        match handle {
            Some(handle) => self.file(handle),
            None => Ok(Arc::new(RwLock::new(options.open(node.path()).await?))),
        }
    }
}

impl Filesystem for Passthrough {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = match self.tree.caching {
            // Without a cache, a file can be mapped all the same.
            Caching::None => InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
            Caching::Through => InitFlags::empty(),
            Caching::Back => InitFlags::FUSE_WRITEBACK_CACHE,
        };
        // A kernel that cannot do that has its own way.
        let _ = config.add_capabilities(wanted);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_owned();
        self.serve_entry(reply, |tree| async move {
            let dir = tree.nodes.get(parent)?;
            tree.entry(&dir, &name).await
        });
    }

    fn forget(&self, _: &Request, number: INodeNo, times: u64) {
        self.tree.nodes.forget(number, times);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let ttl = self.tree.ttl();
        let work = |tree: Arc<Tree>| async move {
            let node = tree.nodes.get(number)?;
            attributes(&node.place().metadata().await?, number)
        };
        self.serve(reply, work, move |reply, attr| reply.attr(&ttl, &attr));
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        handle: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let ttl = self.tree.ttl();
        let work = |tree: Arc<Tree>| async move {
            let node = tree.nodes.get(number)?;
            if let Some(mode) = mode {
                let permissions = Permissions::from_mode(mode & 0o7777);
                aiofiles::set_permissions(node.path(), permissions).await?;
            }
            if uid.or(gid).is_some() {
                aiofiles::unix::chown(node.path(), uid, gid).await?;
            }
            if let Some(size) = size {
                let for_writing = OpenOptions::new().write(true).clone();
                let file = tree.file_or(handle, &node, &for_writing).await?;
                file.read().await.set_len(size).await?;
            }
            if atime.or(mtime).is_some() {
                let mut times = FileTimes::new();
                if let Some(time) = atime {
                    times = times.set_accessed(point(time));
                }
                if let Some(time) = mtime {
                    times = times.set_modified(point(time));
                }
                let for_reading = OpenOptions::new().read(true).clone();
                let file = tree.file_or(handle, &node, &for_reading).await?;
                file.read().await.set_times(times).await?;
            }
            attributes(&node.place().metadata().await?, number)
        };
        self.serve(reply, work, move |reply, attr| reply.attr(&ttl, &attr));
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        let work = |tree: Arc<Tree>| async move {
            let node = tree.nodes.get(number)?;
            // Of the file itself, whatever its name is now.
            let read = move || rustix::fs::readlinkat(node.place(), "", Vec::new());
            Ok(aiofiles::unblock(read).await?)
        };
        self.serve(reply, work, |reply, target| reply.data(target.as_bytes()));
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let name = name.to_owned();
        self.serve_entry(reply, |tree| async move {
            let parent = tree.nodes.get(parent)?;
            parent.dir()?.create_dir_with_mode(&name, mode).await?;
            tree.entry(&parent, &name).await
        });
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.serve_empty(reply, |tree| async move {
            tree.nodes.get(parent)?.dir()?.remove_file(&name).await
        });
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.serve_empty(reply, |tree| async move {
            tree.nodes.get(parent)?.dir()?.remove_dir(&name).await
        });
    }

    fn symlink(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let (name, target) = (name.to_owned(), target.to_owned());
        self.serve_entry(reply, |tree| async move {
            let parent = tree.nodes.get(parent)?;
            parent.dir()?.symlink(&target, &name).await?;
            tree.entry(&parent, &name).await
        });
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            // As other file systems say that do not know them; whoever asks does it in another way.
            return reply.error(Errno::EINVAL);
        }
        let (name, new_name) = (name.to_owned(), new_name.to_owned());
        self.serve_empty(reply, |tree| async move {
            let (from, to) = (tree.nodes.get(parent)?, tree.nodes.get(new_parent)?);
            from.dir()?.rename(&name, to.dir()?, &new_name).await
        });
    }

    fn link(
        &self,
        _: &Request,
        number: INodeNo,
        new_parent: INodeNo,
        new_name: &OsStr,
        reply: ReplyEntry,
    ) {
        let new_name = new_name.to_owned();
        self.serve_entry(reply, |tree| async move {
            let (node, parent) = (tree.nodes.get(number)?, tree.nodes.get(new_parent)?);
            let (path, dir) = (node.path(), parent.dir()?.as_fd().try_clone_to_owned()?);
            let name = new_name.clone();
            // Not the link in procfs, but the file that it leads to.
            let follow = AtFlags::SYMLINK_FOLLOW;
            let link = move || rustix::fs::linkat(rustix::fs::CWD, path, &dir, name, follow);
            aiofiles::unblock(link).await?;
            tree.entry(&parent, &new_name).await
        });
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let name = name.to_owned();
        let (ttl, open_flags) = (self.tree.ttl(), self.tree.open_flags());
        let work = |tree: Arc<Tree>| async move {
            let parent = tree.nodes.get(parent)?;
            // Also for whoever only wants to read a new file: options without writing create none.
            let mut options = tree.options(OpenFlags(flags));
            options.write(true).mode(mode);
            if flags & OFlags::EXCL.bits() as i32 != 0 {
                options.create_new(true);
            } else {
                options.create(true);
            }
            let file = parent.dir()?.open_file_with(&name, &options).await?;
            let attr = tree.entry(&parent, &name).await?;
            Ok((attr, tree.add_file(file)))
        };
        self.serve(reply, work, move |reply, (attr, handle)| {
            reply.created(&ttl, &attr, Generation(0), handle, open_flags);
        });
    }

    fn open(&self, _: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let open_flags = self.tree.open_flags();
        let work = |tree: Arc<Tree>| async move {
            let node = tree.nodes.get(number)?;
            let file = tree.options(flags).open(node.path()).await?;
            Ok(tree.add_file(file))
        };
        self.serve(reply, work, move |reply, handle| {
            reply.opened(handle, open_flags);
        });
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let work = |tree: Arc<Tree>| async move {
            let (file, size) = (tree.file(handle)?, size as usize);
            let buf = Vec::with_capacity(size).slice(..size);
            // The kernel takes it for the end of the file when there is less.
            match file.read().await.read_exact_at(buf, offset).await {
                (Err(error), _) if error.kind() != ErrorKind::UnexpectedEof => Err(error),
                (_, buf) => Ok(buf),
            }
        };
        self.serve(reply, work, |reply, buf| reply.data(&buf));
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let data = data.to_vec();
        let work = |tree: Arc<Tree>| async move {
            let file = tree.file(handle)?;
            // It says how much was written before an error, as the kernel wants it.
            let (result, _) = file.read().await.write_at(data, offset).await;
            result
        };
        self.serve(reply, work, |reply, written| reply.written(written as u32));
    }

    fn flush(&self, _: &Request, _: INodeNo, handle: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.serve_empty(reply, |tree| async move {
            let file = tree.file(handle)?;
            let mut file = file.write().await;
            file.flush().await?;
            // One descriptor of those that lead to the file is closed, as by our user, who is told what that said.
            File::from(file.as_fd().try_clone_to_owned()?).close().await
        });
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.serve_empty(reply, |tree| async move {
            let file = tree.files.remove(handle.0)?;
            // The kernel tells nobody what comes of it.
            file.write().await.close().await
        });
    }

    fn fsync(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        data_only: bool,
        reply: ReplyEmpty,
    ) {
        self.serve_empty(reply, |tree| async move {
            let file = tree.file(handle)?;
            let file = file.read().await;
            match data_only {
                true => file.sync_data().await,
                false => file.sync_all().await,
            }
        });
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let handle = self.tree.listings.insert(RwLock::default());
        reply.opened(FileHandle(handle), FopenFlags::empty());
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let tree = self.tree.clone();
        let task = async move {
            match fill(&tree, number, handle, offset, &mut reply).await {
                Ok(()) => reply.ok(),
                Err(error) => {
                    let code = aiofiles::raw_os_error(&error);
                    reply.error(code.map_or(Errno::EIO, Errno::from_i32));
                }
            }
        };
        smol::spawn(task).detach();
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        let _ = self.tree.listings.remove(handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.serve_empty(reply, |tree| async move {
            // A place in the tree cannot be synced.
            let dir = Dir::open(tree.nodes.get(number)?.path()).await?;
            dir.sync_all().await
        });
    }

    fn statfs(&self, _: &Request, number: INodeNo, reply: ReplyStatfs) {
        let work = |tree: Arc<Tree>| async move {
            let node = tree.nodes.get(number)?;
            aiofiles::os::statvfs(node.path()).await
        };
        self.serve(reply, work, |reply, stat| {
            reply.statfs(
                stat.blocks,
                stat.blocks_free,
                stat.blocks_available,
                stat.files,
                stat.files_free,
                stat.block_size as u32,
                stat.name_max as u32,
                stat.fragment_size as u32,
            );
        });
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        len: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        self.serve_empty(reply, |tree| async move {
            let file = tree.file(handle)?;
            let file = file.read().await;
            let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            match FallocateFlags::from_bits_retain(mode as u32) {
                mode if mode.is_empty() => file.allocate(offset, len).await,
                mode if mode == punch => file.punch_hole(offset, len).await,
                _ => Err(error(Errno::EOPNOTSUPP)),
            }
        });
    }

    fn lseek(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let work = |tree: Arc<Tree>| async move {
            let offset = u64::try_from(offset).map_err(|_| error(Errno::ENXIO))?;
            let file = tree.file(handle)?;
            let file = file.read().await;
            let found = match whence {
                libc::SEEK_DATA => file.seek_data(offset).await?,
                libc::SEEK_HOLE => file.seek_hole(offset).await?,
                // All others the kernel answers itself.
                _ => return Err(error(Errno::EINVAL)),
            };
            found.ok_or_else(|| error(Errno::ENXIO))
        };
        self.serve(reply, work, |reply, found| reply.offset(found as i64));
    }

    fn copy_file_range(
        &self,
        _: &Request,
        _: INodeNo,
        from: FileHandle,
        from_offset: u64,
        _: INodeNo,
        to: FileHandle,
        to_offset: u64,
        len: u64,
        _: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let work = |tree: Arc<Tree>| async move {
            let (from, to) = (tree.file(from)?, tree.file(to)?);
            // The answer has 32 bits.
            let len = len.min(1 << 30);
            // One after the other, also where both are one: readers do not shut out readers.
            let (from, to) = (from.read().await, to.read().await);
            aiofiles::copy_range(&from, from_offset, &to, to_offset, len).await
        };
        self.serve(reply, work, |reply, copied| reply.written(copied as u32));
    }
}

/// Puts into the answer what a directory holds, from an offset on, until it is full.
async fn fill(
    tree: &Tree,
    number: INodeNo,
    handle: FileHandle,
    offset: u64,
    reply: &mut ReplyDirectory,
) -> io::Result<()> {
    let listing = tree.listings.get(handle.0)?;
    // Who begins anew sees what there is now; an offset is a place in what was seen then.
    if offset == 0 {
        let node = tree.nodes.get(number)?;
        let itself = |name: &str| Entry {
            number: number.0,
            kind: FileType::Directory,
            name: name.into(),
        };
        let mut entries = vec![itself("."), itself("..")];
        let mut read = aiofiles::read_dir(node.path()).await?;
        while let Some(entry) = read.next().await {
            let entry = entry?;
            let kind = FileType::from_std(entry.file_type().await?);
            entries.push(Entry {
                number: entry.ino(),
                kind: kind.unwrap_or(FileType::RegularFile),
                name: entry.file_name(),
            });
        }
        *listing.write().await = entries;
    }
    let listing = listing.read().await;
    for (n, entry) in listing.iter().enumerate().skip(offset as usize) {
        if reply.add(INodeNo(entry.number), n as u64 + 1, entry.kind, &entry.name) {
            break;
        }
    }
    Ok(())
}

/// What the kernel is to know of a file.
fn attributes(metadata: &Metadata, number: INodeNo) -> io::Result<FileAttr> {
    let kind = FileType::from_std(metadata.file_type()).ok_or_else(|| error(Errno::EIO))?;
    let changed = Duration::new(
        metadata.ctime().try_into().unwrap_or(0),
        metadata.ctime_nsec() as u32,
    );
    Ok(FileAttr {
        ino: number,
        size: metadata.len(),
        blocks: metadata.blocks(),
        atime: metadata.accessed()?,
        mtime: metadata.modified()?,
        ctime: SystemTime::UNIX_EPOCH + changed,
        crtime: SystemTime::UNIX_EPOCH,
        kind,
        perm: (metadata.mode() & 0o7777) as u16,
        nlink: metadata.nlink() as u32,
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: metadata.rdev() as u32,
        blksize: metadata.blksize() as u32,
        flags: 0,
    })
}

fn point(time: TimeOrNow) -> SystemTime {
    match time {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    }
}

/// An answer that may be an error.
trait Refuse: Send + 'static {
    fn refuse(self, code: Errno);
}

macro_rules! refuse {
    ($($reply:ty),*) => {
        $(impl Refuse for $reply {
            fn refuse(self, code: Errno) {
                self.error(code);
            }
        })*
    };
}

refuse!(
    ReplyAttr,
    ReplyCreate,
    ReplyData,
    ReplyEmpty,
    ReplyEntry,
    ReplyLseek,
    ReplyOpen,
    ReplyStatfs,
    ReplyWrite
);
