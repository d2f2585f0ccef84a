//! Hexadecimal text, random tokens, and words for errors, sizes and ages.

use std::fmt::Write as _;
use std::time::Duration;

/// Returns `bytes` as lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing into a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Returns the `N` bytes that exactly `2 * N` hexadecimal digits mean.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != N * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair
            .iter()
            .try_fold(0, |value, digit| Some(value * 16 + hex_digit(*digit)?))?;
    }
    Some(bytes)
}

/// Returns `N` random bytes from the system.
///
/// # Errors
/// When the system has none to give.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// Returns the error and its sources, separated by colons, without repeating a source that the message already contains.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Returns a number of bytes with the unit that leaves at most four digits before the point.
pub fn format_size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Returns a span of time in words, in its largest unit: "12 s", "3 min", "2 h", "5 d".
pub fn format_age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// Letters and digits without those that are easily mistaken for each other.
pub(crate) const LETTERS: [char; 30] = [
    '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'j', 'k', 'm',
    'n', 'p', 'q', 'r', 's', 't', 'v', 'w', 'x', 'y', 'z',
];

/// Returns this many random [`LETTERS`].
///
/// # Errors
/// When the system has no random bytes to give.
pub(crate) fn letters(count: usize) -> Result<String, getrandom::Error> {
    let mut text = String::with_capacity(count);
    while text.len() < count {
        for byte in random::<16>()? {
            // Bytes above the largest multiple of 30 would make some letters likelier.
            if let Some(letter) = LETTERS
                .get(usize::from(byte) % LETTERS.len())
                .filter(|_| byte < 240 && text.len() < count)
            {
                text.push(*letter);
            }
        }
    }
    Ok(text)
}

/// Returns a password of 16 letters and digits, about 78 bits.
///
/// # Errors
/// When the system has no random bytes to give.
pub(crate) fn password() -> Result<String, getrandom::Error> {
    letters(16)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_text_is_read_whole_or_not_at_all() {
        assert_eq!(from_hex::<2>("00fF"), Some([0, 255]));
        assert_eq!(to_hex(&[0, 255]), "00ff");
        for bad in ["", "00f", "00f0a", "00fg", "é00"] {
            assert_eq!(from_hex::<2>(bad), None, "{bad}");
        }
    }

    #[test]
    fn ages_use_the_largest_unit() {
        assert_eq!(format_age(Duration::from_secs(59)), "59 s");
        assert_eq!(format_age(Duration::from_secs(60)), "1 min");
        assert_eq!(format_age(Duration::from_secs(86_399)), "23 h");
        assert_eq!(format_age(Duration::from_secs(172_800)), "2 d");
    }

    #[test]
    fn sizes_use_binary_units() {
        assert_eq!(format_size(0), "0 B");
        assert_eq!(format_size(1023), "1023 B");
        assert_eq!(format_size(1536), "1.5 KiB");
        assert_eq!(format_size(250 * 1024 * 1024), "250.0 MiB");
        assert_eq!(format_size(u64::MAX), "16383.9 PiB");
    }
}
