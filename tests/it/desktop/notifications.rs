//! Questions as notifications of the desktop: shown, answered, taken down, through a stand-in daemon and through real `dunst`.

use std::process::Command;

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};

use super::app::App;
use super::daemon::{BY_ITSELF, DISMISSED, Daemon, Note};
use super::process::{GRACE, Program, until};
use super::screen::Desktop;
use super::tray_host::Entry;
use super::webview::Door;
use crate::clock::Clock;

/// What most daemons have.
const USUAL: &[&str] = &["actions", "body", "body-markup", "persistence"];

/// Starts the app on a desktop, without a window.
async fn app(desktop: &Desktop) -> Result<App> {
    let mut command = desktop.app()?;
    App::start(command.arg("--hidden"), &desktop.path("home")).await
}

/// Asks as a program of this machine does.
async fn ask(app: &App, body: &str, more: Value) -> Result<Value> {
    let mut wish = json!({
        "project": "demo", "body": body, "from_name": "ci", "actions": ["Yes", "No"],
    });
    for (name, value) in more.as_object().context("members")? {
        wish[name] = value.clone();
    }
    app.call(Method::POST, "notify/send", Some(wish)).await
}

/// Waits until a question is decided, and returns how.
async fn fate(app: &App, question: &Value) -> Result<Value> {
    let id = question["id"].as_str().context("an id")?;
    let path = format!("notify/messages/{id}/answer?wait_ms=60000");
    Ok(app.call(Method::GET, &path, None).await?["question"].take())
}

fn are_open(notes: &[Note], count: usize) -> bool {
    notes.iter().filter(|note| note.open).count() == count
}

#[tokio::test]
async fn fifty_questions_answered_back_to_back_are_all_recorded_and_once_each() -> Result<()> {
    let desktop = Desktop::start().await?;
    let _tray = desktop.tray().await?;
    let daemon = desktop.daemon(USUAL).await?;
    let app = app(&desktop).await?;
    let mut asked = Vec::new();
    for number in 0..50 {
        asked.push(ask(&app, &format!("Number {number}?"), json!({})).await?);
    }
    let notes = daemon
        .notes_when("all are shown", |notes| are_open(notes, 50))
        .await?;
    // One press after the other, without a look at what comes of it, and every tenth twice.
    for note in &notes {
        daemon.press(note, answer_to(note)).await?;
        if note.body.starts_with("Number") && note.id % 10 == 0 {
            daemon.press(note, answer_to(note)).await?;
        }
    }
    for (number, question) in asked.iter().enumerate() {
        let fate = fate(&app, question).await?;
        let wanted = if number % 3 == 0 { "No" } else { "Yes" };
        assert_eq!(
            (&fate["source"], &fate["label"]),
            (&json!("answer"), &json!(wanted))
        );
        let thread = question["thread"].as_str().context("a thread")?;
        let thread = app
            .call(Method::GET, &format!("notify/threads/{thread}"), None)
            .await?;
        let messages = thread["messages"].as_array().context("messages")?;
        let answers = messages.iter().filter(|it| it["kind"] == "answer").count();
        assert_eq!((answers, messages.len()), (1, 3), "{messages:#?}");
    }
    Ok(())
}

/// Every third question is answered with no.
fn answer_to(note: &Note) -> &'static str {
    let digits: String = note.body.chars().filter(char::is_ascii_digit).collect();
    match digits.parse::<u32>() {
        Ok(number) if number % 3 == 0 => "No",
        _ => "Yes",
    }
}

