//! The blocks of the file and the keys in them.

use std::path::PathBuf;

use super::syntax::{Entry, Value};
use super::users::{authorization, filter, one_password};
use crate::subject::Filter;

use super::{Cluster, Config, ConfigError, Leafnodes, Listen, Remote, value};

/// Keys of the reference server that mean something which this server does not do.
const NOT_SUPPORTED: &[&str] = &[
    "accounts",
    "allow_non_tls",
    "compression",
    "gateway",
    "handshake_first",
    "http",
    "http_base_path",
    "http_port",
    "https",
    "https_port",
    "monitor_port",
    "mqtt",
    "no_auth_user",
    "ocsp",
    "operator",
    "pinned_accounts",
    "prof_port",
    "resolver",
    "resolver_preload",
    "syslog",
    "remote_syslog",
    "system_account",
    "tls",
    "trusted_keys",
    "websocket",
    "ws",
];

/// Values of `compression` that ask for none.
const NO_COMPRESSION: &[&str] = &["disabled", "false", "no", "not supported", "off", "accept"];

/// Reads the top of the file.
pub(super) fn top(entries: &[Entry]) -> Result<Config, ConfigError> {
    let mut read = Config::default();
    keys(entries, "", |key, value| {
        match key {
            "server_name" => read.server_name = Some(value::text(value)?.to_owned()),
            "listen" | "host" | "net" | "port" => listen(&mut read.listen, key, value)?,
            "max_payload" => read.max_payload = Some(value::size(value)?),
            "max_pending" => read.max_pending = Some(value::size(value)?),
            "max_control_line" => read.max_control_line = Some(value::size(value)?),
            "max_connections" | "max_conn" => read.max_connections = Some(value::number(value)?),
            "max_subscriptions" | "max_subs" => {
                read.max_subscriptions = Some(value::number(value)?);
            }
            "ping_interval" => read.ping_interval = Some(value::duration(value)?),
            "ping_max" => read.ping_max = Some(value::number(value)?),
            "write_deadline" => read.write_deadline = Some(value::duration(value)?),
            "lame_duck_duration" => read.lame_duck_duration = Some(value::duration(value)?),
            "lame_duck_grace_period" => {
                read.lame_duck_grace_period = Some(value::duration(value)?);
            }
            "authorization" => read.authorization = Some(authorization(value)?),
            "cluster" => read.cluster = Some(cluster(value)?),
            "leaf" | "leafnodes" => read.leafnodes = Some(leafnodes(value)?),
            "debug" => read.debug = Some(value::flag(value)?),
            "trace" => read.trace = Some(value::flag(value)?),
            "log_file" | "logfile" => read.log_file = Some(value::text(value)?.into()),
            "pid_file" | "pidfile" => read.pid_file = Some(value::text(value)?.into()),
            "ports_file_dir" => read.ports_file_dir = Some(value::text(value)?.into()),
            // Streams are kept by an outside cluster, and every line of our log has its time.
            "jetstream" | "store_dir" | "logtime" | "log_time" => {}
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(read)
}

fn cluster(block: &Value) -> Result<Cluster, ConfigError> {
    let mut read = Cluster::default();
    keys(value::map(block)?, "cluster", |key, value| {
        match key {
            "name" => read.name = Some(value::text(value)?.to_owned()),
            "listen" | "host" | "net" | "port" => listen(&mut read.listen, key, value)?,
            "routes" => read.routes = value::texts(value)?,
            "authorization" => read.authorization = Some(one_password(value)?),
            "no_advertise" => read.no_advertise = value::flag(value)?,
            "advertise" => read.advertise = Some(value::text(value)?.to_owned()),
            // One connection carries everything, and a lost one is always dialled again.
            "pool_size" | "connect_retries" | "connect_backoff" => {}
            "compression" => no_compression(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(read)
}

fn leafnodes(block: &Value) -> Result<Leafnodes, ConfigError> {
    let mut read = Leafnodes::default();
    keys(value::map(block)?, "leafnodes", |key, value| {
        match key {
            "listen" | "host" | "net" | "port" => {
                listen(read.listen.get_or_insert_default(), key, value)?;
            }
            "authorization" => read.authorization = Some(authorization(value)?),
            "remotes" => {
                let remotes = value::list(value).iter().map(remote);
                read.remotes = remotes.collect::<Result<_, _>>()?;
            }
            "isolate_leafnode_interest" | "isolate" => {
                read.isolate_leafnode_interest = value::flag(value)?;
            }
            "advertise" => read.advertise = Some(value::text(value)?.to_owned()),
            "reconnect" | "reconnect_delay" | "reconnect_interval" => {
                read.reconnect = Some(value::duration(value)?);
            }
            // Leafnodes are told nothing but the address that they have reached.
            "no_advertise" => drop(value::flag(value)?),
            "compression" => no_compression(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(read)
}

fn remote(block: &Value) -> Result<Remote, ConfigError> {
    let mut read = Remote::default();
    keys(value::map(block)?, "remotes", |key, value| {
        match key {
            "url" | "urls" => read.urls = value::texts(value)?,
            "credentials" | "creds" => {
                read.credentials = Some(PathBuf::from(value::text(value)?));
            }
            "nkey" | "seed" => read.nkey = Some(value::text(value)?.to_owned()),
            "deny_imports" | "deny_import" => read.deny_imports = filters(value)?,
            "deny_exports" | "deny_export" => read.deny_exports = filters(value)?,
            "hub" => read.hub = value::flag(value)?,
            "account" | "local" if matches!(value::text(value)?, "$G") => {}
            "compression" => no_compression(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if read.urls.is_empty() {
        return Err(ConfigError::at(block.line, "a remote without a url"));
    }
    Ok(read)
}

/// Reads one of the keys that together say where to listen.
fn listen(at: &mut Listen, key: &str, value: &Value) -> Result<(), ConfigError> {
    match key.to_ascii_lowercase().as_str() {
        "listen" => *at = value::listen(value)?,
        "port" => at.port = value::port(value)?,
        _ => at.host = Some(value::text(value)?.to_owned()),
    }
    Ok(())
}

fn filters(value: &Value) -> Result<Vec<Filter>, ConfigError> {
    value::list(value).iter().map(filter).collect()
}

fn no_compression(value: &Value) -> Result<(), ConfigError> {
    let mode = value::text(value)?.to_ascii_lowercase();
    if NO_COMPRESSION.contains(&mode.as_str()) {
        Ok(())
    } else {
        Err(ConfigError::at(
            value.line,
            format!("compression `{mode}` is not supported; `off` is"),
        ))
    }
}

/// Gives `take` each key of the block, in lower case, and its value. A key that it does not take is an error that names it, unless a variable stands
/// for its value: such a key need not mean anything else.
pub(super) fn keys<'a>(
    entries: &'a [Entry],
    block: &str,
    mut take: impl FnMut(&str, &'a Value) -> Result<bool, ConfigError>,
) -> Result<(), ConfigError> {
    for entry in entries {
        let is_taken = take(&entry.key.to_ascii_lowercase(), &entry.value)?;
        if !is_taken && !entry.used {
            return Err(not_known(entry.line, &entry.key, block));
        }
    }
    Ok(())
}

/// Returns the error for a key that has no effect here.
fn not_known(line: usize, key: &str, block: &str) -> ConfigError {
    let place = match block {
        "" => String::new(),
        block => format!(" in `{block}`"),
    };
    let known = NOT_SUPPORTED
        .iter()
        .any(|known| key.eq_ignore_ascii_case(known));
    let what = if known {
        format!("`{key}`{place} is not supported yet")
    } else {
        format!("unknown key `{key}`{place}")
    };
    ConfigError::at(line, what)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::{Config, ConfigError, Listen};
    use crate::auth::{AllowResponses, Credential, Rules};
    use crate::subject::Filter;

    fn read(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new(""), &|_| None)
    }

    const EVERYTHING: &str = r#"
        server_name: alpha, listen: 127.0.0.1:-1, max_payload: 64KB, ping_interval: "20s", ping_max: 3
        authorization {
          timeout: 0.5
          default_permissions { publish: "a.>" }
          users = [
            { user: ann, password: secret, permissions { subscribe { allow: [b, "c d"], deny: b.x }, allow_responses: true } }
            { nkey: UB43KVROR7TFJ6KAPCYRF2FJROTZAH4FHLTJLPWX4DRZCC5NASLGJBFE }
          ]
        }
        cluster { name: mesh, port: 6222, routes: [ nats-route://127.0.0.1:6223 ], authorization { user: r, password: p }, pool_size: 3 }
        leafnodes { listen: "127.0.0.1:7422", remotes: [ { url: "nats-leaf://h:7422", deny_exports: [x.*] } ] }
        jetstream { store_dir: /tmp }
        "#;

    #[test]
    fn a_file_of_all_blocks_is_read() {
        let config = read(EVERYTHING).expect("it is right");
        assert_eq!(config.server_name.as_deref(), Some("alpha"));
        assert_eq!(config.listen.port, Some(0));
        assert_eq!(config.max_payload, Some(65_536));
        assert_eq!(config.ping_interval, Some(Duration::from_secs(20)));
        let cluster = config.cluster.expect("a cluster");
        assert_eq!(
            (cluster.name.as_deref(), cluster.routes.len()),
            (Some("mesh"), 1)
        );
        assert!(
            cluster
                .authorization
                .is_some_and(|users| users.rules.required())
        );
        let leafnodes = config.leafnodes.expect("leafnodes");
        let listen = Listen {
            host: Some("127.0.0.1".to_owned()),
            port: Some(7422),
        };
        assert_eq!(leafnodes.listen, Some(listen));
        assert!(leafnodes.remotes[0].deny_exports[0].matches(b"x.y"));
    }

    #[test]
    fn users_have_credentials_and_permissions() {
        let config = read(EVERYTHING).expect("it is right");
        let authorization = config.authorization.expect("users");
        assert_eq!(authorization.timeout, Some(Duration::from_millis(500)));
        let Rules::Users(users) = authorization.rules else {
            panic!("there are users");
        };
        let filter = |text: &str| Filter::parse(text.as_bytes()).expect("a filter");
        let ann = users[0].permissions.as_ref().expect("her own");
        assert!(ann.may_subscribe(&filter("b"), None) && !ann.may_subscribe(&filter("c"), None));
        assert!(ann.may_subscribe(&filter("c"), Some(b"d")));
        assert!(!ann.may_subscribe(&filter("b.x"), None));
        assert_eq!(ann.allow_responses, Some(AllowResponses::default()));
        let other = users[1].permissions.as_ref().expect("the default ones");
        assert!(matches!(users[1].credential, Credential::Nkey(_)));
        assert!(other.may_publish(b"a.b") && !other.may_publish(b"b"));
    }

    #[test]
    fn a_key_that_a_variable_stands_for_need_not_mean_anything_else() {
        let text = r#"
            WHERE: "127.0.0.1:-1"
            listen: $WHERE
            authorization {
                READER = { publish: "_INBOX.>", subscribe: ">" }
                users [ {user: ada, password: b, permissions: $READER} ]
            }"#;
        assert!(read(text).is_ok(), "{:?}", read(text));
        let error = read("WHERE: 1\nELSE: 2\nport: $ELSE").expect_err("it means nothing");
        assert_eq!(error.to_string(), "line 1: unknown key `WHERE`");
    }

    #[test]
    fn a_key_without_effect_is_an_error_that_names_it() {
        for (text, error) in [
            ("\ntls { }", "line 2: `tls` is not supported yet"),
            (
                "websocket { port: 1 }",
                "line 1: `websocket` is not supported yet",
            ),
            (
                "leafnodes {\n tls {} }",
                "line 2: `tls` in `leafnodes` is not supported yet",
            ),
            ("prot: 4222", "line 1: unknown key `prot`"),
            (
                "cluster { nmae: x }",
                "line 1: unknown key `nmae` in `cluster`",
            ),
            (
                "leafnodes { compression: s2_fast }",
                "line 1: compression `s2_fast` is not supported; `off` is",
            ),
            (
                "leafnodes { remotes: [ { hub: true } ] }",
                "line 1: a remote without a url",
            ),
            (
                "leafnodes { remotes: [ { url: x, deny_imports: a..b } ] }",
                "line 1: `a..b` is no subject",
            ),
            (
                "authorization { password: x }",
                "line 1: a user has a name and a password, or an nkey",
            ),
            (
                "cluster { authorization { token: t } }",
                "line 1: members of a cluster have one name and password for all",
            ),
            (
                "cluster { authorization { users: [ { user: a, password: b }, { user: c, password: d } ] } }",
                "line 1: members of a cluster have one name and password for all",
            ),
            (
                "authorization { users: [ { user: x, nkey: U } ] }",
                "line 1: a user has a name and a password, or an nkey",
            ),
            (
                "authorization { user: a, password: $2a$11$x }",
                "line 1: passwords and tokens hashed with bcrypt are not supported yet",
            ),
        ] {
            assert_eq!(read(text).expect_err(text).to_string(), error);
        }
    }
}
