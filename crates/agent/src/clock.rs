//! The present time in libfossil's form.

use libfossil::time::Timestamp;

use crate::api::Time;

/// Returns the present time.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_millis(Time::now().unix_millis())
}
