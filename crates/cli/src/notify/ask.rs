//! `notify ask`: asks through the running agent, or on a bus, and waits for what becomes of it.

use std::pin::pin;
use std::time::Duration;

use clap::Args;
use edgesync_agent::api::{
    AnswerSource, MessageKind, NotifyMessage, QuestionState, Resolved, SendNotify,
};
use serde_json::json;
use tokio::time::Instant;

use super::place::{Place, PlaceArg, is_gone};
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
/// back; when the command ends otherwise, the question stays open. While the agent is started anew, it is waited for.
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
            let mut asker = Asker {
                place: place.find_listening().await?,
                named: place,
                out,
            };
            let told = async {
                let (question, resolved) = asker.ask(wish).await?;
                asker.report(&question, &resolved).await
            };
            let told = told.await;
            asker.place.close().await;
            told
        })
    }
}

/// Who waits, and where.
struct Asker {
    place: Place,
    /// How the place was named, to find it again.
    named: PlaceArg,
    out: Output,
}

impl Asker {
    /// Asks, and waits until the question is decided or a person stops to wait.
    async fn ask(&mut self, wish: SendNotify) -> Result<(NotifyMessage, Resolved), Failure> {
        // Listened for before the question leaves, so that none is left behind.
        let mut stopped = pin!(tokio::signal::ctrl_c());
        let end = wish.expires_in_ms.map(Duration::from_millis);
        let (asked, stop) = {
            let mut sending = pin!(self.place.send(wish));
            tokio::select! {
                biased;
                Ok(()) = &mut stopped => (sending.as_mut().await?, true),
                asked = &mut sending => (asked?, false),
            }
        };
        let end = end.and_then(|time| Instant::now().checked_add(time));
        if !self.out.quiet {
            self.out.aside(format!("thread:{}", short(&asked.thread)));
        }
        if stop {
            return self.take_back(&asked).await;
        }
        tokio::select! {
            waited = self.wait(&asked, end) => return waited,
            Ok(()) = &mut stopped => {}
        }
        self.take_back(&asked).await
    }

    /// Waits until the question is decided, also while the agent is started anew. One that is still gone when the question's time is over is not
    /// waited for any longer.
    async fn wait(
        &mut self,
        asked: &NotifyMessage,
        end: Option<Instant>,
    ) -> Result<(NotifyMessage, Resolved), Failure> {
        loop {
            let failure = match self.decided(asked).await {
                Err(failure) if is_gone(&failure) => failure,
                decided => return decided,
            };
            if !matches!(self.place, Place::Agent(_)) {
                return Err(failure);
            }
            let again = self.named.agent_again(self.out);
            let agent = match end {
                None => again.await,
                Some(end) => match tokio::time::timeout_at(end, again).await {
                    Ok(again) => again,
                    Err(_) => return Err(lost(failure, asked)),
                },
            };
            self.place = Place::Agent(Box::new(agent?));
        }
    }

    /// Waits until the question is decided, as long as the place is there.
    async fn decided(&self, asked: &NotifyMessage) -> Result<(NotifyMessage, Resolved), Failure> {
        let mut turn_ms = FIRST_TURN_MS;
        loop {
            let question = self.place.answer(&asked.id, turn_ms).await?;
            if let Some(QuestionState::Resolved(resolved)) = &question.question {
                let resolved = resolved.clone();
                return Ok((question, resolved));
            }
            let first = turn_ms == FIRST_TURN_MS;
            if first && !self.reached_anybody(&question).await? && !self.out.quiet {
                self.out
                    .aside("waiting; no other device has the question yet");
            }
            turn_ms = TURN_MS;
        }
    }

    /// Takes the question back: whoever sits at the terminal does not want to know any more. It may be decided at this very moment.
    async fn take_back(&self, asked: &NotifyMessage) -> Result<(NotifyMessage, Resolved), Failure> {
        let told = match self.place.cancel(&asked.id).await {
            Err(failure) if failure.kind != Kind::Conflict => Err(failure),
            _ => self.decided(asked).await,
        };
        told.map_err(|failure| lost(failure, asked))
    }

    /// Whether somebody could see the question: another device has it, or people are told of it right here.
    async fn reached_anybody(&self, question: &NotifyMessage) -> Result<bool, Failure> {
        Ok(!question.delivered_to.is_empty() || self.place.shows(question).await?)
    }

    async fn report(&self, question: &NotifyMessage, resolved: &Resolved) -> Result<(), Failure> {
        match resolved.source {
            AnswerSource::Answer | AnswerSource::Default => {
                let answer = resolved.answer.clone().unwrap_or_default();
                let all = json!({
                    "id": question.id, "thread": question.thread, "source": resolved.source, "answer": answer,
                    "label": resolved.label, "message": resolved.message, "by": resolved.by, "by_name": resolved.by_name,
                    "time": resolved.time, "delivered_to": question.delivered_to,
                });
                // A program reads it: the answer as it is, whatever it holds.
                self.out.print(&all, |_| format!("{answer}\n"))
            }
            AnswerSource::Cancelled => {
                Err(Failure::new(Kind::Failed, "the question was taken back"))
            }
            AnswerSource::Expired if self.reached_anybody(question).await? => {
                Err(Failure::new(Kind::TimedOut, "nobody answered in time"))
            }
            AnswerSource::Expired => Err(Failure::new(
                Kind::Unreachable,
                "nobody answered in time, and no other device had the question",
            )
            .hint("edgesync notify status says which devices may answer")),
        }
    }
}

/// Says what becomes of a question whose agent is gone.
fn lost(failure: Failure, asked: &NotifyMessage) -> Failure {
    if !is_gone(&failure) {
        return failure;
    }
    let thread = short(&asked.thread);
    Failure::new(Kind::Unreachable, "the agent has stopped").hint(format!(
        "the question stays open; once the agent runs again, edgesync notify log {thread} tells what has become of it"
    ))
}
