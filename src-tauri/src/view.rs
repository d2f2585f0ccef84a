//! What the tray shows for a status, as plain data: the icon's shape, the menu's lines, what can be clicked. Pure.

use std::time::Duration;

use edgesync_agent::api::{
    Action, LinkState, Mesh, NotifyMessage, Priority, Repository, Role, State, Status, Time,
};
use edgesync_agent::notify::text::{excerpt, shown_on_a_line};
use jiff::tz::TimeZone;

use crate::words::{self, Words};

/// The longest list of repositories in the menu; the window has them all.
const MOST_REPOSITORIES: usize = 8;

/// The most questions in the menu; the inbox has them all.
const MOST_QUESTIONS: usize = 5;

/// How much of a question stands in the menu, in bytes.
const MOST_BYTES: usize = 60;

/// The shape of the tray icon. Never a colour alone: panels are dark or light, and people see colours differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A ring: nothing to do.
    Ring,
    /// A ring with an arrow: content moves, or waits to.
    Arrow,
    /// A ring with a bar: nothing is synced for a while.
    Bar,
    /// A broken ring: somebody has to look.
    Broken,
    /// A ring with a dot: a question waits for an answer.
    Dot,
}

impl Shape {
    /// Returns the shape that stands for `state`.
    fn of(state: &State) -> Self {
        match state {
            State::Never | State::Pending { .. } | State::Syncing { .. } => Self::Arrow,
            State::Error { .. } | State::Missing { .. } | State::Kept { .. } => Self::Broken,
            State::Paused { .. } => Self::Bar,
            // Local, up to date, and states that this front does not know.
            _ => Self::Ring,
        }
    }
}

/// Everything that the tray shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// The icon.
    pub(crate) shape: Shape,
    /// The menu's first line.
    pub(crate) status: String,
    /// A line for each repository, when there is more than the one that the status line speaks of.
    pub(crate) repositories: Vec<Line>,
    /// The questions that wait, the most important first.
    pub(crate) questions: Vec<QuestionLine>,
    /// How many questions more are in the inbox.
    pub(crate) more_questions: usize,
    /// Whether the whole agent is paused.
    pub(crate) is_paused: bool,
    /// Whether there is a remote to sync with.
    pub(crate) can_sync: bool,
    /// The mesh's line, and the role in it.
    pub(crate) mesh: Option<MeshLine>,
    /// Whether a phone can be paired.
    pub(crate) can_pair: bool,
    /// Whether the app starts when the person logs in; nothing where that can't be chosen.
    pub(crate) starts_at_login: Option<bool>,
}

/// What the menu says of the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MeshLine {
    /// What it says.
    pub(crate) text: String,
    /// The role in force.
    pub(crate) role: Role,
}

impl MeshLine {
    /// Returns the line for `mesh`.
    fn of(mesh: &Mesh) -> Self {
        let is_heard = |state: &LinkState| matches!(state, LinkState::Connected { .. });
        let heard = mesh
            .peers
            .iter()
            .filter(|peer| is_heard(&peer.state))
            .count();
        let peers = match mesh.peers.len() {
            0 => "no peers".to_owned(),
            all => format!("{heard} of {all} connected"),
        };
        Self {
            text: format!("Mesh · {} · {peers}", words::role(mesh.role)),
            role: mesh.role,
        }
    }
}

/// A question with its answers, as an entry of the menu with entries under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuestionLine {
    /// The question's id.
    pub(crate) id: String,
    /// Its thread's id.
    pub(crate) thread: String,
    /// What it says, and who asks.
    pub(crate) text: String,
    /// The answers that it offers.
    pub(crate) answers: Vec<Action>,
}

impl QuestionLine {
    fn of(question: &NotifyMessage) -> Self {
        let urgent = match question.priority {
            Priority::Urgent => "Urgent · ",
            _ => "",
        };
        let who = match question.from_name.trim() {
            "" => &question.project,
            name => name,
        };
        let asked = shown_on_a_line(&excerpt(&question.body, MOST_BYTES));
        Self {
            id: question.id.clone(),
            thread: question.thread.clone(),
            text: format!(
                "{urgent}{} · {}",
                excerpt(&asked, MOST_BYTES),
                shown_on_a_line(who)
            ),
            answers: question.actions.clone(),
        }
    }
}

/// A line of the menu that leads to a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What it says.
    pub(crate) text: String,
    /// The repository that it leads to; to all of them when `None`.
    pub(crate) name: Option<String>,
}

