//! Hands `tauri.conf.json` to Tauri's code generation.

fn main() {
    tauri_build::build();
}
