//! The one door for sync requests: whatever transport brought one hands its bytes in here, with what the transport knows about
//! who asks, and gets the bytes of the reply.

use libfossil::auth::AuthContext;
use libfossil::xfer::server::{ExchangeError, Reply, Server};
use libfossil::xfer::{Budget, Request};

use crate::api::{Code, Error, Level};
use crate::clock;
use crate::memory;
use crate::repository::{Hosted, Origin, file_error};

/// Answers one sync request for a repository, within `budget` where the transport has a limit, when there is [memory] for it.
///
/// # Errors
/// `bad_request` when the bytes are no sync request, `repository` when the file cannot be used. What the client may not do is
/// told in the reply.
pub(crate) async fn exchange(
    hosted: &Hosted,
    auth: AuthContext,
    request: Request,
    budget: Option<Budget>,
) -> Result<Reply, Error> {
    let server = Server {
        budget,
        ..Server::default()
    };
    let _room = memory::for_message(&request).await?;
    let work = move |repository: &mut _| server.exchange(repository, &auth, request, clock::now);
    let reply = match hosted.write(work).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(ExchangeError::Repository(error))) => Err(file_error(&error)),
        Ok(Err(error)) => Err(Error::bad_request(error.to_string())),
        Err(error) => Err(error.into_api()),
    };
    let granted = |reply: &Reply| reply.refused.is_none();
    hosted.served().count(reply.as_ref().is_ok_and(granted));
    // A malformed request is its sender's affair; a file that cannot be used is ours.
    if let Err(error) = reply.as_ref()
        && error.code != Code::BadRequest
        && !hosted.closed().is_cancelled()
    {
        hosted.log(
            Level::Error,
            format!("a client got no answer: {}", error.message),
        );
        hosted.not_stored(error);
    }
    let reply = reply?;
    let received = &reply.received;
    tracing::debug!(
        repository = hosted.name(),
        user = reply.user,
        received = received.artifacts.len(),
        unversioned = received.unversioned,
        reply_bytes = reply.body.len(),
        "answered a sync request"
    );
    if let Some(refused) = &reply.refused {
        tracing::info!(
            repository = hosted.name(),
            user = reply.user,
            refused,
            "refused a sync request"
        );
    }
    if !received.artifacts.is_empty() || received.unversioned > 0 || received.configuration > 0 {
        hosted.log(
            Level::Info,
            format!(
                "{} pushed {} artifacts",
                reply.user,
                received.artifacts.len()
            ),
        );
        hosted.changed(Origin::Push);
        hosted.stored();
    }
    Ok(reply)
}
