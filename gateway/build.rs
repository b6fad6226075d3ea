//! Tells whether the module for browsers is there: `scripts/demo-page --module` makes it. Without it everything is built
//! all the same, and the page has no preview.
#![allow(clippy::print_stdout)]

use std::path::Path;

fn main() {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wasm/built");
    // The folder is always there, so that nothing is built again where the module is not.
    println!("cargo::rerun-if-changed={}", built.display());
    println!("cargo::rustc-check-cfg=cfg(page_module)");
    if built.join("sundog.wasm.gz").exists() {
        println!("cargo::rustc-cfg=page_module");
    }
}
