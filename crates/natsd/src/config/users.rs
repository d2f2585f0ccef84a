//! The blocks `authorization`: who may connect, and what they may do then.

use std::sync::Arc;
use std::time::Duration;

use super::syntax::{Value, What};
use super::{ConfigError, section, value};
use crate::auth::{
    AllowResponses, Credential, Permissions, Rules, Secret, SubjectRules, SubscribeRule, User,
};
use crate::nkey::PublicKey;
use crate::subject::Filter;

/// A block `authorization`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Authorization {
    /// Who may connect.
    pub rules: Rules,
    /// Who may connect as a leafnode where the block `leafnodes` does not say who. The reference server asks nothing of them then,
    /// and takes a name or a key for a claim only where a list of `users` has such.
    pub leaves: Rules,
    /// How long they have to say who they are.
    pub timeout: Option<Duration>,
}

impl Authorization {
    /// Returns rules for clients with the usual time to meet them.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            leaves: Rules::Open,
            timeout: None,
        }
    }
}

/// Reads a block `authorization`.
pub(super) fn authorization(block: &Value) -> Result<Authorization, ConfigError> {
    let mut users = Vec::new();
    let mut token = None;
    let mut one = Named::default();
    let mut default_permissions = None;
    let mut timeout = None;
    section::keys(value::map(block)?, "authorization", |key, value| {
        match key {
            "token" => token = Some(value::text(value)?),
            "timeout" => timeout = Some(value::duration(value)?),
            "users" => {
                let read = value::list(value).iter().map(user);
                users.extend(read.collect::<Result<Vec<_>, _>>()?);
            }
            "permissions" | "default_permissions" => {
                default_permissions = Some(Arc::new(permissions(value)?));
            }
            key => return one.take(key, value),
        }
        Ok(true)
    })?;
    let listed = users.len();
    if one != Named::default() {
        users.push(User::new(one.credential(block.line)?));
    }
    if let Some(token) = token {
        users.push(User::new(Credential::Token(secret(block.line, token)?)));
    }
    for user in &mut users {
        if user.permissions.is_none() {
            user.permissions.clone_from(&default_permissions);
        }
    }
    let leaves = Rules::Claims(users.iter().take(listed).cloned().collect());
    let rules = if users.is_empty() {
        Rules::Open
    } else {
        Rules::Users(users)
    };
    Ok(Authorization {
        rules,
        leaves,
        timeout,
    })
}

/// Reads a block `authorization` in which one user has a password, as members of a cluster do.
pub(super) fn one_password(block: &Value) -> Result<Authorization, ConfigError> {
    let read = authorization(block)?;
    let fits = match &read.rules {
        Rules::Users(users) => {
            matches!(users.as_slice(), [one] if matches!(one.credential, Credential::Password { .. }))
        }
        _ => true,
    };
    let what = "members of a cluster have one name and password for all";
    fits.then_some(read)
        .ok_or_else(|| ConfigError::at(block.line, what))
}

/// The keys by which a user is named.
#[derive(Default, PartialEq, Eq)]
struct Named<'a> {
    name: Option<&'a str>,
    password: Option<&'a str>,
    nkey: Option<&'a str>,
}

impl<'a> Named<'a> {
    /// Reads a key if it is one of these, and says whether it was.
    fn take(&mut self, key: &str, value: &'a Value) -> Result<bool, ConfigError> {
        let place = match key {
            "user" | "username" => &mut self.name,
            "pass" | "password" => &mut self.password,
            "nkey" => &mut self.nkey,
            _ => return Ok(false),
        };
        *place = Some(value::text(value)?);
        Ok(true)
    }

    fn credential(&self, line: usize) -> Result<Credential, ConfigError> {
        match (self.name, self.password, self.nkey) {
            (Some(name), Some(password), None) => Ok(Credential::Password {
                user: name.to_owned(),
                password: secret(line, password)?,
            }),
            (None, None, Some(nkey)) => {
                let key = PublicKey::parse(nkey);
                key.map(Credential::Nkey)
                    .map_err(|error| ConfigError::at(line, format!("`{nkey}`: {error}")))
            }
            _ => Err(ConfigError::at(
                line,
                "a user has a name and a password, or an nkey",
            )),
        }
    }
}

