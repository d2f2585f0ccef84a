//! The tests that cross crates, in one program.

mod arrows;
mod desktop;
mod documents;
mod mesh;
mod tidy;
mod workspace;
