//! The sync protocol: our client and server against each other and against stock, and what hostile peers send.

mod budgets;
mod clusters;
mod everything;
mod held_replies;
mod hostile_servers;
mod lost_sources;
mod our_client;
mod pairs;
mod project;
mod quotas;
pub(crate) mod rig;
mod server_rights;
mod server_rules;
mod stock_client;
mod traps;
