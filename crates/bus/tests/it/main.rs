//! The bus over stock NATS servers.

mod both;
mod contract;
mod stock;
mod waiting;
