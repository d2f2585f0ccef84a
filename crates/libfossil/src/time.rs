//! Points in time. Artifacts hold ISO 8601 text in UTC and the tables of a repository hold julian days as SQLite computes
//! them; [`Timestamp`] converts between both without ever asking a clock.

use std::fmt;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// Milliseconds from the start of the julian day count (noon, 24 November 4714 BC) to 1970-01-01T00:00Z.
const JULIAN_UNIX_EPOCH_MS: i64 = 210_866_760_000_000;

/// A point in time: milliseconds since 1970-01-01T00:00Z.
///
/// [`fmt::Display`] gives `YYYY-MM-DDTHH:MM:SS.SSS`, the form of `D` cards. As an SQL value it is a julian day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

/// The text is no date and time that artifacts may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a date and time")]
pub struct TimestampError;

impl Timestamp {
    /// Returns the point `millis` milliseconds after 1970-01-01T00:00Z.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since 1970-01-01T00:00Z.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// Returns the seconds since 1970-01-01T00:00Z, rounded down, as many tables keep them.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Returns the julian day, bit for bit what SQLite's `julianday()` gives for the same millisecond.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "SQLite does the same conversion"
    )]
    pub const fn to_julian(self) -> f64 {
        self.0.saturating_add(JULIAN_UNIX_EPOCH_MS) as f64 / 86_400_000.0
    }

    /// Returns the millisecond nearest to julian day `day`; what cannot be expressed saturates.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "float to integer casts saturate"
    )]
    pub const fn from_julian(day: f64) -> Self {
        let millis = (day * 86_400_000.0 + 0.5) as i64;
        Self(millis.saturating_sub(JULIAN_UNIX_EPOCH_MS))
    }

    /// Returns this time moved by `millis`, which may be negative; saturates.
    #[must_use]
    pub const fn saturating_add_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Reads a date and time as SQLite's date functions do: `YYYY-MM-DD`, then optionally `T` or spaces and `HH:MM`, `:SS`,
    /// a fraction of a second, and `Z` or `±HH:MM`. Days up to 31 are taken in every month and hour 24 in every day.
    ///
    /// # Errors
    /// Anything else, among it `now`, bare times and bare julian days, which SQLite takes but no artifact should hold.
    pub fn parse(text: &[u8]) -> Result<Self, TimestampError> {
        Reader { rest: text }.timestamp().ok_or(TimestampError)
    }
}

/// Reads fixed-width fields off the front of a text.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn timestamp(&mut self) -> Option<Timestamp> {
        let year = self.number(4, 0, 9999)?;
        self.byte(b'-')?;
        let month = self.number(2, 1, 12)?;
        self.byte(b'-')?;
        let day = self.number(2, 1, 31)?;
        let days = days_from_civil(year, month, 1) + day - 1;
        let before = self.rest.len();
        while matches!(
            self.rest.first(),
            Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | b'T')
        ) {
            self.rest = self.rest.get(1..)?;
        }
        if self.rest.is_empty() {
            return Some(Timestamp(days * DAY_MS));
        }
        if self.rest.len() == before {
            return None;
        }
        let time_ms = self.time_of_day_ms()?;
        let zone_minutes = self.zone_minutes()?;
        Some(Timestamp(days * DAY_MS + time_ms - zone_minutes * 60_000))
    }

    fn time_of_day_ms(&mut self) -> Option<i64> {
        let hour = self.number(2, 0, 24)?;
        self.byte(b':')?;
        let minute = self.number(2, 0, 59)?;
        let mut millis = (hour * 60 + minute) * 60_000;
        if self.byte(b':').is_some() {
            millis += self.number(2, 0, 59)? * 1000;
            if let [b'.', digit, ..] = self.rest
                && digit.is_ascii_digit()
            {
                self.rest = self.rest.get(1..)?;
                millis += self.fraction_ms();
            }
        }
        Some(millis)
    }

    /// Returns the fraction in milliseconds, rounded to the nearest but never up to a second; any number of digits is read.
    fn fraction_ms(&mut self) -> i64 {
        let digits = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (fraction, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let ten_thousandths = (0..4).fold(0, |n, i| {
            n * 10 + fraction.get(i).map_or(0, |b| i64::from(b - b'0'))
        });
        ((ten_thousandths + 5) / 10).min(999)
    }

    /// Returns the minutes that the zone is ahead of UTC; nothing may follow the zone.
    fn zone_minutes(&mut self) -> Option<i64> {
        let rest = self.rest.trim_ascii();
        let (sign, zone) = match rest {
            [] | [b'Z' | b'z'] => return Some(0),
            [b'+', zone @ ..] => (1, zone),
            [b'-', zone @ ..] => (-1, zone),
            _ => return None,
        };
        self.rest = zone;
        let hours = self.number(2, 0, 14)?;
        self.byte(b':')?;
        let minutes = self.number(2, 0, 59)?;
        self.rest
            .is_empty()
            .then_some(sign * (hours * 60 + minutes))
    }

    /// Reads exactly `width` digits with a value in `min..=max`.
    fn number(&mut self, width: usize, min: i64, max: i64) -> Option<i64> {
        let (digits, rest) = self.rest.split_at_checked(width)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let value = digits.iter().fold(0, |n, b| n * 10 + i64::from(b - b'0'));
        self.rest = rest;
        (min..=max).contains(&value).then_some(value)
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        let (&first, rest) = self.rest.split_first()?;
        if first != wanted {
            return None;
        }
        self.rest = rest;
        Some(())
    }
}

