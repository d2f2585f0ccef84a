//! Pauses: while one lasts, nothing is pulled or pushed unless a person asks for it.

use serde::{Deserialize, Serialize};

use super::{Error, Time};

/// A pause of the agent or of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it ends by itself; `null` when a person ends it.
    pub until: Option<Time>,
}

/// The body of `POST /api/v1/pause` and `POST /api/v1/repositories/{name}/pause`; `null` pauses until somebody resumes.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPause {
    /// How long, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

impl Pause {
    /// Returns the one that ends later.
    #[must_use]
    pub fn longer(self, other: Self) -> Self {
        let until = self.until.zip(other.until);
        Self {
            until: until.map(|(one, other)| one.max(other)),
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(self, now: Time) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl SetPause {
    /// Returns the pause that is meant.
    ///
    /// # Errors
    /// `bad_request` when it says two things, or would be over already.
    pub fn pause(self, now: Time) -> Result<Pause, Error> {
        let until = match (self.for_ms, self.until) {
            (Some(_), Some(_)) => {
                return Err(Error::bad_request("give for_ms or until, not both"));
            }
            (Some(millis), None) => {
                let millis = i64::try_from(millis).unwrap_or(i64::MAX);
                Some(Time::from_unix_millis(
                    now.unix_millis().saturating_add(millis),
                ))
            }
            (None, until) => until,
        };
        let pause = Pause { until };
        if pause.is_over(now) {
            return Err(Error::bad_request("the pause would be over already"));
        }
        Ok(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix_millis(1_000);

    fn until(millis: i64) -> Pause {
        Pause {
            until: Some(Time::from_unix_millis(millis)),
        }
    }

    #[test]
    fn of_two_pauses_the_longer_one_counts_and_one_without_an_end_is_the_longest() {
        let open = Pause { until: None };
        assert_eq!(until(1).longer(until(2)), until(2));
        assert_eq!(open.longer(until(2)), open);
        assert_eq!(until(2).longer(open), open);
    }

    #[test]
    fn a_wish_says_how_long_or_until_when_or_neither() {
        let wish = |text: &str| -> Option<Pause> {
            let wish: Option<SetPause> = serde_json::from_str(text).ok()?;
            wish.unwrap_or_default().pause(NOW).ok()
        };
        assert_eq!(wish("null"), Some(Pause { until: None }));
        assert_eq!(wish(r#"{"for_ms":500}"#), Some(until(1_500)));
        assert_eq!(
            wish(r#"{"until":"1970-01-01T00:00:09Z"}"#),
            Some(until(9_000))
        );
        for wrong in [
            r#"{"for_ms":0}"#,
            r#"{"for_ms":-1}"#,
            r#"{"until":"1970-01-01T00:00:01Z"}"#,
            r#"{"for_ms":1,"until":"1970-01-01T00:00:09Z"}"#,
            r#"{"for":1}"#,
        ] {
            assert_eq!(wish(wrong), None, "{wrong}");
        }
    }
}
