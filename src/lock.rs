//! Advisory locks on files.
//!
//! A lock is tried on the pool and tried again by a timer, so any number of waiting callers holds no thread. The callers
//! of one open file stand in a line, and only the first of them tries.

use std::fs::TryLockError;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::backend::{self, Description};
use crate::file::File;
use crate::sync::Mutex;

/// How long to wait before a lock is tried again: doubled each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl File {
    /// Locks the file for this handle and its clones alone, and waits for others to release it.
    ///
    /// The lock is advisory: it binds those who lock too. It belongs to the open file and is released by
    /// [`unlock`](File::unlock), or when the last handle is closed. Callers on one open file are served in order;
    /// fairness between processes is not promised.
    ///
    /// This is `flock(2)` with `LOCK_NB` (`LockFileEx` on Windows), tried again after 1 ms, doubling to 50 ms.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a cancelled `lock` holds nothing.
    ///
    /// # Errors
    ///
    /// * The file is closed.
    /// * The file system does not know locks.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.lock");
    /// let file = aiofiles::File::create(&path).await?;
    /// file.lock().await?;
    ///
    /// let other = aiofiles::File::open(&path).await?;
    /// assert!(matches!(other.try_lock().await, Err(std::fs::TryLockError::WouldBlock)));
    ///
    /// file.unlock().await?;
    /// assert!(other.try_lock().await.is_ok());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn lock(&self) -> io::Result<()> {
        self.wait_for_lock(false).await
    }

    /// Locks the file together with others that lock it so, and waits for those who lock it alone.
    ///
    /// The same as [`lock`](File::lock) otherwise.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a cancelled `lock_shared` holds nothing.
    ///
    /// # Errors
    ///
    /// The same as [`lock`](File::lock).
    pub async fn lock_shared(&self) -> io::Result<()> {
        self.wait_for_lock(true).await
    }

    /// Locks the file as [`lock`](File::lock) does, or says at once that somebody else has it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a cancelled `try_lock` holds nothing.
    ///
    /// # Errors
    ///
    /// * [`TryLockError::WouldBlock`]: somebody else has locked it.
    /// * [`TryLockError::Error`]: the file is closed, or its file system does not know locks.
    pub async fn try_lock(&self) -> Result<(), TryLockError> {
        self.try_lock_once(false).await
    }

    /// Locks the file as [`lock_shared`](File::lock_shared) does, or says at once that somebody else has it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a cancelled `try_lock_shared` holds nothing.
    ///
    /// # Errors
    ///
    /// The same as [`try_lock`](File::try_lock).
    pub async fn try_lock_shared(&self) -> Result<(), TryLockError> {
        self.try_lock_once(true).await
    }

    /// Releases the lock. It is no error if there is none.
    ///
    /// # Cancel safety
    ///
    /// The lock may still be released after the future is dropped.
    ///
    /// # Errors
    ///
    /// * The file is closed.
    /// * Some other I/O error occurred.
    pub async fn unlock(&self) -> io::Result<()> {
        let description = self.stopped().await?;
        backend::change("unlock", description.place(), move || description.unlock()).await
    }

    async fn wait_for_lock(&self, shared: bool) -> io::Result<()> {
        let description = self.stopped().await?;
        let turn = Turn::take(&description);
        turn.come().await;
        let mut pause = FIRST_PAUSE;
        while !try_once(&description, shared).await? {
            backend::pause(pause).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(())
    }

    async fn try_lock_once(&self, shared: bool) -> Result<(), TryLockError> {
        let description = self.stopped().await.map_err(TryLockError::Error)?;
        match try_once(&description, shared).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(TryLockError::WouldBlock),
            Err(error) => Err(TryLockError::Error(error)),
        }
    }
}

/// Tries once; `true` when the file is locked.
async fn try_once(description: &Arc<Description>, shared: bool) -> io::Result<bool> {
    let own = description.clone();
    let granted = backend::change("lock", description.place(), move || {
        let granted = own.try_lock(shared)?;
        Ok::<_, io::Error>(granted.then(|| Granted {
            description: Some(own),
            shared,
        }))
    })
    .await?;
    Ok(granted.map(Granted::keep).is_some())
}

/// A lock that nobody has heard of yet. Dropped before somebody does, it is released, or is again the one that was held
/// before.
struct Granted {
    /// `None` once its caller was told.
    description: Option<Arc<Description>>,
    shared: bool,
}

impl Granted {
    fn keep(mut self) {
        if let Some(description) = self.description.take() {
            description.keep_lock(self.shared);
        }
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        if let Some(description) = self.description.take() {
            let place = description.place();
            backend::run_elsewhere("unlock", place, move || description.release_lock());
        }
    }
}

/// A place in the line of those who wait for the lock of one open file.
struct Turn<'a> {
    description: &'a Description,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl<'a> Turn<'a> {
    fn take(description: &'a Description) -> Turn<'a> {
        let waker = Arc::default();
        description.lock_line().push_back(Arc::clone(&waker));
        Turn { description, waker }
    }

    /// Waits until everybody before has gone.
    async fn come(&self) {
        poll_fn(|cx| {
            let line = self.description.lock_line();
            if line
                .front()
                .is_some_and(|first| Arc::ptr_eq(first, &self.waker))
            {
                return Poll::Ready(());
            }
            let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
            let replaced = waker.replace(cx.waker().clone());
            // Dropping a waker may drop its task, and with it another place in this line: not under the locks.
            drop((waker, line));
            drop(replaced);
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let next = {
            let mut line = self.description.lock_line();
            line.retain(|waker| !Arc::ptr_eq(waker, &self.waker));
            line.front()
                .and_then(|next| next.lock().unwrap_or_else(PoisonError::into_inner).take())
        };
        if let Some(next) = next {
            next.wake();
        }
    }
}
