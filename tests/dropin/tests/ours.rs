//! The suite with `async_fs` meaning this crate, by the renaming in `Cargo.toml` alone.

#![deny(unused_imports)]

mod only_ours;
#[path = "suite/mod.rs"]
mod ours;
