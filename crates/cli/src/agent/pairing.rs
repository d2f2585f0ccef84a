//! `edgesync pair`, `join` and `peers pending|accept`: two agents come to trust each other, by people who look at both screens.

use clap::Args;
use edgesync_agent::api::{
    AcceptAgent, ClaimOffer, Event, MadeOffer, Mesh, PairedBy, Pairing, PendingAgent, PendingState,
    agent_called,
};
use serde_json::json;
use tokio::sync::oneshot;

use crate::agent::api::{AgentApi, Lines, stopped};
use crate::agent::runtime;
use crate::agent::signals::ended_from_outside;
use crate::error::{Failure, Kind};
use crate::notify::devices::{heard, read_line};
use crate::output::{Output, printable};

/// What the other agent is called here, and what it may.
#[derive(Args)]
struct Given {
    /// What to call the other agent; otherwise what it calls itself
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// The code of a project in which it may clone, read and write, instead of all; may be given again
    #[arg(long = "project", value_name = "CODE")]
    projects: Vec<String>,

    /// It may clone and read, not write
    #[arg(long)]
    read_only: bool,
}

/// Offer to pair another agent: shows a QR code, a link and a code, and pairs who has them once the digits are compared
///
/// The agent's tunnel has to be on. The offer counts once, for ten minutes, and as long as this command runs.
#[derive(Args)]
pub(crate) struct Offer {
    #[command(flatten)]
    given: Given,
}

/// Pair with the agent of which there is an offer or a ticket
#[derive(Args)]
pub(crate) struct Join {
    /// The link that the other agent shows, or its ticket
    #[arg(value_name = "OFFER|TICKET")]
    offer: String,

    /// The code that it shows, where a ticket is given
    #[arg(long, value_name = "XXXX-XXXX-XXXX")]
    code: Option<String>,

    #[command(flatten)]
    given: Given,
}

/// List the agents that wait to be paired
#[derive(Args)]
pub(crate) struct Waiting {}

/// Accept an agent that waits to be paired, by the digits that it shows
#[derive(Args)]
pub(crate) struct Accept {
    /// Its name or endpoint id, as `edgesync peers pending` shows them, or the beginning of the id
    #[arg(value_name = "NAME|ID")]
    called: String,

    /// The six digits that the other agent shows; when they are others than here, the two are not paired
    #[arg(long, value_name = "NNNNNN")]
    code: String,

    #[command(flatten)]
    given: Given,
}

impl Given {
    fn wish(&self, digits: Option<String>) -> AcceptAgent {
        AcceptAgent {
            digits,
            name: self.name.clone(),
            capabilities: self.read_only.then(|| "go".to_owned()),
            projects: Some(self.projects.clone()).filter(|them| !them.is_empty()),
        }
    }
}

impl Offer {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let agent = AgentApi::find()?;
        runtime()?.block_on(async {
            let paired = tokio::select! {
                paired = self.pair(&agent, out) => paired,
                () = ended_from_outside() => Err(Failure::new(Kind::Failed, "interrupted")),
            };
            if paired.is_err() {
                // Whatever went wrong: what is on the screen must not count any more.
                let _ = agent.delete("mesh/pairing/offer").await;
            }
            paired
        })
    }

    async fn pair(&self, agent: &AgentApi, out: Output) -> Result<(), Failure> {
        let before: Pairing = agent.get("mesh/pairing").await?;
        // Before the offer, so that nothing is missed.
        let events = agent.lines("events").await?;
        let (made, _held) = agent.hold_offer("mesh/pairing/offer", &json!({})).await?;
        show(&made, out)?;
        let is_new = |it: &PendingAgent| {
            it.by == PairedBy::Offer
                && before
                    .pending
                    .iter()
                    .all(|old| old.other.since != it.other.since)
        };
        talk(agent, events, &self.given, out, is_new).await
    }
}

impl Join {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let agent = AgentApi::find()?;
        runtime()?.block_on(async {
            let events = agent.lines("events").await?;
            let wish = ClaimOffer {
                offer: self.offer.clone(),
                code: self.code.clone(),
            };
            let begun: PendingAgent = agent.post_json("mesh/pairing/claim", &wish).await?;
            let is_it =
                |it: &PendingAgent| it.by == PairedBy::Here && it.other.id == begun.other.id;
            let paired = tokio::select! {
                paired = talk(&agent, events, &self.given, out, is_it) => paired,
                () = ended_from_outside() => Err(Failure::new(Kind::Failed, "interrupted")),
            };
            if paired.is_err() {
                let _ = agent
                    .delete(&format!("mesh/pairing/pending/{}", begun.other.id))
                    .await;
            }
            paired
        })
    }
}

impl Waiting {
    #[expect(clippy::unused_self, reason = "every command runs itself")]
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let agent = AgentApi::find()?;
        let mut pairing: Pairing = runtime()?.block_on(agent.get("mesh/pairing"))?;
        // One that has ended waits for nothing.
        let waits = |it: &PendingAgent| it.other.state != PendingState::Ended;
        pairing.pending.retain(waits);
        out.print(&pairing.pending, |pending| match pending.is_empty() {
            true => "nobody waits to be paired\n".to_owned(),
            false => pending.iter().map(line).collect(),
        })
    }
}

