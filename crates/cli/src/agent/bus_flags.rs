//! The flags that an agent and bridges in a process of their own have in common: what they say on a bus, and who counts there.

use clap::Args;
use edgesync_agent::{AcceptUnsigned, EndpointId};

use crate::error::{Failure, Kind, OrFail};

/// Flags about a bus and who is on it.
#[derive(Args)]
pub(crate) struct BusFlags {
    /// The id of an agent that may read and write here; may be given again [env: EDGESYNC_TRUST=, several separated by spaces]
    #[arg(long = "trust", value_name = "ID")]
    trusted: Vec<String>,

    /// The code of a project in which programs that do not sign may read and write, or the name of a notify project in which their messages count; may be given again [env: EDGESYNC_ACCEPT_UNSIGNED=, several separated by spaces]
    #[arg(long = "accept-unsigned", value_name = "PROJECT")]
    accept_unsigned: Vec<String>,

    /// What the subjects on the bus begin with
    #[arg(
        long,
        value_name = "PREFIX",
        env = "EDGESYNC_PREFIX",
        default_value = "fossil"
    )]
    prefix: String,
}

/// What the flags say.
pub(crate) struct OnBus {
    pub(crate) trust: Vec<EndpointId>,
    pub(crate) accept_unsigned: Vec<AcceptUnsigned>,
    pub(crate) prefix: String,
}

impl BusFlags {
    /// Returns what the flags say, or else the environment.
    pub(crate) fn read(self) -> Result<OnBus, Failure> {
        let mut on_bus = OnBus {
            trust: Vec::new(),
            accept_unsigned: Vec::new(),
            prefix: check_prefix(self.prefix)?,
        };
        for text in list(self.trusted, "EDGESYNC_TRUST") {
            on_bus
                .trust
                .push(text.parse().or_fail(Kind::Usage, "--trust")?);
        }
        for text in list(self.accept_unsigned, "EDGESYNC_ACCEPT_UNSIGNED") {
            let accepted = text.parse().or_fail(Kind::Usage, "--accept-unsigned")?;
            on_bus.accept_unsigned.push(accepted);
        }
        Ok(on_bus)
    }
}

/// Returns what subjects begin with, if they can.
fn check_prefix(prefix: String) -> Result<String, Failure> {
    let odd = |token: &str| {
        token.is_empty()
            || !token
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if prefix.split('.').any(odd) {
        return Err(Failure::new(
            Kind::Usage,
            "--prefix: letters, digits, - and _ are expected, with dots between",
        ));
    }
    Ok(prefix)
}

/// Returns what a flag gives, or else the words of an environment variable.
pub(crate) fn list(given: Vec<String>, variable: &str) -> Vec<String> {
    if !given.is_empty() {
        return given;
    }
    let words = std::env::var(variable).unwrap_or_default();
    words.split_whitespace().map(str::to_owned).collect()
}
