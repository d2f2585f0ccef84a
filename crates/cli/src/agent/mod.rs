//! Commands that run the agent or talk to the one that runs.

pub(crate) mod api;
pub(crate) mod bridge;
mod bus;
mod bus_flags;
pub(crate) mod clone;
pub(crate) mod control;
pub(crate) mod doctor;
pub(crate) mod hub;
pub(crate) mod id;
pub(crate) mod logs;
mod mesh_flags;
pub(crate) mod pairing;
pub(crate) mod pause;
pub(crate) mod peers;
pub(crate) mod service;
pub(crate) mod signals;
pub(crate) mod start;
pub(crate) mod sync;

use edgesync_agent::Home;

use crate::error::{Failure, Kind, OrFail};

/// Returns the folders of this user's agent.
pub(crate) fn home() -> Result<Home, Failure> {
    Home::from_env().or_fail(Kind::Failed, "the agent's folder")
}

/// Returns a runtime for commands that wait for the network.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .or_fail(Kind::Failed, "threads")
}
