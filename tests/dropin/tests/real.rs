//! The suite with `async_fs` meaning the real one: what it asserts of us holds there too.

#![deny(unused_imports)]

extern crate real as async_fs;

#[path = "suite/mod.rs"]
mod real;
