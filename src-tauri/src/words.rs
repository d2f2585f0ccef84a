//! A state in the words of the menu, and how long these words stay true. Pure: the time is handed in.

use std::time::Duration;

use edgesync_agent::api::{Phase, Remote, Role, State, Time};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tauri::Url;

/// Ages under a minute are told in steps of this many seconds: true enough for a glance, and a menu that nobody looks at is
/// rewritten twelve times a minute at most.
const STEP_S: u64 = 5;

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 60 * MINUTE_S;
const DAY_S: u64 = 24 * HOUR_S;

/// A line of text, and when it has to be written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    /// The line.
    pub(crate) text: String,
    /// How long it stays true; for ever when `None`.
    pub(crate) stale_after: Option<Duration>,
}

impl Words {
    /// Words that no clock changes.
    fn lasting(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            stale_after: None,
        }
    }
}

/// Returns the words for `state` as they are true at `now`: the same that the page uses. `remote` names whom an exchange
/// is with.
pub(crate) fn of(state: &State, remote: Option<&Remote>, now: Time) -> Words {
    match state {
        State::Local => Words::lasting("Local only"),
        State::Never => Words::lasting("Not synced yet"),
        State::UpToDate { at } => aged("Up to date · ", *at, now),
        State::Pending { at: Some(at) } => aged("Changes waiting · last synced ", *at, now),
        State::Pending { at: None } => Words::lasting("Changes waiting"),
        State::Kept { at: Some(at), .. } => aged("Changes stay here · last synced ", *at, now),
        State::Kept { at: None, .. } => Words::lasting("Changes stay here"),
        State::Paused { until, .. } => paused(*until, now, &TimeZone::system()),
        State::Syncing { phase, done, total } => Words::lasting(progress(*phase, *done, *total)),
        State::Error {
            retry_at: Some(at), ..
        } => retrying(&failure(remote), *at, now),
        State::Error { since, .. } => holding(&failure(remote), *since, now),
        State::Missing { .. } => Words::lasting("File can't be opened"),
        // A state that this front does not know yet: say nothing that may be wrong.
        _ => Words::lasting("See the window"),
    }
}

/// Returns that nothing is synced, and until when: with the day where it is another one than that of `now` in this `zone`.
pub(crate) fn paused(until: Option<Time>, now: Time, zone: &TimeZone) -> Words {
    let wall = |time: Time| {
        let instant = Timestamp::from_millisecond(time.unix_millis()).unwrap_or_default();
        instant.to_zoned(zone.clone())
    };
    let Some(until) = until.map(wall) else {
        return Words::lasting("Paused");
    };
    let form = if until.date() == wall(now).date() {
        "%H:%M"
    } else {
        "%-d %b, %H:%M"
    };
    Words::lasting(format!("Paused until {}", until.strftime(form)))
}

/// Returns the next morning at six: when a pause until tomorrow ends. Nothing where the calendar has no such time.
pub(crate) fn tomorrow(now: Time, zone: &TimeZone) -> Option<Time> {
    let now = Timestamp::from_millisecond(now.unix_millis()).ok()?;
    let day = now.to_zoned(zone.clone()).date().tomorrow().ok()?;
    let morning = day.at(6, 0, 0, 0).to_zoned(zone.clone()).ok()?;
    Some(Time::from_unix_millis(morning.timestamp().as_millisecond()))
}

/// Returns a role's name.
pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::Peer => "Peer",
        Role::Hub => "Hub",
        Role::Leaf => "Leaf",
    }
}

/// Returns what an exchange does and how far it is: "Syncing 340 of 1,200".
fn progress(phase: Phase, done: u64, total: Option<u64>) -> String {
    let verb = match phase {
        Phase::Clone => "Cloning",
        Phase::Pull => "Receiving",
        Phase::Push => "Sending",
        Phase::Rebuild => "Rebuilding",
        _ => "Syncing",
    };
    match total {
        Some(total @ 1..) => format!("{verb} {} of {}", grouped(done), grouped(total)),
        _ if done > 0 => format!("{verb} {}", grouped(done)),
        _ => verb.to_owned(),
    }
}

