//! The tests that cross crates, in one program.

mod arrows;
mod tidy;
mod workspace;
