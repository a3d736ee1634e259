//! A FUSE file system that shows a directory at another place, every request served by a task with `aiofiles`.
//!
//! ```text
//! passthrough [--no-cache | --write-back] SOURCE MOUNTPOINT
//! ```
//!
//! It runs until `umount MOUNTPOINT`. Who is not root needs `fusermount3` for that. `AIOFILES_BACKEND` and `SMOL_THREADS`
//! say what performs the operations, and how many threads the tasks have.

use std::env;
use std::process::ExitCode;

use aiofiles_proof::passthrough::{Caching, Passthrough};

fn main() -> ExitCode {
    let args = env::args().skip(1).collect::<Vec<_>>();
    let args = args.iter().map(String::as_str).collect::<Vec<_>>();
    let (caching, source, mount_point) = match args[..] {
        ["--no-cache", source, mount_point] => (Caching::None, source, mount_point),
        ["--write-back", source, mount_point] => (Caching::Back, source, mount_point),
        [source, mount_point] => (Caching::Through, source, mount_point),
        _ => {
            eprintln!("usage: passthrough [--no-cache | --write-back] SOURCE MOUNTPOINT");
            return ExitCode::from(2);
        }
    };
    // New files have the mode that the kernel says, from which it took the umask of their user.
    rustix::process::umask(rustix::fs::Mode::empty());
    let served = smol::block_on(Passthrough::new(source, caching))
        .and_then(|passthrough| passthrough.mount(mount_point))
        .and_then(|session| {
            eprintln!("{source} is at {mount_point} too, until `umount {mount_point}`");
            session.run()
        });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("passthrough: {error}");
            ExitCode::FAILURE
        }
    }
}