/// Returns what failed, and with whom. The window has the whole message and what to do.
fn failure(remote: Option<&Remote>) -> String {
    let host = remote.and_then(|remote| Url::parse(&remote.url).ok());
    match host.as_ref().and_then(Url::host_str) {
        Some(host) => format!("Can't sync with {host}"),
        None => "Can't sync".to_owned(),
    }
}

/// Returns `prefix` with the age of `at`.
fn aged(prefix: &str, at: Time, now: Time) -> Words {
    // A clock set back makes ages negative; they count as none.
    let age_ms = u64::try_from(now.unix_millis().saturating_sub(at.unix_millis())).unwrap_or(0);
    let age_s = age_ms / 1000;
    let (text, next_s) = match age_s {
        0..STEP_S => ("now".to_owned(), STEP_S),
        STEP_S..MINUTE_S => {
            let shown = age_s - age_s % STEP_S;
            (format!("{shown} s ago"), shown + STEP_S)
        }
        MINUTE_S..HOUR_S => counted(age_s, MINUTE_S, "min"),
        HOUR_S..DAY_S => counted(age_s, HOUR_S, "h"),
        _ => counted(age_s, DAY_S, "d"),
    };
    let next_ms = next_s.saturating_mul(1000);
    Words {
        text: format!("{prefix}{text}"),
        stale_after: Some(Duration::from_millis(next_ms.saturating_sub(age_ms))),
    }
}

/// Returns `message` with how long that has been so since `since`.
fn holding(message: &str, since: Time, now: Time) -> Words {
    let Words { text, stale_after } = aged("", since, now);
    let text = match text.strip_suffix(" ago") {
        Some(age) => format!("{message} · for {age}"),
        None => message.to_owned(),
    };
    Words { text, stale_after }
}

/// Returns an age in whole `unit_s` seconds, and the age in seconds at which it changes.
fn counted(age_s: u64, unit_s: u64, unit: &str) -> (String, u64) {
    let units = age_s / unit_s;
    (
        format!("{units} {unit} ago"),
        (units + 1).saturating_mul(unit_s),
    )
}

/// Returns `message` with the time that is left until the next try at `at`.
fn retrying(message: &str, at: Time, now: Time) -> Words {
    let left_ms = u64::try_from(at.unix_millis().saturating_sub(now.unix_millis())).unwrap_or(0);
    let left_s = left_ms.div_ceil(1000);
    if left_s == 0 {
        return Words::lasting(format!("{message} · retrying now"));
    }
    let (text, shown_s) = if left_s <= MINUTE_S {
        let shown = left_s.div_ceil(STEP_S) * STEP_S;
        (format!("{shown} s"), shown - STEP_S)
    } else {
        let minutes = left_s.div_ceil(MINUTE_S);
        (format!("{minutes} min"), (minutes - 1) * MINUTE_S)
    };
    let stale_after =
        Duration::from_millis(left_ms.saturating_sub(shown_s.saturating_mul(1000)).max(1));
    Words {
        text: format!("{message} · retrying in {text}"),
        stale_after: Some(stale_after),
    }
}

