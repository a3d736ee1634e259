//! The operations that move bytes and have two interpretations: each can be run, and each can be an entry of a ring.
#![cfg_attr(
    not(all(feature = "uring", target_os = "linux")),
    allow(
        dead_code,
        reason = "only what a ring has done is looked at step by step"
    )
)]

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;

use super::description::Description;
use super::op::{Manner, Op};
use super::place::Place;
use super::trace::{self, Name};
use super::{pool, sys};
use crate::buf::{self, BufResult, IoBuf, IoBufMut};

/// What came of a step of an operation.
pub(crate) enum Step<O: Op> {
    Done(O::Output),
    /// It has more to do.
    Again(O),
}

/// Reads at an offset into a buffer, once or until it is full.
pub(crate) struct ReadAt<B> {
    pub(crate) description: Arc<Description>,
    pub(crate) buf: B,
    pub(crate) offset: u64,
    /// How much of the buffer is filled already.
    pub(crate) filled: usize,
    /// It goes on until the buffer is full, or the file at its end.
    pub(crate) whole: bool,
}

impl<B: IoBufMut> Op for ReadAt<B> {
    type Output = BufResult<usize, B>;

    fn name(&self) -> Name {
        Name::of("read at")
    }

    fn manner(&self) -> Manner {
        Manner::Query
    }

    fn place(&self) -> Place {
        self.description.place()
    }

    fn run(self) -> Self::Output {
        self.description.prepare_cached();
        if let Err(error) = self.check() {
            return (Err(error), self.buf);
        }
        let block = self.block();
        let ReadAt {
            description,
            mut buf,
            offset,
            mut filled,
            whole,
        } = self;
        let result = buf::fill(&mut buf, |memory| {
            loop {
                pool::still_moving();
                let next = offset + filled as u64;
                match sys::read_into(description.file(), &mut memory[filled..], next) {
                    Ok(0) => return Ok(filled),
                    Ok(n) => filled += n,
                    // The next call meets the error again.
                    Err(_) if filled > 0 && !whole => return Ok(filled),
                    Err(error) => return Err((filled, error)),
                }
                // Direct I/O comes short only at the end of the file, and could not go on from there.
                if !whole || filled == memory.len() || !filled.is_multiple_of(block) {
                    return Ok(filled);
                }
            }
        });
        (result, buf)
    }

    fn error((result, _): &Self::Output) -> Option<&io::Error> {
        result.as_ref().err()
    }
}

impl<B: IoBufMut> ReadAt<B> {
    /// Refuses what direct I/O cannot do, if that is what happens here.
    pub(super) fn check(&self) -> io::Result<()> {
        let (memory, len) = (self.buf.stable_ptr(), self.buf.bytes_total());
        self.description.check_direct(memory, len, self.offset)
    }

    fn block(&self) -> usize {
        self.description.direct().map_or(1, |direct| direct.offset)
    }

    /// What one step found, or failed with.
    pub(super) fn step(mut self, result: io::Result<usize>) -> Step<Self> {
        let more = match &result {
            Ok(n) => {
                self.filled += n;
                let full = self.filled >= self.buf.bytes_total();
                *n > 0 && self.whole && !full && self.filled.is_multiple_of(self.block())
            }
            Err(_) => false,
        };
        if more {
            return Step::Again(self);
        }
        let filled = self.filled;
        let result = buf::fill(&mut self.buf, |_| match result {
            Ok(_) => Ok(filled),
            Err(_) if filled > 0 && !self.whole => Ok(filled),
            Err(error) => Err((filled, error)),
        });
        Step::Done((result, self.buf))
    }
}

/// Writes the content of a buffer at an offset, once or all of it.
pub(crate) struct WriteAt<B, D> {
    pub(crate) description: Arc<Description>,
    pub(crate) buf: B,
    pub(crate) offset: u64,
    pub(crate) written: usize,
    /// It goes on until all is written.
    pub(crate) whole: bool,
    /// Told what came of it, whoever waits for that or does not.
    pub(crate) done: D,
}