impl Accept {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let agent = AgentApi::find()?;
        let wish = self.given.wish(Some(self.code.clone()));
        let id = runtime()?.block_on(async {
            let pairing: Pairing = agent.get("mesh/pairing").await?;
            let pending = pairing.pending.iter().map(|it| &it.other);
            let known = pending.map(|it| (it.id.as_str(), it.name.as_deref().unwrap_or_default()));
            let id = agent_called(&self.called, known)?.to_string();
            accept(&agent, &id, &wish).await?;
            Ok::<_, Failure>(id)
        })?;
        out.print(&json!({ "accepted": id }), |_| {
            "accepted; paired once the other side has accepted as well\n".to_owned()
        })
    }
}

/// Leads a person through a pairing, and returns when the two are paired.
async fn talk(
    agent: &AgentApi,
    mut events: Lines,
    given: &Given,
    out: Output,
    is_mine: impl Fn(&PendingAgent) -> bool,
) -> Result<(), Failure> {
    let mut other: Option<(String, String)> = None;
    let mut typed: Option<oneshot::Receiver<String>> = None;
    loop {
        let event = tokio::select! {
            event = events.next::<Event>() => event?,
            line = heard(&mut typed) => {
                let Some((id, _)) = &other else { continue };
                match line {
                    Some(line) => decide(agent, id, given, &line).await?,
                    None => out.aside(format!(
                        "Nobody can type here. With the digits that the other side shows: edgesync peers accept {id} --code NNNNNN"
                    )),
                }
                continue;
            }
        };
        let pairing = match event {
            Some(Event::Pairing { pairing }) => pairing,
            Some(_) => continue,
            None => return Err(stopped()),
        };
        let pending = pairing.pending.iter().rfind(|it| match &other {
            Some((id, _)) => it.other.id == *id && is_mine(it),
            None => is_mine(it),
        });
        match (pending, &other) {
            (Some(pending), _) if pending.other.state == PendingState::Ended => {
                let why = pending.other.why.as_deref().unwrap_or_default();
                return Err(Failure::new(Kind::Refused, why.trim_end_matches('.')));
            }
            (Some(pending), None) => {
                if let (Some(name), Some(digits)) = (&pending.other.name, &pending.other.digits) {
                    other = Some((pending.other.id.clone(), name.clone()));
                    typed = Some(ask(pending, name, digits, out)?);
                }
            }
            (None, Some((id, name))) => return ended(agent, id, name, out).await,
            (None, None) if pairing.offer.is_none() && pairing.pending.is_empty() => {
                let words =
                    "the offer no longer counts: its time is over, or somebody tried too often";
                return Err(Failure::new(Kind::Failed, words));
            }
            _ => {}
        }
    }
}

/// Shows the digits, and asks whether the other side shows the same.
fn ask(
    pending: &PendingAgent,
    name: &str,
    digits: &str,
    out: Output,
) -> Result<oneshot::Receiver<String>, Failure> {
    if out.json {
        out.json_line(pending)?;
    }
    let (name, (three, more)) = (
        printable(name),
        digits.split_at_checked(3).unwrap_or((digits, "")),
    );
    out.aside(format!(
        "{name} ({})\n\n    {three} {more}\n\nDoes the other side show the same six digits? Type yes to pair:",
        pending.other.id
    ));
    Ok(read_line())
}

async fn decide(agent: &AgentApi, id: &str, given: &Given, line: &str) -> Result<(), Failure> {
    if matches!(line.to_ascii_lowercase().as_str(), "y" | "yes") {
        return accept(agent, id, &given.wish(None)).await;
    }
    agent.delete(&format!("mesh/pairing/pending/{id}")).await?;
    Err(Failure::new(Kind::Refused, "not paired"))
}

async fn accept(agent: &AgentApi, id: &str, wish: &AcceptAgent) -> Result<(), Failure> {
    let path = format!("mesh/pairing/pending/{id}/accept");
    let accepted = agent.tell(&path, wish).await;
    accepted.map_err(|failure| match failure.kind {
        Kind::Conflict => Failure {
            kind: Kind::Refused,
            ..failure
        },
        _ => failure,
    })
}

/// The pairing is over: either the other agent is a member now, or nothing came of it.
async fn ended(agent: &AgentApi, id: &str, name: &str, out: Output) -> Result<(), Failure> {
    let mesh: Mesh = agent.get("mesh").await?;
    let member = mesh.members.iter().find(|it| it.endpoint_id == id);
    let member = member
        .ok_or_else(|| Failure::new(Kind::Refused, format!("{} is not paired", printable(name))))?;
    match out.json {
        true => out.json_line(member),
        false => out.line(format!("{} is paired", printable(&member.name))),
    }
}

fn show(made: &MadeOffer, out: Output) -> Result<(), Failure> {
    if out.json {
        return out.json_line(made);
    }
    let text = format!(
        "{}\nOn the other agent: edgesync join {}\nOr with this agent's ticket: edgesync join TICKET --code {}\nThe offer counts once, for ten minutes.\n",
        out.code(&made.text),
        made.url,
        made.code
    );
    out.bytes(text.as_bytes())
}

fn line(pending: &PendingAgent) -> String {
    let PendingAgent { other, by } = pending;
    let name = other.name.as_deref().unwrap_or("-");
    let state = match (other.state, by) {
        (PendingState::Meeting, _) => "meets",
        (PendingState::Comparing, PairedBy::Here) => "asked from here, to be accepted",
        (PendingState::Comparing, PairedBy::Offer) => "has an offer, to be accepted",
        (PendingState::Comparing, PairedBy::Knock) => "knocks without an offer, to be accepted",
        (PendingState::Accepted, _) => "accepted here, waits for the other side",
        (PendingState::Ended, _) => "not paired",
    };
    let digits = other.digits.as_deref().unwrap_or("-");
    format!("{}  {}  {digits}  {state}\n", other.id, printable(name))
}
