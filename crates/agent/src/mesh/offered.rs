//! What other agents offer to clone, by an address that people can write: `iroh:PEER/REPOSITORY`, with an id, the beginning of one, a name or a ticket for the peer, and
//! a name there or a project's code for the repository.

use edgesync_tunnel::Ticket;
use libfossil::name::ProjectCode;

use super::Mesh;
use super::tunnel::endpoint_id;
use crate::api::{Code, Error, agent_called};
use crate::replication::Ways;
use crate::trust::EndpointId;

/// What stands before a peer.
pub(crate) const SCHEME: &str = "iroh:";

impl Mesh {
    /// Returns the ways to the repository of another agent that is meant by an address, and what it is called there.
    ///
    /// # Errors
    /// `bad_request` when the address has another form, `not_found` when no such agent or repository is known, `conflict` when several are, or
    /// the project is here already.
    pub(crate) fn ways_to(&self, address: &str) -> Result<(Ways, String), Error> {
        let rest = address.strip_prefix(SCHEME).unwrap_or(address);
        let (peer, repository) = rest
            .split_once('/')
            .filter(|(peer, repository)| !peer.is_empty() && !repository.is_empty())
            .ok_or_else(|| {
                Error::bad_request(
                    "another agent's repository is iroh:PEER/REPOSITORY, as in iroh:studio/notes",
                )
            })?;
        let id = self.peer_called(peer)?;
        let offered = self.available(&id);
        let named = offered
            .iter()
            .find(|it| it.name == repository || it.project_code == repository);
        let (project, name) = match (named, ProjectCode::parse(repository.as_bytes())) {
            (Some(named), _) => (named.project_code.clone(), named.name.clone()),
            // It may offer this without having told so yet.
            (None, Ok(code)) => (code.to_string(), code.to_string()),
            (None, Err(_)) => {
                let message = format!("{peer} offers no repository called {repository}");
                return Err(Error::not_found(message)
                    .with_hint("edgesync peers --repos lists what others offer"));
            }
        };
        let mut here = self.replication.hosted().into_iter();
        if let Some(here) = here.find(|it| it.project_code().as_deref() == Some(project.as_str())) {
            let message = format!(
                "the repository {} of this agent has the project",
                here.name()
            );
            let hint = "It is kept equal already; a second file of one project would not be.";
            return Err(Error::new(Code::Conflict, message).with_hint(hint));
        }
        Ok((self.replication.ways(id, project), name))
    }

    /// Returns the agent that goes by this ticket, id, beginning of an id, or name. Where a ticket says it is, it is looked for.
    fn peer_called(&self, text: &str) -> Result<EndpointId, Error> {
        if let Ok(ticket) = text.parse::<Ticket>() {
            let id = endpoint_id(&ticket.peer);
            if let Some(tunnel) = self.tunnel.now() {
                tunnel.endpoint().know(ticket);
            }
            return Ok(id);
        }
        agent_called(text, self.show().called())
    }
}
