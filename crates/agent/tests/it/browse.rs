//! Looking at a repository through the API: what stock Fossil wrote is shown, and what is not there is named.

use edgesync_agent::Agent;
use serde_json::{Value, json};

use crate::support::{Place, ask, call, start, status};

async fn get(agent: &Agent, path: &str) -> (u16, Value) {
    call(agent, "GET", path, Value::Null).await
}

#[tokio::test]
async fn what_stock_fossil_wrote_is_shown() {
    let place = Place::new();
    let repository = place.repository("proj.fossil");
    place.check_in(&repository, "hello.txt", "hello\nworld\n");
    let mut config = place.config();
    config.repositories.push(repository);
    let agent = start(config).await;

    let (code, page) = get(&agent, "/repositories/proj/timeline?limit=2").await;
    assert_eq!(
        (code, &page["total"], page["rows"].as_array().map(Vec::len)),
        (200, &json!(3), Some(2))
    );
    let row = &page["rows"][0];
    assert_eq!(
        (&row["kind"], &row["branch"], &row["leaf"]),
        (&json!("ci"), &json!("trunk"), &json!(true))
    );
    assert_eq!((&row["user"], &row["lane"]), (&json!("ada"), &json!(0)));

    let (code, tip) = get(&agent, "/repositories/proj/check-ins/tip").await;
    assert_eq!((code, &tip["hash"]), (200, &row["hash"]));
    let file = &tip["files"][0];
    assert_eq!(
        (&file["path"], &file["change"], &file["additions"]),
        (&json!("hello.txt"), &json!("modified"), &json!(1))
    );
    assert_eq!(tip["parents"][0]["comment"], json!("change hello.txt"));

    let (_, diff) = get(
        &agent,
        "/repositories/proj/check-ins/trunk/diff?path=hello.txt",
    )
    .await;
    let added = &diff["hunks"][0]["lines"][1];
    assert_eq!(
        (&added["kind"], &added["spans"][0]["text"]),
        (&json!("add"), &json!("world"))
    );

    let (_, files) = get(&agent, "/repositories/proj/check-ins/tip/files").await;
    assert_eq!(
        files["files"],
        json!([{ "path": "hello.txt", "hash": file["hash"], "size": 12, "permissions": "file" }])
    );
    let (_, shown) = get(
        &agent,
        "/repositories/proj/check-ins/tip/file?path=hello.txt",
    )
    .await;
    assert_eq!(shown["text"], json!("hello\nworld\n"));

    let hash = file["hash"].as_str().expect("a hash");
    let raw =
        format!("/api/v1/repositories/proj/artifacts/{hash}/raw?filename=..%2Fa%22%0d%0ab.html");
    let answer = ask(agent.runtime(), "GET", &raw, "").await;
    assert!(
        answer.contains("attachment; filename*=UTF-8''a%22%0D%0Ab.html\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("application/octet-stream") && answer.ends_with("hello\nworld\n"),
        "{answer}"
    );
    agent.stop().await;
}

#[tokio::test]
async fn what_is_not_there_or_malformed_is_named() {
    let place = Place::new();
    let mut config = place.config();
    config.repositories.push(place.repository("proj.fossil"));
    let agent = start(config).await;
    for (path, expected) in [
        ("check-ins/no-such-branch", 404),
        ("check-ins/%ff", 404),
        ("check-ins/tip/file?path=absent.txt", 404),
        ("check-ins/tip/file?path=..%2F..%2Fetc%2Fpasswd", 400),
        ("check-ins/tip/file", 400),
        ("check-ins/tip/diff?path=absent.txt", 404),
        ("artifacts/abc/raw", 400),
        (
            "artifacts/0000000000000000000000000000000000000000/raw",
            404,
        ),
        ("timeline?limit=501", 400),
        ("timeline?limit=-1", 400),
        ("timeline?type=zz", 400),
        ("timeline?offset=99999999999999999999", 400),
    ] {
        let answer = ask(
            agent.runtime(),
            "GET",
            &format!("/api/v1/repositories/proj/{path}"),
            "",
        )
        .await;
        assert_eq!(status(&answer), expected, "{path}: {answer}");
    }
    let (code, page) = get(&agent, "/repositories/proj/timeline?offset=1000").await;
    assert_eq!((code, &page["rows"]), (200, &json!([])));
    agent.stop().await;
}

#[tokio::test]
async fn a_created_repository_is_one_for_stock_fossil() {
    let place = Place::new();
    let agent = start(place.config()).await;
    let path = place.path("new.fossil");
    let wish = json!({ "path": path, "project_name": "Über alles", "user": "ada" });
    let (code, created) = call(&agent, "POST", "/repositories/create", wish.clone()).await;
    assert_eq!((code, &created["user"]), (201, &json!("ada")));
    assert_eq!(created["repository"]["project_name"], json!("Über alles"));
    assert_eq!(
        call(&agent, "POST", "/repositories/create", wish).await.0,
        409
    );
    let absent = json!({ "path": place.path("no/such/folder.fossil") });
    assert_eq!(
        call(&agent, "POST", "/repositories/create", absent).await.0,
        400
    );
    let special = json!({ "path": place.path("x.fossil"), "user": "nobody" });
    assert_eq!(
        call(&agent, "POST", "/repositories/create", special)
            .await
            .0,
        400
    );

    let text = path.to_str().expect("text");
    let info = place.fossil(&place.path(""), ["info", "-R", text]);
    assert!(info.contains("Über alles"), "{info}");
    agent.stop().await;
}

#[tokio::test]
async fn files_that_are_no_whole_repository_are_refused_and_left_alone() {
    let place = Place::new();
    let agent = start(place.config()).await;
    let whole = std::fs::read(place.repository("whole.fossil")).expect("read");
    let mut garbled = whole.clone();
    garbled[4096..12288].fill(0xa5);
    let mut foreign = whole.clone();
    foreign[..16].copy_from_slice(b"SQLite format 4\0");
    for (name, content) in [
        ("empty", Vec::new()),
        (
            "random",
            (0..40_000_u32)
                .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
                .collect(),
        ),
        ("short", whole[..whole.len() / 2].to_vec()),
        ("garbled", garbled),
        ("foreign", foreign),
    ] {
        let path = place.path(&format!("{name}.fossil"));
        std::fs::write(&path, &content).expect("written");
        let (code, answer) =
            call(&agent, "POST", "/repositories/add", json!({ "path": path })).await;
        assert_eq!(
            (code, &answer["error"]["code"]),
            (500, &json!("repository")),
            "{name}: {answer}"
        );
        assert!(
            std::fs::read(&path).expect("read") == content,
            "{name} was changed"
        );
    }
    assert!(agent.status().repositories.is_empty());
    agent.stop().await;
}
