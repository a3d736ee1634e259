//! Memory that was given back is not written to: every operation, cancelled or not, under an allocator that shreds.
//!
//! What is freed is filled, kept for a while, and looked at before it goes: a write that came too late shows there. What
//! is allocated is filled too, so bytes that nobody read or wrote show in what is compared.

#![allow(unsafe_code, reason = "an allocator can be written in no other way")]
#![allow(
    clippy::disallowed_methods,
    reason = "runtimes are dropped by threads of their own"
)]

#[path = "common/mod.rs"]
mod support;

#[cfg(all(feature = "uring", target_os = "linux"))]
#[path = "shred/frozen.rs"]
mod frozen;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aiofiles::{AlignedBuf, IoBuf as _, OpenOptions};
use futures_lite::future::block_on;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use support::{Seed, assert_same_bytes, iterations, numbered, poll_n, temp_dir};

/// What fresh memory and what freed memory holds.
const FRESH: u8 = 0xA5;
const FREED: u8 = 0xDE;

/// Blocks of this size are kept: those that hold the bytes of files.
const KEPT: std::ops::RangeInclusive<usize> = 256..=1 << 20;

/// How many of them.
const PLACES: usize = 1024;

struct Shredder;

/// A freed block: address, size and alignment. No address means none.
type Freed = (usize, usize, usize);

/// Freed blocks, in a ring, and where the next one goes.
struct Kept {
    blocks: [Freed; PLACES],
    next: usize,
}

static KEPT_BLOCKS: Mutex<Kept> = Mutex::new(Kept {
    blocks: [(0, 0, 0); PLACES],
    next: 0,
});

fn kept() -> MutexGuard<'static, Kept> {
    KEPT_BLOCKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Blocks that were looked at, and those that somebody had written to.
static LOOKED_AT: AtomicUsize = AtomicUsize::new(0);
static SPOILT: AtomicUsize = AtomicUsize::new(0);

/// Looks at a block that was freed, and gives it back; `true` if somebody has written to it.
fn let_go((address, size, align): Freed) -> bool {
    if address == 0 {
        return false;
    }
    let block = std::ptr::with_exposed_provenance_mut::<u8>(address);
    // SAFETY: the block was freed by its owner and filled, and is still allocated.
    let bytes = unsafe { std::slice::from_raw_parts(block, size) };
    LOOKED_AT.fetch_add(1, Ordering::Relaxed);
    let spoilt = bytes.iter().any(|byte| *byte != FREED);
    if let Ok(layout) = Layout::from_size_align(size, align) {
        // SAFETY: it was allocated by `System` with this layout, and nobody has it any more.
        unsafe { System.dealloc(block, layout) };
    }
    spoilt
}

// SAFETY: memory comes from `System` and goes back there with its layout, once.
unsafe impl GlobalAlloc for Shredder {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises what `alloc` asks for.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() && KEPT.contains(&layout.size()) {
            // SAFETY: so much was allocated.
            unsafe { block.write_bytes(FRESH, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !KEPT.contains(&layout.size()) {
            // SAFETY: the caller promises what `dealloc` asks for.
            return unsafe { System.dealloc(block, layout) };
        }
        // SAFETY: the caller gives up a block of this size.
        unsafe { block.write_bytes(FREED, layout.size()) };
        let freed = (block.expose_provenance(), layout.size(), layout.align());
        let oldest = {
            let mut kept = kept();
            let next = kept.next;
            kept.next = (next + 1) % PLACES;
            std::mem::replace(&mut kept.blocks[next], freed)
        };
        if let_go(oldest) {
            SPOILT.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[global_allocator]
static SHREDDER: Shredder = Shredder;

#[test]
fn no_memory_is_written_to_after_it_was_given_back() {
    const LEN: usize = 1 << 18;
    let dir = temp_dir();
    let path = dir.path().join("file");
    let bytes = numbered(LEN);
    std::fs::write(&path, &bytes).unwrap();
    let seed = Seed::new();
    let mut rng = seed.rng();
    block_on(async {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let mut file = options.open(&path).await.unwrap();
        for _ in 0..iterations(20_000) {
            // Every operation writes what stands there anyway, so each finds the same, whatever was cancelled.
            let len = 1 + rng.usize(..8192);
            let at = rng.usize(..LEN - len);
            let (offset, polls) = (at as u64, rng.usize(..4));
            let expected = &bytes[at..at + len];
            match rng.u8(..8) {
                0 => {
                    let read = file.read_exact_at(Vec::with_capacity(len).slice(..len), offset);
                    if let Some((result, found)) = poll_n(read, polls).await {
                        result.unwrap();
                        assert_same_bytes(&found, expected);
                    }
                }
                1 => {
                    let buf = AlignedBuf::with_capacity(len, 512).unwrap();
                    if let Some((result, found)) = poll_n(file.read_at(buf, offset), polls).await {
                        let n = result.unwrap();
                        assert_same_bytes(&found, &expected[..n]);
                    }
                }
                2 => {
                    let write = file.write_all_at(expected.to_vec(), offset);
                    if let Some((result, buf)) = poll_n(write, polls).await {
                        result.unwrap();
                        assert_same_bytes(&buf, expected);
                    }
                }
                3 => {
                    let bufs = vec![vec![0; len / 2], Vec::with_capacity(len / 2)];
                    if let Some((result, bufs)) = poll_n(file.readv_at(bufs, offset), polls).await {
                        let n = result.unwrap();
                        assert_same_bytes(&bufs.concat()[..n], &bytes[at..at + n]);
                    }
                }
                4 => {
                    let read = file.read_many_at([offset..offset + len as u64, 0..300]);
                    if let Some(found) = poll_n(read, polls).await {
                        assert_same_bytes(found[0].as_ref().unwrap(), expected);
                    }
                }
                5 => {
                    file.seek(std::io::SeekFrom::Start(offset)).await.unwrap();
                    let mut found = vec![0; len];
                    if let Some(n) = poll_n(file.read(&mut found), polls).await {
                        let n = n.unwrap();
                        assert_same_bytes(&found[..n], &bytes[at..at + n]);
                    }
                }
                6 => {
                    file.seek(std::io::SeekFrom::Start(offset)).await.unwrap();
                    if let Some(n) = poll_n(file.write(expected), polls).await {
                        n.unwrap();
                    }
                }
                _ => drop(poll_n(aiofiles::read(&path), polls).await),
            }
        }
        file.close().await.unwrap();
    });
    assert_same_bytes(std::fs::read(&path).unwrap(), &bytes);
    assert_unspoilt();
    assert!(
        LOOKED_AT.load(Ordering::Relaxed) > 1000,
        "nothing was freed"
    );
}

/// Looks at all that was freed and not yet given back, too.
fn assert_unspoilt() {
    for place in 0..PLACES {
        let block = std::mem::take(&mut kept().blocks[place]);
        assert!(!let_go(block), "a block was written to");
    }
    assert_eq!(SPOILT.load(Ordering::Relaxed), 0, "blocks were written to");
}

/// The allocator finds what it is there for.
#[test]
fn a_late_write_is_found() {
    let block = vec![0_u8; 4096];
    let address = block.as_ptr().expose_provenance();
    drop(block);
    let freed = {
        let mut kept = kept();
        let place = kept.blocks.iter().position(|freed| freed.0 == address);
        std::mem::take(&mut kept.blocks[place.expect("it is kept")])
    };
    let late = std::ptr::with_exposed_provenance_mut::<u8>(address + 100);
    // SAFETY: the block was taken out of those that are kept, and is still allocated.
    unsafe { late.write(1) };
    assert!(let_go(freed));
}
