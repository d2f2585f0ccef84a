//! From a value of the file to what a key means by it.

use std::time::Duration;

use super::syntax::{Entry, Value, What};
use super::{ConfigError, Listen};

/// Returns the entries of a map.
pub(super) fn map(value: &Value) -> Result<&[Entry], ConfigError> {
    match &value.what {
        What::Map(entries) => Ok(entries),
        _ => Err(wrong(value, "a map in braces")),
    }
}

/// Returns the values of a list; a single value counts as a list of one.
pub(super) fn list(value: &Value) -> &[Value] {
    match &value.what {
        What::List(values) => values,
        _ => std::slice::from_ref(value),
    }
}

/// Returns a text.
pub(super) fn text(value: &Value) -> Result<&str, ConfigError> {
    match &value.what {
        What::Text(text) => Ok(text),
        _ => Err(wrong(value, "a text")),
    }
}

/// Returns the texts of a list, or a single one.
pub(super) fn texts(value: &Value) -> Result<Vec<String>, ConfigError> {
    list(value)
        .iter()
        .map(|item| text(item).map(str::to_owned))
        .collect()
}

/// Returns yes or no.
pub(super) fn flag(value: &Value) -> Result<bool, ConfigError> {
    match text(value)?.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err(wrong(value, "true or false")),
    }
}

/// Returns a number.
pub(super) fn number<N: std::str::FromStr>(value: &Value) -> Result<N, ConfigError> {
    text(value)?.parse().map_err(|_| wrong(value, "a number"))
}

/// Returns a port; -1 means any that is free, which the system calls 0, and 0 means the default.
pub(super) fn port(value: &Value) -> Result<Option<u16>, ConfigError> {
    match text(value)? {
        "-1" => Ok(Some(0)),
        "0" => Ok(None),
        port => Ok(Some(
            port.parse()
                .map_err(|_| wrong(value, "a port, or -1 for any"))?,
        )),
    }
}

/// Returns a size in bytes. `K`, `M`, `G` count in thousands, with `B` or `iB` behind them in powers of two.
pub(super) fn size(value: &Value) -> Result<usize, ConfigError> {
    let wrong = || wrong(value, "a size such as 65536, 64KB or 1MB");
    let text = text(value)?;
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let factor: usize = match unit.trim().to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        "kb" | "ki" | "kib" => 1 << 10,
        "mb" | "mi" | "mib" => 1 << 20,
        "gb" | "gi" | "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: usize = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

/// Returns a time: a number of seconds, or numbers with units such as `1m30s`.
pub(super) fn duration(value: &Value) -> Result<Duration, ConfigError> {
    let wrong = || wrong(value, "a time such as 2, 500ms or 1m30s");
    let mut rest = text(value)?.trim();
    if let Ok(seconds) = rest.parse() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| wrong());
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let (number, behind) = rest.split_at(number_end);
        let unit_end = behind
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(behind.len());
        let (unit, next) = behind.split_at(unit_end);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = next;
    }
    Ok(total)
}

/// Returns an address to listen on: `HOST:PORT`, or a port alone.
pub(super) fn listen(value: &Value) -> Result<Listen, ConfigError> {
    let address = text(value)?;
    let (host, at) = match address.rsplit_once(':') {
        Some((host, at)) => (host, at),
        None => ("", address),
    };
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let port = port(&Value {
        line: value.line,
        what: What::Text(at.to_owned()),
    })?;
    Ok(Listen {
        host: (!host.is_empty()).then(|| host.to_owned()),
        port,
    })
}

fn wrong(value: &Value, expected: &str) -> ConfigError {
    let found = match &value.what {
        What::Text(text) => format!("`{text}`"),
        What::List(_) => "a list".to_owned(),
        What::Map(_) => "a map".to_owned(),
    };
    ConfigError::at(value.line, format!("{expected} is expected, not {found}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Listen;
    use super::super::syntax::{Value, What};
    use super::{duration, flag, listen, number, port, size};

    fn value(text: &str) -> Value {
        Value {
            line: 7,
            what: What::Text(text.to_owned()),
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("65536", 65_536),
            ("128KB", 131_072),
            ("64MiB", 64 << 20),
            ("1gb", 1 << 30),
            ("8k", 8_000),
        ] {
            assert_eq!(size(&value(text)).expect(text), bytes);
        }
        for text in [
            "",
            "KB",
            "-1",
            "1XB",
            "99999999999999999999",
            "18446744073709551615KB",
        ] {
            assert!(size(&value(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_seconds_or_have_units() {
        for (text, ms) in [
            ("2", 2_000),
            ("0.5", 500),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                duration(&value(text)).expect(text),
                Duration::from_millis(ms)
            );
        }
        for text in ["", "s", "2x", "-1", "1m3", "1e300h", "inf"] {
            assert!(duration(&value(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_may_be_a_port_alone() {
        let expected = |host: Option<&str>, port| Listen {
            host: host.map(str::to_owned),
            port,
        };
        for (text, host, port) in [
            ("127.0.0.1:4222", Some("127.0.0.1"), Some(4222)),
            ("[::1]:4222", Some("::1"), Some(4222)),
            ("4222", None, Some(4222)),
            (":-1", None, Some(0)),
        ] {
            assert_eq!(listen(&value(text)).expect(text), expected(host, port));
        }
        assert!(listen(&value("host:http")).is_err());
    }

    #[test]
    fn a_wrong_value_is_named_with_its_line() {
        let error = flag(&value("maybe")).expect_err("no flag");
        assert_eq!(
            error.to_string(),
            "line 7: true or false is expected, not `maybe`"
        );
        assert!(number::<u32>(&value("4294967296")).is_err());
        assert!(port(&value("65536")).is_err());
    }
}
