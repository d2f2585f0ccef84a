//! The reference server's command line, as far as this server does what it asks.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Parser;
use natsd::auth::{Credential, Rules, Secret, User};
use natsd::config::{Authorization, Config};

use super::setup;

/// A NATS server: clients, leafnodes and routes.
#[derive(Debug, Parser)]
#[command(name = "nats-server", disable_version_flag = true)]
pub(crate) struct Arguments {
    /// Address to listen on
    #[arg(short = 'a', long = "addr", visible_alias = "net", value_name = "HOST")]
    host: Option<String>,
    /// Port for clients; -1 for any that is free
    #[arg(short, long, allow_negative_numbers = true)]
    port: Option<i32>,
    /// Configuration file; the command line wins over it
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the log goes instead of standard error
    #[arg(short, long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Where the process number is written
    #[arg(short = 'P', long, value_name = "FILE")]
    pid: Option<PathBuf>,
    /// Name of the server
    #[arg(short, long = "name", visible_alias = "server_name")]
    name: Option<String>,
    /// Folder where a file with the ports is written
    #[arg(long = "ports_file_dir", value_name = "DIR")]
    ports_file_dir: Option<PathBuf>,
    /// User that clients must show
    #[arg(long)]
    user: Option<String>,
    /// The user's password
    #[arg(long, requires = "user")]
    pass: Option<String>,
    /// Token that clients must show
    #[arg(long, value_name = "TOKEN", conflicts_with = "user")]
    auth: Option<String>,
    /// Where members of the cluster are accepted
    #[arg(long = "cluster", visible_alias = "cluster_listen", value_name = "URL")]
    cluster: Option<String>,
    /// Name of the cluster
    #[arg(long = "cluster_name", value_name = "NAME")]
    cluster_name: Option<String>,
    /// Members of the cluster to dial
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    routes: Vec<String>,
    /// Log more
    #[arg(short = 'D', long)]
    debug: bool,
    /// Log every operation that comes in
    #[arg(short = 'V', long)]
    trace: bool,
    /// Check the configuration and end
    #[arg(short = 't')]
    check: bool,
    /// Print the version and end
    #[arg(short = 'v', long)]
    version: bool,
    /// Ask a running server to do something: `stop`, `quit`, `reload` or `ldm`, then `=` and its process number or PID file
    #[arg(long, value_name = "WHAT=PID")]
    signal: Option<String>,
    /// Accepted and ignored: there are no streams
    #[arg(long = "store_dir", visible_alias = "sd", value_name = "DIR")]
    store_dir: Option<PathBuf>,
    /// Not supported yet
    #[arg(short = 'm', long = "http_port", value_name = "PORT", hide = true)]
    http_port: Option<String>,
    /// Not supported yet
    #[arg(long, hide = true)]
    tls: bool,
    /// Not supported yet
    #[arg(long, value_name = "FILE", hide = true)]
    tlscert: Option<PathBuf>,
    /// Not supported yet
    #[arg(long, value_name = "FILE", hide = true)]
    tlskey: Option<PathBuf>,
    /// Not supported yet
    #[arg(long, value_name = "FILE", hide = true)]
    tlscacert: Option<PathBuf>,
    /// Not supported yet
    #[arg(long, hide = true)]
    tlsverify: bool,
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// To run with this configuration, which the file, if any, can be read again for.
    Run(Box<Config>),
    /// To end after the configuration was checked.
    Check,
    /// To print the version.
    Version,
    /// To send a signal, in the words of `--signal`.
    Signal(String),
}

impl Arguments {
    /// Returns what is asked for.
    ///
    /// # Errors
    /// When the file cannot be used, or something is asked for that this server does not do.
    pub(crate) fn wanted(&self) -> anyhow::Result<Wanted> {
        let not_supported = [
            (self.http_port.is_some(), "-m, --http_port"),
            (self.tls, "--tls"),
            (self.tlsverify, "--tlsverify"),
            (self.tlscert.is_some(), "--tlscert"),
            (self.tlskey.is_some(), "--tlskey"),
            (self.tlscacert.is_some(), "--tlscacert"),
        ];
        for (asked, flag) in not_supported {
            ensure!(!asked, "{flag} is not supported yet");
        }
        if self.version {
            return Ok(Wanted::Version);
        }
        if let Some(signal) = &self.signal {
            return Ok(Wanted::Signal(signal.clone()));
        }
        let config = self.configuration()?;
        if self.check {
            return Ok(Wanted::Check);
        }
        Ok(Wanted::Run(Box::new(config)))
    }

    /// Returns the file's configuration with the command line's on top.
    ///
    /// # Errors
    /// When either cannot be used.
    pub(crate) fn configuration(&self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            Some(file) => Config::load(file)?,
            None => Config::default(),
        };
        if let Some(host) = &self.host {
            config.listen.host = Some(host.clone());
        }
        match self.port {
            Some(-1) => config.listen.port = Some(0),
            Some(port) => config.listen.port = Some(u16::try_from(port).context("--port")?),
            None => {}
        }
        let put = |value: &Option<PathBuf>, to: &mut Option<PathBuf>| {
            if value.is_some() {
                to.clone_from(value);
            }
        };
        put(&self.log, &mut config.log_file);
        put(&self.pid, &mut config.pid_file);
        put(&self.ports_file_dir, &mut config.ports_file_dir);
        if self.name.is_some() {
            config.server_name.clone_from(&self.name);
        }
        config.debug = self.debug.then_some(true).or(config.debug);
        config.trace = self.trace.then_some(true).or(config.trace);
        self.put_authorization(&mut config);
        self.put_cluster(&mut config)?;
        Ok(config)
    }

    fn put_authorization(&self, config: &mut Config) {
        let authorization = match (&self.auth, &self.user) {
            (Some(token), _) => only(Credential::Token(Secret::new(token))),
            (None, Some(user)) => password_of(user, self.pass.as_deref().unwrap_or_default()),
            (None, None) => return,
        };
        config.authorization = Some(authorization);
    }

    fn put_cluster(&self, config: &mut Config) -> anyhow::Result<()> {
        if self.cluster.is_none() && self.cluster_name.is_none() && self.routes.is_empty() {
            return Ok(());
        }
        let cluster = config.cluster.get_or_insert_default();
        if let Some(url) = &self.cluster {
            let (login, address) = setup::login(url);
            let (host, port) = address
                .rsplit_once(':')
                .with_context(|| format!("--cluster {address}: HOST:PORT is expected"))?;
            cluster.listen.host = Some(host.to_owned());
            cluster.listen.port = Some(match port {
                "-1" => 0,
                port => port
                    .parse()
                    .with_context(|| format!("--cluster {address}"))?,
            });
            if let Some((user, password)) = login.and_then(|login| login.split_once(':')) {
                cluster.authorization = Some(password_of(user, password));
            }
        }
        if self.cluster_name.is_some() {
            cluster.name.clone_from(&self.cluster_name);
        }
        if !self.routes.is_empty() {
            ensure!(
                cluster.listen.port.is_some(),
                "--routes: members have to be accepted as well; say where by --cluster"
            );
            cluster.routes.clone_from(&self.routes);
        }
        Ok(())
    }
}

/// Returns that whoever shows this may connect, and nobody else.
fn only(credential: Credential) -> Authorization {
    Authorization::new(Rules::Users(vec![User::new(credential)]))
}

fn password_of(user: &str, password: &str) -> Authorization {
    only(Credential::Password {
        user: user.to_owned(),
        password: Secret::new(password),
    })
}
