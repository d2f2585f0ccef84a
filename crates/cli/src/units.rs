//! Durations, times of day and sizes as people write and read them: `500ms 5s 10m 2h`, `64 KiB`.

use std::time::Duration;

use edgesync_agent::api::Time;
pub(crate) use edgesync_agent::{format_age, format_size};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Parses a whole number with one of the units `ms`, `s`, `m`, `h`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let malformed =
        || format!("'{text}' is no duration: write a number and a unit, like 500ms, 5s, 10m or 1h");
    let number: u64 = number.parse().map_err(|_| malformed())?;
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(malformed()),
    };
    number
        .checked_mul(millis_per_unit)
        .map(Duration::from_millis)
        .ok_or_else(malformed)
}

/// Returns how many there are of something whose plural has an `s`: "1 thread", "2 threads".
pub(crate) fn format_count(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

/// Returns an instant as a clock in `zone` shows it, with the day where that is another one than at `now`.
pub(crate) fn format_clock(at: Time, now: Time, zone: &TimeZone) -> String {
    let local = |time: Time| {
        let instant = Timestamp::from_millisecond(time.unix_millis()).unwrap_or(Timestamp::MAX);
        instant.to_zoned(zone.clone())
    };
    let (at, now) = (local(at), local(now));
    let form = match at.date() == now.date() {
        true => "%H:%M",
        false => "%Y-%m-%d %H:%M",
    };
    at.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_the_day_only_when_it_is_another_one() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let at = |text: &str| text.parse::<Time>().expect("a time");
        let now = at("2026-11-22T22:30:00Z");
        let clock = |text: &str| format_clock(at(text), now, &zone);
        assert_eq!(clock("2026-11-22T22:45:10Z"), "23:45");
        assert_eq!(clock("2026-11-22T23:00:00Z"), "2026-11-23 00:00");
    }

    #[test]
    fn durations_need_a_number_and_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse_duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        for wrong in [
            "",
            "5",
            "s",
            "-5s",
            "5 s",
            "1.5s",
            "5d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
