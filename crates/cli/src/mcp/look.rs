//! The tools that only look: `threads`, `timeline` and `status`. They give a model what it needs and no more, since it pays by the word.

use edgesync_agent::api::{
    self, MessageKind, NotifyConversation, NotifyMessage, NotifyStatus, NotifyThread, Time,
};
use edgesync_agent::notify::FILE_NAME;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::api::AgentApi;
use crate::agent::control::state_words;
use crate::error::{Failure, Kind};
use crate::notify::place::{answering_agent, part};
use crate::notify::words;

/// Rows when the caller does not say.
const ROWS: usize = 20;

/// Most rows.
const MAX_ROWS: usize = 500;

/// Which conversations are wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ThreadsWish {
    /// Only conversations about this project.
    project: Option<String>,
    /// The messages of this conversation instead: its id or first digits.
    thread: Option<String>,
    /// At most so many rows, the latest; 20 unless it says otherwise.
    limit: Option<usize>,
}

/// Conversations, or the messages of one.
#[derive(Serialize, JsonSchema)]
pub(super) struct Threads {
    /// The conversations, unless one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<Vec<Thread>>,
    /// The messages of the conversation that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<Message>>,
    /// How many more there are.
    more: usize,
}

/// A conversation.
#[derive(Serialize, JsonSchema)]
struct Thread {
    /// Its id.
    id: String,
    /// What it is about.
    project: String,
    /// The beginning of the first one.
    title: String,
    /// How many messages it has.
    messages: u64,
    /// When the last one was written.
    time: String,
    /// Who wrote the last one.
    from: String,
    /// The beginning of the last one.
    last: String,
    /// The question that waits for an answer.
    waiting: Option<String>,
}

/// A message.
#[derive(Serialize, JsonSchema)]
struct Message {
    /// Its id.
    id: String,
    /// When it was written.
    time: String,
    /// Who wrote it, and whether that is certain.
    from: String,
    /// What it says.
    text: String,
    /// The message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<String>,
    /// The ids of the actions that a question offers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<String>,
    /// What has become of a question.
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<String>,
}

/// Returns conversations, or the messages of one.
pub(super) async fn threads(wish: &ThreadsWish) -> Result<Threads, Failure> {
    let agent = answering_agent()?;
    let limit = wish.limit.unwrap_or(ROWS).min(MAX_ROWS);
    if let Some(thread) = &wish.thread {
        let thread = part("thread", thread)?;
        let conversation: NotifyConversation =
            agent.get(&format!("notify/threads/{thread}")).await?;
        // Resolutions repeat what the question says of itself.
        let shown = |message: &&NotifyMessage| message.kind != MessageKind::Resolution;
        let all: Vec<_> = conversation
            .messages
            .iter()
            .filter(shown)
            .map(message)
            .collect();
        let more = all.len().saturating_sub(limit);
        return Ok(Threads {
            threads: None,
            messages: Some(all.into_iter().skip(more).collect()),
            more,
        });
    }
    let path = match &wish.project {
        Some(project) => format!("notify/threads?project={}", part("project", project)?),
        None => "notify/threads".to_owned(),
    };
    let all: Vec<NotifyThread> = agent.get(&path).await?;
    let more = all.len().saturating_sub(limit);
    Ok(Threads {
        threads: Some(all.into_iter().take(limit).map(thread).collect()),
        messages: None,
        more,
    })
}

fn thread(thread: NotifyThread) -> Thread {
    Thread {
        id: thread.id,
        project: thread.project,
        title: thread.title,
        messages: thread.messages,
        time: thread.time.to_string(),
        from: thread.last_from,
        last: thread.last_body,
        waiting: thread.waiting.map(|question| question.id),
    }
}

fn message(message: &NotifyMessage) -> Message {
    Message {
        id: message.id.clone(),
        time: message.time.to_string(),
        from: words::sender(message),
        text: message.body.clone(),
        answers: message.reply_to.clone(),
        actions: message.actions.iter().map(|it| it.id.clone()).collect(),
        question: message.question.as_ref().map(words::state),
    }
}

/// Which events are wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TimelineWish {
    /// The repository's name, as `status` lists it; may be left out when there is only one.
    repository: Option<String>,
    /// At most so many rows, the newest; 20 unless it says otherwise.
    limit: Option<usize>,
}

/// The newest events of a repository.
#[derive(Serialize, JsonSchema)]
pub(super) struct Timeline {
    /// The repository.
    repository: String,
    /// The newest events, newest first.
    rows: Vec<Row>,
    /// How many more there are.
    more: u64,
}

