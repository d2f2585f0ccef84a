//! The real tray app on a desktop of its own: the tray is read and clicked over D-Bus, the window is driven by WebDriver and
//! closed over X11. Pictures of the screen are left in `test-results/desktop`.

mod app;
mod daemon;
mod flood;
mod menu;
mod notifications;
mod pairing;
mod panel;
pub(crate) mod process;
mod screen;
mod stock;
mod tray_host;
mod webview;

use anyhow::Result;
use app::App;
use edgesync_tests::StockFossil;
use process::{Program, descendants, until};
use reqwest::Method;
use screen::Desktop;
use serde_json::json;
use stock::new_repository;
use tray_host::Entry;
use webview::Door;

/// The menu of an app with one repository, without questions and peers.
const MENU: [&str; 13] = [
    "Local only",
    "",
    "Sync now",
    "Pause",
    "Open EdgeSync",
    "Mesh · Peer · no peers",
    "Role in the mesh",
    "Pair a phone",
    "",
    "Logs",
    "Doctor",
    "Start at login",
    "Quit",
];

#[tokio::test]
async fn the_menu_tells_the_state_and_quit_ends_the_agent() -> Result<()> {
    let desktop = Desktop::start().await?;
    let tray = desktop.tray().await?;
    let repository = new_repository(&desktop, "my_notes")?;
    let mut app = App::start(
        desktop.app()?.arg("-R").arg(&repository),
        &desktop.path("home"),
    )
    .await?;

    let icon = tray.icon().await?;
    assert_eq!(icon.text("Status").await?, "Active");
    let picture = std::fs::read(icon.picture().await?)?;
    assert!(picture.starts_with(b"\x89PNG"), "the icon is a picture");

    let labels =
        |menu: &[Entry]| -> Vec<String> { menu.iter().map(|entry| entry.label.clone()).collect() };
    let menu = icon
        .menu_when("what starts at login is read", |menu| {
            menu.iter()
                .all(|it| it.enabled || it.label != "Start at login")
        })
        .await?;
    assert_eq!(labels(&menu), MENU);
    assert_eq!(
        menu.iter()
            .filter(|entry| !entry.enabled)
            .map(|entry| entry.label.as_str())
            .collect::<Vec<_>>(),
        ["Local only", "Sync now"],
        "the status is no button, and there is no remote to sync with"
    );

    // A second repository brings a line for each.
    let second = new_repository(&desktop, "second")?;
    app.call(
        Method::POST,
        "repositories/add",
        Some(json!({ "path": second })),
    )
    .await?;
    let menu = icon.menu_when("two lines", |menu| menu.len() == 15).await?;
    assert_eq!(
        labels(&menu)[..3],
        ["Local only", "my_notes · Local only", "second · Local only"]
    );

    app.call(
        Method::POST,
        "shell/reveal",
        Some(json!({ "name": "second" })),
    )
    .await?;
    let folder = format!("{}\n", desktop.folder().display());
    until("the folder is opened", || desktop.opened() == folder).await?;

    app.call(Method::DELETE, "repositories/second", None)
        .await?;
    icon.menu_when("the lines are gone", |menu| menu.len() == 13)
        .await?;
    assert!(
        !app.program.has_line("window"),
        "with a tray and a repository it starts without a window"
    );

    icon.click("Quit").await?;
    assert_eq!(app.program.ended().await?.code(), Some(0));
    app.program.line("stopped").await?;
    assert!(
        !app.has_runtime_file(),
        "the runtime file goes with the agent"
    );
    Ok(())
}

