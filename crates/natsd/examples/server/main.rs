//! The server as a program, with the reference server's common flags and configuration file: for trying it, for suites that
//! start a server of their own, and for benches.
//!
//! `cargo run -p natsd --example server -- -p 4222`

mod arguments;
mod process;
mod setup;

use std::fs::File;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use clap::Parser;
use natsd::Server;
use natsd::config::Config;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use arguments::{Arguments, Wanted};
use process::{Addresses, Notice};

/// How long a server that was asked to go waits before it cuts clients, and over how long it cuts them. The reference's defaults.
const LAME_DUCK_GRACE: Duration = Duration::from_secs(10);
const LAME_DUCK_DURATION: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match act(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nats-server: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// Returns an error with its causes, each once: some errors tell theirs themselves.
fn told(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !said.ends_with(&cause) {
            let between = if said.is_empty() { "" } else { ": " };
            said += &format!("{between}{cause}");
        }
    }
    said
}

fn act(arguments: &Arguments) -> anyhow::Result<()> {
    match arguments.wanted()? {
        Wanted::Version => println!("nats-server: v{}", natsd::VERSION),
        Wanted::Signal(request) => process::signal(&request)?,
        Wanted::Check => println!("nats-server: the configuration is valid"),
        Wanted::Run(config) => {
            log(&config)?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            runtime.block_on(run(&config, arguments))?;
        }
    }
    Ok(())
}

/// Logs to standard error or a file, as much as is asked for.
fn log(config: &Config) -> anyhow::Result<()> {
    let level = match (config.trace, config.debug) {
        (Some(true), _) => LevelFilter::TRACE,
        (_, Some(true)) => LevelFilter::DEBUG,
        _ => LevelFilter::INFO,
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false);
    match &config.log_file {
        Some(file) => log
            .with_writer(Mutex::new(
                File::options().create(true).append(true).open(file)?,
            ))
            .init(),
        None => log.with_writer(std::io::stderr).init(),
    }
    Ok(())
}

/// Runs until a signal ends it.
async fn run(config: &Config, arguments: &Arguments) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reload = signal(SignalKind::hangup())?;
    let mut retire = signal(SignalKind::user_defined2())?;
    let server = Server::start(setup::options(config)?).await?;
    let _links = setup::dial(&server, config)?;
    let listening = server.addresses();
    let addresses = Addresses {
        clients: listening.clients,
        leafnodes: listening.leaves,
        routes: listening.routes,
    };
    for (kind, address) in [
        ("client", addresses.clients),
        ("leafnode", addresses.leafnodes),
        ("route", addresses.routes),
    ] {
        if let Some(address) = address {
            tracing::info!("Listening for {kind} connections on {address}");
        }
    }
    tracing::info!("Server is ready");
    let pid_file = config.pid_file.as_deref().map(Notice::of_process);
    let _pid_file = pid_file.transpose()?;
    let ports_file = config.ports_file_dir.as_deref();
    let _ports_file = ports_file
        .map(|folder| Notice::of_ports(folder, addresses))
        .transpose()?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = retire.recv() => {
                tracing::info!("Entering lame duck mode, stop accepting new clients");
                let grace = config.lame_duck_grace_period.unwrap_or(LAME_DUCK_GRACE);
                let duration = config.lame_duck_duration.unwrap_or(LAME_DUCK_DURATION);
                server.lame_duck(grace, duration).await;
                return Ok(());
            }
            _ = reload.recv() => match arguments.configuration().map(|new| setup::policy(&new)) {
                Ok(policy) => {
                    server.set_policy(policy);
                    tracing::info!("Reloaded: who may connect");
                }
                Err(error) => tracing::error!("Not reloaded: {}", told(&error)),
            },
        }
    }
    server.shutdown().await;
    Ok(())
}
