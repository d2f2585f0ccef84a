//! The app is paired with another agent from its window alone: the tunnel is switched on there, and is on again after the next start.

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};

use super::app::App;
use super::process::{GRACE, LOOK_EVERY};
use super::screen::Desktop;
use super::stock::new_repository;
use super::webview::Door;

/// Asks an agent until `find` finds something in its answer.
async fn wait<T>(agent: &App, path: &str, find: impl Fn(&Value) -> Option<T>) -> Result<T> {
    let look = async {
        loop {
            let answer = agent.call(Method::GET, path, None).await?;
            if let Some(found) = find(&answer) {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let looked = tokio::time::timeout(GRACE, look).await;
    looked.with_context(|| format!("what was waited for is not in {path}"))?
}

/// Returns the other agent's id once the link to it stands.
fn connected(mesh: &Value) -> Option<String> {
    let mut peers = mesh["peers"].as_array()?.iter();
    let peer = peers.find(|it| it["state"]["kind"] == "connected" && it["tunnel"].is_object())?;
    Some(peer["endpoint_id"].as_str()?.to_owned())
}

#[tokio::test]
async fn the_app_is_paired_from_its_window_alone_and_its_tunnel_stays_on() -> Result<()> {
    let desktop = Desktop::start().await?;
    let _tray = desktop.tray().await?;
    let repository = new_repository(&desktop, "lighthouse")?;
    let studio_home = desktop.path("studio");
    let mut studio = desktop.program("edgesync")?;
    // Two of one user on one machine would find each other without the tunnel.
    let flags = ["sync", "start", "--peer-id", "studio", "--no-neighbours"];
    let tunnel = ["--iroh", "--no-relay", "--iroh-listen", "127.0.0.1:0"];
    let studio = App::start(
        studio
            .env("EDGESYNC_HOME", &studio_home)
            .args(flags)
            .args(tunnel),
        &studio_home,
    )
    .await?;

    let mut command = desktop.app()?;
    let door = Door::open(command.arg("-R").arg(&repository));
    let app = App::start(&mut command, &desktop.path("home")).await?;
    let mesh = app.call(Method::GET, "mesh", None).await?;
    assert_eq!(mesh["tunnel"]["on"], json!(false), "a new app has none");
    app.call(Method::POST, "shell/open-window", None).await?;
    app.program.line("page loaded").await?;
    let page = door.enter().await?;
    page.run("location.assign('/mesh')").await?;
    page.press("Pair a computer").await?;
    page.element("[data-tunnel=off]").await?;
    desktop.picture("pair-tunnel-off").await?;
    page.press("Switch the tunnel on").await?;

    let offer = studio
        .call(Method::POST, "mesh/pairing/offer", None)
        .await?;
    let link = offer["url"].as_str().context("a link")?;
    page.type_into("input[placeholder^='edgesync-pair:']", link)
        .await?;
    page.press("Pair with it").await?;
    let digits = page.element("[data-digits]").await?;
    let digits = digits.attr("data-digits").await?;
    let asked = wait(&studio, "mesh/pairing", |pairing| {
        let mut pending = pairing["pending"].as_array()?.iter();
        pending.find(|it| it["digits"].is_string()).cloned()
    });
    let asked = asked.await?;
    assert_eq!(asked["digits"].as_str(), digits.as_deref());
    page.press("The same · Accept").await?;
    let id = asked["id"].as_str().context("an id")?;
    let accept = format!("mesh/pairing/pending/{id}/accept");
    studio.call(Method::POST, &accept, Some(json!({}))).await?;
    page.press("Done").await?;
    desktop.picture("paired").await?;
    assert_eq!(wait(&studio, "mesh", connected).await?, id);
    page.leave().await?;
    drop(app);

    let mut again = desktop.app()?;
    let app = App::start(
        again.arg("--hidden").arg("-R").arg(&repository),
        &desktop.path("home"),
    )
    .await?;
    let other = wait(&app, "mesh", connected).await?;
    let mesh = app.call(Method::GET, "mesh", None).await?;
    assert_eq!(mesh["tunnel"]["from"], json!("app"));
    assert_eq!(mesh["members"][0]["endpoint_id"], json!(other));
    Ok(())
}