/// Returns `count` with a comma between thousands.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use edgesync_agent::api::Code;

    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix_millis(seconds * 1000)
    }

    /// The words for an exchange completed `age_s` seconds ago, and for how many seconds they hold.
    fn up_to_date(age_s: i64) -> (String, u64) {
        let words = of(
            &State::UpToDate { at: at(1_000_000) },
            None,
            at(1_000_000 + age_s),
        );
        (
            words.text,
            words.stale_after.expect("an age changes").as_secs(),
        )
    }

    fn remote() -> Remote {
        Remote {
            url: "https://sync.example.org/project".into(),
            user: None,
        }
    }

    fn failing(retry_at: Option<Time>) -> State {
        State::Error {
            code: Code::Remote,
            message: "The server closed the connection.".into(),
            hint: None,
            since: at(0),
            retry_at,
            last_ok: None,
        }
    }

    #[test]
    fn an_age_is_told_coarser_as_it_grows_and_says_how_long_it_holds() {
        assert_eq!(up_to_date(-3600), ("Up to date · now".into(), 5));
        assert_eq!(up_to_date(0), ("Up to date · now".into(), 5));
        assert_eq!(up_to_date(4), ("Up to date · now".into(), 1));
        assert_eq!(up_to_date(12), ("Up to date · 10 s ago".into(), 3));
        assert_eq!(up_to_date(59), ("Up to date · 55 s ago".into(), 1));
        assert_eq!(up_to_date(60), ("Up to date · 1 min ago".into(), 60));
        assert_eq!(up_to_date(3599), ("Up to date · 59 min ago".into(), 1));
        assert_eq!(up_to_date(3600), ("Up to date · 1 h ago".into(), 3600));
        assert_eq!(up_to_date(200_000), ("Up to date · 2 d ago".into(), 59_200));
    }

    #[test]
    fn words_change_exactly_when_they_said() {
        let state = State::UpToDate { at: at(0) };
        let mut now = Time::from_unix_millis(0);
        while now < at(2 * 24 * 3600) {
            let words = of(&state, None, now);
            let held_ms =
                i64::try_from(words.stale_after.expect("an age changes").as_millis()).unwrap();
            let last = Time::from_unix_millis(now.unix_millis() + held_ms - 1);
            assert_eq!(of(&state, None, last).text, words.text, "at {last}");
            now = Time::from_unix_millis(now.unix_millis() + held_ms);
            assert_ne!(of(&state, None, now).text, words.text, "at {now}");
        }
    }

    #[test]
    fn progress_has_numbers_where_they_are_known() {
        let syncing =
            |phase, done, total| of(&State::Syncing { phase, done, total }, None, at(0)).text;
        assert_eq!(
            syncing(Phase::Sync, 340, Some(1200)),
            "Syncing 340 of 1,200"
        );
        assert_eq!(syncing(Phase::Clone, 1_234_567, None), "Cloning 1,234,567");
        assert_eq!(syncing(Phase::Pull, 0, None), "Receiving");
    }

    #[test]
    fn an_error_counts_down_to_its_next_try() {
        let words = |now_s| of(&failing(Some(at(100))), Some(&remote()), at(now_s));
        assert_eq!(
            words(30).text,
            "Can't sync with sync.example.org · retrying in 2 min"
        );
        assert_eq!(words(30).stale_after, Some(Duration::from_secs(10)));
        assert_eq!(
            words(70).text,
            "Can't sync with sync.example.org · retrying in 30 s"
        );
        assert_eq!(
            words(98).text,
            "Can't sync with sync.example.org · retrying in 5 s"
        );
        assert_eq!(words(98).stale_after, Some(Duration::from_secs(2)));
        assert_eq!(
            words(100),
            Words::lasting("Can't sync with sync.example.org · retrying now")
        );
    }

    #[test]
    fn a_pause_says_until_when_and_the_day_where_it_is_another_one() {
        let words = |until: Option<i64>| paused(until.map(at), at(3_600), &TimeZone::UTC).text;
        assert_eq!(words(None), "Paused");
        assert_eq!(words(Some(7_200)), "Paused until 02:00");
        assert_eq!(words(Some(2 * 86_400)), "Paused until 3 Jan, 00:00");
        let morning = tomorrow(at(3_600), &TimeZone::UTC);
        assert_eq!(morning, Some(at(86_400 + 6 * 3_600)));
    }

    #[test]
    fn an_error_that_nobody_retries_says_since_when() {
        assert_eq!(
            of(&failing(None), None, at(180)).text,
            "Can't sync · for 3 min"
        );
    }
}
