//! Commands on one repository file, each also without `repo` in front: what Fossil users type.

pub(crate) mod cat;
pub(crate) mod ci;
pub(crate) mod clone;
pub(crate) mod config;
pub(crate) mod failure;
pub(crate) mod info;
pub(crate) mod ls;
pub(crate) mod new;
pub(crate) mod timeline;
pub(crate) mod transfer;
pub(crate) mod user;
pub(crate) mod uv;
pub(crate) mod verify;

use clap::Subcommand;
use libfossil::time::Timestamp;

use crate::error::{Failure, Kind, OrFail};
use crate::output::Output;

/// The verbs that stand at the top level too.
#[derive(Subcommand)]
pub(crate) enum Verb {
    New(new::New),
    Clone(clone::Clone),
    #[command(visible_alias = "commit")]
    Ci(ci::Ci),
    Timeline(timeline::Timeline),
    Ls(ls::Ls),
    Cat(cat::Cat),
    Info(info::Info),
    User(user::User),
    Uv(uv::Uv),
    Push(transfer::Push),
    Pull(transfer::Pull),
    Verify(verify::Verify),
    Rebuild(verify::Rebuild),
    Config(config::Config),
}

/// The verbs behind `repo`: at the top level, `sync` has the agent's verbs as well.
#[derive(Subcommand)]
pub(crate) enum RepositoryVerb {
    Sync(transfer::Sync),
    #[command(flatten)]
    Other(Verb),
}

impl Verb {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::New(verb) => verb.run(out),
            Self::Clone(verb) => verb.run(out),
            Self::Ci(verb) => verb.run(out),
            Self::Timeline(verb) => verb.run(out),
            Self::Ls(verb) => verb.run(out),
            Self::Cat(verb) => verb.run(out),
            Self::Info(verb) => verb.run(out),
            Self::User(verb) => verb.run(out),
            Self::Uv(verb) => verb.run(out),
            Self::Push(verb) => verb.run(out),
            Self::Pull(verb) => verb.run(out),
            Self::Verify(verb) => verb.run(out),
            Self::Rebuild(verb) => verb.run(out),
            Self::Config(verb) => verb.run(out),
        }
    }
}

impl RepositoryVerb {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Sync(sync) => sync.run(out),
            Self::Other(verb) => verb.run(out),
        }
    }
}

/// Returns the present time.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_millis(jiff::Timestamp::now().as_millisecond())
}

/// Reads a time of the command line.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text.as_bytes()).map_err(|error| error.to_string())
}

/// Returns random bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).or_fail(Kind::Failed, "random bytes")?;
    Ok(bytes)
}

/// Returns a password that a person can copy by hand: ten characters without those that look alike.
pub(crate) fn generated_password() -> Result<String, Failure> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    // 32 letters divide 256 evenly, so each is equally likely.
    Ok(random::<10>()?
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect())
}

/// Returns the login of the person at the keyboard.
pub(crate) fn login_of_environment() -> Option<String> {
    logins_of_environment().next()
}

/// Returns the logins that the environment names, in the order in which Fossil asks for them.
pub(crate) fn logins_of_environment() -> impl Iterator<Item = String> {
    ["FOSSIL_USER", "USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .filter(|login| !login.is_empty())
}
