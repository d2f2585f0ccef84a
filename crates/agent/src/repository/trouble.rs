//! What keeps a repository from storing what others send: kept and shown until something was stored again, or could be.

use libfossil::db::Repository as File;
use tokio::time::Instant;

use super::{Hosted, locked};
use crate::api::{Code, Error, State, Time};
use crate::clock;
use crate::limits;

/// Why something was not stored, and since when that is so.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    error: Error,
    since: Time,
    /// When to look whether it is over.
    again: Instant,
}

impl Trouble {
    /// Returns the state to show, of a repository that stands like this with others.
    pub(super) fn state(&self, others: &[State]) -> State {
        State::Error {
            code: self.error.code,
            message: self.error.message.clone(),
            hint: self.error.hint.clone(),
            since: self.since,
            retry_at: None,
            last_ok: others.iter().filter_map(State::last_exchange).max(),
        }
    }
}

impl Hosted {
    /// Takes note of why what another sent was not stored, where the file is the reason.
    pub(crate) fn not_stored(&self, error: &Error) {
        if error.code != Code::Repository {
            return;
        }
        let mut trouble = locked(&self.trouble);
        let since = trouble.as_ref().map_or_else(Time::now, |it| it.since);
        let news = trouble.as_ref().is_none_or(|it| it.error != *error);
        *trouble = Some(Trouble {
            error: error.clone(),
            since,
            again: Instant::now() + limits::LOOK_AGAIN,
        });
        drop(trouble);
        if news {
            // Its keeper looks from now on whether that is over.
            self.facts_due.notify_one();
            self.publish();
        }
    }

    /// Takes note that something was stored, or could be.
    pub(crate) fn stored(&self) {
        if locked(&self.trouble).take().is_some() {
            self.publish();
        }
    }

    /// Returns when to look again whether what others send can be stored; nothing while nothing has kept it from that.
    pub(super) fn trouble_due(&self) -> Option<Instant> {
        locked(&self.trouble).as_ref().map(|it| it.again)
    }

    /// Looks whether what others send can be stored again.
    pub(super) async fn try_storing(&self) {
        let work = |file: &mut File| {
            file.try_writing(clock::now())?;
            // What was to be stored may be longer than what is written for a try.
            let folder = file.path().parent().map(ToOwned::to_owned);
            Ok::<_, libfossil::db::Error>(folder.and_then(|it| fs4::available_space(it).ok()))
        };
        if let Ok(Ok(room)) = self.writer.run(work).await
            && room.is_none_or(|room| room >= limits::NO_SPACE_BYTES)
        {
            self.stored();
        } else if let Some(trouble) = &mut *locked(&self.trouble) {
            trouble.again = Instant::now() + limits::LOOK_AGAIN;
        }
    }
}
