//! Direct I/O: past the page cache, in whole blocks of the device.
//!
//! The kernel takes such reads and writes only with memory, offsets and lengths that are multiples of its blocks. What
//! comes from the buffers of a file's position is of any length, so it goes by way of aligned memory, and blocks of which
//! only a part is written are read before.

use std::fs::File;
use std::io;
use std::sync::PoisonError;

use super::sync::Mutex;

use super::sys;
use crate::buf::{AlignedBuf, fill};

/// What direct I/O on a file asks for, in bytes; see [`File::direct_alignment`](crate::File::direct_alignment).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DirectAlignment {
    /// Memory begins at a multiple of this.
    pub memory: usize,
    /// Offsets in the file and lengths are multiples of this.
    pub offset: usize,
}

/// A last block that was written whole, and could not be cut off where the file ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uncut {
    /// Where the file ends now.
    padded: u64,
    /// Where it ought to end.
    right: u64,
}

/// The most that goes through aligned memory at once.
const MOST: usize = 1024 * 1024;

impl DirectAlignment {
    /// What suits every device of today, for systems that do not tell.
    pub(crate) const SAFE: DirectAlignment = DirectAlignment {
        memory: 4096,
        offset: 4096,
    };

    /// Refuses what the kernel would, and says why.
    pub(crate) fn check(self, memory: *const u8, len: usize, offset: u64) -> io::Result<()> {
        if memory.addr().is_multiple_of(self.memory)
            && len.is_multiple_of(self.offset)
            && offset.is_multiple_of(self.offset as u64)
        {
            return Ok(());
        }
        let DirectAlignment {
            memory,
            offset: block,
        } = self;
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "direct I/O needs memory that begins at a multiple of {memory} bytes, and an offset and a length that are multiples of {block} bytes"
            ),
        ))
    }

    /// The block that holds `offset`, and the end of the one before `end`.
    fn around(self, offset: u64, len: usize) -> (u64, usize) {
        let block = self.offset as u64;
        let begin = offset - offset % block;
        let end = (offset + len as u64).next_multiple_of(block);
        (begin, (end - begin) as usize)
    }

    /// Appends up to `len` bytes at `offset` to `buf`.
    pub(super) fn read_at(
        self,
        file: &File,
        buf: &mut Vec<u8>,
        len: usize,
        offset: u64,
    ) -> io::Result<usize> {
        let len = len.min(MOST);
        let (begin, size) = self.around(offset, len);
        let mut blocks = AlignedBuf::with_capacity(size, self.memory)?;
        fill(&mut blocks, |memory| {
            sys::read_into(file, memory, begin).map_err(|error| (0, error))
        })?;
        let skipped = (offset - begin) as usize;
        let found = blocks.get(skipped..).unwrap_or_default();
        let found = &found[..found.len().min(len)];
        buf.extend_from_slice(found);
        Ok(found.len())
    }

    /// Writes `bytes` at `offset`. What the last block has beyond the end of the file is cut off again. If it cannot be,
    /// nothing counts as written, and `uncut` says so to the next write.
    pub(super) fn write_at(
        self,
        file: &File,
        bytes: &[u8],
        offset: u64,
        uncut: &Mutex<Option<Box<Uncut>>>,
    ) -> io::Result<usize> {
        let uncut = || uncut.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = &bytes[..bytes.len().min(MOST)];
        let (begin, size) = self.around(offset, bytes.len());
        let end = offset + bytes.len() as u64;
        let mut blocks = AlignedBuf::zeroed(size, self.memory)?;

        // Keep what stands in the first and the last block around the bytes.
        let last = size - self.offset;
        let (head, tail) = (offset != begin, end != begin + size as u64);
        for at in [
            head.then_some(0),
            (tail && (last > 0 || !head)).then_some(last),
        ] {
            let Some(at) = at else { continue };
            let mut present = Vec::new();
            self.read_at(file, &mut present, self.offset, begin + at as u64)?;
            blocks[at..at + present.len()].copy_from_slice(&present);
        }
        let skipped = (offset - begin) as usize;
        blocks[skipped..skipped + bytes.len()].copy_from_slice(bytes);

        // Write whole blocks.
        let found = sys::file_metadata(file)?.len();
        let left = uncut()
            .as_ref()
            .filter(|uncut| uncut.padded == found)
            .map(|uncut| uncut.right);
        let length = left.unwrap_or(found);
        let mut written = 0;
        let result = loop {
            match sys::write_at(file, &blocks[written..], begin + written as u64) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => written += n,
                Err(error) => break Err(error),
            }
            if written == size {
                break Ok(());
            }
            // The next call must begin with a block.
            written -= written % self.offset;
        };

        // The file ends where the bytes do, or where it did before; unless others have made it longer meanwhile.
        let (padded, right) = (begin + size as u64, end.max(length));
        if written == size && right < padded {
            // Until it is cut off, whatever happens.
            let right_before = length;
            *uncut() = Some(Box::new(Uncut {
                padded,
                right: right_before,
            }));
            if sys::file_metadata(file)?.len() == padded {
                sys::set_len(file, right)?;
            }
        }
        if written == size {
            *uncut() = None;
        }
        match written.saturating_sub(skipped).min(bytes.len()) {
            0 => result.map(|()| 0),
            n => Ok(n),
        }
    }
}
