//! Meshes of replication machines on a virtual clock, from one seed each: they converge whatever the bus does, and are silent when there
//! is nothing to tell.

mod bridges;
mod convergence;
mod manners;
mod net;