/// Returns the days from 1970-01-01 to a date of the proleptic Gregorian calendar.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years start in March here, so that the leap day is the last of its year.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Returns year, month and day of the date `days` after 1970-01-01.
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY_MS));
        let millis = self.0.rem_euclid(DAY_MS);
        let (seconds, millis) = (millis / 1000, millis % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}"
        )
    }
}

impl std::str::FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        Self::parse(text.as_bytes())
    }
}

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_julian().into())
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Real(day) => Ok(Self::from_julian(day)),
            #[expect(clippy::cast_precision_loss, reason = "days since 4714 BC are small")]
            ValueRef::Integer(day) => Ok(Self::from_julian(day as f64)),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    fn sqlite_julian(text: &str) -> Option<f64> {
        let db = Connection::open_in_memory().expect("SQLite opens");
        db.query_row("SELECT julianday(?1)", [text], |row| row.get(0))
            .expect("a row")
    }

    #[test]
    fn forms_that_sqlite_takes_are_taken_with_the_same_value() {
        for text in [
            "1970-01-01T00:00:00.000",
            "2026-02-31T24:00:00",
            "2026-11-22",
            "2026-11-22 10:11",
            "2026-11-22   10:11:12.3456789",
            "2026-11-22T10:11:12Z",
            "2026-11-22T10:11:12.5 +05:30",
            "0000-03-01T00:00:00",
            "9999-12-31T23:59:59.999",
            "2026-11-22T10:11:12.9999",
        ] {
            let ours = Timestamp::parse(text.as_bytes())
                .map(Timestamp::to_julian)
                .ok();
            assert_eq!(ours, sqlite_julian(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "now",
            "2026",
            "2026-13-01",
            "2026-00-01",
            "2026-01-32",
            "2026-01-01T25:00",
            "2026-01-01T10:60",
            "x",
        ]
        .into_iter()
        .chain([
            "2026-01-01T10:10:60",
            "2026-01-01T10:10:10x",
            "2026-01-01x",
            "2026-1-1",
            "12:00",
            "2451545.5",
        ]) {
            assert_eq!(
                Timestamp::parse(text.as_bytes()),
                Err(TimestampError),
                "{text}"
            );
        }
    }

    #[test]
    fn extreme_times_are_shown_without_a_panic() {
        for millis in [i64::MIN, i64::MAX, -1, 0] {
            let time = Timestamp::from_unix_millis(millis);
            assert!(time.to_string().contains('T'));
            assert!(time.to_julian().is_finite());
        }
        assert_eq!(
            Timestamp::from_julian(f64::NAN).unix_millis(),
            -JULIAN_UNIX_EPOCH_MS
        );
    }

    proptest! {
        #[test]
        fn a_time_survives_its_text_and_its_julian_day(millis in -62_167_219_200_000_i64..253_402_300_800_000) {
            let time = Timestamp::from_unix_millis(millis);
            prop_assert_eq!(Timestamp::parse(time.to_string().as_bytes()), Ok(time));
            prop_assert_eq!(Timestamp::from_julian(time.to_julian()), time);
        }

        #[test]
        fn julian_days_are_those_of_sqlite(millis in -62_135_596_800_000_i64..253_402_300_800_000) {
            let time = Timestamp::from_unix_millis(millis);
            prop_assert_eq!(sqlite_julian(&time.to_string()), Some(time.to_julian()));
        }

        #[test]
        fn any_bytes_can_be_tried(bytes: Vec<u8>) {
            let _ = Timestamp::parse(&bytes);
        }
    }
}
