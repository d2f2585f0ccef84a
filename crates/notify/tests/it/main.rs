//! Tests of the whole crate: messages as others write them, the repository beside stock Fossil, and the machine on a virtual clock.

mod clocks;
mod desk;
mod go;
mod lab;
mod moved;
mod partition;
mod store;
mod vectors;
