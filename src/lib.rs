//! Asynchronous files for every executor.
//!
//! The types and functions have the names of those in [`std::fs`], and the signatures of those in `async-fs`. What may
//! wait for a file system is dispatched to the thread pool of the [`blocking`] crate, so the executor's thread never
//! does. [`File`] implements the traits of [`futures-io`]: [`AsyncRead`], [`AsyncBufRead`], [`AsyncWrite`] and
//! [`AsyncSeek`]; import the extension traits of `futures-lite`, `smol` or `futures-util` for `read`, `write_all`,
//! `lines` and the like.
//!
//! [`blocking`]: https://docs.rs/blocking
//! [`futures-io`]: https://docs.rs/futures-io
//! [`AsyncRead`]: futures_io::AsyncRead
//! [`AsyncBufRead`]: futures_io::AsyncBufRead
//! [`AsyncWrite`]: futures_io::AsyncWrite
//! [`AsyncSeek`]: futures_io::AsyncSeek
//!
//! ```
//! use aiofiles::File;
//! use futures_lite::{AsyncReadExt, AsyncWriteExt};
//!
//! # futures_lite::future::block_on(async {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("greeting.txt");
//! let mut file = File::create(&path).await?;
//! file.write_all(b"Hello, world").await?;
//! file.close().await?;
//!
//! let mut text = String::new();
//! File::open(&path).await?.read_to_string(&mut text).await?;
//! assert_eq!(text, "Hello, world");
//! # std::io::Result::Ok(()) }).unwrap();
//! ```
//!
//! # Which function for what
//!
//! | to | use |
//! |---|---|
//! | read or write a whole file | [`read`], [`read_to_string`], [`write`](write()) |
//! | replace one in one step, also across a crash | [`write_atomic`] |
//! | open a file | [`File::open`], [`File::create`], [`File::create_new`], [`OpenOptions`], [`open`](open()) with a [`Mode`] |
//! | read and write text | [`open_text`], [`TextOptions`], [`TextFile`] |
//! | take over one that is open, and give it back | `File::from`, [`File::into_std`] |
//! | read or write at offsets, any number at once | [`File::read_at`], [`File::read_exact_at`], [`File::write_all_at`] and their like |
//! | use a file and have it closed in any case | [`with`] |
//! | use standard input, output and error | [`stdio`] |
//! | have an object of `std::io` as a file, or one in memory | [`wrap`](wrap()), [`memory`] |
//! | read many ranges, or many small files | [`File::read_many_at`], [`read_many`] |
//! | have several positions on one open file | [`File::cursor`] |
//! | go through chunks, or lines with any separator | [`File::chunks`], [`LineReader`] |
//! | copy | [`copy`](copy()), [`copy_with_progress`], [`copy_between`], [`copy_range`] |
//! | reserve space, give it back, find holes | [`File::allocate`], [`File::punch_hole`], [`File::seek_data`], [`File::seek_hole`] |
//! | go past the page cache | [`OpenOptions::direct`] |
//! | look at a path | [`metadata`], [`symlink_metadata`], [`exists`], [`try_exists`], [`canonicalize`], [`read_link`] |
//! | change one | [`rename`], [`remove_file`], [`hard_link`], [`set_permissions`] |
//! | work with directories | [`read_dir`], [`walk`](walk()), [`create_dir`], [`create_dir_all`], [`DirBuilder`], [`remove_dir`], [`remove_dir_all`] |
//! | have temporary files and directories | the module [`tempfile`](mod@tempfile) |
//! | name paths relative to an open directory | `unix::Dir` |
//! | find what Python has in `os` and `os.path` | [`os`], [`os::path`] |
//! | run blocking code of your own | [`unblock`](unblock()) |
//! | have data on the device | [`File::sync_all`], [`File::sync_data`] |
//! | lock a file against others | [`File::lock`], [`File::lock_shared`], [`File::try_lock`] |
//! | wait for files that were dropped | [`settle`](settle()) |
//! | find the code of the operating system in an error | [`raw_os_error`], [`PathError`] |
//! | see what the thread pool does | [`backend`](backend()) |
//! | use another pool | [`with_executor`], [`OpenOptions::executor`], [`set_executor`] |
//!
//! What only one system has (links, permission bits, open flags) is in the modules `unix` and `windows`.
//!
//! # Positions
//!
//! A file has a logical position of its own. Regular files are read and written at explicit offsets, and the kernel's
//! position plays no part. So what is read ahead of the position, or is accepted and not written yet, is never visible
//! in it.
//!
//! * A seek takes effect in the poll that is ready, or not at all. Any position that a file offset can express is
//!   accepted; one that the file system cannot reach makes the write there fail.
//! * [`File::try_clone`] gives a second handle with the same position, as std's does. Files that were opened apart know
//!   nothing of one another.
//! * `File::from` takes over a file or a descriptor, and makes no system call. What it is, and which position it has,
//!   is asked by the first operation. [`File::into_std`] writes what was accepted, puts the kernel's position where
//!   ours is, and gives std's file back.
//! * In append mode every write goes to the end of the file, and the position to the end of that write. It is 0 at
//!   first, as in std.
//!
//! # Offsets
//!
//! [`File::read_at`], [`File::write_at`] and their like take `&self`, an offset, and a buffer that they give back with the
//! result. They neither use nor move the position. Any number of them may run at once, from any task; they wait in the
//! queue of the thread pool, and what runs at once is bounded ([`set_max_concurrent_operations`]), so tens of thousands
//! cost their buffers and a few hundred bytes each.
//!
//! * A buffer belongs to the operation while that runs, and not to the future: dropping the future loses the buffer, and
//!   never frees memory that is still read or written. [`IoBuf`] and [`IoBufMut`] say what can be a buffer: `Vec<u8>`,
//!   boxes, strings, static and shared slices, parts of these ([`IoBuf::slice`]), [`AlignedBuf`], and with the feature
//!   `bytes` its types.
//! * They go past the buffers of the position. What was accepted by `write` is found after `flush`; a `write_at` that is
//!   done is found by everybody at once, also by what reads ahead.
//! * They have no order among themselves. `flush`, `sync_all`, `set_len` and `close` wait for each `write_at` that was
//!   begun before on the same handle or its clones, and return the error of one that was cancelled.
//!
//! [`File::cursor`] makes a file with a position and buffers of its own on the same descriptor; what holds for handles
//! that were opened apart holds for cursors, but that they see what the others have written as soon as the operating
//! system has it.
//!
//! # Reading
//!
//! One read fetches what it asks for, or a few KiB if that is less. While reading goes on where it left off, more and
//! more is *read ahead*, up to 1 MiB or [`OpenOptions::buffer_size`]. `fill_buf` lends what was read ahead, without
//! copying it.
//!
//! * What was read ahead is thrown away when the file changes through the same handle or its clones. Changes that come
//!   from elsewhere, other handles and other processes, may be seen late by it.
//! * The end of the file is never remembered: a file that grew can be read on.
//! * Buffers are given back when they are not used for a second or two. Those of all files together take a few
//!   megabytes at most, and some KiB for each file beyond that.
//!
//! # Writing
//!
//! A write copies its bytes into a bounded buffer and returns: they are *accepted*. They are on their way to the
//! operating system at once (*write-behind*), not when somebody flushes. While one write runs, later ones gather, and
//! go together. When the buffer is full, a write waits; while it is pending, nothing of it is accepted.
//!
//! * `flush` waits until the operating system has everything. Then other handles and other processes see it, and it
//!   outlives this process.
//! * [`File::sync_all`] waits until the device has everything too. When it returns `Ok`, every byte that this file
//!   accepted before was handed to the device, and the kernel reported no error. The name of a new file is durable only
//!   when its directory is synced too.
//! * In append mode, a write of up to 64 KiB is handed over whole, alone or with its neighbours, so that lines which
//!   several processes write into one log do not mix.
//! * One poll of a read or write copies 256 KiB at most. After 128 answers in a row that needed no waiting, a task
//!   yields once, so that others have their turn.
//!
//! With [`OpenOptions::unbuffered`], a write is one write of the operating system, and `Ok(n)` means that it has those
//! bytes. Nothing is read ahead.
//!
//! # Errors of writes
//!
//! When a write in the background fails, what is not written is kept. The next call on the file that reads, writes,
//! flushes, seeks, syncs, clones, changes the length or the times, or gives the file back, returns the error, with the
//! code of the operating system, and does nothing else. Each later one first tries to write what was kept, and goes on
//! only if all of it was written. So a full disk is reported at least once, and writing goes on when there is space.
//!
//! * A write that returns an error accepted none of its bytes.
//! * `flush`, `sync_all` and `sync_data` are never `Ok` past an unwritten byte.
//! * [`File::discard_unwritten`] gives the bytes up, and moves the position back to where they begin.
//! * A sync that failed is final. The kernel may have dropped the data, so that trying again could wrongly succeed.
//!   Every later sync of the file and its clones returns the error; write the data to a new file.
//!
//! # Order
//!
//! [`File::set_len`] and [`File::set_times`] take a place between the reads and writes of their file, even if they are
//! cancelled. [`File::metadata`], [`File::set_permissions`] and the locks first wait until nothing is on its way, so a
//! length includes what was accepted before, unless it could not be written.
//!
//! # Closing and dropping
//!
//! `close`, of `AsyncWrite`, waits for everything, tries once more what could not be written, and closes in any case.
//! It returns the error of whatever failed, or that of `close(2)`, which is where network file systems report some.
//! While clones are open, it only waits for what was accepted. A dropped `close` still closes.
//!
//! After that, every call answers [`InvalidInput`](std::io::ErrorKind::InvalidInput), "file is closed", but for another
//! `close`, which is `Ok`. The raw descriptor is -1.
//!
//! Dropping a file never blocks and loses no accepted byte: they are still written, in order, also if the runtime is
//! dropped. Only an error has nobody left to go to. Whatever function of this crate opens, reads, writes, copies or
//! queries the same file by a path meanwhile waits for those bytes. Others, std and other processes, do not know of
//! them: before handing a path to them, call [`settle`](settle()).
//!
//! # Text
//!
//! A [`TextFile`] is characters and lines over a file of bytes: [`open_text`] for UTF-8, [`TextOptions`] for other
//! encodings, for what becomes of bytes that are no text ([`Errors`]), and for the ends of lines ([`Newline`]). It reads
//! what the file has read ahead, so a line costs no dispatch, and it hands what is written to the file at once.
//!
//! # The end of the process
//!
//! When `main` returns, after a panic in it, or when `std::process::exit` is called, the process first writes what was
//! accepted, also by files that are still open, and removes what was temporary and is dropped. It gives up when nothing has moved for 10 seconds. Once it ends,
//! nothing more is accepted, and writes of other threads stay pending.
//!
//! `_exit`, an abort, a fatal signal and the unloading of a library that holds this crate are outside this promise, and
//! so is `std::process::exit` on Windows. There, what was flushed is safe.
//!
//! A child of `fork` has none of the threads that perform file operations. If its parent has used this crate and it goes on
//! without `exec`, operations in it fail with [`Unsupported`](std::io::ErrorKind::Unsupported).
//!
//! # Special files
//!
//! Pipes, FIFOs, terminals and sockets wait for readiness, by way of the reactor of `async-io`, and never hold a thread
//! of the pool. They are unbuffered, one operation for each direction, and neither waits for the other.
//!
//! * A FIFO opens at once for reading, and its first read waits for data. For writing, it opens when there is a reader.
//! * What this crate opened is made non-blocking. What was opened elsewhere is not, because other processes may share
//!   it: it is read or written when `poll(2)` says that it is ready.
//! * The files of procfs, sysfs, cgroups and the like are unbuffered too: each write reaches them as it was made. They
//!   are read to their end whatever length they claim to have. So is `/dev/zero` and its kind.
//!
//! # Standard streams
//!
//! The handles of [`stdio`] to standard input, output and error share one state each, and need not be opened or closed.
//! Where a stream leads to a regular file, output goes where the kernel's position is, and `flush` of standard input puts
//! that where the reader is: for children, `println!`, and whoever comes next in the shell.
//!
//! # Locks
//!
//! [`File::lock`] tries on the pool, and tries again by a timer, so that any number of waiting tasks holds no thread.
//! Those who wait on one open file are served in order.
//!
//! # Cancel safety
//!
//! Dropping a future is always memory-safe and leaks no descriptor. What else it means stands at every asynchronous
//! function, in these words:
//!
//! * *Cancel safe*: nothing has happened, or all of it, and no byte is lost.
//! * *... may still be made after the future is dropped*: an operation that changes something runs to its end, once its
//!   future was polled. Whether it did is to be seen in the file system. Where an error is kept for the next call, it
//!   says so.
//! * *Dropped early, ...*: the function does several things, and has done some of them.
//!
//! For the methods of the extension traits this means:
//!
//! | method | if dropped before it is ready |
//! |---|---|
//! | `read`, `fill_buf` | Cancel safe. What was fetched goes to the next read. |
//! | `read_exact`, `read_to_end`, `read_to_string`, `read_line` | What is in your buffer has been consumed. |
//! | `write` | Cancel safe: nothing was accepted. Of an unbuffered file: it may still be made; the next write with the same bytes gets its result, and any other comes after it. |
//! | `write_all`, `io::copy` | A part may have been accepted. |
//! | `flush` | Cancel safe: it only waits. |
//! | `seek` | Cancel safe: the position is the old one. |
//! | `close` | The file is closed all the same. |
//!
//! # Errors
//!
//! Functions that take a path say what they tried, and on which path:
//!
//! ```text
//! failed to open `a.txt`: No such file or directory (os error 2)
//! ```
//!
//! Their kind is that of std's error. An [`io::Error`](std::io::Error) cannot hold both a text and a code of the
//! operating system, so its `raw_os_error` is `None`: [`raw_os_error`] finds the code of any error, and
//! [`PathError::of`] all parts. Operations on an open file return std's error as it is.
//!
//! [`Interrupted`](std::io::ErrorKind::Interrupted) is never seen; the call is made again. Arguments are checked before
//! anything is created or truncated, and offsets that no file can have are
//! [`InvalidInput`](std::io::ErrorKind::InvalidInput).
//!
//! # The backend and its thread pool
//!
//! Operations wait in one queue. A few jobs of the pool, about as many as there are processors, take them from there,
//! one after another, so one wake-up of a thread serves many operations. When all of these jobs are stuck in the kernel
//! for more than 2 ms, another starts, up to 64 ([`set_max_concurrent_operations`]), and the operations of one device
//! never hold more than half of them: a dead mount does not stop the rest. What may take long (`sync_all`, `sync_data`,
//! `copy`, `copy_with_progress`, `remove_dir_all`, `write_atomic`, `unblock`) has jobs of its own, of which one device never
//! holds more than 64 either. What is called by `unblock` is not counted.
//!
//! The pool itself belongs to the process, and is the one behind `smol::unblock`. It has up to 500 threads; the
//! variable `BLOCKING_MAX_THREADS` sets another number. When other jobs hold all of them, operations wait until one is
//! free.
//!
//! A program may have a pool of its own for all of that: an [`Executor`], for the process ([`set_executor`]), for one open
//! file ([`OpenOptions::executor`]) or for what one future does ([`with_executor`]).
//!
//! [`backend`](backend()) tells what runs the operations, and its counters.
//!
//! # The page cache and io_uring
//!
//! With the feature `nowait`, on Linux, a read of a regular file first asks the page cache: `preadv2(2)` with `RWF_NOWAIT`,
//! in the poll that asks, at most 256 KiB. If the bytes are there, nothing is dispatched, and nothing is read ahead.
//! What is missing goes the usual way. Zero bytes are never taken for the end of the file, which is where its length says
//! (`statx(2)`); a file whose bytes are not there is asked only now and then, and one whose file system does not answer
//! never again. A task that loops over such reads yields after 128 of them, or after 512 KiB.
//!
//! With the feature `uring`, which includes `nowait`, those reads that do wait for the device, and reads and writes at
//! offsets with direct I/O, go through io_uring. A ring belongs to the process and not to a runtime: any thread submits,
//! and whoever drives the reactor of `async-io`, or polls a future that waits, takes what is done. Everything else stays on the
//! pool, because a ring would hand it to a thread of the kernel, which costs more. So do files that a process serves (FUSE),
//! because the kernel would wait for the process in the call that submits. Where io_uring is refused, by the
//! kernel (before 6.1), a container or a sandbox, everything stays there.
//!
//! * `AIOFILES_BACKEND` is read once: `auto`, `pool` (no ring, and no asking of the page cache either) or `uring` (whatever
//!   has an operation goes through a ring, for tests and measurements). `AIOFILES_DEFAULT_BACKEND` sets another default
//!   when the crate is built. [`OpenOptions::backend`] chooses for one file.
//! * Buffers belong to the operation until the kernel has done it, so dropping a future early is as safe as on the pool.
//! * What a thread has submitted is completed when that thread can run code of the kernel: a thread that sits in a long
//!   system call of its own delays it. If it ends, the read is made again on the pool.
//!
//! These calls are made on the executor's thread, and no others on files: `preadv2` with `RWF_NOWAIT`, `statx` of a file
//! that has answered it, `io_uring_setup` once for each ring, `io_uring_register` to ask what it can do, and
//! `io_uring_enter`, which copies what is in the page cache by now.
//!
//! # Runtimes
//!
//! Everything here runs under smol, async-std, tokio, or `futures_lite::future::block_on`, and needs no context: a file
//! may be opened under one runtime and read under another. Futures and files are `Send`. Timers and readiness come from
//! `async-io`, which has a thread of its own where no executor drives it.
//!
//! # Testing
//!
//! With the feature `testing`, the module `aiofiles::testing` makes chosen system calls fail, come short, wait or
//! panic, and runs the jobs of the pool one by one, so that a program can test how it takes a full disk or a cancelled
//! write. Its `memory_dir` creates a temporary directory for real files that are in memory. Without the feature nothing
//! of it is compiled.
//!
//! [`memory`] and [`wrap`](wrap()) stand in for files in code that asks for the traits only.
//!
//! # Features
//!
//! None is on by default.
//!
//! * `bytes`: `Bytes` and `BytesMut` as buffers of operations at offsets.
//! * `encoding`: text files in all encodings of the WHATWG standard, by `encoding_rs`. UTF-8, UTF-16, ASCII and Latin-1 are
//!   always there.
//! * `nowait`: on Linux, reads that the page cache can answer are answered in the poll that asks.
//! * `uring`: on Linux, what waits for the device goes through io_uring; includes `nowait`.
//! * `testing`: the module just described.
//! * `tracing`: spans and events, as follows.
//!
//! # Tracing
//!
//! With the feature `tracing`, a subscriber of the crate `tracing` is told, under the target `aiofiles`:
//!
//! | level | what |
//! |---|---|
//! | warn | bytes of a dropped file that could not be written, or of any file at the end of the process; a value of `AIOFILES_BACKEND` that is not known or cannot be had |
//! | debug | what performs the operations, and why; writes in the background that failed, and syncs that failed for good; threads that are stuck in the kernel, and waiting for descriptors; what io_uring did not answer |
//! | trace | each operation that is handed to the thread pool or to io_uring: a span `operation`, with what it is (`op`), its `path` or `device`, and where it is performed (`on`); in it, when it has ended, an event with the time that it `waited` and `ran`, and its `error` |
//!
//! The span belongs to that of whoever began the operation, so what a function with `#[instrument]` does with files shows
//! under it; and so does what the closure of [`unblock`](unblock()) tells. Read-ahead and write-behind belong to the call that
//! began them.
//!
//! * The subscriber is that of the thread that began the operation. It is called by a thread which does nothing else, so it
//!   may take its time, and may write through this crate: what it does there is not told. Spans and events come a
//!   little late for that; the times in the events are exact. When 16384 wait to be told, further operations are
//!   passed over, and their number is told later.
//! * A subscriber that has *another* thread or task write through this crate sets
//!   [`NoSubscriber`](https://docs.rs/tracing/latest/tracing/subscriber/struct.NoSubscriber.html) there, or each line
//!   would be told in further lines.
//! * At the end of the process, what is not told yet is waited for, up to a second.
//! * Where nobody listens, an operation costs one look at a number.
//!
//! # Platforms
//!
//! The crate is tested on Linux. The code for macOS and Windows has neither been built nor run yet.
//!
//! * Outside Linux, the kernel is not asked to copy between open files, no space is reserved or given back, there is no
//!   direct I/O, and no file system is taken for a pseudo file system.
//! * On Windows, pipes and consoles are read and written on the pool, one operation at a time. Files have no identity
//!   there, so whoever waits for a dropped file waits for all of them. The handle of a closed file is null.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

