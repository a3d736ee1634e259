//! The entries of the operations.

use std::io;
use std::os::fd::AsRawFd;
use std::panic;
use std::thread;

use io_uring::{opcode, squeue, types};

use super::{Encode, wants_read, wants_write};
use crate::backend::description::Description;
use crate::backend::sys::{self, Call};
use crate::backend::transfer::{Fill, ReadAt, Step, Then, WriteAt};
use crate::buf::{IoBuf, IoBufMut};

/// What is read at once and lies in the page cache is copied in the poll that submits it: not more than this.
const MOST_INLINE: usize = 256 * 1024;

fn fd(description: &Description) -> types::Fd {
    types::Fd(description.file().as_raw_fd())
}

fn clamp(call: Call, len: usize) -> u32 {
    // Below 2^31, so it fits.
    sys::clamp(call, len) as u32
}

// SAFETY: the buffer belongs to the operation, and its trait promises that its memory does not move with it. The
// operation has a share of the open file.
unsafe impl<B: IoBufMut> Encode for ReadAt<B> {
    const CALL: Call = Call::RingRead;

    fn wants_ring(&self) -> bool {
        let len = self.buf.bytes_total() - self.filled;
        len > 0
            && wants_read(&self.description)
            && (len <= MOST_INLINE || !self.description.expects_cached())
            && self.check().is_ok()
    }

    fn entry(&mut self) -> squeue::Entry {
        let len = clamp(Self::CALL, self.buf.bytes_total() - self.filled);
        let memory = self.buf.stable_mut_ptr().wrapping_add(self.filled);
        opcode::Read::new(fd(&self.description), memory, len)
            .offset(self.offset + self.filled as u64)
            .build()
    }

    fn completed(self, result: thread::Result<io::Result<usize>>) -> Step<Self> {
        match result {
            Ok(result) => self.step(result),
            Err(panic) => panic::resume_unwind(panic),
        }
    }
}

// SAFETY: as above.
unsafe impl<B, D> Encode for WriteAt<B, D>
where
    B: IoBuf,
    D: FnOnce(&io::Result<usize>) + Send + 'static,
{
    const CALL: Call = Call::RingWrite;

    fn wants_ring(&self) -> bool {
        wants_write(&self.description) && !self.rest().is_empty() && self.check().is_ok()
    }

    fn entry(&mut self) -> squeue::Entry {
        let rest = self.rest();
        opcode::Write::new(
            fd(&self.description),
            rest.as_ptr(),
            clamp(Self::CALL, rest.len()),
        )
        .offset(self.offset + self.written as u64)
        .build()
    }

    fn completed(self, result: thread::Result<io::Result<usize>>) -> Step<Self> {
        match result {
            Ok(result) => self.step(result),
            Err(panic) => panic::resume_unwind(panic),
        }
    }
}

// SAFETY: the vector belongs to the operation, and its memory does not move with it. The operation has a share of the
// open file.
unsafe impl<T: Then> Encode for Fill<T> {
    const CALL: Call = Call::RingRead;

    fn wants_ring(&self) -> bool {
        wants_read(&self.description) && !self.description.is_direct()
    }

    fn entry(&mut self) -> squeue::Entry {
        let memory = &mut self.bytes.spare_capacity_mut()[..self.len];
        let memory = memory.as_mut_ptr().cast();
        opcode::Read::new(fd(&self.description), memory, clamp(Self::CALL, self.len))
            .offset(self.offset)
            .build()
    }

    fn completed(self, result: thread::Result<io::Result<usize>>) -> Step<Self> {
        self.step(result)
    }
}