impl<B: IoBuf, D: FnOnce(&io::Result<usize>) + Send + 'static> Op for WriteAt<B, D> {
    type Output = BufResult<usize, B>;

    fn name(&self) -> Name {
        Name::of("write at")
    }

    fn manner(&self) -> Manner {
        Manner::Change
    }

    fn place(&self) -> Place {
        self.description.place()
    }

    fn run(mut self) -> Self::Output {
        let all = buf::content(&self.buf).len();
        let result = loop {
            if self.written == all {
                break Ok(self.written);
            }
            pool::still_moving();
            match self.write_some() {
                Ok(0) if self.whole => break Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.written += n,
                Err(error) => break Err(error),
            }
            if !self.whole {
                break Ok(self.written);
            }
        };
        (self.done)(&result);
        (result, self.buf)
    }

    fn error((result, _): &Self::Output) -> Option<&io::Error> {
        result.as_ref().err()
    }
}

impl<B: IoBuf, D: FnOnce(&io::Result<usize>) + Send + 'static> WriteAt<B, D> {
    /// Refuses what cannot be.
    pub(super) fn check(&self) -> io::Result<()> {
        let next = self.offset + self.written as u64;
        if next >= sys::LARGEST_OFFSET {
            return Err(sys::file_too_large());
        }
        let rest = self.rest();
        self.description
            .check_direct(rest.as_ptr(), rest.len(), next)
    }

    /// What is not written yet.
    pub(super) fn rest(&self) -> &[u8] {
        &buf::content(&self.buf)[self.written..]
    }

    fn write_some(&self) -> io::Result<usize> {
        self.check()?;
        let next = self.offset + self.written as u64;
        let room = usize::try_from(sys::LARGEST_OFFSET - next).unwrap_or(usize::MAX);
        let rest = self.rest();
        sys::write_at(self.description.file(), &rest[..rest.len().min(room)], next)
    }

    /// What one step wrote, or failed with.
    pub(super) fn step(mut self, result: io::Result<usize>) -> Step<Self> {
        let result = match result {
            Ok(0) if self.whole => Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                self.written += n;
                if self.whole && !self.rest().is_empty() {
                    return Step::Again(self);
                }
                Ok(self.written)
            }
            Err(error) => Err(error),
        };
        (self.done)(&result);
        Step::Done((result, self.buf))
    }
}

/// Fills blocks from a file, one after the other.
pub(crate) struct Fill<T> {
    pub(crate) description: Arc<Description>,
    /// Empty, with room for `len` bytes.
    pub(crate) bytes: Vec<u8>,
    pub(crate) len: usize,
    pub(crate) offset: u64,
    /// Takes them.
    pub(crate) then: T,
}

/// Takes a block that was filled, and says which is next.
pub(crate) trait Then: Send + Sized + 'static {
    fn filled(
        self,
        bytes: Vec<u8>,
        result: thread::Result<io::Result<usize>>,
    ) -> Option<Fill<Self>>;
}

impl<T: Then> Op for Fill<T> {
    type Output = ();

    fn name(&self) -> Name {
        Name::of("read ahead")
    }

    fn manner(&self) -> Manner {
        Manner::Change
    }

    fn place(&self) -> Place {
        self.description.place()
    }

    fn run(mut self) {
        loop {
            pool::still_moving();
            let read = || {
                self.description
                    .read_at(&mut self.bytes, self.len, self.offset)
            };
            let result = panic::catch_unwind(AssertUnwindSafe(read));
            if let Ok(Err(error)) = &result {
                trace::failed(error);
            }
            match self.then.filled(self.bytes, result) {
                Some(next) => self = next,
                None => return,
            }
        }
    }

    fn error(_: &()) -> Option<&io::Error> {
        None
    }
}

