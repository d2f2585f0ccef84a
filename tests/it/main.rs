//! The tests that cross crates, in one program.

mod arrows;
mod bus;
mod desktop;
mod documents;
mod mesh;
mod news;
mod notify;
mod stock_nats;
mod tidy;
mod tunnel;
mod upstream;
mod workspace;
