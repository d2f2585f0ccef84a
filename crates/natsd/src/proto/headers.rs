//! The header block of a message, as far as a server has to know it: whether clients can read it.

/// What a block begins with.
const VERSION: &str = "NATS/1.0";

/// Says whether clients can read a header block. The reference hands on whatever was sent, and some clients end their connection over a
/// block that they cannot read, which whoever may publish could have them do for ever.
pub(crate) fn is_readable(block: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(block) else {
        return false;
    };
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.strip_prefix(VERSION));
    let Some(status) = status.map(str::trim) else {
        return false;
    };
    let code = status.split(' ').next().unwrap_or_default();
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    if !status.is_empty() && !is_code {
        return false;
    }
    let mut goes_on = false;
    lines.all(|line| {
        if goes_on && line.starts_with(char::is_whitespace) {
            return true;
        }
        goes_on = !line.is_empty();
        line.is_empty() || line.split_once(':').is_some_and(|(name, _)| is_name(name))
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::is_readable;

    #[test]
    fn a_block_has_a_version_perhaps_a_status_and_lines_of_name_and_value() {
        for good in [
            "NATS/1.0\r\n\r\n",
            "NATS/1.0\r\nA:b\r\nA: c\r\n\r\n",
            "NATS/1.0 503\r\nNats-Subject: x\r\n\r\n",
            "NATS/1.0 404 No Messages\r\n\r\n",
            "NATS/1.0\r\nA: b\r\n  goes on\r\nC: größe\r\n\r\n",
            "NATS/1.0\r\nA:\r\n\r\n",
        ] {
            assert!(is_readable(good.as_bytes()), "{good:?}");
        }
        for bad in [
            &b"\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"\xff\xfe\r\n\r\n",
            b"NATS/1.0 999999 what\r\n\r\n",
            b"NATS/1.0 abc\r\n\r\n",
            b"NATS/1.0\r\nno colon\r\n\r\n",
            b"NATS/1.0\r\n: no name\r\n\r\n",
            b"NATS/1.0\r\na b: c\r\n\r\n",
            b"NATS/1.0\r\n goes on: after nothing\r\n\r\n",
            b"NATS/1.0\r\nA\xff: b\r\n\r\n",
            b"NATS/1.0\r\nA: \xff\r\n\r\n",
        ] {
            assert!(!is_readable(bad), "{bad:?}");
        }
    }
}