fn secret(line: usize, text: &str) -> Result<Secret, ConfigError> {
    let hashed = ["$2a$", "$2b$", "$2x$", "$2y$"];
    if hashed.iter().any(|start| text.starts_with(start)) {
        let what = "passwords and tokens hashed with bcrypt are not supported yet";
        return Err(ConfigError::at(line, what));
    }
    Ok(Secret::new(text))
}

fn user(block: &Value) -> Result<User, ConfigError> {
    let mut named = Named::default();
    let mut allowed = None;
    section::keys(value::map(block)?, "users", |key, value| {
        match key {
            "permission" | "permissions" | "authorization" => {
                allowed = Some(Arc::new(permissions(value)?));
            }
            key => return named.take(key, value),
        }
        Ok(true)
    })?;
    let mut user = User::new(named.credential(block.line)?);
    user.permissions = allowed;
    Ok(user)
}

fn permissions(block: &Value) -> Result<Permissions, ConfigError> {
    let mut read = Permissions::default();
    section::keys(value::map(block)?, "permissions", |key, value| {
        match key {
            "pub" | "publish" => read.publish = rules(value, filter)?,
            "sub" | "subscribe" => read.subscribe = rules(value, subscribe_rule)?,
            "allow_responses" | "allow_response" => read.allow_responses = responses(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(read)
}

fn rules<R>(
    value: &Value,
    rule: impl Fn(&Value) -> Result<R, ConfigError>,
) -> Result<SubjectRules<R>, ConfigError> {
    let list = |value| {
        value::list(value)
            .iter()
            .map(&rule)
            .collect::<Result<Vec<R>, _>>()
    };
    let mut read = SubjectRules::default();
    let What::Map(entries) = &value.what else {
        read.allow = Some(list(value)?);
        return Ok(read);
    };
    section::keys(entries, "permissions", |key, value| {
        match key {
            "allow" => read.allow = Some(list(value)?),
            "deny" => read.deny = list(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    // The reference takes an empty list for none.
    read.allow = read.allow.filter(|allow| !allow.is_empty());
    Ok(read)
}

/// Returns a subject that may hold wildcards.
pub(super) fn filter(value: &Value) -> Result<Filter, ConfigError> {
    let text = value::text(value)?;
    Filter::parse(text.as_bytes())
        .ok_or_else(|| ConfigError::at(value.line, format!("`{text}` is no subject")))
}

/// Returns a subject, and behind a blank the queue group that it is for.
fn subscribe_rule(value: &Value) -> Result<SubscribeRule, ConfigError> {
    let text = value::text(value)?;
    let mut fields = text
        .split_whitespace()
        .map(|field| Filter::parse(field.as_bytes()));
    match (fields.next().flatten(), fields.next(), fields.next()) {
        (Some(filter), None, _) => Ok(SubscribeRule {
            filter,
            queue: None,
        }),
        (Some(filter), Some(Some(queue)), None) => Ok(SubscribeRule {
            filter,
            queue: Some(queue),
        }),
        _ => Err(ConfigError::at(
            value.line,
            format!("`{text}` is no subject with or without a queue group"),
        )),
    }
}

fn responses(value: &Value) -> Result<Option<AllowResponses>, ConfigError> {
    let mut read = AllowResponses::default();
    let What::Map(entries) = &value.what else {
        return Ok(value::flag(value)?.then_some(read));
    };
    section::keys(entries, "allow_responses", |key, value| {
        match key {
            "max" | "max_msgs" | "max_messages" | "max_responses" => {
                read.max = value::number(value)?;
            }
            "expires" | "ttl" | "expiration" => read.expires = value::duration(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Some(read))
}
