//! `notify send` and `notify reply`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use edgesync_agent::api::{
    self, NotifyConversation, NotifyMessage, QuestionState, ReplyNotify, SendNotify,
};

use super::place::{PlaceArg, with};
use crate::error::{Failure, Kind, OrFail};
use crate::output::Output;

/// What `send` and `ask` have in common.
#[derive(Args)]
pub(crate) struct Said {
    #[command(flatten)]
    pub(super) place: PlaceArg,

    /// What it is about: letters, digits, - and _
    #[arg(long, value_name = "NAME")]
    project: String,

    /// Go on with this thread, by its id or first digits; otherwise a new one begins
    #[arg(long, value_name = "THREAD")]
    thread: Option<String>,

    /// How much it matters
    #[arg(long)]
    priority: Option<Priority>,

    /// An answer to offer; may be given again
    #[arg(long = "action", value_name = "LABEL")]
    action: Vec<String>,

    /// Answers to offer, with commas between them
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    actions: Vec<String>,

    /// A file to attach; may be given again
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,

    /// The sender's name for people; otherwise the agent's
    #[arg(long, value_name = "NAME")]
    from_name: Option<String>,

    /// An address for more
    #[arg(long, value_name = "URL")]
    click: Option<String>,

    /// The text
    body: String,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Priority {
    Info,
    ActionRequired,
    Urgent,
}

impl Said {
    /// Returns what the API is asked to say.
    pub(super) fn wish(self) -> Result<SendNotify, Failure> {
        let absolute =
            |path: &PathBuf| std::path::absolute(path).or_fail(Kind::Usage, path.display());
        Ok(SendNotify {
            project: self.project,
            body: self.body,
            thread: self.thread,
            priority: self.priority.map(|priority| match priority {
                Priority::Info => api::Priority::Info,
                Priority::ActionRequired => api::Priority::ActionRequired,
                Priority::Urgent => api::Priority::Urgent,
            }),
            actions: self.action.into_iter().chain(self.actions).collect(),
            from_name: self.from_name,
            click: self.click,
            attach: self.attach.iter().map(absolute).collect::<Result<_, _>>()?,
            ..SendNotify::default()
        })
    }
}

/// Say something, and print its id
#[derive(Args)]
pub(crate) struct Send {
    #[command(flatten)]
    said: Said,
}

impl Send {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let place = self.said.place.clone();
        let wish = self.said.wish()?;
        let sent = with(&place, async |place| place.send(wish).await)?;
        print(out, &sent)
    }
}

/// Answer a question, or say something in a thread
#[derive(Args)]
#[command(group = clap::ArgGroup::new("answer").required(true))]
pub(crate) struct Reply {
    #[command(flatten)]
    place: PlaceArg,

    /// The thread, by its id or first digits; its oldest question that waits is answered
    #[arg(long, value_name = "THREAD", required_unless_present = "to")]
    thread: Option<String>,

    /// The question to answer, by its id, which also tells its thread
    #[arg(long, value_name = "MSG-ID")]
    to: Option<String>,

    /// Answer with this action, by its id or label
    #[arg(long, value_name = "ID", group = "answer")]
    action: Option<String>,

    /// The name of who answers; otherwise the agent's
    #[arg(long, value_name = "NAME")]
    from_name: Option<String>,

    /// Answer with this text; if it is an action's id or label, with that action
    #[arg(group = "answer")]
    body: Option<String>,
}

impl Reply {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let mut wish = ReplyNotify {
            to: self.to,
            action: self.action,
            body: self.body,
            from_name: self.from_name,
        };
        let sent = with(&self.place, async |place| {
            let thread = match (self.thread, wish.to.as_deref()) {
                (Some(thread), _) => thread,
                (None, Some(id)) => place.trace(id).await?.message.thread,
                (None, None) => return Err(Failure::new(Kind::Usage, "give --thread or --to")),
            };
            if let Some(body) = &wish.body {
                let about = place.conversation(&thread).await?;
                let question = asked(&about, wish.to.as_deref());
                if let Some(action) = question.map_or(Ok(None), |it| answered(it, body))? {
                    (wish.action, wish.body) = (Some(action), None);
                }
            }
            place.reply(&thread, wish).await
        })?;
        print(out, &sent)
    }
}

/// Returns the question that waits for what is said in a thread, or to one of its messages.
fn asked<'a>(about: &'a NotifyConversation, to: Option<&str>) -> Option<&'a NotifyMessage> {
    let Some(id) = to else {
        return about.thread.waiting.as_ref();
    };
    let said = about.messages.iter().find(|message| message.id == id);
    said.filter(|it| !matches!(it.question, None | Some(QuestionState::Resolved(_))))
}

/// Returns the id of the action that these words are; nothing where they are an answer in words of one's own.
///
/// # Errors
/// When the question takes none: who says them here means to answer, and would wait for nothing.
fn answered(question: &NotifyMessage, words: &str) -> Result<Option<String>, Failure> {
    let is_it = |text: &str| text.to_lowercase() == words.trim().to_lowercase();
    let mut actions = question.actions.iter();
    if let Some(action) = actions.find(|it| is_it(&it.id) || is_it(&it.label)) {
        return Ok(Some(action.id.clone()));
    }
    if question.takes_text {
        return Ok(None);
    }
    let offers: Vec<_> = question.actions.iter().map(|it| it.id.as_str()).collect();
    let words = "the question takes no answer in words of one's own";
    Err(Failure::new(Kind::Usage, words).hint(format!("it offers: {}", offers.join(", "))))
}

/// Prints the id, and beside it the thread.
fn print(out: Output, sent: &NotifyMessage) -> Result<(), Failure> {
    if !out.json && !out.quiet {
        out.aside(format!("thread:{}", super::words::short(&sent.thread)));
    }
    out.print(sent, |sent| format!("{}\n", sent.id))
}
