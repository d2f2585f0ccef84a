//! Goes on in another mesh's repository of messages when two meshes have met, without losing a message.
//!
//! The file stays, with all that it holds, and takes the other's project code; so it soon holds what the others say, and they what was
//! said here. Members that were away and come back still know the old code alone. For them a small repository of that code stays beside the file:
//! it tells them of the move, and what they bring into it is carried over.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use edgesync_notify::moved::{Mesh, MeshId, Moved, MovedError};
use edgesync_notify::store::{Store, StoreError};
use libfossil::db::Repository;
use libfossil::name::ProjectCode;
use tokio::sync::broadcast::error::RecvError;

use super::office::Carried;
use super::place::{ATTACHMENTS, store_error};
use super::post::locked;
use super::{Post, create, open, vouch};
use crate::api::{Error, Event, Level};
use crate::clock;
use crate::core::Core;
use crate::repository::{Hosted, file_error};

/// What the name of a repository that stays behind begins with; the first digits of its project code follow.
const BEHIND: &str = "notify-moved-";

/// Digits of the project code in its name.
const BEHIND_DIGITS: usize = 16;

/// Writes down that the messages of this agent's mesh go on in the repository of the mesh `to`, when the rule says so; then this agent and all
/// members follow. Returns whether it does; otherwise the other mesh gives way, or both share their messages already.
///
/// # Errors
/// `not_found` without notify, `repository` when the record cannot be stored.
async fn meet(core: &Core, post: &Post, from: MeshId, to: Mesh) -> Result<bool, Error> {
    let identity = core.identity.clone();
    let written = post.act(move |office, repo| {
        let code = repo.project_code().map_err(|error| file_error(&error))?;
        let from = Mesh {
            id: from,
            project: code,
        };
        if !from.gives_way_to(&to) {
            return Ok((false, super::Follows::default()));
        }
        let signer = vouch::signer(&identity);
        let moved = Moved::signed(&from, &to, identity.endpoint_id(), clock::now(), &signer);
        let moved = moved.map_err(|error| Error::internal(error.to_string()))?;
        Store::add_move(repo, &moved, clock::now()).map_err(|error| store_error(&error))?;
        Ok((true, office.look(repo)?))
    });
    let written = written.await?;
    if written {
        post.hosted().changed(crate::repository::Origin::Push);
        post.look().await?;
    }
    Ok(written)
}

/// Has the messages of this agent's mesh in one repository: says where they are when nobody has said so, and gives way to the repository that the
/// mesh names.
async fn come_together(core: &Arc<Core>, post: &Post) -> Result<(), Error> {
    let code = post.hosted().project_code().unwrap_or_default();
    let Ok(code) = ProjectCode::parse(code.as_bytes()) else {
        return Ok(());
    };
    let members = Arc::clone(&core.members);
    blocking(move || members.has_messages_in(code)).await?;
    let view = core.members.view();
    let to = view
        .mesh
        .as_ref()
        .and_then(|mesh| Some((mesh.id, mesh.notify.as_ref()?)));
    let Some((id, project)) = to else {
        return Ok(());
    };
    let (Ok(project), Ok(to)) = (
        ProjectCode::parse(project.as_bytes()),
        id.to_string().parse(),
    ) else {
        return Ok(());
    };
    if project == code {
        return Ok(());
    }
    let from = core.members.mesh_of_messages(&code, id).to_string();
    let from = from
        .parse()
        .map_err(|error: MovedError| Error::internal(error.to_string()))?;
    meet(core, post, from, Mesh { id: to, project })
        .await
        .map(drop)
}

/// Follows the records that come, and carries over what members bring who were away. Runs until the agent stops.
pub(crate) async fn keep_moving(core: Arc<Core>, post: Arc<Post>) {
    let mut events = core.events.listen();
    let mut records = post.to_follow.subscribe();
    let mut members = core.members.changes();
    let come_together = || async {
        if let Err(error) = come_together(&core, &post).await {
            let words = format!(
                "the messages of two meshes do not come together yet: {}",
                error.message
            );
            post.hosted().log(Level::Error, words);
        }
    };
    come_together().await;
    // One that came while nobody looked.
    if let Err(error) = post.look().await {
        post.hosted().log(Level::Error, error.message);
    }
    let mut behind = host_behind(&core, &post).await;
    for hosted in &behind {
        carry_over(&post, hosted).await;
    }
    loop {
        tokio::select! {
            () = core.stopped.cancelled() => return,
            changed = records.changed() => {
                if changed.is_err() {
                    return;
                }
                let Some(moved) = records.borrow_and_update().clone() else {
                    continue;
                };
                if let Err(error) = follow(&core, &post, &moved).await {
                    post.hosted().log(Level::Error, format!("the messages cannot go on elsewhere yet: {}", error.message));
                    continue;
                }
                behind = host_behind(&core, &post).await;
                come_together().await;
            }
            changed = members.changed() => {
                if changed.is_err() {
                    return;
                }
                come_together().await;
            }
            event = events.recv() => match event {
                Ok(event) => {
                    let Event::Repository { repository } = &*event else { continue };
                    if let Some(hosted) = behind.iter().find(|it| it.name() == repository.name) {
                        carry_over(&post, hosted).await;
                    }
                }
                Err(RecvError::Lagged(_)) => for hosted in &behind {
                    carry_over(&post, hosted).await;
                },
                Err(RecvError::Closed) => return,
            },
        }
    }
}