#[tokio::test]
async fn the_app_keeps_questions_unless_it_is_told_not_to() -> Result<()> {
    let desktop = Desktop::start().await?;
    let tray = desktop.tray().await?;
    let mut app = App::start(desktop.app()?.arg("--hidden"), &desktop.path("home")).await?;
    let asked = json!({ "project": "demo", "body": "Deploy?", "actions": ["Yes", "No"] });
    let asked = app.call(Method::POST, "notify/send", Some(asked)).await?;
    let threads = app.call(Method::GET, "notify/threads", None).await?;
    assert_eq!(threads[0]["waiting"]["id"], asked["id"]);
    assert!(desktop.path("home/notify.fossil").exists());
    // It is no repository of the person's, and can't be let go.
    tray.icon()
        .await?
        .status_line("No repositories yet")
        .await?;
    let refused = app.call(Method::DELETE, "repositories/notify", None).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("409")));
    app_quits_by_api(&mut app).await?;

    let mut without = desktop.app()?;
    without.args(["--hidden", "--no-notify"]);
    let app = App::start(&mut without, &desktop.path("home")).await?;
    let refused = app.call(Method::GET, "notify/threads", None).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("404")));
    Ok(())
}

#[tokio::test]
async fn the_role_is_chosen_in_the_menu() -> Result<()> {
    let desktop = Desktop::start().await?;
    let tray = desktop.tray().await?;
    let repository = new_repository(&desktop, "notes")?;
    let mut app = App::start(
        desktop.app()?.arg("-R").arg(&repository),
        &desktop.path("home"),
    )
    .await?;
    let icon = tray.icon().await?;
    let checked = |menu: &[Entry]| -> Vec<String> {
        let roles = menu.iter().flat_map(|entry| &entry.entries);
        roles
            .filter(|entry| entry.checked)
            .map(|entry| entry.label.clone())
            .collect()
    };
    icon.menu_when("a peer at first", |menu| checked(menu) == ["Peer"])
        .await?;

    icon.click("Leaf").await?;
    icon.menu_when("a leaf now", |menu| {
        checked(menu) == ["Leaf"] && menu.iter().any(|it| it.label.starts_with("Mesh · Leaf"))
    })
    .await?;
    let mesh = app.call(Method::GET, "mesh", None).await?;
    assert_eq!(mesh.get("role"), Some(&json!("leaf")));
    assert_eq!(mesh.get("role_from"), Some(&json!("app")));

    // What another front chooses is seen here too.
    app.call(Method::PUT, "mesh/role", Some(json!({ "role": "hub" })))
        .await?;
    icon.menu_when("a hub now", |menu| checked(menu) == ["Hub"])
        .await?;
    app_quits_by_api(&mut app).await
}

