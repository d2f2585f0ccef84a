//! The agent as its users see it: its files, its API over real sockets, and its exchanges with the stock `fossil` program.

mod browse;
mod door;
mod events;
mod home;
mod pause;
mod serve;
mod stock;
mod support;
mod sync;