#[tokio::test]
async fn a_notification_tells_its_source_and_shows_markup_and_escapes_as_text() -> Result<()> {
    let desktop = Desktop::start().await?;
    let _tray = desktop.tray().await?;
    let daemon = desktop.daemon(USUAL).await?;
    let app = app(&desktop).await?;
    let actions = json!({ "actions": ["A", "B", "C", "D"], "priority": "urgent" });
    ask(&app, "<b>Wipe</b> & \u{1b}[31mgo\u{202e}?", actions).await?;
    let note = daemon.note("&lt;b&gt;").await?;
    assert_eq!(note.summary, "Urgent · ci · demo");
    assert_eq!(
        note.body,
        "&lt;b&gt;Wipe&lt;/b&gt; &amp; ␛[31mgo<U+202E>?"
            .replace("<U", "&lt;U")
            .replace("E>", "E&gt;")
    );
    assert_eq!(note.buttons(), ["A", "B", "C", "Open"]);
    assert_eq!((note.urgency, note.expiry), (Some(2), 0));

    let words = json!({ "project": "demo", "body": "Backup done", "from_name": "backup" });
    app.call(Method::POST, "notify/send", Some(words)).await?;
    let note = daemon.note("Backup done").await?;
    assert_eq!((note.urgency, note.expiry), (Some(0), -1));
    assert!(note.buttons().is_empty());
    Ok(())
}

