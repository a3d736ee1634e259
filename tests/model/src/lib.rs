//! The model: the crate's own source for what the threads agree on, and stand-ins for the kernel, the reactor and the
//! pool. See `README.md` for what it finds.
#![cfg(test)]

mod machine;
mod sync;
mod tests;

// The source of the crate. There `super` is `backend` or `uring`, here it is this file for all.
#[path = "../../../src/backend/uring/arm.rs"]
mod arm;
#[path = "../../../src/backend/uring/flight.rs"]
#[allow(
    dead_code,
    reason = "overflowing queues are left to the tests of the ring"
)]
mod flight;
#[path = "../../../src/backend/op.rs"]
#[allow(dead_code, reason = "the operations of the model are types of its own")]
mod op;
#[path = "../../../src/backend/uring/slab.rs"]
mod slab;
#[path = "../../../src/backend/slot.rs"]
mod slot;
#[path = "../../../src/backend/no_trace.rs"]
#[allow(dead_code, reason = "nobody is told of anything here")]
mod trace;
#[path = "../../../src/backend/uring/turn.rs"]
mod turn;

/// In place of `src/backend/place.rs`: devices make no difference here.
mod place {
    #[derive(Clone, Debug)]
    pub(crate) struct Place;

    impl Place {
        pub(crate) fn anywhere() -> Place {
            Place
        }
    }
}

/// In place of `src/backend/pool.rs`: a thread for each operation.
mod pool {
    use std::sync::Arc;
    use std::task::Waker;

    use crate::place::Place;
    use crate::trace::Journey;

    pub(crate) trait Task: Send + Sync {
        fn run(self: Arc<Self>);

        fn place(&self) -> Place;
    }

    pub(crate) fn run_slot(slot: Arc<dyn Task>, _: Journey) {
        let _ = slot.place();
        loom::thread::spawn(move || slot.run());
    }

    pub(crate) fn wake_soon(waker: Waker) {
        waker.wake();
    }
}

/// In place of `src/backend/uring/mod.rs`, as far as a slot calls it.
mod uring {
    pub(crate) fn reap() {
        crate::machine::ring().reap();
    }
}

/// There is always somebody to perform what is queued.
#[cfg(test)]
mod refusal {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Refusal {
        Child,
    }

    pub(super) fn now() -> Option<Refusal> {
        None
    }

    pub(super) fn enter(_: Refusal) {}
}
