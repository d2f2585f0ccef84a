//! `edgesync sync bus`: how programs of this machine join the running agent's bus.

use clap::Args;
use serde_json::json;

use crate::agent::api::AgentApi;
use crate::error::{Failure, Kind};
use crate::output::Output;

/// What addresses of the bus begin with.
const SCHEME: &str = "nats://";

/// Print the address of the running agent's bus for programs, with the token that it wants
///
/// Any NATS client takes it: nats sub -s "$(edgesync sync bus)" 'notify.>'. Whoever has the token hears everything on the bus. It is made anew at
/// each start of the agent, and kept in its runtime file, which its owner alone can read.
#[derive(Args)]
pub(crate) struct Bus {}

impl Bus {
    pub(crate) fn run(out: Output) -> Result<(), Failure> {
        let runtime = AgentApi::find()?.runtime;
        let server = runtime.nats.as_deref();
        let server = server.and_then(|url| url.strip_prefix(SCHEME));
        let server =
            server.ok_or_else(|| Failure::new(Kind::Failed, "the running agent has no bus"))?;
        let token = &runtime.nats_token;
        let url = format!("{SCHEME}{token}@{server}");
        let all = json!({ "url": url, "server": format!("{SCHEME}{server}"), "token": token });
        out.print(&all, |_| format!("{url}\n"))
    }
}
