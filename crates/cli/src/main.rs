//! The `edgesync` command.
fn main() {}
