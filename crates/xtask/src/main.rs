//! Benches and chores.
fn main() {}
