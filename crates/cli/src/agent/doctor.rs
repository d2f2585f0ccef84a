//! `edgesync doctor`: looks at everything that has to be right, and says how to right what is not.

use clap::Args;
use edgesync_agent::api::{Check, Checkup, Devices, NotifySettings, Status, Verdict};
use edgesync_agent::doctor::{self, Found, Running, listening};
use edgesync_agent::{Home, Runtime, error_chain};

use crate::agent::api::AgentApi;
use crate::agent::{home, peers, runtime};
use crate::error::Failure;
use crate::output::{Output, printable};

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

impl Doctor {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let checkup = match home() {
            Ok(home) => runtime()?.block_on(async {
                doctor::examine(&home, find(&home).await, &self.repositories).await
            }),
            Err(failure) => Checkup {
                ok: false,
                checks: vec![Check {
                    name: "home".into(),
                    verdict: Verdict::Fail,
                    message: failure.message,
                    fix: Some("set EDGESYNC_HOME to a folder that you can write".into()),
                }],
            },
        };
        out.print(&checkup, words)?;
        if checkup.ok {
            Ok(())
        } else {
            Err(Failure::told())
        }
    }
}

/// Looks for a running agent, from outside.
async fn find(home: &Home) -> Found {
    let restart = "start it again: edgesync sync start -R FILE";
    let runtime = match Runtime::read(home) {
        Ok(Some(runtime)) => runtime,
        Ok(None) => return Found::Nobody,
        Err(error) => {
            return Found::Broken {
                message: format!("the runtime file can't be read: {}", error_chain(&error)),
                fix: restart.into(),
            };
        }
    };
    let pid = runtime.pid;
    match ask(runtime).await {
        Ok(running) => Found::Running(Box::new(running)),
        Err(failure) => Found::Broken {
            message: format!("process {pid} does not answer: {}", failure.message),
            fix: format!("kill {pid}, then {restart}"),
        },
    }
}

/// Asks a running agent about itself.
async fn ask(runtime: Runtime) -> Result<Running, Failure> {
    let agent = AgentApi::at(runtime)?;
    let status: Status = agent.get("status").await?;
    let notifier = if status.agent.notify {
        let settings: NotifySettings = agent.get("notify/settings").await?;
        settings.notifier
    } else {
        None
    };
    // Without notify there are no phones.
    let devices: Result<Devices, _> = agent.get("devices").await;
    Ok(Running {
        mesh: peers::mesh(&agent).await?,
        door: devices.ok().and_then(|devices| listening(&devices)),
        has_page: agent.page_is_built().await?,
        status,
        notifier,
        runtime: agent.runtime,
    })
}

fn words(checkup: &Checkup) -> String {
    let mut text = String::new();
    for check in &checkup.checks {
        let verdict = match check.verdict {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        text.push_str(&format!(
            "{verdict}  {:<12} {}\n",
            check.name,
            printable(&check.message)
        ));
        if let Some(fix) = &check.fix {
            text.push_str(&format!("      {:<12} fix: {}\n", "", printable(fix)));
        }
    }
    text
}
