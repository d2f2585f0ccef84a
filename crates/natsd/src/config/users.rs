//! The blocks `authorization`: who may connect, and what they may do then.

use std::time::Duration;

use super::syntax::{Entry, Value, What};
use super::{ConfigError, section, value};

/// How many answers a request allows, and for how long, when the file does not say.
const RESPONSES_DEFAULT: AllowResponses = AllowResponses {
    max: 1,
    expires: Duration::from_secs(120),
};

/// Who may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Users {
    /// A token that is enough by itself.
    pub token: Option<String>,
    /// People and programs.
    pub users: Vec<User>,
    /// How long they have to say who they are.
    pub timeout: Option<Duration>,
}

/// One who may connect: with a name and password, or a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// Name.
    pub name: Option<String>,
    /// Password, in clear or hashed with bcrypt.
    pub password: Option<String>,
    /// Public key instead of both.
    pub nkey: Option<String>,
    /// What they may do; everything when nothing is said.
    pub permissions: Option<Permissions>,
}

/// What a user may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permissions {
    /// Where they may send.
    pub publish: SubjectRules,
    /// What they may listen to.
    pub subscribe: SubjectRules,
    /// Whether they may answer where they were asked, even where they may not send.
    pub allow_responses: Option<AllowResponses>,
}

/// Subjects that are allowed and denied; a denial wins. Each may hold wildcards, and of a subscription ` queue`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectRules {
    /// Only these, unless the list is empty.
    pub allow: Vec<String>,
    /// None of these.
    pub deny: Vec<String>,
}

/// How many answers a request allows, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowResponses {
    /// Most answers to one request.
    pub max: u32,
    /// How long after the request.
    pub expires: Duration,
}

/// Reads a block `authorization`.
pub(super) fn users(block: &Value) -> Result<Users, ConfigError> {
    let mut read = Users::default();
    let mut one = User::default();
    let mut default_permissions = None;
    for Entry { line, key, value } in value::map(block)? {
        match key.to_ascii_lowercase().as_str() {
            "user" | "username" => one.name = Some(value::text(value)?.to_owned()),
            "pass" | "password" => one.password = Some(value::text(value)?.to_owned()),
            "token" => read.token = Some(value::text(value)?.to_owned()),
            "timeout" => read.timeout = Some(value::duration(value)?),
            "users" => {
                let users = value::list(value).iter().map(user);
                read.users.extend(users.collect::<Result<Vec<_>, _>>()?);
            }
            "permissions" | "default_permissions" => {
                default_permissions = Some(permissions(value)?);
            }
            _ => return Err(section::not_known(*line, key, "authorization")),
        }
    }
    if one != User::default() {
        if one.name.is_none() {
            return Err(ConfigError::at(block.line, "a password without a user"));
        }
        read.users.push(one);
    }
    for user in &mut read.users {
        if user.permissions.is_none() {
            user.permissions.clone_from(&default_permissions);
        }
    }
    Ok(read)
}

fn user(block: &Value) -> Result<User, ConfigError> {
    let mut read = User::default();
    for Entry { line, key, value } in value::map(block)? {
        match key.to_ascii_lowercase().as_str() {
            "user" | "username" => read.name = Some(value::text(value)?.to_owned()),
            "pass" | "password" => read.password = Some(value::text(value)?.to_owned()),
            "nkey" => read.nkey = Some(value::text(value)?.to_owned()),
            "permission" | "permissions" | "authorization" => {
                read.permissions = Some(permissions(value)?);
            }
            _ => return Err(section::not_known(*line, key, "users")),
        }
    }
    if read.name.is_some() == read.nkey.is_some() {
        return Err(ConfigError::at(
            block.line,
            "a user has either a name or an nkey",
        ));
    }
    Ok(read)
}

fn permissions(block: &Value) -> Result<Permissions, ConfigError> {
    let mut read = Permissions::default();
    for Entry { line, key, value } in value::map(block)? {
        match key.to_ascii_lowercase().as_str() {
            "pub" | "publish" => read.publish = rules(value)?,
            "sub" | "subscribe" => read.subscribe = rules(value)?,
            "allow_responses" | "allow_response" => read.allow_responses = responses(value)?,
            _ => return Err(section::not_known(*line, key, "permissions")),
        }
    }
    Ok(read)
}

fn rules(value: &Value) -> Result<SubjectRules, ConfigError> {
    let What::Map(entries) = &value.what else {
        return Ok(SubjectRules {
            allow: value::texts(value)?,
            deny: Vec::new(),
        });
    };
    let mut read = SubjectRules::default();
    for Entry { line, key, value } in entries {
        match key.to_ascii_lowercase().as_str() {
            "allow" => read.allow = value::texts(value)?,
            "deny" => read.deny = value::texts(value)?,
            _ => return Err(section::not_known(*line, key, "permissions")),
        }
    }
    Ok(read)
}

fn responses(value: &Value) -> Result<Option<AllowResponses>, ConfigError> {
    let What::Map(entries) = &value.what else {
        return Ok(value::flag(value)?.then_some(RESPONSES_DEFAULT));
    };
    let mut read = RESPONSES_DEFAULT;
    for Entry { line, key, value } in entries {
        match key.to_ascii_lowercase().as_str() {
            "max" | "max_msgs" | "max_messages" | "max_responses" => {
                read.max = value::number(value)?;
            }
            "expires" | "ttl" | "expiration" => read.expires = value::duration(value)?,
            _ => return Err(section::not_known(*line, key, "allow_responses")),
        }
    }
    Ok(Some(read))
}