/// An event of a repository.
#[derive(Serialize, JsonSchema)]
struct Row {
    /// What it is: `check-in`, `wiki`, `ticket`, `technote`, `tag` or `forum`.
    kind: &'static str,
    /// The artifact's hash.
    hash: String,
    /// When.
    time: String,
    /// Who.
    user: String,
    /// What was said of it.
    comment: String,
    /// The branch of a check-in.
    branch: Option<String>,
    /// Other tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

/// Returns the newest events of a repository.
pub(super) async fn timeline(wish: &TimelineWish) -> Result<Timeline, Failure> {
    let agent = AgentApi::find()?;
    let status: api::Status = agent.get("status").await?;
    // That of the messages is seldom meant.
    let projects = status
        .repositories
        .iter()
        .filter(|it| !it.path.ends_with(FILE_NAME));
    let names: Vec<&str> = projects.map(|it| it.name.as_str()).collect();
    let name = match (&wish.repository, names.as_slice()) {
        // Only what the agent named itself makes a path.
        (Some(wished), _) => status
            .repositories
            .iter()
            .find(|it| it.name == *wished)
            .map(|it| it.name.as_str()),
        (None, [only]) => Some(*only),
        (None, _) => None,
    };
    let name = name.ok_or_else(|| {
        let message = match &wish.repository {
            Some(wished) => format!("the agent has no repository {wished}"),
            None => "repository is missing: which one?".to_owned(),
        };
        let hint = match names.as_slice() {
            [] => {
                "the agent keeps no repository; edgesync sync start -R FILE gives it one".to_owned()
            }
            names => format!("it has: {}", names.join(", ")),
        };
        Failure::new(Kind::NotFound, message).hint(hint)
    })?;
    let limit = wish.limit.unwrap_or(ROWS).min(MAX_ROWS);
    let path = format!("repositories/{name}/timeline?limit={limit}");
    let page: api::Timeline = agent.get(&path).await?;
    let shown = u64::try_from(page.rows.len()).unwrap_or(u64::MAX);
    Ok(Timeline {
        repository: name.to_owned(),
        more: page.total.saturating_sub(shown),
        rows: page.rows.into_iter().map(row).collect(),
    })
}

/// Returns the word for an event's letters.
fn kind(letters: &str) -> &'static str {
    match letters {
        "ci" => "check-in",
        "w" => "wiki",
        "t" => "ticket",
        "e" => "technote",
        "g" => "tag",
        "f" => "forum",
        _ => "other",
    }
}

fn row(row: api::TimelineRow) -> Row {
    Row {
        kind: kind(&row.kind),
        hash: row.hash,
        time: row.time.to_string(),
        user: row.user,
        comment: row.comment,
        branch: row.branch,
        tags: row.tags,
    }
}

/// How the agent is.
#[derive(Serialize, JsonSchema)]
pub(super) struct Status {
    /// The agent's name.
    agent: String,
    /// Its version.
    version: String,
    /// The repositories that it keeps.
    repositories: Vec<Repository>,
    /// Who may answer questions, when it takes any.
    questions: Option<Questions>,
    /// Why it takes no questions, when it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_questions: Option<String>,
}

/// A repository.
#[derive(Serialize, JsonSchema)]
struct Repository {
    /// Its name.
    name: String,
    /// Its file.
    path: String,
    /// The server it is kept equal with.
    remote: Option<String>,
    /// How it stands with that server.
    state: String,
}

/// How questions reach people.
#[derive(Serialize, JsonSchema)]
struct Questions {
    /// Who would see a question that is asked now, in a sentence.
    reach: String,
    /// Questions that wait for an answer.
    waiting: u64,
    /// Whether this machine has a desktop to show them on.
    desktop: bool,
    /// Phones that are paired.
    phones: usize,
    /// Other devices whose answers count, and how many of them listen now.
    devices: u64,
    listening: usize,
    /// Whether they go to other devices at once.
    bus: bool,
}

impl Questions {
    fn reach(&self) -> String {
        let counted = |count: usize, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{count} {many}")),
        };
        let ways = [
            self.desktop
                .then(|| "the desktop of this machine".to_owned()),
            counted(self.phones, "paired phone", "paired phones"),
        ];
        let ways: Vec<_> = ways.into_iter().flatten().collect();
        let others = counted(
            self.listening,
            "other device that listens",
            "other devices that listen",
        );
        let shows = "shows it where it has a desktop or a phone";
        match (ways.is_empty(), others) {
            (false, None) => return format!("A question is shown on {}.", ways.join(", ")),
            (false, Some(others)) => {
                let ways = ways.join(", ");
                return format!(
                    "A question is shown on {ways}, and goes to {others}; each {shows}."
                );
            }
            (true, Some(others)) => return format!("A question goes to {others}; each {shows}."),
            (true, None) => {}
        }
        let later = match self.devices {
            0 => "no other device may answer",
            _ => "none of the other devices listens now",
        };
        format!(
            "Nobody is shown a question at once: there is no desktop and no phone, and {later}. Whoever looks can answer with `edgesync notify reply`."
        )
    }
}

/// Returns how the agent is.
pub(super) async fn status() -> Result<Status, Failure> {
    let agent = AgentApi::find()?;
    let status: api::Status = agent.get("status").await?;
    let (questions, no_questions) = match agent.get::<NotifyStatus>("notify").await {
        Ok(notify) => {
            let phones: api::Devices = agent.get("devices").await?;
            let questions = Questions {
                reach: String::new(),
                waiting: notify.waiting,
                desktop: status.agent.shell,
                phones: phones.devices.len(),
                devices: notify.answering,
                listening: notify.present.len(),
                bus: notify.bus,
            };
            let reach = questions.reach();
            (Some(Questions { reach, ..questions }), None)
        }
        Err(failure) => (None, Some(super::words(failure))),
    };
    let now = Time::now();
    let repository = |it: api::Repository| Repository {
        name: it.name,
        path: it.path.display().to_string(),
        remote: it.remote.map(|remote| remote.url),
        state: state_words(&it.state, now),
    };
    Ok(Status {
        agent: status.agent.peer_id,
        version: status.agent.version,
        repositories: status.repositories.into_iter().map(repository).collect(),
        questions,
        no_questions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_shown_where_there_are_screens_and_goes_to_whoever_listens() {
        let reach = |desktop, listening| {
            Questions {
                reach: String::new(),
                waiting: 0,
                desktop,
                phones: 0,
                devices: 2,
                listening,
                bus: true,
            }
            .reach()
        };
        let own = "A question is shown on the desktop of this machine";
        let other = "1 other device that listens; each shows it where it has a desktop or a phone.";
        assert_eq!(reach(true, 0), format!("{own}."));
        assert_eq!(reach(true, 1), format!("{own}, and goes to {other}"));
        assert_eq!(reach(false, 1), format!("A question goes to {other}"));
        assert!(reach(false, 0).starts_with("Nobody is shown a question at once"));
    }
}
