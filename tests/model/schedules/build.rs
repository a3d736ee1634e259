//! Tells the crate to take the primitives of the model.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=aiofiles_model");
}
