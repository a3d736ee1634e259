//! Copies files and directories, as cp(1) does, and shows how far it has come:
//!
//! ```sh
//! cargo run --example cp -- -r src examples /tmp
//! ```
//!
//! A copy gets the permissions of its source, also where the destination was there before.

#[path = "shared/tool.rs"]
mod tool;

use std::cell::Cell;
use std::collections::VecDeque;
use std::fs::Metadata;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use aiofiles::{File, WalkEntry};
use smol::io::AsyncWriteExt as _;
use smol::stream::StreamExt as _;
use smol::{LocalExecutor, Task};
use tool::Tool;

const TOOL: Tool = Tool {
    name: "cp",
    help: "\
Copies files and directories.

Usage: cp [-r] SOURCE DESTINATION
       cp [-r] SOURCE... DIRECTORY

On a terminal, standard error shows how far it has come. Symbolic links are followed, but with `-r` copied as links.

Options:
  -r, --recursive     Copy directories, with all that is in them
      --chunk-size=N  Copy N bytes at a time instead of leaving it to the kernel
      --help          Show this help
",
};

/// So many files are copied at the same time.
const AT_ONCE: usize = 8;

/// Drawing more often than this would only flicker.
const REDRAW: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let (mut recursive, mut chunk_size) = (false, None);
    let operands = TOOL.operands(|option| {
        if let Some(size) = option.strip_prefix("--chunk-size=") {
            chunk_size = size.parse::<usize>().ok().filter(|size| *size > 0);
            return chunk_size.is_some();
        }
        let known = matches!(option, "-r" | "-R" | "--recursive");
        recursive |= known;
        known
    });
    let mut paths = match operands {
        Ok(names) => names.into_iter().map(PathBuf::from).collect::<Vec<_>>(),
        Err(code) => return code,
    };
    let Some(target) = paths.pop().filter(|_| !paths.is_empty()) else {
        return TOOL.misused("a source and a destination are needed");
    };

    let report = Report::default();
    let executor = LocalExecutor::new();
    let copier = Copier {
        executor: &executor,
        report: &report,
        recursive,
        chunk_size,
        running: VecDeque::new(),
    };
    smol::block_on(executor.run(copier.copy_all(paths, target)));
    report.erase_bar();
    match report.failed.get() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// Copies, several files at the same time. All tasks run on one thread.
struct Copier<'e, 'r> {
    executor: &'e LocalExecutor<'r>,
    report: &'r Report,
    recursive: bool,
    chunk_size: Option<usize>,
    /// The copies that were started last, in order.
    running: VecDeque<Task<()>>,
}

impl Copier<'_, '_> {
    /// Copies every source to `target`, or into it if it is a directory.
    async fn copy_all(mut self, sources: Vec<PathBuf>, target: PathBuf) {
        let into = aiofiles::metadata(&target)
            .await
            .is_ok_and(|metadata| metadata.is_dir());
        if sources.len() > 1 && !into {
            let target = target.display();
            return self.report.failed(format!("`{target}` is no directory"));
        }
        for source in sources {
            // What has no name of its own, like `..`, is copied as the destination itself.
            let to = match source.file_name() {
                Some(name) if into => target.join(name),
                _ => target.clone(),
            };
            if let Err(error) = self.copy_one(source, to).await {
                self.report.failed(error);
            }
        }
        for task in self.running {
            task.await;
        }
    }

    async fn copy_one(&mut self, source: PathBuf, to: PathBuf) -> io::Result<()> {
        let metadata = if self.recursive {
            aiofiles::symlink_metadata(&source).await?
        } else {
            aiofiles::metadata(&source).await?
        };
        if metadata.is_symlink() {
            copy_link(&source, &to).await
        } else if !metadata.is_dir() {
            self.start_copy(source, to, metadata.len()).await;
            Ok(())
        } else if !self.recursive {
            self.report.failed(format!(
                "`{}` is a directory, and `-r` was not given",
                source.display()
            ));
            Ok(())
        } else if is_inside(&to, &source).await? {
            self.report.failed(format!(
                "`{}` would be copied into itself",
                source.display()
            ));
            Ok(())
        } else {
            self.copy_tree(&source, &to).await;
            Ok(())
        }
    }

    /// Copies a directory and all that is in it.
    async fn copy_tree(&mut self, source: &Path, to: &Path) {
        let mut walk = aiofiles::walk(source);
        while let Some(entry) = walk.next().await {
            let copied = match entry {
                Ok(entry) => self.copy_entry(&entry, source, to).await,
                Err(error) => Err(error),
            };
            // What is in a directory that was not created fails too, and is told of too.
            if let Err(error) = copied {
                self.report.failed(error);
            }
        }
    }

    async fn copy_entry(&mut self, entry: &WalkEntry, source: &Path, to: &Path) -> io::Result<()> {
        let to = match entry.path().strip_prefix(source) {
            Ok(below) if below.as_os_str().is_empty() => to.to_owned(),
            Ok(below) => to.join(below),
            Err(_) => return Err(io::Error::other("a walk left its directory")),
        };
        if entry.file_type().is_dir() {
            copy_dir(entry.metadata(), &to).await
        } else if entry.file_type().is_symlink() {
            copy_link(entry.path(), &to).await
        } else {
            let len = entry.metadata().len();
            self.start_copy(entry.path().to_owned(), to, len).await;
            Ok(())
        }
    }

    /// Starts to copy a file, and waits for an earlier copy if there are enough of them.
    async fn start_copy(&mut self, from: PathBuf, to: PathBuf, len: u64) {
        let (report, chunk_size) = (self.report, self.chunk_size);
        report.add_to_do(len);
        if self.running.len() == AT_ONCE
            && let Some(earliest) = self.running.pop_front()
        {
            earliest.await;
        }
        self.running.push_back(
            self.executor
                .spawn(async move { copy_file(report, &from, &to, chunk_size).await }),
        );
    }
}