#[tokio::test]
async fn what_is_answered_elsewhere_or_put_away_leaves_the_screen() -> Result<()> {
    let desktop = Desktop::start().await?;
    let _tray = desktop.tray().await?;
    let daemon = desktop.daemon(USUAL).await?;
    let app = app(&desktop).await?;
    let first = ask(&app, "First?", json!({})).await?;
    let second = ask(&app, "Second?", json!({})).await?;
    ask(
        &app,
        "Third?",
        json!({ "expires_in_ms": 3_000, "default": "No" }),
    )
    .await?;
    daemon.note("Third?").await?;
    let reply = |question: &Value| {
        let thread = question["thread"].as_str().unwrap_or_default();
        format!("notify/threads/{thread}/reply")
    };
    let yes = json!({ "action": "Yes" });
    app.call(Method::POST, &reply(&first), Some(yes)).await?;
    let done = reply(&second).replace("reply", "done");
    app.call(Method::POST, &done, Some(json!({ "done": true })))
        .await?;
    daemon
        .notes_when("all three are gone", |notes| are_open(notes, 0))
        .await?;
    assert_eq!(daemon.notes().len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_daemon_without_buttons_leads_to_the_question_in_the_window() -> Result<()> {
    let desktop = Desktop::start().await?;
    let _tray = desktop.tray().await?;
    let daemon = desktop.daemon(&["body"]).await?;
    let mut command = desktop.app()?;
    let door = Door::open(command.arg("--hidden"));
    let app = App::start(&mut command, &desktop.path("home")).await?;
    let asked = ask(&app, "Deploy <now>?", json!({})).await?;
    // It reads no markup, so nothing is written as an entity.
    let note = daemon.note("Deploy <now>?").await?;
    assert!(note.buttons().is_empty());
    assert!(
        note.body.ends_with("\nAnswer in EdgeSync: Yes, No"),
        "{note:?}"
    );
    daemon.press(&note, "Open").await?;
    app.program.line("page loaded").await?;
    let page = door.enter().await?;
    let thread = asked["thread"].as_str().context("a thread")?;
    page.arrived(&format!("/inbox/{thread}")).await?;
    page.press("Yes1").await?;
    assert_eq!(fate(&app, &asked).await?["label"], "Yes");
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_comes_back_shows_what_waits_and_old_clicks_answer_nothing() -> Result<()> {
    let desktop = Desktop::start().await?;
    let _tray = desktop.tray().await?;
    let daemon = desktop.daemon(USUAL).await?;
    let app = app(&desktop).await?;
    let taken = ask(&app, "Taken off?", json!({})).await?;
    let note = daemon.note("Taken off?").await?;
    daemon.close(note.id, DISMISSED).await?;
    let left = ask(&app, "Left?", json!({})).await?;
    let old = daemon.note("Left?").await?;
    daemon.end().await?;

    // While nobody shows notifications, one more comes.
    let third = ask(&app, "Third?", json!({})).await?;
    let daemon = desktop.daemon(USUAL).await?;
    let shown = daemon
        .notes_when("both are shown", |notes| are_open(notes, 2))
        .await?;
    let bodies: Vec<_> = shown.iter().map(|note| note.body.as_str()).collect();
    assert_eq!(bodies, ["Left?", "Third?"]);
    // The old number means nothing to this daemon; only its own ones count.
    daemon.signal_action(old.id + 100, "answer-0").await?;
    daemon.press(&shown[1], "No").await?;
    assert_eq!(fate(&app, &third).await?["label"], "No");
    daemon.press(&shown[0], "Yes").await?;
    assert_eq!(fate(&app, &left).await?["label"], "Yes");
    let id = taken["id"].as_str().context("an id")?;
    let seen = app
        .call(Method::GET, &format!("notify/messages/{id}"), None)
        .await?;
    assert_eq!(seen["question"]["kind"], "open", "it waits in the inbox");
    Ok(())
}

#[tokio::test]
async fn signals_of_anybody_but_the_daemon_answer_nothing() -> Result<()> {
    let desktop = Desktop::start().await?;
    let _tray = desktop.tray().await?;
    let daemon = desktop.daemon(USUAL).await?;
    let app = app(&desktop).await?;
    let asked = ask(&app, "Deploy?", json!({})).await?;
    let note = daemon.note("Deploy?").await?;
    let other = desktop.bus().await?;
    let forged = (note.id, "answer-0");
    other
        .emit_signal(
            None::<&str>,
            "/org/freedesktop/Notifications",
            "org.freedesktop.Notifications",
            "ActionInvoked",
            &forged,
        )
        .await?;
    daemon.press(&note, "No").await?;
    assert_eq!(fate(&app, &asked).await?["label"], "No");
    Ok(())
}

#[tokio::test]
async fn in_quiet_hours_only_what_is_urgent_is_shown_and_a_muted_project_never_is() -> Result<()> {
    let desktop = Desktop::start().await?;
    let _tray = desktop.tray().await?;
    let daemon = desktop.daemon(USUAL).await?;
    let app = app(&desktop).await?;
    let hours = |by: &str| -> Result<String> {
        let ago = Command::new("date").args(["-d", by, "+%H:%M"]).output()?;
        Ok(String::from_utf8(ago.stdout)?.trim().to_owned())
    };
    let quiet = json!({ "quiet": { "from": hours("2 hours ago")?, "until": hours("2 hours")? } });
    let set = |body| app.call(Method::PUT, "notify/settings/quiet", Some(body));
    set(quiet).await?;
    ask(&app, "Usual?", json!({})).await?;
    ask(&app, "Urgent?", json!({ "priority": "urgent" })).await?;
    daemon.note("Urgent?").await?;
    let told = app.call(Method::GET, "notify/settings", None).await?;
    let notifier = json!({ "name": "stand-in 1", "buttons": true });
    assert_eq!(told["notifier"], notifier);
    assert_eq!(daemon.notes().len(), 1);
    set(json!({ "quiet": null })).await?;
    daemon.note("Usual?").await?;

    let demo = "notify/settings/projects/demo";
    let told = app
        .call(Method::PUT, demo, Some(json!({ "muted": true })))
        .await?;
    assert_eq!(told["muted"], json!(["demo"]));
    daemon
        .notes_when("both are gone", |notes| are_open(notes, 0))
        .await?;
    ask(&app, "Muted?", json!({ "priority": "urgent" })).await?;
    let other = json!({ "project": "other" });
    ask(&app, "Other?", other).await?;
    daemon.note("Other?").await?;
    assert_eq!(daemon.notes().len(), 3, "nothing of the muted project");
    app.call(Method::PUT, demo, Some(json!({ "muted": false })))
        .await?;
    daemon.note("Muted?").await?;
    Ok(())
}

#[tokio::test]
async fn a_test_notification_is_shown_where_somebody_shows_notifications() -> Result<()> {
    let desktop = Desktop::start().await?;
    let _tray = desktop.tray().await?;
    let app = app(&desktop).await?;
    let send = || app.call(Method::POST, "shell/test-notification", None);
    let refused = send().await.expect_err("nobody shows it").to_string();
    assert!(refused.contains("501"), "{refused}");
    let daemon = desktop.daemon(USUAL).await?;
    // The app hears of the daemon a moment after it is there.
    while send().await.is_err() {
        tokio::task::yield_now().await;
    }
    daemon
        .note("This is what a notification looks like.")
        .await?;
    Ok(())
}

#[tokio::test]
async fn the_button_of_the_settings_shows_a_test_notification() -> Result<()> {
    let desktop = Desktop::start().await?;
    let _tray = desktop.tray().await?;
    let daemon = desktop.daemon(USUAL).await?;
    let mut command = desktop.app()?;
    let door = Door::open(&mut command);
    let app = App::start(&mut command, &desktop.path("home")).await?;
    app.program.line("page loaded").await?;
    let page = door.enter().await?;
    page.element("a[href='/settings']").await?.click().await?;
    page.press("Send a test notification").await?;
    let note = daemon.note("This is what a notification looks").await?;
    assert_eq!(note.summary, "EdgeSync · test");
    daemon.press(&note, "Open").await?;
    page.arrived("/inbox").await?;
    Ok(())
}

#[tokio::test]
async fn an_urgent_question_is_shown_each_minute_until_a_person_takes_it_away() -> Result<()> {
    let desktop = Desktop::start().await?;
    let _tray = desktop.tray().await?;
    let daemon = desktop.daemon(USUAL).await?;
    let mut command = desktop.app()?;
    let mut clock = Clock::of(&mut command, &desktop.path("clock"))?;
    let app = App::start(command.arg("--hidden"), &desktop.path("home")).await?;
    let asked = ask(&app, "Urgent?", json!({ "priority": "urgent" })).await?;
    let mut note = daemon.note("Urgent?").await?;
    // The app sleeps by another clock than the one that it goes by; something that happens has it look.
    let happens = async |what: &str| -> Result<()> {
        let words = json!({ "project": "demo", "body": what });
        app.call(Method::POST, "notify/send", Some(words)).await?;
        daemon.note(what).await?;
        Ok(())
    };
    happens("Within the minute").await?;
    assert!(
        daemon.note("Urgent?").await? == note,
        "it was not shown again"
    );
    for minute in ["First", "Second"] {
        clock.advance_minutes(1)?;
        happens(minute).await?;
        let before = note.id;
        let again = |notes: &[Note]| {
            notes
                .iter()
                .any(|it| it.open && it.body == "Urgent?" && it.id != before)
        };
        daemon.notes_when("it is shown again", again).await?;
        note = daemon.note("Urgent?").await?;
        assert_eq!((note.urgency, note.buttons()), (Some(2), vec!["Yes", "No"]));
    }
    // One that went by itself comes again.
    daemon.close(note.id, BY_ITSELF).await?;
    clock.advance_minutes(1)?;
    happens("Third").await?;
    note = daemon.note("Urgent?").await?;

    daemon.close(note.id, DISMISSED).await?;
    // Two round trips on the bus that brings the word of it: it has come before the minute is over.
    happens("It is put away").await?;
    happens("It stays so").await?;
    clock.advance_minutes(1)?;
    happens("Fourth").await?;
    happens("Fifth").await?;
    let is_open = |it: &Note| it.open && it.body == "Urgent?";
    assert!(!daemon.notes().iter().any(is_open), "a person took it away");

    let seen = ask(&app, "Seen?", json!({ "priority": "urgent" })).await?;
    let note = daemon.note("Seen?").await?;
    let thread = seen["thread"].as_str().context("a thread")?;
    let path = format!("notify/threads/{thread}/seen");
    app.call(Method::POST, &path, None).await?;
    clock.advance_minutes(1)?;
    happens("Sixth").await?;
    happens("Seventh").await?;
    assert!(daemon.note("Seen?").await? == note, "a person saw it");
    let id = asked["id"].as_str().context("an id")?;
    let path = format!("notify/messages/{id}");
    let waits = app.call(Method::GET, &path, None).await?;
    assert_eq!(waits["question"]["kind"], "open");
    Ok(())
}

/// Answers by the program that `dunst` starts for a menu.
const CHOOSER: &str = "#!/bin/sh\ngrep --max-count=1 '#No'\n";

#[tokio::test]
async fn a_button_of_real_dunst_answers() -> Result<()> {
    let desktop = Desktop::start().await?;
    let _tray = desktop.tray().await?;
    let chooser = desktop.write_program("choose", CHOOSER)?;
    let settings = format!(
        "[global]\norigin = top-left\ndmenu = {}\n",
        chooser.display()
    );
    std::fs::write(desktop.path("dunstrc"), settings)?;
    let mut dunst = desktop.command("dunst")?;
    let _dunst = Program::start(dunst.arg("-config").arg(desktop.path("dunstrc")))?;
    let app = app(&desktop).await?;
    let mut name = Value::Null;
    while name.is_null() {
        let settings = app.call(Method::GET, "notify/settings", None).await?;
        name = settings["notifier"]["name"].clone();
    }
    assert!(
        name.as_str().is_some_and(|it| it.starts_with("dunst 1.")),
        "{name}"
    );
    let asked = ask(&app, "Deploy?", json!({})).await?;
    let control = |verb: &str| -> Result<String> {
        let output = desktop
            .command("dunstctl")?
            .args([verb, "displayed"])
            .output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    until("dunst shows it", || {
        control("count").is_ok_and(|it| it == "1")
    })
    .await?;
    desktop.picture("dunst").await?;
    desktop.command("dunstctl")?.arg("context").status()?;
    assert_eq!(fate(&app, &asked).await?["label"], "No");
    until("it is gone", || control("count").is_ok_and(|it| it == "0")).await
}

/// A headless agent with a home of its own, which the app trusts and is joined to.
struct Elsewhere<'a> {
    desktop: &'a Desktop,
    _agent: Program,
}

impl<'a> Elsewhere<'a> {
    async fn start(desktop: &'a Desktop, app: &App, daemon: &Daemon) -> Result<Self> {
        let status = app.call(Method::GET, "status", None).await?;
        let id = status["agent"]["endpoint_id"].as_str().context("an id")?;
        let mut command = elsewhere(desktop)?;
        let flags = [
            "sync",
            "start",
            "--notify",
            "--peer-id",
            "ci",
            "--trust",
            id,
        ];
        let agent = Program::start(command.args(flags).current_dir(desktop.path("ci")))?;
        agent.line("ready").await?;
        let own = elsewhere(desktop)?.arg("id").output()?;
        let trust = json!({ "endpoint_id": String::from_utf8(own.stdout)?.trim() });
        app.call(Method::POST, "mesh/trusted", Some(trust)).await?;
        // Both are this user's and on this machine: they find each other.
        let there = Self {
            desktop,
            _agent: agent,
        };
        // Until the link stands, what is said is heard by nobody.
        let heard = || daemon.notes().iter().any(|it| it.body == "Anybody there?");
        let link = async {
            while !heard() {
                let mut said = there.notify(&["send", "--project", "demo", "Anybody there?"])?;
                let code = Program::start(&mut said)?.ended().await?.code();
                anyhow::ensure!(code == Some(0), "notify send: {code:?}");
            }
            Ok(())
        };
        tokio::time::timeout(GRACE, link)
            .await
            .context("nothing comes over the link")??;
        Ok(there)
    }

    fn notify(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = elsewhere(self.desktop)?;
        command.arg("notify").args(arguments);
        Ok(command)
    }

    fn ask(&self, body: &str) -> Result<Program> {
        let arguments = [
            "ask",
            "--project",
            "demo",
            "--action",
            "Yes",
            "--action",
            "No",
            body,
        ];
        Program::start(&mut self.notify(&arguments)?)
    }
}

fn elsewhere(desktop: &Desktop) -> Result<Command> {
    let folder = desktop.path("ci");
    std::fs::create_dir_all(&folder)?;
    let mut command = desktop.program("edgesync")?;
    command.env("EDGESYNC_HOME", folder);
    Ok(command)
}

#[tokio::test]
async fn a_question_of_another_machine_is_answered_by_a_button_and_by_the_menu_here() -> Result<()>
{
    let desktop = Desktop::start().await?;
    let tray = desktop.tray().await?;
    let daemon = desktop.daemon(USUAL).await?;
    let app = app(&desktop).await?;
    let there = Elsewhere::start(&desktop, &app, &daemon).await?;
    let mut asking = there.ask("Deploy?")?;
    let note = daemon.note("Deploy?").await?;
    assert_eq!(note.summary, "ci · demo");
    assert_eq!(note.buttons(), ["Yes", "No"]);
    daemon.press(&note, "Yes").await?;
    assert_eq!(asking.line("yes").await?, "yes");
    assert_eq!(asking.ended().await?.code(), Some(0));

    let mut asking = there.ask("Again?")?;
    let icon = tray.icon().await?;
    icon.entry("Again? · ci").await?;
    icon.click_in("Again? · ci", "No").await?;
    assert_eq!(asking.line("no").await?, "no");
    assert_eq!(asking.ended().await?.code(), Some(0));
    daemon
        .notes_when("its notification goes too", |notes| {
            !notes.iter().any(|it| it.open && it.body == "Again?")
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn questions_wait_in_the_menu_with_their_answers_and_the_icon_has_a_dot() -> Result<()> {
    let desktop = Desktop::start().await?;
    let tray = desktop.tray().await?;
    let mut command = desktop.app()?;
    let door = Door::open(command.arg("--hidden"));
    let app = App::start(&mut command, &desktop.path("home")).await?;
    let icon = tray.icon().await?;
    let calm = std::fs::read(icon.picture().await?)?;
    let asked = ask(&app, "Deploy?", json!({})).await?;
    let entry = icon.entry("Deploy? · ci").await?;
    let answers: Vec<_> = entry.entries.iter().map(|it| it.label.as_str()).collect();
    assert_eq!(answers, ["Yes", "No", "", "Open"]);
    let dotted = icon.other_picture(&calm).await?;

    icon.click_in("Deploy? · ci", "No").await?;
    assert_eq!(fate(&app, &asked).await?["label"], "No");
    let questions = |menu: &[Entry]| {
        let labels = menu.iter().map(|it| it.label.clone());
        labels.filter(|it| it.contains("? · ")).collect::<Vec<_>>()
    };
    icon.menu_when("it is gone", |menu| questions(menu).is_empty())
        .await?;
    assert_eq!(icon.other_picture(&dotted).await?, calm);

    // Of many the urgent one and then the newest; the rest is in the inbox.
    ask(&app, "Urgent?", json!({ "priority": "urgent" })).await?;
    for number in 1..=6 {
        ask(&app, &format!("Number {number}?"), json!({})).await?;
    }
    let menu = icon
        .menu_when("all are counted", |menu| {
            menu.iter().any(|it| it.label == "2 more questions")
        })
        .await?;
    let wanted = [
        "Urgent · Urgent?",
        "Number 6?",
        "Number 5?",
        "Number 4?",
        "Number 3?",
    ];
    assert_eq!(questions(&menu), wanted.map(|it| format!("{it} · ci")));
    icon.click_in("Number 6? · ci", "Open").await?;
    app.program.line("page loaded").await?;
    let page = door.enter().await?;
    page.element("[data-question]").await?;
    desktop.picture("question").await?;
    Ok(())
}
