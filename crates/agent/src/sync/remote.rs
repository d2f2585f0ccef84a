//! The address of a stock Fossil server with the login there. What is shown never holds the password.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::api;
use crate::limits;

/// A server to sync with. Two are equal when address and login are.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    url: Url,
    user: Option<String>,
    password: Option<String>,
}

/// The text is no address of a Fossil server. The text itself is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// It is no address at all.
    #[error("this is no address of a server: {0}")]
    Malformed(String),
    /// The scheme is not HTTP.
    #[error("addresses that begin with {0}: are not supported; use http:// or https://")]
    Scheme(String),
    /// There is no host.
    #[error("the address names no host")]
    NoHost,
    /// User or password is not UTF-8, or holds control characters.
    #[error("the user or password in the address is not plain text")]
    Login,
}

impl Remote {
    /// The address without user, password, query and fragment.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The login there.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password there. Not for showing.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The address with the login in it, without the password.
    pub fn url_with_user(&self) -> String {
        let mut url = self.url.clone();
        // Fails for addresses without a host, which no remote has.
        let _ = url.set_username(self.user().unwrap_or_default());
        url.into()
    }

    pub(crate) fn parsed(&self) -> &Url {
        &self.url
    }

    /// Returns this remote at another address, with the same login.
    pub(crate) fn moved_to(&self, url: Url) -> Self {
        Self {
            url,
            ..self.clone()
        }
    }

    /// Returns the remote at `url` for anyone.
    pub(crate) fn without_login(url: Url) -> Self {
        Self {
            url,
            user: None,
            password: None,
        }
    }

    /// Returns this remote with another login; a part that is `None` stays as it is. A new user without a password has none.
    #[must_use]
    pub fn with_login(mut self, user: Option<String>, password: Option<String>) -> Self {
        if let Some(user) = user.filter(|user| !user.is_empty()) {
            if self.user.as_ref() != Some(&user) {
                self.password = None;
            }
            self.user = Some(user);
        }
        if let Some(password) = password {
            self.password = Some(password);
        }
        self
    }

    /// Returns this remote with the password of `known` where it has none of its own and is the same user's on the same server:
    /// who edits a path need not type the password again.
    pub(crate) fn with_password_of(mut self, known: &Self) -> Self {
        if self.password.is_none()
            && self.user == known.user
            && self.url.origin() == known.url.origin()
        {
            self.password.clone_from(&known.password);
        }
        self
    }

    /// Returns what may be shown.
    pub fn shown(&self) -> api::Remote {
        api::Remote {
            url: self.url.to_string(),
            user: self.user.clone(),
        }
    }
}

impl FromStr for Remote {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > limits::TEXT_FIELD_BYTES {
            return Err(RemoteError::Malformed("it is too long".to_owned()));
        }
        // What stands behind three slashes is a path; URLs of the web take its first part for the host.
        if text
            .split_once("://")
            .is_some_and(|(_, rest)| rest.starts_with(['/', '\\']))
        {
            return Err(RemoteError::NoHost);
        }
        let mut url =
            Url::parse(text.trim()).map_err(|error| RemoteError::Malformed(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(RemoteError::Scheme(url.scheme().to_owned()));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(RemoteError::NoHost);
        }
        let user = decode(url.username())?;
        let password = url.password().map(decode).transpose()?.flatten();
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| RemoteError::NoHost)?;
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self {
            url,
            user,
            password,
        })
    }
}

fn decode(part: &str) -> Result<Option<String>, RemoteError> {
    let text = percent_decode_str(part)
        .decode_utf8()
        .map_err(|_| RemoteError::Login)?;
    if text.chars().any(char::is_control) {
        return Err(RemoteError::Login);
    }
    Ok(Some(text.into_owned()).filter(|text| !text.is_empty()))
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("url", &self.url.as_str())
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_is_taken_out_of_the_address_and_the_password_never_shown() {
        let remote: Remote = "http://ada:p%40ss%2Fword@example.org:8080/a/b?x=1#y"
            .parse()
            .expect("a remote");
        assert_eq!(remote.url(), "http://example.org:8080/a/b");
        assert_eq!(
            (remote.user(), remote.password()),
            (Some("ada"), Some("p@ss/word"))
        );
        let shown = format!(
            "{remote} {remote:?} {}",
            serde_json::to_string(&remote.shown()).expect("json")
        );
        assert!(
            !shown.contains("p@ss") && !shown.contains("p%40ss"),
            "{shown}"
        );
    }

    #[test]
    fn what_is_no_web_address_is_refused_without_repeating_it() {
        for bad in [
            "",
            "example.org",
            "ssh://-oProxyCommand=x/",
            "ext::sh -c x",
            "file:///etc/passwd",
            "http://",
            "http://:80/",
            "http://a%00b@example.org/",
            "http://%ff@example.org/",
            "javascript:alert(1)",
        ] {
            let error = bad.parse::<Remote>().expect_err(bad);
            assert!(
                bad.len() < 12 || !error.to_string().contains(bad),
                "{error}"
            );
        }
    }

    #[test]
    fn a_password_is_kept_for_the_same_user_on_the_same_server_alone() {
        let known: Remote = "http://ada:secret@example.org/a".parse().expect("a remote");
        let keeps = |text: &str| {
            text.parse::<Remote>()
                .expect("a remote")
                .with_password_of(&known)
                .password()
                .map(ToOwned::to_owned)
        };
        assert_eq!(keeps("http://ada@example.org/b").as_deref(), Some("secret"));
        assert_eq!(
            keeps("http://ada:new@example.org/b").as_deref(),
            Some("new")
        );
        for other in [
            "http://bob@example.org/a",
            "http://example.org/a",
            "http://ada@example.com/a",
            "http://ada@example.org:81/a",
        ] {
            assert_eq!(keeps(other), None, "{other}");
        }
    }

    #[test]
    fn another_user_does_not_inherit_the_password() {
        let remote: Remote = "http://ada:secret@example.org/".parse().expect("a remote");
        assert_eq!(
            remote
                .clone()
                .with_login(Some("bob".into()), None)
                .password(),
            None
        );
        assert_eq!(
            remote.with_login(Some("ada".into()), None).password(),
            Some("secret")
        );
    }
}
