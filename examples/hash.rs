//! Prints digests of a file by four algorithms, as md5sum(1) and its likes do with `--tag`:
//!
//! ```sh
//! cargo run --example hash -- README.md
//! ```
//!
//! The file is opened once, and read four times at the same time, through cursors. With `SMOL_THREADS=4` in the
//! environment, smol has four threads to compute the digests on instead of one.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use aiofiles::{File, PathError};
use futures_util::stream::FuturesUnordered;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use smol::future::yield_now;
use smol::stream::StreamExt as _;

const HELP: &str = "\
Prints the MD5, SHA-1, SHA-256 and SHA-512 digests of a file, each as soon as it is known.

Usage: hash FILE

Options:
  --help  Show this help
";

/// So many bytes are read and digested at a time.
const CHUNK: usize = 128 * 1024;

fn main() -> ExitCode {
    let name = match arguments() {
        Ok(name) => name,
        Err(code) => return code,
    };
    // The digests are computed by tasks on smol's own threads. This one prints, so it may wait for standard output.
    match smol::block_on(hash(&name)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        // Whoever reads the output has seen enough.
        Ok(Err(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            complain("standard output".as_ref(), &error);
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&name, &error);
            ExitCode::FAILURE
        }
    }
}

/// The name of the file, or the code to exit with.
fn arguments() -> Result<OsString, ExitCode> {
    let mut names = Vec::new();
    let mut options = true;
    for argument in env::args_os().skip(1) {
        match argument.to_str() {
            Some("--") if options => options = false,
            Some("--help") if options => {
                // It is no error if nobody reads it.
                let _ = io::stdout().write_all(HELP.as_bytes());
                return Err(ExitCode::SUCCESS);
            }
            Some(option) if options && option.starts_with('-') => {
                return Err(misused(&format!("unknown option `{option}`")));
            }
            _ => names.push(argument),
        }
    }
    match <[OsString; 1]>::try_from(names) {
        Ok([name]) => Ok(name),
        Err(_) => Err(misused("one file is needed")),
    }
}

fn misused(message: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "hash: {message}; see `hash --help`");
    ExitCode::from(2)
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

/// Tells what went wrong, and with which file, unless the error names it itself.
fn complain(name: &OsStr, error: &io::Error) {
    let mut stderr = io::stderr();
    // If even that fails, there is nobody left to tell.
    let _ = match PathError::of(error) {
        Some(error) => writeln!(stderr, "hash: {error}"),
        None => writeln!(stderr, "hash: {}: {error}", name.display()),
    };
}
