//! Without the feature `tracing`, a subscriber is told nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_lite::future::block_on;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::set_global_default;
use tracing::{Event, Metadata, Subscriber};

use crate::support::*;

/// Counts whatever has to do with this crate.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().starts_with("aiofiles");
        self.0.fetch_add(usize::from(ours), Ordering::SeqCst);
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn nothing_is_told_without_the_feature() {
    alone(|| {
        let counter = Counter::default();
        set_global_default(counter.clone()).unwrap();
        let dir = temp_dir();
        let path = dir.path().join("a.txt");
        block_on(async {
            aiofiles::write(&path, "hello").await.unwrap();
            aiofiles::read(&path).await.unwrap();
            aiofiles::read(dir.path().join("missing"))
                .await
                .unwrap_err();
        });
        assert_eq!(counter.0.load(Ordering::SeqCst), 0);
    });
}
