//! What the menu has besides the agent's state: the ways into the window, and the start at login.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;

use super::app::App;
use super::process::until;
use super::screen::Desktop;
use super::stock::new_repository;
use super::tray_host::{Entry, Icon};
use super::webview::Door;

#[tokio::test]
async fn the_menu_leads_to_the_pairing_the_log_and_the_doctor() -> Result<()> {
    let desktop = Desktop::start().await?;
    let tray = desktop.tray().await?;
    let mut command = desktop.app()?;
    let door = Door::open(command.arg("--hidden"));
    let app = App::start(&mut command, &desktop.path("home")).await?;
    let icon = tray.icon().await?;

    icon.click("Logs").await?;
    app.program.line("page loaded").await?;
    let page = door.enter().await?;
    page.arrived("/log").await?;
    page.element("button[data-level=info]").await?;
    desktop.picture("log").await?;

    icon.click("Doctor").await?;
    page.arrived("/doctor").await?;
    page.element("[data-check=tray][data-verdict=pass]").await?;
    desktop.picture("doctor").await?;

    icon.click("Pair a phone").await?;
    page.arrived("/devices/pair").await?;
    page.element("section[aria-labelledby$=-title]").await?;
    page.leave().await
}

#[tokio::test]
async fn without_questions_there_is_no_phone_to_pair() -> Result<()> {
    let desktop = Desktop::start().await?;
    let tray = desktop.tray().await?;
    let mut command = desktop.app()?;
    command.args(["--hidden", "--no-notify"]);
    let _app = App::start(&mut command, &desktop.path("home")).await?;
    let icon = tray.icon().await?;
    assert!(!icon.entry("Pair a phone").await?.enabled);
    assert!(icon.entry("Doctor").await?.enabled);
    Ok(())
}

#[tokio::test]
async fn the_app_is_started_at_login_when_the_person_says_so() -> Result<()> {
    let desktop = Desktop::start().await?;
    let tray = desktop.tray().await?;
    let home = desktop.path("home");
    let repository = new_repository(&desktop, "lighthouse")?;
    let mut app = App::start(desktop.app()?.arg("-R").arg(&repository), &home).await?;
    let icon = tray.icon().await?;
    let entry = desktop.path("config/autostart/edgesync.desktop");
    login_when(&icon, false).await?;

    icon.click("Start at login").await?;
    login_when(&icon, true).await?;
    until("there is an entry", || entry.exists()).await?;
    check_entry(&entry)?;

    // The desktop's own settings switch it off, and on.
    let text = std::fs::read_to_string(&entry)?;
    std::fs::write(&entry, format!("{text}Hidden=true\n"))?;
    login_when(&icon, false).await?;
    icon.click("Start at login").await?;
    let is_whole = || std::fs::read_to_string(&entry).is_ok_and(|now| now == text);
    until("the entry is as it was", is_whole).await?;
    login_when(&icon, true).await?;
    std::fs::remove_file(&entry)?;
    login_when(&icon, false).await?;
    std::fs::write(&entry, &text)?;
    login_when(&icon, true).await?;

    // At login a desktop does what this does.
    app.call(Method::POST, "quit", None).await?;
    app.program.ended().await?;
    let mut login = desktop.command("gio")?;
    let again = App::start(login.arg("launch").arg(&entry), &home).await?;
    let icon = tray.icon_after(Some(&icon)).await?;
    login_when(&icon, true).await?;
    let status = again.call(Method::GET, "status", None).await?;
    assert_eq!(status["agent"]["shell"], true);
    assert!(!again.program.has_line("window"), "it starts in the tray");

    icon.click("Start at login").await?;
    until("there is no entry", || !entry.exists()).await?;
    login_when(&icon, false).await?;
    again.call(Method::POST, "quit", None).await?;
    again.program.line("stopped").await?;
    Ok(())
}

#[tokio::test]
async fn a_start_at_login_that_cannot_be_kept_leads_to_the_log() -> Result<()> {
    let desktop = Desktop::start().await?;
    let tray = desktop.tray().await?;
    // A file where the folder should be.
    std::fs::write(desktop.path("config/autostart"), "")?;
    let mut command = desktop.app()?;
    let door = Door::open(command.arg("--hidden"));
    let app = App::start(&mut command, &desktop.path("home")).await?;
    let icon = tray.icon().await?;
    icon.click("Start at login").await?;
    app.program.line("page loaded").await?;
    let page = door.enter().await?;
    page.arrived("/log").await?;
    page.element("button[data-level=error]").await?;
    login_when(&icon, false).await?;
    page.leave().await
}

/// Waits until the menu says whether the app starts at login.
async fn login_when(icon: &Icon, on: bool) -> Result<()> {
    let says = |menu: &[Entry]| {
        let mut entries = menu.iter();
        entries.any(|it| it.label == "Start at login" && it.enabled && it.checked == on)
    };
    icon.menu_when("the start at login", says).await?;
    Ok(())
}

/// Has the desktop's own reader of such files look at one.
fn check_entry(entry: &Path) -> Result<()> {
    let text = std::fs::read_to_string(entry)?;
    let command = text.lines().find_map(|line| line.strip_prefix("Exec="));
    let command = command.context("a command")?;
    ensure!(
        command.ends_with("edgesync-desktop\" --hidden"),
        "{command}"
    );
    Ok(())
}