/// Takes the project code that a record names, and leaves a repository of the old one behind. When it is cut off, it is done again.
async fn follow(core: &Arc<Core>, post: &Post, moved: &Moved) -> Result<(), Error> {
    let hosted = post.hosted();
    let path = hosted.path().to_path_buf();
    let (record, behind) = (moved.clone(), behind_path(&path, &moved.from().project));
    blocking(move || leave_behind(&behind, &record)).await?;
    let code = moved.to().project;
    let taken = hosted.write(move |repo| {
        repo.write::<_, libfossil::db::Error>(clock::now(), |tx| {
            tx.set_config("project-code", code.as_ref())
        })
    });
    taken
        .await
        .map_err(crate::repository::TaskError::into_api)?
        .map_err(|error| file_error(&error))?;
    let (hosting, name) = (Arc::clone(core), hosted.name().to_owned());
    drop(hosted);
    let again = blocking(move || {
        hosting.unhost(&name);
        hosting.host(path, Vec::new())
    });
    let again = again.await?;
    again.log(
        Level::Info,
        format!("two meshes met; the messages go on in project {code}"),
    );
    post.go_on_with(again);
    Ok(())
}

/// Makes the repository that tells members who were away of the move.
fn leave_behind(path: &Path, moved: &Moved) -> Result<(), Error> {
    let mut repo = match path.exists() {
        true => open(path)?,
        false => create(path, Some(moved.from().project))?,
    };
    Store::add_move(&mut repo, moved, clock::now()).map_err(|error| store_error(&error))
}

/// Hosts the repositories that stayed behind, except one of the code that the messages have now.
async fn host_behind(core: &Arc<Core>, post: &Post) -> Vec<Arc<Hosted>> {
    let (hosting, main) = (Arc::clone(core), post.hosted().path().to_path_buf());
    let found = blocking(move || {
        let own = Repository::open(&main, libfossil::db::Access::ReadOnly);
        let own = own.and_then(|repo| repo.project_code());
        let own = own.map_err(|error| file_error(&error))?;
        let mut found = Vec::new();
        for path in all_behind(&main) {
            if path == behind_path(&main, &own) {
                continue;
            }
            let known = hosting.all().into_iter().find(|it| it.path() == path);
            match known.map_or_else(|| hosting.host_existing(&path, Vec::new()), Ok) {
                Ok(hosted) => {
                    hosted.sync_unversioned(ATTACHMENTS);
                    found.push(hosted);
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "who was away will not find the messages");
                }
            }
        }
        Ok(found)
    });
    found.await.unwrap_or_else(|error| {
        post.hosted().log(Level::Error, error.message);
        Vec::new()
    })
}

/// Stores here what came into a repository that stayed behind.
async fn carry_over(post: &Post, behind: &Arc<Hosted>) {
    let office = post.office();
    let carried = behind.browse(move |repo| {
        let store = Store::read(repo).map_err(|error| store_error(&error))?;
        let messages = locked(&office).store().lacks(&store, repo);
        messages
            .map_err(|error| store_error(&error))?
            .into_iter()
            .map(|message| {
                let media = message.media.iter().filter_map(|name| {
                    let content = Store::attachment(repo, &message, name);
                    content.map(|it| Some((name.clone(), it?))).transpose()
                });
                let media = media.collect::<Result<_, _>>().map_err(StoreError::from);
                let media = media.map_err(|error| store_error(&error))?;
                Ok(Carried { message, media })
            })
            .collect::<Result<Vec<_>, Error>>()
    });
    let stored = match carried.await {
        Ok(carried) if carried.is_empty() => return,
        Ok(carried) => {
            post.act(move |office, repo| Ok(((), office.carry_over(repo, carried)?)))
                .await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = stored {
        let words = format!(
            "what came into {} stays there for now: {}",
            behind.name(),
            error.message
        );
        post.hosted().log(Level::Warn, words);
    }
}

fn behind_path(main: &Path, code: &ProjectCode) -> PathBuf {
    let code = code.to_string();
    let digits = code.get(..BEHIND_DIGITS).unwrap_or(&code);
    main.with_file_name(format!("{BEHIND}{digits}.fossil"))
}

fn all_behind(main: &Path) -> Vec<PathBuf> {
    let entries = main.parent().map(std::fs::read_dir);
    let entries = entries.into_iter().flatten().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| is_behind(path)).collect()
}

/// Returns whether a file of messages goes by the name of one that stayed behind.
pub(crate) fn is_behind(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(BEHIND) && name.ends_with(".fossil"))
}

/// Returns whether `path` holds messages: it is `main`, or stayed behind beside it.
pub(crate) fn holds_messages(main: &Path, path: &Path) -> bool {
    path == main || path.parent() == main.parent() && is_behind(path)
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::internal(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