impl View {
    /// Returns what to show for `status` (but not whether the app starts at login, which no agent knows), `mesh` and the `questions` that wait (the most important first) at `now`, and how long it
    /// stays true; for ever when `None`.
    pub(crate) fn of(
        status: &Status,
        mesh: Option<&Mesh>,
        questions: &[NotifyMessage],
        now: Time,
    ) -> (Self, Option<Duration>) {
        let listed: Vec<&Repository> = status
            .repositories
            .iter()
            .filter(|it| is_listed(it))
            .collect();
        let state = State::worst(listed.iter().map(|repository| &repository.state));
        let paused = status.pause.filter(|_| Shape::of(&state) != Shape::Broken);
        let headline = match paused {
            Some(pause) => words::paused(pause.until, now, &TimeZone::system()),
            None => headline(&listed, &state, now),
        };
        let mut stale_after = headline.stale_after;
        let mut repositories = Vec::new();
        if listed.len() > 1 {
            for repository in listed.iter().take(MOST_REPOSITORIES) {
                let words = words::of(&repository.state, repository.remote.as_ref(), now);
                stale_after = [stale_after, words.stale_after].into_iter().flatten().min();
                repositories.push(Line {
                    text: format!("{} · {}", repository.name, words.text),
                    name: Some(repository.name.clone()),
                });
            }
        }
        if let Some(hidden @ 1..) = listed.len().checked_sub(MOST_REPOSITORIES) {
            let text = format!("{hidden} more");
            repositories.push(Line { text, name: None });
        }
        let waits = |question: &&NotifyMessage| question.expires_at.is_none_or(|end| end > now);
        let waiting: Vec<_> = questions.iter().filter(waits).collect();
        let ends = waiting.iter().filter_map(|question| {
            let left = question.expires_at?.unix_millis() - now.unix_millis();
            u64::try_from(left).ok().map(Duration::from_millis)
        });
        stale_after = stale_after.into_iter().chain(ends).min();
        let view = Self {
            // A question can be answered; what else is wrong stands in the first line all the same.
            shape: match paused {
                _ if !waiting.is_empty() => Shape::Dot,
                Some(_) => Shape::Bar,
                None => Shape::of(&state),
            },
            status: headline.text,
            repositories,
            more_questions: waiting.len().saturating_sub(MOST_QUESTIONS),
            questions: waiting
                .into_iter()
                .take(MOST_QUESTIONS)
                .map(QuestionLine::of)
                .collect(),
            is_paused: status.pause.is_some(),
            can_sync: status
                .repositories
                .iter()
                .any(|repository| repository.remote.is_some()),
            mesh: mesh.map(MeshLine::of),
            can_pair: status.agent.notify,
            starts_at_login: None,
        };
        (view, stale_after)
    }
}

/// Whether a repository is the person's own. The one that holds questions and answers is the app's, and only its trouble is told.
fn is_listed(repository: &Repository) -> bool {
    !repository.notify || Shape::of(&repository.state) == Shape::Broken
}

/// Returns the words for the whole agent: those of the repository whose state is the worst. Where there are several, trouble
/// names its repository.
fn headline(listed: &[&Repository], state: &State, now: Time) -> Words {
    let Some(worst) = listed.iter().find(|repository| repository.state == *state) else {
        return Words {
            text: "No repositories yet".into(),
            stale_after: None,
        };
    };
    let mut words = words::of(&worst.state, worst.remote.as_ref(), now);
    if (listed.len() > 1 || worst.notify) && Shape::of(&worst.state) == Shape::Broken {
        words.text = format!("{}: {}", worst.name, words.text);
    }
    words
}

