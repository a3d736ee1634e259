//! Any blocking code, on the thread pool.

use crate::backend::{self, Opaque, Place};

/// Runs a closure that may block on the thread pool, and gives back what it returns.
///
/// For whatever this crate has no function for: a library that opens its files itself, an archive that is unpacked. It gets
/// a job of its own, so it may take its time.
///
/// # Cancel safety
///
/// Once polled, the closure runs to its end.
///
/// # Panics
///
/// With the panic of the closure.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let lines = aiofiles::unblock(|| {
///     let manifest = std::fs::read_to_string("Cargo.toml")?;
///     std::io::Result::Ok(manifest.lines().count())
/// });
/// assert!(lines.await? > 10);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "wrap")]
#[doc(alias = "spawn_blocking")]
#[doc(alias = "run_in_executor")]
pub async fn unblock<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let call = move || Opaque(f());
    backend::long("call", Place::anywhere(), call).await.0
}
