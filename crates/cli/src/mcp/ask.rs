//! The tool `ask`: a question, and what becomes of it.
//!
//! A question belongs to the agent, not to the call: it outlives a call that ran out of time, and this server. Only a caller that
//! says that it no longer wants to know takes its question back.

use std::time::Duration;

use edgesync_agent::api::{
    AnswerSource, MessageKind, NotifyConversation, NotifyMessage, QuestionState, Resolved,
    SendNotify, Sender,
};
use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Desk;
use super::say::Priority;
use super::waiting::ran_out_of_time;
use crate::agent::api::AgentApi;
use crate::error::{Failure, Kind, OrFail};
use crate::notify::place::{answering_agent, part};

/// How long a call waits when its caller says nothing and does not hear of progress. Clients commonly give up after a minute.
const PATIENCE: Duration = Duration::from_secs(50);

/// How often a caller hears that its call still waits; well within any time-out.
const BEAT: Duration = Duration::from_secs(10);

/// What silence and refusal of an approval are called when it does not say.
const NO: &str = "no";

/// What is to be asked, or which question is to be waited for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// The question, as plain text that makes sense to somebody who sees nothing else. Leave it out to wait for an earlier one.
    question: Option<String>,
    /// What it is about, usually the name of the project: letters, digits, - and _.
    project: Option<String>,
    /// Answers to offer as buttons, at most 20; the first three are in the notification itself. Without any, people answer in words.
    #[serde(default)]
    actions: Vec<String>,
    /// Beside the actions, take an answer in other words.
    #[serde(default)]
    allow_text: bool,
    /// Ask for a permission: offers Yes and No unless actions are given; No and silence are a no.
    #[serde(default)]
    approval: bool,
    /// How much it matters; `action_required` unless it says otherwise.
    priority: Option<Priority>,
    /// After how many seconds the question expires. Without it, it waits until somebody answers.
    expires_in_seconds: Option<u64>,
    /// The action that silence means when the question expires.
    default: Option<String>,
    /// The conversation to go on with, as an earlier call returned it; without `question`, the one whose last question is waited for.
    thread: Option<String>,
    /// The question to go on waiting for, as an earlier call returned it.
    id: Option<String>,
    /// How many seconds this call waits before it returns `waiting`; 0 returns at once. The question stays open.
    wait_seconds: Option<u64>,
    /// An http or https address for more.
    link: Option<String>,
}

/// What has become of the question.
#[derive(Serialize, JsonSchema)]
pub(super) struct Told {
    /// What has become of it.
    outcome: Outcome,
    /// The answer: the id of an action, or text. When expired, the default that silence means.
    value: Option<String>,
    /// The label of the action that was chosen.
    label: Option<String>,
    /// Who answered.
    by: Option<String>,
    /// The question; give it as `id` to wait on.
    id: String,
    /// Its conversation.
    thread: String,
    /// How many other devices have the question.
    delivered_to: usize,
}

/// What has become of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// A person answered.
    Accepted,
    /// A person said no to an approval.
    Declined,
    /// The question was taken back.
    Cancelled,
    /// Nobody answered in time.
    Expired,
    /// It is still open.
    Waiting,
}

impl Desk {
    /// Asks, or picks up a question, and waits.
    pub(super) async fn ask_people(
        &self,
        mut wish: Wish,
        context: &RequestContext<RoleServer>,
    ) -> Result<Told, Failure> {
        // First of all, so that no cancellation is missed.
        let cancelled = self.waiting.call(context.id.clone());
        let patience = self.patience(wish.wait_seconds.take(), context);
        let told = async {
            let agent = answering_agent()?;
            let question = self.question(wish, &agent, context).await?;
            let wait = wait(&agent, &question, patience, context);
            tokio::select! {
                biased;
                Ok(reason) = cancelled => {
                    if !ran_out_of_time(&reason) {
                        self.take_back(&agent, &question).await?;
                    }
                    Ok(tell(&question, None))
                }
                answered = wait => {
                    let told = tell_of(&answered?);
                    if told.outcome != Outcome::Waiting {
                        self.waiting.told(&told.id);
                    }
                    Ok(told)
                }
            }
        };
        let told = told.await;
        self.waiting.ended(&context.id);
        told
    }

    /// Returns how long a call waits, `None` for ever.
    fn patience(
        &self,
        wished_s: Option<u64>,
        context: &RequestContext<RoleServer>,
    ) -> Option<Duration> {
        let usual = || match self.options.wait {
            Some(wait) => Some(wait).filter(|wait| !wait.is_zero()),
            None if context.meta.get_progress_token().is_some() => None,
            None => Some(PATIENCE),
        };
        wished_s.map_or_else(usual, |seconds| Some(Duration::from_secs(seconds)))
    }

