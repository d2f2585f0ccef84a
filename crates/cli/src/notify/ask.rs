//! `notify ask`: asks through the running agent, or on a bus, and waits for what becomes of it.

use std::pin::pin;
use std::time::Duration;

use clap::Args;
use edgesync_agent::api::{
    AnswerSource, MessageKind, NotifyMessage, QuestionState, Resolved, SendNotify,
};
use serde_json::json;

use super::place::Place;
use super::send::Said;
use super::words::short;
use crate::agent::runtime;
use crate::error::{Failure, Kind};
use crate::output::Output;
use crate::units::parse_duration;

/// How long one request to the agent waits.
const TURN_MS: u64 = 30_000;

/// How long to wait for a first device before saying that none has the question yet.
const FIRST_TURN_MS: u64 = 2_000;

/// Ask, wait, and print the answer
///
/// Exit code 0 with an answer or the default, 2 when nobody answered in time, 4 when the question reached nobody. Ctrl-C takes the question
/// back; when the command ends otherwise, the question stays open.
#[derive(Args)]
pub(crate) struct Ask {
    #[command(flatten)]
    said: Said,

    /// How long to wait for an answer; 0s, or leaving it out, is for ever
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,

    /// The answer that silence means: one of the actions
    #[arg(long, value_name = "LABEL", requires = "timeout")]
    default: Option<String>,

    /// Ask for a yes: offers Yes and No unless actions are given, and silence means no
    #[arg(long)]
    approval: bool,

    /// Beside the actions, take an answer in other words
    #[arg(long)]
    text: bool,
}

impl Ask {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let place = self.said.place.clone();
        let mut wish = self.said.wish()?;
        wish.kind = Some(if self.approval {
            MessageKind::Approval
        } else {
            MessageKind::Question
        });
        wish.allow_text = self.text;
        wish.default = self.default;
        wish.expires_in_ms = self
            .timeout
            .filter(|time| !time.is_zero())
            .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        runtime()?.block_on(async {
            let place = place.find_listening().await?;
            let told = async {
                let (question, resolved) = ask(&place, wish, out).await?;
                report(&place, &question, &resolved, out).await
            };
            let told = told.await;
            place.close().await;
            told
        })
    }
}

/// Asks, and waits until the question is decided or a person stops to wait.
async fn ask(
    place: &Place,
    wish: SendNotify,
    out: Output,
) -> Result<(NotifyMessage, Resolved), Failure> {
    // Listened for before the question leaves, so that none is left behind.
    let mut stopped = pin!(tokio::signal::ctrl_c());
    let mut sending = pin!(place.send(wish));
    let (asked, stop) = tokio::select! {
        biased;
        Ok(()) = &mut stopped => (sending.as_mut().await?, true),
        asked = &mut sending => (asked?, false),
    };
    if !out.quiet {
        out.aside(format!("thread:{}", short(&asked.thread)));
    }
    if stop {
        return take_back(place, &asked, out).await;
    }
    tokio::select! {
        waited = wait(place, &asked, out) => waited,
        Ok(()) = &mut stopped => take_back(place, &asked, out).await,
    }
}

/// Waits until the question is decided.
async fn wait(
    place: &Place,
    asked: &NotifyMessage,
    out: Output,
) -> Result<(NotifyMessage, Resolved), Failure> {
    let mut turn_ms = FIRST_TURN_MS;
    loop {
        let question = place.answer(&asked.id, turn_ms).await;
        let question = question.map_err(|failure| lost(failure, asked))?;
        if let Some(QuestionState::Resolved(resolved)) = &question.question {
            let resolved = resolved.clone();
            return Ok((question, resolved));
        }
        if turn_ms == FIRST_TURN_MS && !reached_anybody(place, &question).await? && !out.quiet {
            out.aside("waiting; no other device has the question yet");
        }
        turn_ms = TURN_MS;
    }
}

/// Says what becomes of a question whose agent is gone.
fn lost(failure: Failure, asked: &NotifyMessage) -> Failure {
    if failure.kind != Kind::Unreachable {
        return failure;
    }
    let thread = short(&asked.thread);
    failure.hint(format!(
        "the question stays open; once the agent runs again, edgesync notify log {thread} tells what has become of it"
    ))
}

/// Takes the question back: whoever sits at the terminal does not want to know any more. It may be decided at this very moment.
async fn take_back(
    place: &Place,
    asked: &NotifyMessage,
    out: Output,
) -> Result<(NotifyMessage, Resolved), Failure> {
    match place.cancel(&asked.id).await {
        Err(failure) if failure.kind != Kind::Conflict => Err(failure),
        _ => wait(place, asked, out).await,
    }
}

/// Whether somebody could see the question: another device has it, or people are told of it right here.
async fn reached_anybody(place: &Place, question: &NotifyMessage) -> Result<bool, Failure> {
    Ok(!question.delivered_to.is_empty() || place.shows(question).await?)
}

async fn report(
    place: &Place,
    question: &NotifyMessage,
    resolved: &Resolved,
    out: Output,
) -> Result<(), Failure> {
    match resolved.source {
        AnswerSource::Answer | AnswerSource::Default => {
            let answer = resolved.answer.clone().unwrap_or_default();
            let all = json!({
                "id": question.id, "thread": question.thread, "source": resolved.source, "answer": answer,
                "label": resolved.label, "message": resolved.message, "by": resolved.by, "by_name": resolved.by_name,
                "time": resolved.time, "delivered_to": question.delivered_to,
            });
            // A program reads it: the answer as it is, whatever it holds.
            out.print(&all, |_| format!("{answer}\n"))
        }
        AnswerSource::Cancelled => Err(Failure::new(Kind::Failed, "the question was taken back")),
        AnswerSource::Expired if reached_anybody(place, question).await? => {
            Err(Failure::new(Kind::TimedOut, "nobody answered in time"))
        }
        AnswerSource::Expired => Err(Failure::new(
            Kind::Unreachable,
            "nobody answered in time, and no other device had the question",
        )
        .hint("edgesync notify status says which devices may answer")),
    }
}
