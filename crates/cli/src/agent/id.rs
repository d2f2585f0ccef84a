//! `edgesync id`: who this agent is to others.

use edgesync_agent::Identity;
use serde_json::json;

use crate::agent::home;
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