    /// Returns the question that is meant, asking it when it is new.
    async fn question(
        &self,
        wish: Wish,
        agent: &AgentApi,
        context: &RequestContext<RoleServer>,
    ) -> Result<NotifyMessage, Failure> {
        if let Some(id) = &wish.id {
            let id = part("message", id)?;
            let message: NotifyMessage = agent.get(&format!("notify/messages/{id}")).await?;
            return match message.question {
                Some(_) => Ok(message),
                None => Err(Failure::new(
                    Kind::NotFound,
                    format!("{id} is not a question"),
                )),
            };
        }
        let Some(body) = wish.question else {
            return match &wish.thread {
                Some(thread) => last_question(agent, thread).await,
                None => Err(Failure::new(Kind::Usage, "question is missing")
                    .hint("to wait for an earlier question, give its id or thread")),
            };
        };
        let send = SendNotify {
            project: self.project(wish.project)?,
            body,
            thread: wish.thread,
            priority: wish.priority.map(Into::into),
            kind: Some(match wish.approval {
                true => MessageKind::Approval,
                false => MessageKind::Question,
            }),
            actions: wish.actions,
            allow_text: wish.allow_text,
            expires_in_ms: wish.expires_in_seconds.map(|s| s.saturating_mul(1_000)),
            default: wish.default,
            from_name: self.sender(context),
            click: wish.link,
            ..SendNotify::default()
        };
        // A caller that ran out of time asks again in the same words.
        if let Some(id) = self.waiting.untold(&send) {
            return agent.get(&format!("notify/messages/{id}")).await;
        }
        let asked: NotifyMessage = agent.post_json("notify/send", &send).await?;
        self.waiting.asked(send, asked.id.clone());
        Ok(asked)
    }

    /// Takes back a question that its caller does not want to know about any more.
    async fn take_back(&self, agent: &AgentApi, question: &NotifyMessage) -> Result<(), Failure> {
        self.waiting.told(&question.id);
        let path = format!("notify/messages/{}/cancel", question.id);
        match agent.post(&path).await {
            // It was decided at this moment.
            Err(failure) if failure.kind == Kind::Conflict => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

/// Returns the last question that was asked from here in a thread.
async fn last_question(agent: &AgentApi, thread: &str) -> Result<NotifyMessage, Failure> {
    let thread = part("thread", thread)?;
    let conversation: NotifyConversation = agent.get(&format!("notify/threads/{thread}")).await?;
    let own = |message: &NotifyMessage| message.question.is_some() && message.sender == Sender::Own;
    let mut messages = conversation.messages.into_iter();
    messages.rfind(own).ok_or_else(|| {
        Failure::new(
            Kind::NotFound,
            format!("thread {thread} has no question from here"),
        )
    })
}

/// Waits until the question is decided or the patience is over, and says meanwhile that it waits.
async fn wait(
    agent: &AgentApi,
    question: &NotifyMessage,
    patience: Option<Duration>,
    context: &RequestContext<RoleServer>,
) -> Result<NotifyMessage, Failure> {
    let began = Instant::now();
    let progress = context.meta.get_progress_token();
    let mut known = question.clone();
    loop {
        if let Some(token) = &progress {
            report(context, token, began.elapsed(), &known).await?;
        }
        let left = patience.map(|patience| patience.saturating_sub(began.elapsed()));
        let turn = left.unwrap_or(BEAT).min(BEAT);
        let path = format!(
            "notify/messages/{}/answer?wait_ms={}",
            known.id,
            turn.as_millis()
        );
        known = agent.get(&path).await.map_err(|failure| {
            let id = &question.id;
            Failure {
                hint: Some(format!(
                    "the question stays open; when the agent runs again, ask with id {id}"
                )),
                ..failure
            }
        })?;
        let over = left.is_some_and(|left| left <= turn);
        if over || matches!(known.question, Some(QuestionState::Resolved(_))) {
            return Ok(known);
        }
    }
}

/// Tells the caller that its call still waits.
async fn report(
    context: &RequestContext<RoleServer>,
    token: &ProgressToken,
    waited: Duration,
    question: &NotifyMessage,
) -> Result<(), Failure> {
    let message = match question.delivered_to.len() {
        0 => format!("{} waits for an answer", question.id),
        1 => format!("{} waits for an answer; 1 other device has it", question.id),
        count => format!(
            "{} waits for an answer; {count} other devices have it",
            question.id
        ),
    };
    let progress =
        ProgressNotificationParam::new(token.clone(), waited.as_secs_f64()).with_message(message);
    context
        .peer
        .notify_progress(progress)
        .await
        .or_fail(Kind::Failed, "MCP")
}

/// Returns what has become of a question.
fn tell_of(question: &NotifyMessage) -> Told {
    match &question.question {
        Some(QuestionState::Resolved(resolved)) => tell(question, Some(resolved)),
        _ => tell(question, None),
    }
}

fn tell(question: &NotifyMessage, resolved: Option<&Resolved>) -> Told {
    Told {
        outcome: resolved.map_or(Outcome::Waiting, |resolved| outcome(question, resolved)),
        value: resolved.and_then(|it| it.answer.clone()),
        label: resolved.and_then(|it| it.label.clone()),
        by: resolved.and_then(|it| it.by_name.clone()),
        id: question.id.clone(),
        thread: question.thread.clone(),
        delivered_to: question.delivered_to.len(),
    }
}

fn outcome(question: &NotifyMessage, resolved: &Resolved) -> Outcome {
    let no = question.default.as_deref().unwrap_or(NO);
    match resolved.source {
        AnswerSource::Answer
            if question.kind == MessageKind::Approval && resolved.answer.as_deref() == Some(no) =>
        {
            Outcome::Declined
        }
        AnswerSource::Answer => Outcome::Accepted,
        AnswerSource::Cancelled => Outcome::Cancelled,
        AnswerSource::Default | AnswerSource::Expired => Outcome::Expired,
    }
}
