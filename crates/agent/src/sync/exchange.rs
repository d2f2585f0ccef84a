//! One exchange with a remote.

use super::condition::Progress;
use super::http::Http;
use super::{Remote, Wishes};
use crate::api::{Code, Error};
use crate::repository::Hosted;

/// What an exchange moved.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// Makes one exchange.
pub(crate) async fn run(
    _hosted: &Hosted,
    _http: &Http,
    _remote: &Remote,
    _wishes: Wishes,
    _progress: impl FnMut(Progress) + Send,
) -> Result<Outcome, Error> {
    Err(Error::new(
        Code::Unsupported,
        "exchanges are not part of this build yet",
    ))
}
