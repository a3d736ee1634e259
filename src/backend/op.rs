//! The operations as values: each owns what it touches, and can run itself here and now.

use std::io;

use super::place::Place;
use super::trace::Name;

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

    /// What it is called.
    fn name(&self) -> Name;

    /// How the dispatcher is to treat it.
    fn manner(&self) -> Manner;

    /// Which device it waits for.
    fn place(&self) -> Place;

    /// Performs it here and now, blocking the thread.
    fn run(self) -> Self::Output;

    /// The error in what came of it, if there is one.
    fn error(output: &Self::Output) -> Option<&io::Error>;

    /// Whether what comes of it would tell that it was refused.
    fn tells() -> bool {
        true
    }
}

/// What comes of an operation, which may have failed.
pub(crate) trait Fallible {
    /// Whether there can be one at all.
    const TELLS: bool = true;

    /// The error in it, if there is one.
    fn error(&self) -> Option<&io::Error>;
}

impl<T> Fallible for io::Result<T> {
    fn error(&self) -> Option<&io::Error> {
        self.as_ref().err()
    }
}

/// With a buffer that is given back, and its like.
impl<T, B> Fallible for (io::Result<T>, B) {
    fn error(&self) -> Option<&io::Error> {
        self.0.error()
    }
}

/// With what was done before the error.
impl Fallible for (u64, io::Result<()>) {
    fn error(&self) -> Option<&io::Error> {
        self.1.error()
    }
}

/// With something that is given back on failure.
impl<T, B> Fallible for Result<T, (io::Error, B)> {
    fn error(&self) -> Option<&io::Error> {
        Some(&self.as_ref().err()?.0)
    }
}

/// Of several operations, the first error.
impl<K, T: Fallible> Fallible for Vec<(K, T)> {
    fn error(&self) -> Option<&io::Error> {
        self.iter().find_map(|(_, output)| output.error())
    }
}

impl Fallible for bool {
    const TELLS: bool = false;

    fn error(&self) -> Option<&io::Error> {
        None
    }
}

/// What has no error, or none that anybody but its owner understands.
pub(crate) struct Opaque<T>(pub(crate) T);

impl<T> Fallible for Opaque<T> {
    const TELLS: bool = false;

    fn error(&self) -> Option<&io::Error> {
        None
    }
}

/// An operation that has no other interpretation than to be run: a closure with its manner and place.
pub(crate) struct Call<F> {
    pub(crate) name: Name,
    pub(crate) manner: Manner,
    pub(crate) place: Place,
    pub(crate) call: F,
}

impl<F, T> Op for Call<F>
where
    F: FnOnce() -> T + Send + 'static,
    T: Fallible + Send + 'static,
{
    type Output = T;

    fn name(&self) -> Name {
        self.name
    }

    fn manner(&self) -> Manner {
        self.manner
    }

    fn place(&self) -> Place {
        self.place.clone()
    }

    fn run(self) -> T {
        (self.call)()
    }

    fn error(output: &T) -> Option<&io::Error> {
        output.error()
    }

    fn tells() -> bool {
        T::TELLS
    }
}