#[tokio::test]
async fn a_pause_is_chosen_in_the_menu_and_shown_by_the_icon() -> Result<()> {
    let desktop = Desktop::start().await?;
    let tray = desktop.tray().await?;
    let app = App::start(desktop.app()?.arg("--hidden"), &desktop.path("home")).await?;
    let icon = tray.icon().await?;
    let calm = std::fs::read(icon.picture().await?)?;
    let can_resume = |menu: &[Entry]| {
        let mut all = menu.iter().flat_map(|entry| &entry.entries);
        all.any(|entry| entry.label == "Resume" && entry.enabled)
    };
    for (choice, words) in [
        ("For 30 minutes", "Paused until "),
        ("Until tomorrow", "Paused until "),
        ("Until resumed", "Paused"),
    ] {
        icon.click_in("Pause", choice).await?;
        icon.status_line(words).await?;
        let barred = icon.other_picture(&calm).await?;
        icon.menu_when("it can be resumed", can_resume).await?;
        let status = app.call(Method::GET, "status", None).await?;
        assert_eq!(
            status["pause"]["until"].is_null(),
            choice == "Until resumed",
            "{status}"
        );
        icon.click_in("Pause", "Resume").await?;
        icon.status_line("No repositories yet").await?;
        assert_eq!(icon.other_picture(&barred).await?, calm);
        icon.menu_when("it is resumed", |menu| !can_resume(menu))
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_status_line_ages_and_sync_now_renews_it() -> Result<()> {
    let desktop = Desktop::start().await?;
    let tray = desktop.tray().await?;
    let theirs = new_repository(&desktop, "theirs")?;
    let ours = stock::clone_of(&desktop, &theirs, "ours")?;
    let server = StockFossil::start(&theirs);
    let mut command = desktop.app()?;
    let app = App::start(
        command.arg("-R").arg(&ours).args(["--poll", "1h"]),
        &desktop.path("home"),
    )
    .await?;
    let icon = tray.icon().await?;

    app.call(
        Method::PUT,
        "repositories/ours/remote",
        Some(json!({ "url": server.url("") })),
    )
    .await?;
    icon.status_line("Up to date · now").await?;
    icon.status_line("Up to date · 5 s ago").await?;
    let before = app.call(Method::GET, "status", None).await?;
    icon.click("Sync now").await?;
    icon.status_line("Up to date · now").await?;
    let after = app.call(Method::GET, "status", None).await?;
    assert!(
        before["state"]["at"].as_str() < after["state"]["at"].as_str(),
        "{before} {after}"
    );

    let calm = std::fs::read(icon.picture().await?)?;
    drop(server);
    icon.click("Sync now").await?;
    icon.status_line("Can't sync with 127.0.0.1").await?;
    icon.other_picture(&calm).await?;
    Ok(())
}

#[tokio::test]
async fn the_window_shows_the_agents_page_and_frees_its_memory_when_closed() -> Result<()> {
    let desktop = Desktop::start().await?;
    let tray = desktop.tray().await?;
    let repository = new_repository(&desktop, "lighthouse")?;
    let mut command = desktop.app()?;
    let door = Door::open(command.arg("-R").arg(&repository));
    let app = App::start(&mut command, &desktop.path("home")).await?;
    let icon = tray.icon().await?;
    assert!(
        descendants(app.program.pid()).is_empty(),
        "without a window there is no webview"
    );

    icon.click("Open EdgeSync").await?;
    app.program.line("page loaded").await?;
    assert_eq!(desktop.titles()?, ["EdgeSync"]);
    let page = door.enter().await?;
    let card = page.element("[data-repository=lighthouse]").await?;
    desktop.picture("window").await?;
    let card = card.prop("textContent").await?.unwrap_or_default();
    assert!(
        card.contains("Light the lamp") && card.contains("Local only"),
        "{card:?}"
    );

    // A file of the repository is saved where the person's downloads go.
    page.run("location.assign('/r/lighthouse/files/tip/README')")
        .await?;
    page.press("Download").await?;
    app.program.line("download saved").await?;
    let saved = std::fs::read_to_string(desktop.path("Downloads/README"))?;
    assert_eq!(saved, stock::README);

    // A repository's line in the menu leads to it, also when the window is open.
    let second = new_repository(&desktop, "second")?;
    let add = json!({ "path": second });
    app.call(Method::POST, "repositories/add", Some(add))
        .await?;
    icon.menu_when("two lines", |menu| menu.len() == 15).await?;
    icon.click("second · Local only").await?;
    page.arrived("/r/second/timeline").await?;

    // The page can reach nothing of Tauri, and cannot leave.
    let home = page.address().await?;
    let answer = page.tauri_answer("plugin:window|close").await?;
    assert!(answer.starts_with("refused: "), "{answer}");
    page.run("location.href = 'https://example.org/elsewhere'")
        .await?;
    until("the link is handed to the browser", || {
        desktop.opened() == "https://example.org/elsewhere\n"
    })
    .await?;
    page.run("location.href = 'file:///etc/passwd'").await?;
    assert_eq!(page.address().await?, home);
    assert_eq!(desktop.opened(), "https://example.org/elsewhere\n");
    page.leave().await?;

    let has_webview = || {
        descendants(app.program.pid())
            .iter()
            .any(|(_, name)| name.starts_with("WebKitWebP"))
    };
    assert!(has_webview());
    desktop.close_window()?;
    app.program.line("window closed").await?;
    until("the webview's process ends", || !has_webview()).await?;
    let status = app.call(Method::GET, "status", None).await?;
    assert_eq!(
        status["repositories"][0]["name"], "lighthouse",
        "the agent goes on"
    );

    // And once more, as often as one likes.
    icon.click("Open EdgeSync").await?;
    app.program.nth_line(2, "window opened").await?;
    until("there is a webview again", has_webview).await?;
    Ok(())
}

#[tokio::test]
async fn a_second_start_shows_the_first_ones_window() -> Result<()> {
    let desktop = Desktop::start().await?;
    let _tray = desktop.tray().await?;
    let repository = new_repository(&desktop, "lighthouse")?;
    let mut first = App::start(
        desktop.app()?.arg("-R").arg(&repository),
        &desktop.path("home"),
    )
    .await?;

    for line in ["window opened", "window raised"] {
        let mut second = Program::start(&mut desktop.app()?)?;
        assert_eq!(second.ended().await?.code(), Some(0));
        second
            .line(&format!(
                "already running (process {})",
                first.program.pid()
            ))
            .await?;
        first.program.line(line).await?;
    }

    // Flags that would count for nothing are not passed over in silence.
    let refused = desktop.app()?.arg("-R").arg(&repository).output()?;
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8_lossy(&refused.stderr);
    assert!(words.contains("keeps the flags"), "{words}");

    first.program.terminate()?;
    assert_eq!(first.program.ended().await?.code(), Some(0));
    assert!(!first.has_runtime_file());
    Ok(())
}

#[tokio::test]
async fn without_a_repository_the_window_opens_at_start_unless_hidden() -> Result<()> {
    let desktop = Desktop::start().await?;
    let tray = desktop.tray().await?;
    let app = App::start(&mut desktop.app()?, &desktop.path("home")).await?;
    app.program.line("page loaded").await?;
    tray.icon()
        .await?
        .status_line("No repositories yet")
        .await?;
    desktop.picture("first-start").await?;
    drop(app);

    let mut hidden = App::start(desktop.app()?.arg("--hidden"), &desktop.path("home")).await?;
    app_quits_by_api(&mut hidden).await?;
    assert!(!hidden.program.has_line("window"));
    Ok(())
}

/// Has the API end the app.
async fn app_quits_by_api(app: &mut App) -> Result<()> {
    app.call(Method::POST, "quit", None).await?;
    assert_eq!(app.program.ended().await?.code(), Some(0));
    app.program.line("stopped").await?;
    Ok(())
}

#[tokio::test]
async fn without_a_tray_the_window_opens_and_says_so() -> Result<()> {
    let desktop = Desktop::start().await?;
    let repository = new_repository(&desktop, "lighthouse")?;
    let mut command = desktop.app()?;
    let door = Door::open(command.arg("-R").arg(&repository));
    let app = App::start(&mut command, &desktop.path("home")).await?;
    app.program.line("no tray").await?;
    app.program.line("page loaded").await?;
    until("the title says it", || {
        desktop.titles().is_ok_and(|titles| {
            titles
                .iter()
                .any(|title| title.contains("no tray on this desktop"))
        })
    })
    .await?;
    let page = door.enter().await?;
    page.element("nav button[title^='Quit EdgeSync']").await?;
    desktop.picture("no-tray").await?;

    // Without a tray's menu the window is the only place to quit from.
    // The app may be gone before it has answered the driver; whether it ends is what counts.
    let _ = page.press("Quit").await;
    app.program.line("stopped").await?;
    Ok(())
}

#[tokio::test]
async fn beside_an_agent_without_a_desktop_the_app_says_so_and_fails() -> Result<()> {
    let desktop = Desktop::start().await?;
    let headless = Program::start(desktop.program("edgesync")?.args(["sync", "start"]))?;
    headless.line("ready").await?;
    let refused = desktop.app()?.output()?;
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8_lossy(&refused.stderr);
    assert!(
        words.contains("an agent without a desktop runs already"),
        "{words}"
    );
    Ok(())
}
