//! The mesh: role, joins, and who is trusted.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::App;
use super::extract::Body;
use super::reply::{Answer, Failure};
use super::repositories::blocking;
use crate::api::{
    AddBridge, AddJoin, AddTrusted, Bridge, Chosen, Code, Error, Join, Mesh, SetRole, SetTunnel,
    Time, Trusted,
};
use crate::core::Core;
use crate::limits;
use crate::trust::{EndpointId, TRUSTED, TrustedId};

/// `GET /api/v1/mesh`.
pub(super) async fn show(State(core): State<App>) -> Answer<Json<Mesh>> {
    Ok(Json(core.mesh()?.show()))
}

/// `PUT /api/v1/mesh/role`.
pub(super) async fn set_role(
    State(core): State<App>,
    Body(wish): Body<SetRole>,
) -> Answer<Json<Mesh>> {
    let mesh = core.mesh()?;
    mesh.set_role(wish.role).await?;
    Ok(Json(mesh.show()))
}

/// `PUT /api/v1/mesh/tunnel`.
pub(super) async fn set_tunnel(
    State(core): State<App>,
    Body(wish): Body<SetTunnel>,
) -> Answer<Json<Mesh>> {
    let mesh = core.mesh()?;
    mesh.set_tunnel(wish).await?;
    Ok(Json(mesh.show()))
}

/// `POST /api/v1/mesh/joins`.
pub(super) async fn add_join(
    State(core): State<App>,
    Body(wish): Body<AddJoin>,
) -> Answer<(StatusCode, Json<Join>)> {
    let url = wish.url.parse();
    let url = url.map_err(|error: crate::mesh::JoinUrlError| {
        Failure(Error::bad_request(error.to_string()))
    })?;
    Ok((StatusCode::CREATED, Json(core.mesh()?.add_join(url).await?)))
}

/// `DELETE /api/v1/mesh/joins/{id}`.
pub(super) async fn remove_join(
    State(core): State<App>,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    core.mesh()?.remove_join(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/mesh/bridges`.
pub(super) async fn add_bridge(
    State(core): State<App>,
    Body(wish): Body<AddBridge>,
) -> Answer<(StatusCode, Json<Bridge>)> {
    let added = core.mesh()?.add_bridge(wish).await?;
    Ok((StatusCode::CREATED, Json(added)))
}

/// `DELETE /api/v1/mesh/bridges/{id}`.
pub(super) async fn remove_bridge(
    State(core): State<App>,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    core.mesh()?.bridges().remove(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/mesh/trusted`.
pub(super) async fn trusted(State(core): State<App>) -> Json<Vec<Trusted>> {
    let all = core.trust.register.all();
    Json(all.into_iter().map(trusted_as_shown).collect())
}

/// `POST /api/v1/mesh/trusted`.
pub(super) async fn trust(
    State(core): State<App>,
    Body(wish): Body<AddTrusted>,
) -> Answer<(StatusCode, Json<Trusted>)> {
    let id = parse_id(&wish.endpoint_id)?;
    let capabilities = wish.capabilities.unwrap_or_else(|| TRUSTED.to_owned());
    let texts = [Some(&capabilities), wish.name.as_ref()];
    if texts
        .into_iter()
        .flatten()
        .any(|text| text.len() > limits::TEXT_FIELD_BYTES)
    {
        return Err(Error::bad_request("a name or letters of such length are none").into());
    }
    if !capabilities
        .bytes()
        .all(|letter| letter.is_ascii_alphanumeric())
    {
        return Err(Error::bad_request("rights are letters, as Fossil has them").into());
    }
    let entry = TrustedId {
        id,
        name: wish.name.filter(|name| !name.trim().is_empty()),
        capabilities,
        since: Some(Time::now()),
    };
    // A revocation rules over that, and nothing would come of it.
    if let Some((parting, _)) = core.members.unpaired_here(&id) {
        let error = Error::new(Code::Unpaired, parting.message);
        return Err(error.with_hint(parting.hint).into());
    }
    let shown = trusted_as_shown(entry.clone());
    let add = move |core: &Core| {
        core.trust
            .register
            .add(entry)
            .map_err(|error| state(&error))
    };
    blocking(core.clone(), add).await?;
    core.mesh()?.trust_changed();
    Ok((StatusCode::CREATED, Json(shown)))
}

/// `DELETE /api/v1/mesh/trusted/{endpoint_id}`.
pub(super) async fn distrust(
    State(core): State<App>,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    let id = parse_id(&id)?;
    let remove = move |core: &Core| {
        core.trust
            .register
            .remove(&id)
            .map_err(|error| state(&error))
    };
    let there = blocking(core.clone(), remove).await?;
    core.mesh()?.trust_changed();
    if there {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::not_found("no such id was trusted in the app").into())
    }
}

/// `DELETE /api/v1/mesh/members/{endpoint_id}`: revokes a member for ever, or takes the rights from one that was trusted by hand.
pub(super) async fn unpair(State(core): State<App>, Path(id): Path<String>) -> Answer<StatusCode> {
    let id = parse_id(&id)?;
    let revoke = move |core: &Core| {
        let view = core.members.view();
        let named = core.trust.register.remove(&id);
        let named = named.map_err(|error| state(&error))?;
        let member = view.members.contains_key(&id);
        if member {
            core.members.revoke(id)?;
        }
        Ok(named || member)
    };
    let there = blocking(core.clone(), revoke).await?;
    core.mesh()?.remove_joins_of(&id).await?;
    core.mesh()?.trust_changed();
    if there {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::not_found("no agent of that id is a member of the mesh, or trusted").into())
    }
}

fn parse_id(text: &str) -> Result<EndpointId, Error> {
    text.parse()
        .map_err(|error: crate::trust::EndpointIdError| Error::bad_request(error.to_string()))
}

fn state(error: &rusqlite::Error) -> Error {
    Error::internal(format!("agent.db: {error}"))
}

fn trusted_as_shown(entry: TrustedId) -> Trusted {
    Trusted {
        endpoint_id: entry.id.to_string(),
        name: entry.name,
        capabilities: entry.capabilities,
        from: match entry.since {
            Some(_) => Chosen::App,
            None => Chosen::Flag,
        },
        since: entry.since,
    }
}
