//! The agent as its users see it: its files, its API over real sockets, and its exchanges with the stock `fossil` program.

mod door;
mod home;
mod support;
