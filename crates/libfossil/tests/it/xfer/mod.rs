//! The sync protocol: our client and server against each other and against stock, and what hostile peers send.

mod budgets;
mod hostile_servers;
mod our_client;
mod pairs;
mod project;
pub(crate) mod rig;
mod server_rights;
mod server_rules;
mod stock_client;
