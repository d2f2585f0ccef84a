//! What people chose about notifications, as the API shows it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The answer of `GET /api/v1/notify/settings`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifySettings {
    /// When only urgent messages are shown as notifications.
    pub quiet: Option<QuietHours>,
    /// Projects of which nothing is shown outside the inbox.
    pub muted: Vec<String>,
    /// Who shows notifications here; `null` where nobody does.
    pub notifier: Option<NotifierInfo>,
}

/// Hours of each day, in local time; they may go past midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// The first quiet minute.
    pub from: TimeOfDay,
    /// The first minute that is not quiet any more.
    pub until: TimeOfDay,
}

/// Who shows notifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifierInfo {
    /// Its name.
    pub name: String,
    /// Whether it has buttons.
    pub buttons: bool,
}

/// The body of `PUT /api/v1/notify/settings/quiet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetQuiet {
    /// The hours, or `null` to have none. It cannot be left out, which a mistyped name would do too.
    #[serde(deserialize_with = "Option::deserialize")]
    pub quiet: Option<QuietHours>,
}

/// The body of `PUT /api/v1/notify/settings/projects/{project}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetMuted {
    /// Whether nothing of it is shown outside the inbox.
    pub muted: bool,
}

/// A time of day with minutes, written `22:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

/// Minutes of a day.
const DAY: u16 = 24 * 60;

impl TimeOfDay {
    /// Returns the time that is this many minutes after midnight; whole days are left out.
    pub const fn from_minutes(minutes: u16) -> Self {
        Self(minutes % DAY)
    }

    /// Minutes since midnight.
    pub const fn minutes(self) -> u16 {
        self.0
    }

    /// Returns how many minutes it is from this time to the next `other`; none when it is now.
    pub const fn until(self, other: Self) -> u16 {
        (other.0 + DAY - self.0) % DAY
    }
}

impl QuietHours {
    /// Returns how many minutes of these hours are left at `now`; none outside them.
    pub fn left(self, now: TimeOfDay) -> Option<u16> {
        let left = now.until(self.until);
        // Equal ends would be no hours at all.
        (left > 0 && left <= self.from.until(self.until)).then_some(left)
    }
}

/// A text is no time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a time of day has hours and minutes, such as 22:00")]
pub struct TimeOfDayError;

impl FromStr for TimeOfDay {
    type Err = TimeOfDayError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (hours, minutes) = text.split_once(':').ok_or(TimeOfDayError)?;
        let number = |digits: &str, below: u16| -> Result<u16, TimeOfDayError> {
            let plain = digits.len() == 2 && digits.bytes().all(|it| it.is_ascii_digit());
            let value = digits.parse().ok().filter(|value| *value < below);
            value.filter(|_| plain).ok_or(TimeOfDayError)
        };
        Ok(Self(number(hours, 24)? * 60 + number(minutes, 60)?))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> TimeOfDay {
        text.parse().expect("a time of day")
    }

    #[test]
    fn a_time_of_day_is_read_strictly_and_written_back() {
        for text in ["00:00", "07:30", "23:59"] {
            assert_eq!(at(text).to_string(), text);
        }
        for wrong in [
            "",
            "7:30",
            "24:00",
            "12:60",
            "12",
            "+1:00",
            "12:000",
            "１２:00",
        ] {
            assert!(wrong.parse::<TimeOfDay>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn quiet_hours_may_go_past_midnight() {
        let night = QuietHours {
            from: at("22:00"),
            until: at("07:00"),
        };
        assert_eq!(night.left(at("21:59")), None);
        assert_eq!(night.left(at("22:00")), Some(540));
        assert_eq!(night.left(at("06:59")), Some(1));
        assert_eq!(night.left(at("07:00")), None);
        let noon = QuietHours {
            from: at("12:00"),
            until: at("13:00"),
        };
        assert_eq!(noon.left(at("12:30")), Some(30));
        assert_eq!(noon.left(at("13:30")), None);
        assert_eq!(noon.left(at("11:59")), None);
    }
}
