//! What a person writes who says where phones reach this machine.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;

use crate::api::Error;

/// Reads an address to listen on, with or without a port.
pub(super) fn parse(text: &str) -> Result<SocketAddr, Error> {
    let bad = || {
        Error::bad_request(format!(
            "{text:?} is no address such as 192.168.1.5 or 192.168.1.5:7000"
        ))
    };
    let address = match text.parse::<SocketAddr>() {
        Ok(address) => address,
        Err(_) => SocketAddr::new(text.parse::<IpAddr>().map_err(|_| bad())?, 0),
    };
    if address.ip().is_unspecified() {
        let all = "phones are let in at one address, not at all of them";
        return Err(Error::bad_request(all).with_hint("Name one of this machine's addresses."));
    }
    Ok(address)
}

/// Reads the address that phones open instead: scheme and host, and nothing that would change what the page asks.
pub(super) fn parse_public(text: &str) -> Result<String, Error> {
    let bad = |why: &str| Error::bad_request(format!("{text:?} cannot be what phones open: {why}"));
    let url = Url::parse(text.trim()).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
        return Err(bad("it begins with https:// and a name"));
    }
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err(bad(
            "it is a name and nothing more, such as https://phone.example.org",
        ));
    }
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_taken_and_all_of_them_are_not() {
        assert_eq!(
            parse("192.168.1.5").expect("taken").to_string(),
            "192.168.1.5:0"
        );
        assert_eq!(parse("192.168.1.5:7000").expect("taken").port(), 7000);
        assert!(parse("fd00::5").is_ok());
        for bad in [
            "0.0.0.0",
            "0.0.0.0:80",
            "::",
            "[::]:80",
            "",
            "example.org",
            "1.2.3.4:99999",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_phones_open_is_a_scheme_and_a_name() {
        assert_eq!(
            parse_public("https://phone.example.org/").expect("taken"),
            "https://phone.example.org"
        );
        assert_eq!(
            parse_public("https://phone.example.org:8443").expect("taken"),
            "https://phone.example.org:8443"
        );
        for bad in [
            "phone.example.org",
            "ftp://a",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://u:p@a",
            "javascript:alert(1)",
        ] {
            assert!(parse_public(bad).is_err(), "{bad}");
        }
    }
}
