//! The new files that a run writes.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::{Scene, check};

/// No run writes more new files than this: they are removed before the kernel begins to write them back.
pub const MOST: u64 = 4;

/// Files `written-0`, `written-1` and so on, each of the same length in the end.
pub struct Outputs {
    dir: PathBuf,
    len: u64,
}

impl Outputs {
    pub fn new(scene: &Scene, len: u64) -> Outputs {
        Outputs {
            dir: scene.dir().to_owned(),
            len,
        }
    }

    pub fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("written-{number}"))
    }

    /// Removes them all, having seen that nothing is missing in them.
    pub fn remove_all(&self) -> io::Result<()> {
        for path in (0..).map(|number| self.path(number)) {
            let Ok(metadata) = fs::metadata(&path) else {
                break;
            };
            check("bytes written", metadata.len(), self.len)?;
            fs::remove_file(path)?;
        }
        Ok(())
    }
}