async fn copy_file(report: &Report, from: &Path, to: &Path, chunk_size: Option<usize>) {
    // Copying would begin by truncating it.
    if is_same_file(from, to).await {
        let (from, to) = (from.display(), to.display());
        return report.failed(format!("`{from}` and `{to}` are the same file"));
    }
    let mut counted = 0;
    let mut progress = |done, _| {
        report.add_done(done - counted);
        counted = done;
    };
    let copied = match chunk_size {
        None => aiofiles::copy_with_progress(from, to, progress)
            .await
            .map(drop),
        Some(size) => copy_chunks(from, to, size, &mut progress).await,
    };
    if let Err(error) = copied {
        report.failed(error);
    }
}

/// Copies chunk by chunk: through the memory of this program, where [`aiofiles::copy`] leaves it to the kernel.
async fn copy_chunks(
    from: &Path,
    to: &Path,
    size: usize,
    progress: &mut dyn FnMut(u64, u64),
) -> io::Result<()> {
    let input = File::open(from).await?;
    let metadata = input.metadata().await?;
    let mut output = File::create(to).await?;
    let (mut chunks, mut done) = (input.chunks(size), 0);
    while let Some(chunk) = chunks.try_next().await? {
        output.write_all(&chunk).await?;
        done += chunk.len() as u64;
        progress(done, metadata.len());
    }
    output.set_permissions(metadata.permissions()).await?;
    output.close().await
}

/// Creates a directory with the permissions of another, if it is not there.
async fn copy_dir(metadata: &Metadata, to: &Path) -> io::Result<()> {
    let builder = aiofiles::DirBuilder::new();
    #[cfg(unix)]
    let builder = {
        use aiofiles::unix::{DirBuilderExt as _, PermissionsExt as _};
        let mut builder = builder;
        // Its owner must be able to copy something into it.
        builder.mode(metadata.permissions().mode() & 0o777 | 0o700);
        builder
    };
    #[cfg(not(unix))]
    let _ = metadata;
    match builder.create(to).await {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            match aiofiles::metadata(to).await?.is_dir() {
                true => Ok(()),
                false => Err(error),
            }
        }
        result => result,
    }
}

#[cfg(unix)]
async fn copy_link(from: &Path, to: &Path) -> io::Result<()> {
    aiofiles::unix::symlink(aiofiles::read_link(from).await?, to).await
}

#[cfg(not(unix))]
async fn copy_link(from: &Path, _: &Path) -> io::Result<()> {
    // A link to a file and one to a directory are made in different ways there.
    Err(io::Error::other(format!(
        "`{}` is a symbolic link",
        from.display()
    )))
}

/// Whether `path` is below `dir`, or would be if it existed.
async fn is_inside(path: &Path, dir: &Path) -> io::Result<bool> {
    let dir = aiofiles::canonicalize(dir).await?;
    // The nearest thing that exists tells where the rest would be.
    for ancestor in path.ancestors() {
        let ancestor = match ancestor.as_os_str().is_empty() {
            true => Path::new("."),
            false => ancestor,
        };
        match aiofiles::canonicalize(ancestor).await {
            Ok(ancestor) => return Ok(ancestor.starts_with(&dir)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

#[cfg(unix)]
async fn is_same_file(one: &Path, other: &Path) -> bool {
    use aiofiles::unix::MetadataExt as _;
    match (
        aiofiles::metadata(one).await,
        aiofiles::metadata(other).await,
    ) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
async fn is_same_file(one: &Path, other: &Path) -> bool {
    match (
        aiofiles::canonicalize(one).await,
        aiofiles::canonicalize(other).await,
    ) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// How far the copying is, and whether anything failed.
struct Report {
    /// Standard error is a terminal.
    shown: bool,
    done: Cell<u64>,
    /// How much was found to be copied so far.
    to_do: Cell<u64>,
    drawn: Cell<Option<Instant>>,
    failed: Cell<bool>,
}

impl Default for Report {
    fn default() -> Report {
        Report {
            shown: io::stderr().is_terminal(),
            done: Cell::new(0),
            to_do: Cell::new(0),
            drawn: Cell::new(None),
            failed: Cell::new(false),
        }
    }
}

impl Report {
    fn add_to_do(&self, bytes: u64) {
        self.to_do.set(self.to_do.get() + bytes);
    }

    fn add_done(&self, bytes: u64) {
        self.done.set(self.done.get() + bytes);
        let drawn_just_now = self
            .drawn
            .get()
            .is_some_and(|drawn| drawn.elapsed() < REDRAW);
        if self.shown && !drawn_just_now {
            self.draw_bar();
            self.drawn.set(Some(Instant::now()));
        }
    }

    fn draw_bar(&self) {
        const WIDTH: u64 = 30;
        // A file may have grown since it was measured.
        let (done, to_do) = (self.done.get(), self.to_do.get().max(self.done.get()));
        let parts =
            |whole: u64| (u128::from(done) * u128::from(whole) / u128::from(to_do.max(1))) as usize;
        let _ = write!(
            io::stderr(),
            "\r{:3} % [{:-<width$}] {} of {} MiB\x1b[K",
            parts(100),
            "#".repeat(parts(WIDTH)),
            done >> 20,
            to_do >> 20,
            width = WIDTH as usize,
        );
    }

    fn erase_bar(&self) {
        if self.drawn.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    /// Tells what went wrong. The rest is copied all the same.
    fn failed(&self, message: impl std::fmt::Display) {
        self.failed.set(true);
        self.erase_bar();
        // If even that fails, there is nobody left to tell.
        let _ = writeln!(io::stderr(), "cp: {message}");
    }
}
