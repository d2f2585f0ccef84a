//! The server from outside: over sockets, as clients and hostile peers see it.

mod client;
mod reference;
mod route;

mod wire;
