//! Begins notify in an agent that starts: its repository, the post, and the phones that read and answer.

use std::sync::Arc;

use edgesync_bus::SharedBus;

use super::moving::{blocking, keep_moving};
use super::{Post, Setting};
use crate::api::Error;
use crate::core::Core;
use crate::phone::{self, Phones};

/// Opens the repository of questions and answers, if the agent runs with one, and begins to keep it.
///
/// # Errors
/// `repository` when it cannot be used, `internal` when `agent.db` cannot.
pub(crate) async fn begin(core: &Arc<Core>, bus: SharedBus) -> Result<(), Error> {
    let Some(path) = core.notify_path.clone() else {
        return Ok(());
    };
    let hosting = Arc::clone(core);
    let hosted = blocking(move || {
        let known = hosting.all().into_iter().find(|it| it.path() == path);
        known.map_or_else(|| hosting.host_existing(&path, Vec::new()), Ok)
    })
    .await?;
    let post = Post::open(Setting {
        hosted,
        events: Arc::clone(&core.events),
        state: Arc::clone(&core.state),
        trust: Arc::clone(&core.trust),
        identity: core.identity.clone(),
        name: core.peer_id.clone(),
        tasks: core.tasks.clone(),
        farewells: core.farewells.clone(),
        stopped: core.stopped.clone(),
    })
    .await?;
    post.attach(bus).await;
    core.tasks
        .spawn(keep_moving(Arc::clone(core), Arc::clone(&post)));
    let parts = phone::Parts {
        state: Arc::clone(&core.state),
        events: Arc::clone(&core.events),
        post: Arc::clone(&post),
        host: core.identity.keys().id(),
        name: core.peer_id.clone(),
        tasks: core.tasks.clone(),
        stopped: core.stopped.clone(),
    };
    let phones = blocking(move || Phones::start(parts)).await?;
    // Both are opened once in a run.
    let _ = core.notify.set(post);
    let _ = core.phones.set(phones);
    Ok(())
}
