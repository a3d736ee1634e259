//! Puts files one after another into a new one, from all sides at once:
//!
//! ```sh
//! cargo run --example gather -- /tmp/everything README.md CHANGELOG.md
//! ```
//!
//! The content is that of `cat`, but it comes in pieces and in no order: each is read at its offset in an input and
//! written at its offset in the output, and many of them are on their way at the same time.

#[path = "shared/tool.rs"]
mod tool;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aiofiles::{File, IoBuf as _};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use smol::io::AsyncWriteExt as _;
use tool::Tool;

const TOOL: Tool = Tool {
    name: "gather",
    help: "\
Puts files one after another into a new one, piece by piece and in random order.

Usage: gather OUTPUT INPUT...

OUTPUT must not exist. If something fails, it is removed again. Every INPUT must be a regular file.

Options:
  --help  Show this help
",
};

/// So many bytes are one piece.
const PIECE: u64 = 64 * 1024;

/// So many pieces are on their way at the same time.
const AT_ONCE: usize = 32;

fn main() -> ExitCode {
    let paths = match TOOL.operands(|_| false) {
        Ok(names) => names.into_iter().map(PathBuf::from).collect::<Vec<_>>(),
        Err(code) => return code,
    };
    let Some((output, inputs @ [_, ..])) = paths.split_first() else {
        return TOOL.misused("an output and an input are needed");
    };
    match smol::block_on(gather(output, inputs)) {
        Ok(()) => ExitCode::SUCCESS,
        Err((path, error)) => {
            TOOL.complain(path.as_os_str(), &error);
            ExitCode::FAILURE
        }
    }
}

/// What went wrong, and with which file.
type Failure<'p> = (&'p Path, io::Error);

/// Puts the inputs into a new file.
async fn gather<'p>(output: &'p Path, inputs: &'p [PathBuf]) -> Result<(), Failure<'p>> {
    let mut opened = Vec::new();
    for path in inputs {
        opened.push(open(path).await.map_err(|error| (&**path, error))?);
    }
    let mut pieces = pieces(inputs, &opened);
    fastrand::shuffle(&mut pieces);

    let mut new = File::create_new(output)
        .await
        .map_err(|error| (output, error))?;
    let mut filled = fill(output, &new, pieces).await;
    if filled.is_ok() {
        filled = new.sync_all().await.map_err(|error| (output, error));
    }
    if filled.is_err() {
        // Pieces are missing anywhere in it. Writes may be on their way still: `close` waits for them. If it cannot be
        // removed either, the first error says enough.
        let _ = new.close().await;
        let _ = aiofiles::remove_file(output).await;
    }
    filled
}

/// Opens an input, and tells its length.
async fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path).await?;
    let metadata = file.metadata().await?;
    if !metadata.is_file() {
        // What is no file has no length that is known before it was read.
        return Err(io::Error::other("not a regular file"));
    }
    Ok((file, metadata.len()))
}

/// A part of an input, and where it belongs.
struct Piece<'p, 'f> {
    path: &'p Path,
    input: &'f File,
    from: u64,
    to: u64,
    len: usize,
}

/// All pieces of all inputs, in order.
fn pieces<'p, 'f>(paths: &'p [PathBuf], opened: &'f [(File, u64)]) -> Vec<Piece<'p, 'f>> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    for (path, (input, len)) in paths.iter().zip(opened) {
        for from in (0..*len).step_by(PIECE as usize) {
            pieces.push(Piece {
                path,
                input,
                from,
                to: begin + from,
                len: PIECE.min(len - from) as usize,
            });
        }
        begin += len;
    }
    pieces
}

/// Copies the pieces, [`AT_ONCE`] at the same time.
async fn fill<'p>(
    path: &'p Path,
    output: &File,
    pieces: Vec<Piece<'p, '_>>,
) -> Result<(), Failure<'p>> {
    let copies = pieces.into_iter().map(|piece| async move {
        // A vector may have room for more than it was asked for.
        let buf = Vec::with_capacity(piece.len).slice(..piece.len);
        let (read, buf) = piece.input.read_exact_at(buf, piece.from).await;
        read.map_err(|error| (piece.path, error))?;
        let (written, _) = output.write_all_at(buf, piece.to).await;
        written.map_err(|error| (path, error))
    });
    stream::iter(copies)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}
