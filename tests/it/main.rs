//! The tests that cross crates, in one program.

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
mod presence;
mod private_bus;
mod sleep;
mod stock_nats;
mod together;
mod tunnel;
mod unpaired;
mod upstream;
mod workspace;
