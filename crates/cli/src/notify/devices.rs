//! `notify pair`, `unpair` and `devices`: phones that read and answer messages.

use std::io::{BufRead as _, Write as _};

use clap::Args;
use edgesync_agent::api::{
    AcceptDevice, Device, Devices, Event, MadeOffer, MakeOffer, PendingDevice, PendingState, Time,
};
use edgesync_agent::notify::text::shown_on_a_line;
use serde_json::json;
use tokio::sync::oneshot;

use super::place::answering_agent;
use crate::agent::api::AgentApi;
use crate::agent::runtime;
use crate::agent::signals::ended_from_outside;
use crate::error::{Failure, Kind};
use crate::output::Output;
use crate::units::format_age;

/// Pair a phone: shows a QR code, and pairs the phone whose digits are typed
///
/// The phone opens a page that this computer serves at one address. It sees messages of the projects that are named, and nothing else. On plain HTTP
/// others in the same network could read them.
#[derive(Args)]
pub(crate) struct Pair {
    /// What to call the phone; otherwise what it calls itself
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// A project whose messages it may see; may be given again
    #[arg(
        long = "project",
        value_name = "NAME",
        required_unless_present = "all_projects"
    )]
    projects: Vec<String>,

    /// It may see the messages of all projects
    #[arg(long, conflicts_with = "projects")]
    all_projects: bool,

    /// It may not answer
    #[arg(long)]
    read_only: bool,

    /// Which of this computer's addresses the phone reaches; otherwise the one in use, or the only one
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,

    /// What the phone opens instead, where a proxy or tunnel leads to that address; as the last time when it is not given, nothing when it is empty
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

impl Pair {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let agent = answering_agent()?;
        runtime()?.block_on(async {
            let paired = tokio::select! {
                paired = self.pair(&agent, out) => paired,
                () = ended_from_outside() => Err(Failure::new(Kind::Failed, "interrupted")),
            };
            if paired.is_err() {
                // Whatever went wrong: the code on the screen must not count any more.
                let _ = agent.delete("devices/offer").await;
            }
            let device = paired?;
            match out.json {
                true => out.json_line(&device),
                false => out.line(format!("{} is paired", shown_on_a_line(&device.name))),
            }
        })
    }

    async fn pair(&self, agent: &AgentApi, out: Output) -> Result<Device, Failure> {
        let before: Devices = agent.get("devices").await?;
        let wish = MakeOffer {
            listen: self.listen.clone().or_else(|| only_address(&before)),
            public_url: self.public_url.clone(),
        };
        // Before the offer, so that nothing is missed.
        let mut events = agent.lines("events").await?;
        let (made, _held) = agent.hold_offer("devices/offer", &wish).await?;
        show(&made, out)?;
        let mut phone: Option<String> = None;
        let mut typed: Option<oneshot::Receiver<String>> = None;
        loop {
            let event = tokio::select! {
                event = events.next::<Event>() => event?,
                line = heard(&mut typed) => {
                    match (line, &phone) {
                        (Some(line), Some(id)) => self.accept(agent, id, line).await?,
                        _ => out.aside("Nobody can type here. Accept the phone in the app, under Devices."),
                    }
                    continue;
                }
            };
            let devices = match event {
                Some(Event::Devices { devices }) => devices,
                Some(_) => continue,
                None => return Err(Failure::new(Kind::Unreachable, "the agent stopped")),
            };
            let of_phone =
                |it: &&PendingDevice| phone.is_none() || phone.as_deref() == Some(&it.id);
            // Those that began before the offer was made are another's.
            let fresh = |it: &&PendingDevice| before.pending.iter().all(|old| old.id != it.id);
            let pending = devices.pending.iter().filter(of_phone).rfind(fresh);
            match (pending, &phone) {
                (Some(pending), _) if pending.state == PendingState::Ended => {
                    let why = pending.why.clone().unwrap_or_default();
                    return Err(Failure::new(Kind::Refused, why.trim_end_matches('.')));
                }
                (Some(pending), None) if pending.digits.is_some() => {
                    phone = Some(pending.id.clone());
                    let name = shown_on_a_line(pending.name.as_deref().unwrap_or_default());
                    out.aside(format!(
                        "{name} shows six digits. Type them here if it is your phone:"
                    ));
                    typed = Some(read_line());
                }
                (None, Some(id)) => {
                    if let Some(device) = devices.devices.into_iter().find(|it| it.id == *id) {
                        return Ok(device);
                    }
                }
                (None, None) if devices.offer.is_none() => {
                    // The event may be older than the offer: that phones are let in from now on is told before it.
                    let now: Devices = agent.get("devices").await?;
                    if now.offer.is_none() && !now.pending.iter().any(|it| fresh(&it)) {
                        let words = "the code no longer counts: its time is over, or somebody tried too often";
                        return Err(Failure::new(Kind::Failed, words));
                    }
                }
                _ => {}
            }
        }
    }

    async fn accept(&self, agent: &AgentApi, id: &str, digits: String) -> Result<(), Failure> {
        let wish = AcceptDevice {
            digits: Some(digits),
            name: self.name.clone(),
            projects: (!self.all_projects).then(|| self.projects.clone()),
            answers: !self.read_only,
        };
        let accepted = agent
            .tell(&format!("devices/pending/{id}/accept"), &wish)
            .await;
        accepted.map_err(|failure| match failure.kind {
            Kind::Conflict => Failure {
                kind: Kind::Refused,
                ..failure
            },
            _ => failure,
        })
    }
}

