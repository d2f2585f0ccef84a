//! The server that a repository was last synced with, in the notes that stock keeps about it.
//!
//! The password among them is only veiled, so that nobody reads it in passing: whoever has the file has the password. The veil is
//! stock's, so that either program goes on where the other was.

use super::{Repository, Result, Transaction};

/// Config entry of the address, with the user and without the password in it.
const URL: &str = "last-sync-url";

/// Config entry of the veiled password.
const PASSWORD: &str = "last-sync-pw";

/// What stock combines with each byte of a password, over and over.
const VEIL: [u8; 16] = [
    0xa7, 0x21, 0x31, 0xe3, 0x2a, 0x50, 0x2c, 0x86, 0x4c, 0xa4, 0x52, 0x25, 0xff, 0x49, 0x35, 0x85,
];

/// The server that a repository was last synced with.
#[derive(Clone, PartialEq, Eq)]
pub struct RememberedRemote {
    /// The address, with the user in it.
    pub url: String,
    /// The password, where it was remembered.
    pub password: Option<String>,
}

impl std::fmt::Debug for RememberedRemote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RememberedRemote")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Repository {
    /// Returns the server of the last sync; none when there was no sync, or when stock was told to forget it. A password that does
    /// not unveil counts as none.
    ///
    /// # Errors
    /// [`Error::Sqlite`](super::Error::Sqlite) when the file cannot be read.
    pub fn remembered_remote(&self) -> Result<Option<RememberedRemote>> {
        let url = self
            .config(URL)?
            .filter(|url| !url.is_empty() && url != "off");
        let Some(url) = url else { return Ok(None) };
        let password = self.config(PASSWORD)?.and_then(|veiled| unveil(&veiled));
        Ok(Some(RememberedRemote { url, password }))
    }
}

impl Transaction<'_> {
    /// Notes the server for the next sync. `random` veils the password.
    ///
    /// # Errors
    /// [`Error::Sqlite`](super::Error::Sqlite) when the file cannot be written.
    pub fn remember_remote(&mut self, remote: &RememberedRemote, random: u8) -> Result<()> {
        self.set_config(URL, &remote.url)?;
        match &remote.password {
            Some(password) => self.set_config(PASSWORD, &veil(password, random)),
            None => self.unset_config(PASSWORD),
        }
    }
}

/// Returns the random byte, then each byte of the password combined with it and with the veil, in hexadecimal digits.
fn veil(password: &str, random: u8) -> String {
    let combined = password
        .bytes()
        .zip(VEIL.iter().cycle())
        .map(|(byte, veil)| byte ^ veil ^ random);
    let mut text = String::with_capacity(password.len() * 2 + 2);
    for byte in std::iter::once(random).chain(combined) {
        for nibble in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    text
}

fn unveil(text: &str) -> Option<String> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let mut bytes = digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0_u8, |byte, digit| (byte << 4) | digit));
    let random = bytes.next()?;
    let password = bytes
        .zip(VEIL.iter().cycle())
        .map(|(byte, veil)| byte ^ veil ^ random)
        .collect();
    String::from_utf8(password).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_veiled_as_stock_does_it() {
        // Printed by `fossil test-obscure hello`.
        assert_eq!(veil("hello", 0x40), "408f041dcf05");
        assert_eq!(unveil("408f041dcf05").as_deref(), Some("hello"));
    }

    #[test]
    fn every_password_comes_back_and_no_text_breaks_it() {
        for password in ["", "a", "pässwörd with more than sixteen bytes ✓"] {
            for random in [0, 1, 0xa7, 0xff] {
                assert_eq!(unveil(&veil(password, random)).as_deref(), Some(password));
            }
        }
        for damaged in ["", "4", "x", "40", "4é"] {
            assert_eq!(
                unveil(damaged).filter(|text| !text.is_empty()),
                None,
                "{damaged}"
            );
        }
    }
}
