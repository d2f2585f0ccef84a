//! Rebuilds this crate when the built page in `ui/dist` appears, changes or goes away, since its files are embedded.

use std::path::Path;

fn main() {
    let built = "../../ui/dist";
    // A path that does not exist would make every build run this crate again; its parent shows when it appears.
    let watched = if Path::new(built).exists() {
        built
    } else {
        "../../ui"
    };
    if Path::new(watched).exists() {
        println!("cargo:rerun-if-changed={watched}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
