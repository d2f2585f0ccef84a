//! `notify threads`, `log`, `status` and `trace`.

use clap::Args;
use edgesync_agent::api::{NotifyPresence, NotifyThread};
use edgesync_agent::notify::name::Project;
use edgesync_agent::notify::text::shown_on_a_line;

use super::place::{Place, PlaceArg, part, with};
use super::words::{is_thread, line, priority, sender, short, state, text_line};
use crate::error::{Failure, Kind, OrFail as _};
use crate::output::Output;
use crate::units::format_count;

/// Longest excerpt of a thread's last message, in bytes.
const LAST_BYTES: usize = 60;

/// List the threads, the last active first
#[derive(Args)]
pub(crate) struct Threads {
    #[command(flatten)]
    place: PlaceArg,

    /// Only those of this project
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
}

impl Threads {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let project = self.project.as_deref().map(Project::parse).transpose();
        let project = project.or_fail(Kind::Usage, "--project")?;
        let threads = with(&self.place, async |place| place.threads().await)?;
        let wanted = |thread: &NotifyThread| {
            project
                .as_ref()
                .is_none_or(|it| it.as_str() == thread.project)
        };
        let threads: Vec<_> = threads.into_iter().filter(wanted).collect();
        out.print(&threads, |threads| {
            let line = |thread: &NotifyThread| {
                format!(
                    "{}  {}  msgs:{}  priority:{}  last:{}\n",
                    thread.short,
                    thread.time,
                    thread.messages,
                    priority(thread.priority),
                    text_line(&thread.last_body, LAST_BYTES)
                )
            };
            match threads.is_empty() {
                true => "no threads\n".to_owned(),
                false => threads.iter().map(line).collect(),
            }
        })
    }
}

/// Print a thread's messages, oldest first
#[derive(Args)]
pub(crate) struct Log {
    #[command(flatten)]
    place: PlaceArg,

    /// The project, where two have threads that begin alike
    #[arg(long, value_name = "NAME")]
    project: Option<String>,

    /// The thread, by its id or first digits
    thread: String,
}

impl Log {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let conversation = with(&self.place, async |place| {
            let Some(project) = &self.project else {
                return place.conversation(&self.thread).await;
            };
            let thread = part("thread", &self.thread)?;
            let threads = place.threads().await?;
            let of_project = threads.iter().filter(|it| it.project == *project);
            let mut meant = of_project.filter(|it| is_thread(&it.id, thread));
            let words = match (meant.next(), meant.next()) {
                (Some(only), None) => return place.conversation(&only.id).await,
                (None, _) => format!(
                    "there is no thread {thread} in {}",
                    text_line(project, LAST_BYTES)
                ),
                (Some(_), Some(_)) => {
                    format!("several threads start with {thread}; give more digits")
                }
            };
            Err(Failure::new(Kind::NotFound, words))
        })?;
        out.print(&conversation, |conversation| {
            conversation.messages.iter().map(line).collect()
        })
    }
}

/// Show how the repository of messages is
#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    place: PlaceArg,
}

impl Status {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let (status, agent) = with(&self.place, async |place| {
            Ok((place.status().await?, matches!(place, Place::Agent(_))))
        })?;
        out.print(&status, |status| {
            let connection = match (agent, status.bus) {
                (true, true) => "the running agent, on the bus",
                (true, false) => "the running agent, not on a bus",
                (false, true) => "no agent is running: on the bus for this command",
                (false, false) => "no agent is running: messages go out when one does",
            };
            format!(
                "notify repo: {}\nproject:     {}\nconnection:  {connection}\nmessages:    {} in {}\nwaiting:     {}\n\
                 may answer:  {}\nhere now:    {}\nrefused:     {}\n",
                status.repository.display(),
                status.project_code.as_deref().unwrap_or("unknown"),
                status.messages,
                format_count(status.threads, "thread"),
                status.waiting,
                format_count(status.answering, "other device"),
                here(&status.present),
                status.refused,
            )
        })
    }
}

/// Returns who listens now.
fn here(present: &[NotifyPresence]) -> String {
    let name = |it: &NotifyPresence| match shown_on_a_line(&it.name) {
        name if name.is_empty() => it.endpoint_id.get(..8).unwrap_or_default().to_owned(),
        name => name,
    };
    match present {
        [] => "nobody that is known of".to_owned(),
        some => some.iter().map(name).collect::<Vec<_>>().join(", "),
    }
}

/// Show which way a message went
#[derive(Args)]
pub(crate) struct Trace {
    #[command(flatten)]
    place: PlaceArg,

    /// The message
    #[arg(value_name = "MSG-ID")]
    id: String,
}

impl Trace {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let trace = with(&self.place, async |place| place.trace(&self.id).await)?;
        out.print(&trace, |trace| {
            let message = &trace.message;
            let mut text = format!(
                "message:   {}\nthread:    {} ({})\nwritten:   {} by {}\nsigned by: {}\nstored:    {} in check-in {}\nsubject:   {}\n",
                message.id,
                short(&message.thread),
                message.project,
                message.time,
                sender(message),
                trace.key.as_deref().unwrap_or("nobody"),
                trace.file,
                trace.check_in.get(..10).unwrap_or_default(),
                trace.subject,
            );
            match message.delivered_to.len() {
                0 => text.push_str("delivered: no device has said that it has it\n"),
                1 => text.push_str("delivered: 1 device said that it has it\n"),
                count => text.push_str(&format!("delivered: {count} devices said that they have it\n")),
            }
            if let Some(question) = &message.question {
                text.push_str(&format!("question:  {}\n", state(question)));
            }
            text
        })
    }
}
