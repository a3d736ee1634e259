//! Where `sendfile` sends to: a descriptor of somebody else.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::alarm;

/// A duplicate of a descriptor, and its readiness if it has any.
pub(crate) struct Outlet {
    fd: Arc<OwnedFd>,
    /// Regular files have none: they are always ready.
    ready: Option<async_io::Async<Arc<OwnedFd>>>,
}

impl Drop for Outlet {
    fn drop(&mut self) {
        // The reactor lets go of it here; closing it may wait.
        self.ready = None;
        super::drop_elsewhere(self.fd.clone());
    }
}

impl Outlet {
    pub(crate) fn new(fd: BorrowedFd<'_>) -> io::Result<Outlet> {
        alarm::reactor()?;
        let fd = Arc::new(fd.try_clone_to_owned()?);
        let ready = match async_io::Async::new_nonblocking(fd.clone()) {
            Ok(ready) => Some(ready),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
            Err(error) => return Err(error),
        };
        Ok(Outlet { fd, ready })
    }

    pub(crate) fn fd(&self) -> &Arc<OwnedFd> {
        &self.fd
    }

    /// Waits until there may be room.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        match &self.ready {
            Some(ready) => ready.writable().await,
            None => Ok(()),
        }
    }
}
