//! The tests that cross crates, in one program.

mod arrows;
mod bridge;
mod bus;
mod clock;
mod deploy;
mod desktop;
mod documents;
mod hostile;
mod lan;
mod listeners;
mod machines;
mod mesh;
mod namespace;
mod nat;
mod neighbours;
mod news;
mod notify;
mod pairing;
mod private_bus;
mod sleep;
mod stock_nats;
mod tidy;
mod together;
mod tunnel;
mod upstream;
mod workspace;
