//! The operations as values: each owns what it touches, and can run itself here and now.

use super::place::Place;

/// How an operation wants to be treated by the dispatcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It only asks. Not begun yet and abandoned, it is skipped.
    Query,
    /// It changes something. Once submitted, it runs to its end, whoever waits.
    Change,
    /// It changes something, or runs a user's code, and may take long: it gets a job of its own.
    Long,
}

/// One file operation, as a value that owns all it needs.
pub(crate) trait Op: Send + 'static {
    /// What comes of it.
    type Output: Send + 'static;

    /// How the dispatcher is to treat it.
    fn manner(&self) -> Manner;

    /// Which device it waits for.
    fn place(&self) -> Place;

    /// Performs it here and now, blocking the thread.
    fn run(self) -> Self::Output;
}

/// An operation that has no other interpretation than to be run: a closure with its manner and place.
pub(crate) struct Call<F> {
    pub(crate) manner: Manner,
    pub(crate) place: Place,
    pub(crate) call: F,
}

impl<F, T> Op for Call<F>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    fn manner(&self) -> Manner {
        self.manner
    }

    fn place(&self) -> Place {
        self.place.clone()
    }

    fn run(self) -> T {
        (self.call)()
    }
}
