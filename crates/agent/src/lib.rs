//! The leaf agent: it owns Fossil repositories, serves them, keeps them equal with their remotes, and tells every front (tray
//! app, page, command line) what is going on. Start one with [`Agent::start`]; find a running one with [`Runtime::read`].
//!
//! No logic lives in the fronts: they show [`api`] types and call the routes of `docs/api.md`. SQLite never runs inside an
//! async function.

mod agent;
pub mod api;
pub mod bridges;
mod clock;
mod core;
mod diff;
pub mod doctor;
mod events;
mod exchange;
mod files;
mod frames;
mod home;
mod hosting;
mod http;
mod identity;
mod jobs;
mod limits;
mod lock;
pub mod log;
mod members;
mod memory;
mod mesh;
mod metrics;
mod net;
mod notifications;
mod notifier;
pub mod notify;
mod pair;
mod pairing;
mod pause;
mod phone;
pub mod place;
mod qr;
mod replication;
mod repository;
mod request_head;
mod runtime;
#[cfg(test)]
mod samples;
mod serve;
mod share;
mod shell;
mod state;
mod streams;
mod supervise;
pub mod sync;
mod text;
mod trust;
mod turns;
mod watch;
mod wire;

pub use agent::{Agent, Config, StartError};
pub use edgesync_tunnel::Relay;
pub use events::Subscription;
pub use home::{HOME_VARIABLE, Home, HomeError};
pub use hosting::hosting_folder;
pub use identity::{Identity, IdentityError};
pub use mesh::{
    JoinUrl, JoinUrlError, MeshConfig, MeshError, TunnelConfig, UpstreamUrl, UpstreamUrlError,
    neighbours_folder,
};
pub use notifier::{Heard, Notification, NotificationKey, Notifier};
pub use repository::browse::check_in;
pub use runtime::Runtime;
pub use shell::{Headless, Shell, ShellError};
pub use state::StateError;
pub use text::{error_chain, format_age, format_size};
pub use trust::{AcceptUnsigned, AcceptUnsignedError, EndpointId, EndpointIdError};

/// This agent's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