mod at;
mod atomic;
mod backend;
mod batch;
mod buf;
mod copy;
mod dir;
#[cfg(unix)]
mod dirfd;
mod error;
mod fairness;
mod file;
mod fs;
mod lines;
mod lock;
mod mode;
mod open;
pub mod os;
mod scope;
mod settle;
mod space;
pub mod stdio;
mod stream;
#[cfg_attr(aiofiles_model, path = "../tests/model/schedules/sync.rs")]
mod sync;
mod text;
mod unblock;
mod waiters;
mod walk;
mod wrap;

#[doc(no_inline)]
pub use std::fs::{FileType, Metadata, Permissions};

pub use atomic::write_atomic;
pub use backend::sys::Advice;
pub use backend::{
    Backend, BackendKind, DirectAlignment, Executor, Work, backend, set_executor,
    set_max_concurrent_operations, with_executor,
};
pub use batch::{ReadMany, read_many};
pub use buf::{AlignedBuf, BufResult, IoBuf, IoBufMut, Slice};
pub use copy::{copy, copy_between, copy_with_progress};
pub use dir::{DirBuilder, DirEntry, ReadDir, read_dir};
pub use error::{PathError, raw_os_error};
pub use file::{File, IntoStdError};
pub use fs::{
    canonicalize, create_dir, create_dir_all, exists, hard_link, metadata, read, read_link,
    read_to_string, remove_dir, remove_dir_all, remove_file, rename, set_permissions,
    symlink_metadata, try_exists, write,
};
pub use lines::{Chunks, LineReader};
pub use mode::Mode;
pub use open::{OpenOptions, open, open_with};
pub use scope::{Scoped, with};
pub use settle::settle;
pub use space::copy_range;
pub use text::{
    Encoding, Errors, IntoLines, Lines, Newline, Newlines, SetLen, TextFile, TextOptions,
    TextPosition, open_text,
};
pub use unblock::unblock;
pub use walk::{Walk, WalkEntry, walk};
pub use wrap::{Wrapped, memory, wrap};

pub mod tempfile;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(unix)]
pub mod unix;
#[cfg(windows)]
pub mod windows;

#[doc = include_str!("python.md")]
pub mod coming_from_python {}

/// The examples of the README are compiled and run too. One of them is about the feature.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
