//! What has no position and may block for ever: read and written when the reactor says so, never on a pool thread.
//!
//! One operation for each direction, and neither waits for the other. One write is one write of the operating system.

use std::io::{self, IoSlice, IoSliceMut};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker, ready};

use super::buffer::Buffer;
use super::single::gather;
use super::{Caller, Stream};
use crate::backend::fault;

/// Several buffers are written as one up to this size.
const GATHERED: usize = 64 * 1024;

/// What `fill_buf` takes in at once.
const FILL: usize = 8 * 1024;

impl Stream {
    pub(super) fn poll_read_special(
        self: &Arc<Self>,
        caller: &mut Caller<'_, '_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        match bufs.iter_mut().find(|buf| !buf.is_empty()) {
            Some(buf) => self.poll_read_into(caller, buf),
            None => Poll::Ready(Ok(0)),
        }
    }

    /// Takes some bytes in, to be lent; `false` at the end.
    pub(super) fn poll_fill_special(
        self: &Arc<Self>,
        caller: &mut Caller<'_, '_>,
    ) -> Poll<io::Result<bool>> {
        let mut buffer = Buffer::default();
        buffer.bytes.resize(self.buffering.size.unwrap_or(FILL), 0);
        let n = ready!(self.poll_read_into(caller, &mut buffer.bytes))?;
        if n > 0 {
            buffer.bytes.truncate(n);
            self.carry(buffer);
        }
        Poll::Ready(Ok(n > 0))
    }

    fn poll_read_into(
        self: &Arc<Self>,
        caller: &mut Caller<'_, '_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Some(ready) = self.description().ready() else {
            return Poll::Ready(Ok(0));
        };
        loop {
            match ready.try_read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            // Wait first and register then, so that no wake-up falls between.
            let _ = self.lock().wait::<()>(caller);
            ready!(ready.poll_readable(&mut Context::from_waker(self.waker())))?;
        }
    }

    pub(super) fn poll_write_special(
        self: &Arc<Self>,
        caller: &mut Caller<'_, '_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(ready) = self.description().ready() else {
            return Poll::Ready(Ok(0));
        };
        let mut full = bufs.iter().filter(|buf| !buf.is_empty());
        let together;
        let bytes = match (full.next(), full.next()) {
            (None, _) => return Poll::Ready(Ok(0)),
            (Some(only), None) => &only[..],
            (Some(_), Some(_)) => {
                together = gather(bufs, GATHERED);
                &together[..]
            }
        };
        loop {
            match ready.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            let _ = self.lock().wait::<()>(caller);
            ready!(ready.poll_writable(&mut Context::from_waker(self.waker())))?;
        }
    }

    /// The waker that the reactor holds: it wakes everybody who waits for this stream.
    fn waker(self: &Arc<Self>) -> &Waker {
        self.waker.get_or_init(|| {
            Waker::from(Arc::new(WakeAll {
                stream: Arc::downgrade(self),
                context: fault::Context::current(),
            }))
        })
    }
}

struct WakeAll {
    stream: Weak<Stream>,
    /// Woken tasks are not polled here, but a drop may be: it belongs to the same test.
    context: fault::Context,
}

impl Wake for WakeAll {
    fn wake(self: Arc<Self>) {
        let _entered = self.context.enter();
        if let Some(stream) = self.stream.upgrade() {
            stream.wake_all();
        }
    }
}
