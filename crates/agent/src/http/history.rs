//! Looking at a repository: timeline, check-ins, files, differences, and the plain bytes of an artifact.

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use libfossil::history::EventKind;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::extract::{Named, Query};
use super::reply::Answer;
use crate::api::{CheckIn, Diff, Error, FileContent, FileList, Timeline};
use crate::limits;
use crate::repository::browse;

/// What a header's parameter may not hold as it is.
const UNSAFE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Rows of a timeline page when the client does not say.
const PAGE_ROWS: usize = 100;

/// The query of `timeline`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
    #[serde(rename = "type", default)]
    kind: Option<String>,
}

/// The query of `diff` and `file`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InPath {
    path: String,
}

/// The query of `raw`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AsFile {
    filename: Option<String>,
}

/// `GET …/timeline`.
pub(super) async fn timeline(named: Named, Query(page): Query<Page>) -> Answer<Json<Timeline>> {
    let kind =
        match page.kind.as_deref() {
            None | Some("all") => None,
            Some(letters) => {
                let kind = EventKind::from_letters(letters);
                Some(kind.ok_or_else(|| {
                    Error::bad_request("the type is one of all, ci, w, t, e, g, f")
                })?)
            }
        };
    let limit = page.limit.unwrap_or(PAGE_ROWS);
    if limit > limits::TIMELINE_ROWS {
        return Err(
            Error::bad_request(format!("the limit is at most {}", limits::TIMELINE_ROWS)).into(),
        );
    }
    Ok(Json(
        named.repository.timeline(kind, page.offset, limit).await?,
    ))
}

/// `GET …/check-ins/{VERSION}`.
pub(super) async fn check_in(named: Named) -> Answer<Json<CheckIn>> {
    let version = named.rest;
    Ok(Json(
        named
            .repository
            .browse(move |file| browse::check_in(file, &version))
            .await?,
    ))
}

/// `GET …/check-ins/{VERSION}/diff`.
pub(super) async fn diff(named: Named, Query(place): Query<InPath>) -> Answer<Json<Diff>> {
    let version = named.rest;
    Ok(Json(
        named
            .repository
            .browse(move |file| browse::file_diff(file, &version, &place.path))
            .await?,
    ))
}

/// `GET …/check-ins/{VERSION}/files`.
pub(super) async fn files(named: Named) -> Answer<Json<FileList>> {
    let version = named.rest;
    Ok(Json(
        named
            .repository
            .browse(move |file| browse::files(file, &version))
            .await?,
    ))
}

/// `GET …/check-ins/{VERSION}/file`.
pub(super) async fn file(named: Named, Query(place): Query<InPath>) -> Answer<Json<FileContent>> {
    let version = named.rest;
    Ok(Json(
        named
            .repository
            .browse(move |file| browse::file(file, &version, &place.path))
            .await?,
    ))
}

/// `GET …/artifacts/{HASH}/raw`: the bytes, as something to keep and nothing to show.
pub(super) async fn raw(named: Named, Query(wish): Query<AsFile>) -> Answer<Response> {
    let hash = named.rest;
    let filename = wish.filename.unwrap_or_else(|| hash.clone());
    if filename.len() > limits::TEXT_FIELD_BYTES {
        return Err(Error::bad_request("the file's name is too long").into());
    }
    let filename = filename
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default()
        .to_owned();
    let content = named
        .repository
        .browse(move |file| browse::artifact(file, &hash))
        .await?;
    as_download(content, &filename)
}

/// Returns bytes as something to keep and nothing to show.
pub(super) fn as_download(content: impl IntoResponse, filename: &str) -> Answer<Response> {
    let disposition = format!(
        "attachment; filename*=UTF-8''{}",
        utf8_percent_encode(filename, UNSAFE)
    );
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    let disposition = HeaderValue::from_str(&disposition)
        .map_err(|_| Error::bad_request("the file's name is not text"))?;
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}
