//! The server from outside: over sockets, as clients and hostile peers see it.

mod auth;
mod client;
mod embed;
mod hostile;
mod leaf;
mod leaf_hostile;
mod mesh;
mod program;
mod program_keys;
mod program_trust;
mod python;
mod revoked;
mod route;
mod route_names;
mod route_trust;
mod slow;
mod stock;
mod topology;
mod wire;
