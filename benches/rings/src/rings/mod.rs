//! The runtimes on io_uring, each of one thread, as they come.

mod aligned;
mod compio;
mod monoio;
mod tokio_uring;

use std::io;

use crate::contender::RingFiles;
use crate::rows::Workload;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    Compio,
    Monoio,
    TokioUring,
}

impl Ring {
    pub const ALL: [Ring; 3] = [Ring::Compio, Ring::Monoio, Ring::TokioUring];

    pub fn name(self) -> &'static str {
        match self {
            Ring::Compio => "compio",
            Ring::Monoio => "monoio",
            Ring::TokioUring => "tokio-uring",
        }
    }

    pub fn run<W: Workload>(self, work: &W, units: u64) -> io::Result<W::Outcome> {
        match self {
            Ring::Compio => run::<compio::Compio, W>(work, units),
            Ring::Monoio => run::<monoio::Monoio, W>(work, units),
            Ring::TokioUring => run::<tokio_uring::TokioUring, W>(work, units),
        }
    }
}

fn run<F: RingFiles, W: Workload>(work: &W, units: u64) -> io::Result<W::Outcome> {
    F::block_on(work.ring::<F>(units))
}
