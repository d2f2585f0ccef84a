//! Login cards: making them, finding them, checking them.
//!
//! A login proves knowledge of a secret without sending it. The secret is derived from project code, user name and password; the nonce is a
//! hash of all bytes that follow the card, so a card can't be moved to another message; the signature is a hash of nonce and secret. The card
//! is the message's first card, or since Fossil 2.27 a cookie, and then the nonce covers the whole message.

use std::hint::black_box;

use super::card::{Login, Version};
use super::parse;
use super::token::Tokens;
use crate::db::{SPECIAL_USERS, password_secret};
use crate::name::{HashName, ProjectCode};

/// The cookie that carries a login card.
const COOKIE: &str = "x-f-l-c";

/// The first version that reads the cookie.
const COOKIE_SINCE: Version = Version {
    release: 22_700,
    date: 20_250_727,
    time: 110_500,
};

/// What a login is checked against where there is no such user, so that both refusals cost the same.
const NO_PASSWORD: &str = "0000000000000000000000000000000000000000";

/// Returns whether `login` is one of the users that exist for what others inherit; no password opens them.
#[must_use]
pub fn is_special(login: &str) -> bool {
    SPECIAL_USERS.iter().any(|(special, ..)| *special == login)
}

/// Returns whether a peer of this version reads the login cookie.
#[must_use]
pub fn reads_cookie(version: Version) -> bool {
    version.release >= COOKIE_SINCE.release
        && (version.date, version.time) >= (COOKIE_SINCE.date, COOKIE_SINCE.time)
}

/// Returns the shared secret of a user: 40 hex digits, as `user.pw` holds them. A password that already has this form is returned as it is.
#[must_use]
pub fn shared_secret(project: &ProjectCode, login: &str, password: &str) -> String {
    if is_secret(password) {
        password.to_owned()
    } else {
        password_secret(project, login, password)
    }
}

/// Returns whether `text` has the form of a shared secret.
fn is_secret(text: &str) -> bool {
    text.len() == 40 && HashName::parse(text.as_bytes()).is_ok()
}

/// Returns the login card of `user` for a message whose bytes after the card are `tail`.
#[must_use]
pub fn sign(user: &str, secret: &str, tail: &[u8]) -> Login {
    let nonce = HashName::sha1_of(tail).as_str().to_owned();
    let signature = signature(&nonce, secret);
    Login {
        user: user.to_owned(),
        nonce,
        signature,
    }
}

fn signature(nonce: &str, secret: &str) -> String {
    HashName::sha1_of(format!("{nonce}{secret}").as_bytes())
        .as_str()
        .to_owned()
}

/// Returns whether `login` is right for a message with this `tail`.
///
/// `stored` is the user's `pw`, a secret or clear text; nothing when there is no such user. Whatever is wrong, the work done is the same.
#[must_use]
pub fn verify(login: &Login, tail: &[u8], stored: Option<&str>, project: &ProjectCode) -> bool {
    let usable = stored.filter(|password| !password.is_empty() && !is_special(&login.user));
    let password = usable.unwrap_or(NO_PASSWORD);
    let nonce_fits = HashName::parse(login.nonce.as_bytes()).is_ok_and(|nonce| nonce.names(tail));
    let direct = signature(&login.nonce, password);
    let derived = signature(
        &login.nonce,
        &password_secret(project, &login.user, password),
    );
    let direct_fits = equal_in_constant_time(&direct, &login.signature);
    let derived_fits = equal_in_constant_time(&derived, &login.signature);
    // A stored secret must not also count as a clear-text password.
    let derived_fits = derived_fits & !is_secret(password);
    usable.is_some() & nonce_fits & (direct_fits | derived_fits)
}

fn equal_in_constant_time(a: &str, b: &str) -> bool {
    let difference = a
        .bytes()
        .zip(b.bytes())
        .fold(0, |difference, (a, b)| black_box(difference | (a ^ b)));
    black_box(difference) == 0 && a.len() == b.len()
}

/// Returns the value of a `Cookie` header that carries the login card.
#[must_use]
pub fn to_cookie(login: &Login) -> String {
    let mut out = format!("{COOKIE}=");
    for byte in login.line().trim_end().bytes() {
        match byte {
            b' ' => out.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// Returns the login card in a `Cookie` header, if there is one.
#[must_use]
pub fn from_cookie(header: &str) -> Option<Login> {
    let value = header
        .split(';')
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
    let line = percent_decode(value)?;
    match Tokens::of(&line).as_slice() {
        [b"login", user, nonce, signature] => parse::login(user, nonce, signature),
        _ => None,
    }
}

fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            other => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn project() -> ProjectCode {
        ProjectCode::from_random([7; 20])
    }

    #[test]
    fn a_stored_secret_and_a_clear_text_password_both_verify() {
        let secret = shared_secret(&project(), "ada", "wonder land");
        let login = sign("ada", &secret, b"tail");
        assert!(verify(&login, b"tail", Some(&secret), &project()));
        assert!(verify(&login, b"tail", Some("wonder land"), &project()));
        assert!(!verify(&login, b"tail", Some("wonder"), &project()));
        assert!(!verify(&login, b"other tail", Some(&secret), &project()));
        assert!(!verify(&login, b"tail", None, &project()));
        assert!(!verify(&login, b"tail", Some(""), &project()));
    }

    #[test]
    fn a_secret_given_as_password_is_used_as_it_is() {
        let secret = shared_secret(&project(), "ada", "pw");
        assert_eq!(shared_secret(&project(), "ada", &secret), secret);
    }

    #[test]
    fn the_hash_of_a_stored_secret_is_no_second_password() {
        let secret = shared_secret(&project(), "ada", "pw");
        let twice = HashName::sha1_of(format!("{}/ada/{secret}", project()).as_bytes());
        assert!(!verify(
            &sign("ada", twice.as_str(), b""),
            b"",
            Some(&secret),
            &project()
        ));
    }

    #[test]
    fn special_users_never_log_in() {
        for (user, ..) in SPECIAL_USERS {
            let login = sign(user, &shared_secret(&project(), user, "pw"), b"tail");
            assert!(!verify(&login, b"tail", Some("pw"), &project()), "{user}");
        }
    }

    #[test]
    fn a_sha3_nonce_is_accepted() {
        let secret = shared_secret(&project(), "ada", "pw");
        let nonce = HashName::sha3_of(b"tail").as_str().to_owned();
        let signature = signature(&nonce, &secret);
        let login = Login {
            user: "ada".into(),
            nonce,
            signature,
        };
        assert!(verify(&login, b"tail", Some(&secret), &project()));
    }

    #[test]
    fn the_cookie_is_for_peers_that_read_it() {
        let new = Version {
            release: 22_900,
            date: 20_260_821,
            time: 0,
        };
        assert!(reads_cookie(new));
        assert!(!reads_cookie(Version {
            release: 22_100,
            ..new
        }));
        assert!(!reads_cookie(Version {
            date: 20_250_727,
            time: 110_459,
            ..new
        }));
        assert!(reads_cookie(Version {
            date: 20_250_727,
            time: 110_500,
            ..new
        }));
    }

    proptest! {
        #[test]
        fn a_cookie_gives_the_login_back(user in "\\PC{1,40}", tail in any::<Vec<u8>>()) {
            let login = sign(&user, "secret", &tail);
            prop_assert_eq!(from_cookie(&format!("a=b; {}; c=d", to_cookie(&login))), Some(login));
        }

        #[test]
        fn any_header_is_read_without_panic(header in "\\PC*") {
            let _ = from_cookie(&header);
            let _ = from_cookie(&format!("x-f-l-c={header}"));
        }
    }
}
