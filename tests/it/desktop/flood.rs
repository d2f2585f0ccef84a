//! A sender that says more than anybody reads, as it is on the screen.

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::json;

use super::app::App;
use super::screen::Desktop;

/// Messages of the flood. Ten thousand are tried where no daemon takes part.
const FLOOD: u32 = 60;

#[tokio::test]
async fn a_flood_is_one_notification_in_place_of_those_before_and_few_calls() -> Result<()> {
    let desktop = Desktop::start().await?;
    let _tray = desktop.tray().await?;
    let daemon = desktop.daemon(&["actions", "body", "persistence"]).await?;
    let mut command = desktop.app()?;
    let app = App::start(command.arg("--hidden"), &desktop.path("home")).await?;
    for number in 0..FLOOD {
        let wish =
            json!({ "project": "demo", "from_name": "ci", "body": format!("Step {number}") });
        app.call(Method::POST, "notify/send", Some(wish)).await?;
    }
    // The notice is given its later text within a minute.
    let counted = format!("{FLOOD} messages");
    let one = |notes: &[super::daemon::Note]| {
        let mut open = notes.iter().filter(|note| note.open);
        let first = open.next();
        open.next().is_none() && first.is_some_and(|it| it.body.starts_with(&counted))
    };
    let seen = async {
        loop {
            if let Ok(notes) = daemon.notes_when("one notice tells of all", one).await {
                return notes;
            }
        }
    };
    let notes = tokio::time::timeout(super::process::GRACE * 3, seen)
        .await
        .context("one notice tells of all")?;
    let singles = notes.iter().filter(|note| note.body.starts_with("Step "));
    assert_eq!(singles.count(), 5, "{notes:#?}");
    let calls: u32 = notes.iter().map(|note| note.calls).sum();
    assert!(calls <= 5 + 3, "{calls} calls: {notes:#?}");
    let notice = notes.iter().find(|note| note.open).context("the notice")?;
    assert_eq!((notice.summary.as_str(), notes.len()), ("ci", 6));
    Ok(())
}