/// Returns the one address that phones could reach, where none is in use and there is no choice.
fn only_address(devices: &Devices) -> Option<String> {
    match (devices.door.as_ref(), devices.addresses.as_slice()) {
        (None, [only]) => Some(only.clone()),
        _ => None,
    }
}

fn show(made: &MadeOffer, out: Output) -> Result<(), Failure> {
    if out.json {
        return out.json_line(made);
    }
    let (page, _) = made.url.split_once('#').unwrap_or((&made.url, ""));
    out.bytes(
        format!(
            "{}\nScan this with the phone's camera, or open {page} there and type {}\nThe code counts once, for ten minutes.\n",
            out.code(&made.text),
            made.code
        )
        .as_bytes(),
    )
}

/// Reads a line beside everything else. The thread ends with the program when nobody types.
pub(crate) fn read_line() -> oneshot::Receiver<String> {
    let (tell, line) = oneshot::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = std::io::stderr().flush();
        if std::io::stdin()
            .lock()
            .read_line(&mut text)
            .is_ok_and(|read| read > 0)
        {
            let _ = tell.send(text.trim().to_owned());
        }
    });
    line
}

/// Returns what was typed, nothing where nobody can type; never, while nothing is asked or typed.
pub(crate) async fn heard(typed: &mut Option<oneshot::Receiver<String>>) -> Option<String> {
    let Some(line) = typed else {
        return std::future::pending().await;
    };
    let line = line.await.ok();
    // It is heard once.
    *typed = None;
    line
}

/// Take a phone's rights away; its open page goes blank at once
#[derive(Args)]
pub(crate) struct Unpair {
    /// The phone's name
    name: String,
}

impl Unpair {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let agent = answering_agent()?;
        runtime()?.block_on(async {
            let devices: Devices = agent.get("devices").await?;
            let named =
                |it: &&Device| it.name.eq_ignore_ascii_case(&self.name) || it.id == self.name;
            let device = devices.devices.iter().find(named).ok_or_else(|| {
                let words = format!("no phone called {} is paired", shown_on_a_line(&self.name));
                Failure::new(Kind::NotFound, words).hint("edgesync notify devices lists them")
            })?;
            agent.delete(&format!("devices/{}", device.id)).await?;
            let words = format!("{} is no longer paired\n", shown_on_a_line(&device.name));
            out.print(&json!({ "id": device.id, "name": device.name }), |_| words)
        })
    }
}

/// List the phones that are paired
#[derive(Args)]
pub(crate) struct List {}

impl List {
    #[expect(clippy::unused_self, reason = "every command runs itself")]
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let agent = answering_agent()?;
        let devices: Devices = runtime()?.block_on(agent.get("devices"))?;
        out.print(&devices.devices, |devices| match devices.is_empty() {
            true => "no phones are paired\n".to_owned(),
            false => devices.iter().map(line).collect(),
        })
    }
}

fn line(device: &Device) -> String {
    let projects = match &device.projects {
        None => "all projects".to_owned(),
        Some(projects) => projects.join(", "),
    };
    let used = match (device.connected, device.used_at) {
        (true, _) => "connected".to_owned(),
        (false, Some(at)) => format!("last used {} ago", format_age(at.age(Time::now()))),
        (false, None) => "not used yet".to_owned(),
    };
    let does = if device.answers { "answers" } else { "reads" };
    format!(
        "{}  {does} {projects}  {used}\n",
        shown_on_a_line(&device.name)
    )
}
