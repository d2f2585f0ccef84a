//! `edgesync id` and `edgesync ticket`: who this agent is to others, and how they reach it.

use edgesync_agent::Identity;
use serde_json::json;

use crate::agent::api::AgentApi;
use crate::agent::peers::mesh;
use crate::agent::{home, runtime};
use crate::error::{Failure, Kind, OrFail};
use crate::output::Output;

/// Prints the endpoint id, making the identity on first use.
pub(crate) fn run(out: Output) -> Result<(), Failure> {
    let home = home()?;
    home.create().or_fail(Kind::Failed, "the agent's folder")?;
    let identity = Identity::of(&home).or_fail(Kind::Failed, "the identity")?;
    out.print(&json!({ "endpoint_id": identity.endpoint_id() }), |_| {
        format!("{}\n", identity.endpoint_id())
    })
}

/// Prints the ticket with which others reach the running agent over the tunnel.
pub(crate) fn ticket(out: Output) -> Result<(), Failure> {
    let agent = AgentApi::find()?;
    let mesh = runtime()?.block_on(mesh(&agent))?;
    let ticket = mesh.and_then(|mesh| mesh.ticket).ok_or_else(|| {
        Failure::new(Kind::Failed, "the running agent has no tunnel").hint(
            "switch it on under Mesh on the page, or start with --iroh: edgesync sync start --iroh",
        )
    })?;
    out.print(&json!({ "ticket": ticket }), |_| format!("{ticket}\n"))
}
