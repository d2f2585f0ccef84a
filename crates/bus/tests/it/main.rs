//! The bus over stock NATS servers.

mod both;
mod contract;
mod drained;
mod stock;
mod waiting;
