//! The app's few flags. Everything else is chosen in the window and kept by the agent.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use edgesync_agent::{Config, Home};

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

    /// Start in the tray, without the window
    #[arg(long)]
    pub(crate) hidden: bool,
}

impl Arguments {
    /// Returns what the agent of `home` is told by these flags.
    pub(crate) fn config(&self, home: Home) -> Config {
        let defaults = Config::new(home);
        Config {
            repositories: self.repositories.clone(),
            serve_http: self.serve_http,
            poll: self.poll.unwrap_or(defaults.poll),
            ..defaults
        }
    }
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
    fn a_duration_has_a_unit_and_a_length() {
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        for wrong in ["", "5", "0s", "-5s", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