#[cfg(test)]
mod tests {
    use edgesync_agent::api::{AgentInfo, Code, Pause, Remote};

    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix_millis(seconds * 1000)
    }

    fn repository(name: &str, state: State) -> Repository {
        Repository {
            name: name.into(),
            path: format!("/srv/{name}.fossil").into(),
            project_code: None,
            project_name: None,
            size: 0,
            check_ins: 0,
            artifacts: 0,
            last_check_in: None,
            remote: (state != State::Local).then(|| Remote {
                url: "https://example.org/".into(),
                user: None,
            }),
            clone_url: None,
            notify: false,
            state,
        }
    }

    fn status(repositories: Vec<Repository>) -> Status {
        Status {
            agent: AgentInfo {
                version: "0".into(),
                peer_id: "laptop".into(),
                endpoint_id: None,
                pid: 1,
                started_at: at(0),
                shell: true,
                notify: false,
            },
            state: State::worst(repositories.iter().map(|repository| &repository.state)),
            pause: None,
            repositories,
        }
    }

    fn failing() -> State {
        State::Error {
            code: Code::Remote,
            message: "Can't reach example.org".into(),
            hint: None,
            since: at(0),
            retry_at: None,
            last_ok: None,
        }
    }

    #[test]
    fn an_agent_without_repositories_says_so() {
        let (view, stale_after) = View::of(&status(vec![]), None, &[], at(0));
        assert_eq!(view.status, "No repositories yet");
        assert_eq!(
            (view.shape, view.can_sync, stale_after),
            (Shape::Ring, false, None)
        );
    }

    #[test]
    fn one_repository_is_told_by_the_status_line_alone() {
        let (view, stale_after) = View::of(
            &status(vec![repository("a", State::UpToDate { at: at(0) })]),
            None,
            &[],
            at(12),
        );
        assert_eq!(view.status, "Up to date · 10 s ago");
        assert!(view.repositories.is_empty());
        assert!(view.can_sync);
        assert_eq!(stale_after, Some(Duration::from_secs(3)));
    }

    #[test]
    fn of_several_the_worst_leads_and_trouble_is_named() {
        let repositories = vec![
            repository("docs", State::UpToDate { at: at(0) }),
            repository("src", failing()),
            repository("notes", State::Local),
        ];
        let (view, _) = View::of(&status(repositories), None, &[], at(120));
        assert_eq!(view.shape, Shape::Broken);
        assert_eq!(view.status, "src: Can't sync with example.org · for 2 min");
        let lines: Vec<_> = view
            .repositories
            .iter()
            .map(|line| line.text.as_str())
            .collect();
        assert_eq!(
            lines,
            [
                "docs · Up to date · 2 min ago",
                "src · Can't sync with example.org · for 2 min",
                "notes · Local only",
            ]
        );
    }

    #[test]
    fn the_repository_of_questions_is_told_of_only_when_it_is_in_trouble() {
        let mut own = repository("notify", State::Local);
        own.notify = true;
        let (view, _) = View::of(&status(vec![own.clone()]), None, &[], at(0));
        assert_eq!(view.status, "No repositories yet");
        own.state = State::Missing {
            message: "gone".into(),
            hint: None,
        };
        let (view, _) = View::of(&status(vec![own]), None, &[], at(0));
        assert_eq!(
            (view.shape, view.status.as_str()),
            (Shape::Broken, "notify: File can't be opened")
        );
    }

    fn question(number: u32, priority: Priority) -> NotifyMessage {
        let asked = serde_json::json!({
            "id": format!("msg-{number}"), "thread": format!("thread-{number}"), "project": "demo", "from": "", "from_name": "ci",
            "sender": "trusted", "time": at(0), "body": format!("Number {number}\u{202e}?\nReally?"), "priority": priority,
            "kind": "question", "actions": [{ "id": "yes", "label": "Yes" }], "takes_text": false, "reply_to": null, "action": null,
            "media": [], "expires_at": at(60), "default": null, "click": null, "tags": [], "late": false,
            "question": { "kind": "open" }, "delivered_to": [],
        });
        serde_json::from_value(asked).expect("a message")
    }

    #[test]
    fn questions_stand_in_the_menu_until_they_expire_and_change_the_icon() {
        let mut questions = vec![question(1, Priority::Urgent)];
        questions.extend((2..=7).map(|number| question(number, Priority::ActionRequired)));
        let (view, stale_after) = View::of(&status(vec![]), None, &questions, at(30));
        assert_eq!((view.shape, view.questions.len()), (Shape::Dot, 5));
        assert_eq!(
            (view.more_questions, stale_after),
            (2, Some(Duration::from_secs(30)))
        );
        assert_eq!(
            view.questions[0].text,
            "Urgent · Number 1<U+202E>? Really? · ci"
        );
        let (view, stale_after) = View::of(&status(vec![]), None, &questions, at(60));
        assert_eq!((view.shape, view.questions.len()), (Shape::Ring, 0));
        assert_eq!((view.more_questions, stale_after), (0, None));
    }

    #[test]
    fn a_pause_is_told_first_but_hides_no_trouble() {
        let mut paused = status(vec![]);
        paused.pause = Some(Pause { until: None });
        let (view, _) = View::of(&paused, None, &[], at(0));
        assert_eq!((view.shape, view.status.as_str()), (Shape::Bar, "Paused"));
        assert!(view.is_paused);
        paused.repositories.push(repository("src", failing()));
        let (view, _) = View::of(&paused, None, &[], at(120));
        assert_eq!(view.shape, Shape::Broken);
        assert!(view.is_paused);
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let repositories = (0..11)
            .map(|n| repository(&n.to_string(), State::Local))
            .collect();
        let (view, _) = View::of(&status(repositories), None, &[], at(0));
        assert_eq!(view.repositories.len(), MOST_REPOSITORIES + 1);
        let last = view.repositories.last().expect("there are lines");
        assert_eq!((last.text.as_str(), &last.name), ("3 more", &None));
        assert!(!view.can_sync);
    }
}
