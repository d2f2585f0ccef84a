//! The tests that cross crates, in one program.

mod arrows;
mod desktop;
mod tidy;
mod workspace;