impl<T: Then> Fill<T> {
    /// What the block holds now, or why it holds nothing.
    pub(super) fn step(mut self, result: thread::Result<io::Result<usize>>) -> Step<Self> {
        if let Ok(Err(error)) = &result {
            trace::failed(error);
        }
        let result = result.map(|read| read.map(|n| buf::append(&mut self.bytes, self.len, |_| n)));
        match self.then.filled(self.bytes, result) {
            Some(next) => Step::Again(next),
            None => Step::Done(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const EIO: i32 = 5;

    fn failed() -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(EIO))
    }

    fn description() -> Arc<Description> {
        Description::foreign(::tempfile::tempfile().expect("a file"))
    }

    /// How many bytes were read and are in the buffer, or how many are when there is more to do.
    fn read(
        filled: usize,
        whole: bool,
        result: io::Result<usize>,
    ) -> Result<(Option<usize>, usize), usize> {
        let step = ReadAt {
            description: description(),
            buf: vec![0; 10],
            offset: 100,
            filled,
            whole,
        };
        match step.step(result) {
            Step::Done((result, buf)) => Ok((result.ok(), buf.len())),
            Step::Again(next) => Err(next.filled),
        }
    }

    #[test]
    fn a_read_goes_on_only_if_it_is_to_fill_its_buffer() {
        assert_eq!(read(0, true, Ok(4)), Err(4));
        assert_eq!(read(4, true, Ok(5)), Err(9));
        assert_eq!(read(4, true, Ok(6)), Ok((Some(10), 10)));
        assert_eq!(read(4, true, Ok(0)), Ok((Some(4), 4)));
        assert_eq!(read(0, false, Ok(4)), Ok((Some(4), 4)));
        assert_eq!(read(3, false, Ok(2)), Ok((Some(5), 5)));
    }

    #[test]
    fn an_error_of_a_read_is_told_unless_some_bytes_are_the_answer() {
        // The content is as it was.
        assert_eq!(read(0, false, failed()), Ok((None, 10)));
        assert_eq!(read(3, false, failed()), Ok((Some(3), 3)));
        assert_eq!(read(0, true, failed()), Ok((None, 10)));
        assert_eq!(read(4, true, failed()), Ok((None, 4)));
    }

    /// What came of a write of ten bytes, and what was told of it; or how many are written when there is more to do.
    fn write(
        written: usize,
        whole: bool,
        result: io::Result<usize>,
    ) -> Result<(Option<usize>, Vec<Option<usize>>), usize> {
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = told.clone();
        let step = WriteAt {
            description: description(),
            buf: vec![0; 10],
            offset: 100,
            written,
            whole,
            done: move |result: &io::Result<usize>| {
                telling.lock().unwrap().push(result.as_ref().ok().copied());
            },
        };
        match step.step(result) {
            Step::Done((result, _)) => Ok((result.ok(), told.lock().unwrap().clone())),
            Step::Again(next) => {
                assert_eq!(next.rest().len(), 10 - next.written);
                assert!(told.lock().unwrap().is_empty());
                Err(next.written)
            }
        }
    }

    #[test]
    fn a_write_goes_on_only_if_it_is_to_write_everything() {
        assert_eq!(write(0, true, Ok(4)), Err(4));
        assert_eq!(write(4, true, Ok(5)), Err(9));
        assert_eq!(write(4, true, Ok(6)), Ok((Some(10), vec![Some(10)])));
        assert_eq!(write(4, true, Ok(0)), Ok((None, vec![None])));
        assert_eq!(write(4, true, failed()), Ok((None, vec![None])));
        assert_eq!(write(0, false, Ok(4)), Ok((Some(4), vec![Some(4)])));
        assert_eq!(write(0, false, Ok(0)), Ok((Some(0), vec![Some(0)])));
        assert_eq!(write(0, false, failed()), Ok((None, vec![None])));
    }
}
