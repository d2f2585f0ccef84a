//! The app's few flags. Everything else is chosen in the window and kept by the agent.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::FalseyValueParser;
use edgesync_agent::notify::FILE_NAME;
use edgesync_agent::{Config, Home, MeshConfig, hosting_folder, neighbours_folder};

/// Keeps Fossil repositories equal on every machine, from the tray.
///
/// Without flags the app opens its window when there is no repository yet, or no tray to live in; else it waits in the
/// tray. Starting it again shows the window of the app that runs already.
#[derive(Debug, Parser)]
#[command(name = "edgesync-desktop", version)]
pub(crate) struct Arguments {
    /// A repository for this run, instead of those that were added in the app; may be given again
    #[arg(
        short = 'R',
        long = "repo",
        visible_alias = "repository",
        value_name = "FILE"
    )]
    pub(crate) repositories: Vec<PathBuf>,

    /// Serve the repositories to Fossil clients at this address
    #[arg(long, value_name = "ADDR", env = "EDGESYNC_SERVE_HTTP")]
    pub(crate) serve_http: Option<SocketAddr>,

    /// How often to look at the remotes when nothing changes here
    #[arg(long, value_name = "DURATION", env = "EDGESYNC_POLL", value_parser = duration)]
    pub(crate) poll: Option<Duration>,

    /// The name of this agent; otherwise that of the machine
    #[arg(long, value_name = "NAME", env = "EDGESYNC_PEER_ID")]
    pub(crate) peer_id: Option<String>,

    /// Keep questions and answers in this file, instead of notify.fossil in the agent's folder
    #[arg(long, value_name = "FILE", env = "EDGESYNC_NOTIFY_REPO")]
    pub(crate) notify_repo: Option<PathBuf>,

    /// Keep no questions and answers
    #[arg(long, env = "EDGESYNC_NO_NOTIFY", value_parser = FalseyValueParser::new())]
    pub(crate) no_notify: bool,

    /// Start in the tray, without the window
    #[arg(long)]
    pub(crate) hidden: bool,
}

impl Arguments {
    /// Whether the agent would be another for these flags.
    pub(crate) fn ask_for_something(&self) -> bool {
        !self.repositories.is_empty()
            || self.serve_http.is_some()
            || self.poll.is_some()
            || self.peer_id.is_some()
            || self.notify_repo.is_some()
            || self.no_notify
    }

    /// Returns what the agent of `home` is told by these flags.
    pub(crate) fn config(&self, home: Home) -> Config {
        // A person has one inbox, whichever repositories this run is about.
        let notify = || home.data().join(FILE_NAME);
        let notify = (!self.no_notify).then(|| self.notify_repo.clone().unwrap_or_else(notify));
        let defaults = Config::new(home);
        Config {
            repositories: self.repositories.clone(),
            serve_http: self.serve_http,
            poll: self.poll.unwrap_or(defaults.poll),
            peer_id: self
                .peer_id
                .clone()
                .or_else(machine_name)
                .unwrap_or_else(|| defaults.peer_id.clone()),
            notify,
            hosting: hosting_folder(),
            mesh: MeshConfig {
                neighbours: neighbours_folder(),
                ..defaults.mesh
            },
            ..defaults
        }
    }
}

fn machine_name() -> Option<String> {
    let name = hostname::get().ok()?.into_string().ok()?;
    Some(name).filter(|name| !name.is_empty())
}

/// Reads a duration such as `5s`, `10m` or `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let length: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "a duration is a number and a unit, such as 5s, 10m or 1h".to_owned())?;
    match Duration::try_from(length) {
        Ok(length) if !length.is_zero() => Ok(length),
        _ => Err("the duration must be longer than nothing".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_well_formed() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_app_keeps_questions_unless_it_is_told_not_to() {
        let notify = |more: &[&str]| {
            let arguments = std::iter::once("edgesync-desktop").chain(more.iter().copied());
            let home = Home::at("/home/ada/edgesync").unwrap();
            Arguments::parse_from(arguments).config(home).notify
        };
        assert!(notify(&["-R", "a.fossil"]).is_some_and(|file| file.ends_with(FILE_NAME)));
        assert_eq!(notify(&["--notify-repo", "q"]), Some(PathBuf::from("q")));
        assert_eq!(notify(&["--no-notify"]), None);
    }

    #[test]
    fn a_duration_has_a_unit_and_a_length() {
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        for wrong in ["", "5", "0s", "-5s", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
