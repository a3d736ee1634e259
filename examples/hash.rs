//! Prints digests of a file by four algorithms, as md5sum(1) and its likes do with `--tag`:
//!
//! ```sh
//! cargo run --example hash -- README.md
//! ```
//!
//! The file is opened once, and read four times at the same time, through cursors. With `SMOL_THREADS=4` in the
//! environment, smol has four threads to compute the digests on instead of one.

#[path = "shared/tool.rs"]
mod tool;

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::process::ExitCode;

use aiofiles::File;
use futures_util::stream::FuturesUnordered;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use smol::future::yield_now;
use smol::stream::StreamExt as _;
use tool::Tool;

const TOOL: Tool = Tool {
    name: "hash",
    help: "\
Prints the MD5, SHA-1, SHA-256 and SHA-512 digests of a file, each as soon as it is known.

Usage: hash FILE

Options:
  --help  Show this help
",
};

/// So many bytes are read and digested at a time.
const CHUNK: usize = 128 * 1024;

fn main() -> ExitCode {
    let names = match TOOL.operands(|_| false) {
        Ok(names) => names,
        Err(code) => return code,
    };
    let [name] = &names[..] else {
        return TOOL.misused("one file is needed");
    };
    // The digests are computed by tasks on smol's own threads. This one prints, so it may wait for standard output.
    match smol::block_on(hash(name)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => TOOL.cannot_print(&error),
        Err(error) => {
            TOOL.complain(name, &error);
            ExitCode::FAILURE
        }
    }
}

/// Prints the digests of a file. The outer error is that of reading it, the inner one that of standard output.
async fn hash(name: &OsStr) -> io::Result<io::Result<()>> {
    let file = File::open(name).await?;
    let mut digests = FuturesUnordered::new();
    digests.push(smol::spawn(digest::<Md5>("MD5", file.cursor(0)?)));
    digests.push(smol::spawn(digest::<Sha1>("SHA1", file.cursor(0)?)));
    digests.push(smol::spawn(digest::<Sha256>("SHA256", file.cursor(0)?)));
    digests.push(smol::spawn(digest::<Sha512>("SHA512", file.cursor(0)?)));
    // After an error, the tasks that are left are cancelled by being dropped.
    while let Some(digest) = digests.next().await {
        let (algorithm, hex) = digest?;
        if let Err(error) = print(algorithm, name, &hex) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// Computes the digest of what is left of `file`.
async fn digest<D: Digest>(
    algorithm: &'static str,
    file: File,
) -> io::Result<(&'static str, String)> {
    let mut digest = D::new();
    let mut chunks = file.chunks(CHUNK);
    while let Some(chunk) = chunks.try_next().await? {
        digest.update(&chunk);
        // That was work enough, also where the next chunk is already there. The other tasks have their turn.
        yield_now().await;
    }
    let bytes = digest.finalize();
    Ok((
        algorithm,
        bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    ))
}

/// Prints one line.
fn print(algorithm: &str, name: &OsStr, hex: &str) -> io::Result<()> {
    let line = [
        algorithm.as_bytes(),
        b" (",
        name.as_encoded_bytes(),
        b") = ",
        hex.as_bytes(),
        b"\n",
    ];
    io::stdout().write_all(&line.concat())
}
