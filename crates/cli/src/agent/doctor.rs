//! `edgesync doctor`: looks at everything that has to be right, and says how to right what is not.

use clap::Args;
use serde::Serialize;

use crate::agent::{checks, runtime};
use crate::error::Failure;
use crate::output::Output;

/// Check everything that has to be right, with a fix for what is not
#[derive(Args)]
pub(crate) struct Doctor {
    /// Look at this repository too; may be given again
    #[arg(
        short = 'R',
        long = "repo",
        visible_alias = "repository",
        value_name = "FILE"
    )]
    repositories: Vec<std::path::PathBuf>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// All right.
    Pass,
    /// Works, but somebody should know.
    Warn,
    /// Does not work.
    Fail,
}

/// One check with its outcome.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    /// Names the check for programs.
    pub(crate) name: &'static str,
    /// How it ended.
    pub(crate) verdict: Verdict,
    /// What was found, in one line.
    pub(crate) message: String,
    /// The command or act that rights it.
    pub(crate) fix: Option<String>,
}

impl Check {
    pub(crate) fn pass(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Pass,
            message: message.into(),
            fix: None,
        }
    }

    pub(crate) fn warn(
        name: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            name,
            verdict: Verdict::Warn,
            message: message.into(),
            fix: Some(fix.into()),
        }
    }

    pub(crate) fn fail(
        name: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            name,
            verdict: Verdict::Fail,
            message: message.into(),
            fix: Some(fix.into()),
        }
    }
}

#[derive(Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Check>,
}

impl Doctor {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let checks = runtime()?.block_on(checks::all(&self.repositories));
        let ok = checks.iter().all(|check| check.verdict != Verdict::Fail);
        out.print(&Report { ok, checks }, words)?;
        if ok { Ok(()) } else { Err(Failure::told()) }
    }
}

fn words(report: &Report) -> String {
    let mut text = String::new();
    for check in &report.checks {
        let verdict = match check.verdict {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        text.push_str(&format!(
            "{verdict}  {:<12} {}\n",
            check.name, check.message
        ));
        if let Some(fix) = &check.fix {
            text.push_str(&format!("      {:<12} fix: {fix}\n", ""));
        }
    }
    text
}
