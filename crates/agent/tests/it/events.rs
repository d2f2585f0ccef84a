//! The event stream over HTTP and in process: it begins with the status, and tells what happens, also to the files.

use edgesync_agent::Subscription;
use edgesync_agent::api::{Event, Level, State};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::support::{Place, call, repository_event, request, start};

#[tokio::test]
async fn the_stream_begins_with_the_status_and_tells_what_changes() {
    let place = Place::new();
    let repository = place.repository("proj.fossil");
    let agent = start(place.config()).await;
    let host = agent.runtime().api.trim_start_matches("http://").to_owned();
    let mut stream = BufReader::new(TcpStream::connect(&host).await.expect("connected"));
    stream
        .write_all(request(agent.runtime(), "GET", "/api/v1/events", "", "").as_bytes())
        .await
        .expect("sent");
    let Event::Status(first) = next(&mut stream).await else {
        panic!("the first event is the status")
    };
    assert_eq!((first.repositories.len(), first.state), (0, State::Local));

    let body = serde_json::json!({ "path": repository });
    assert_eq!(
        call(&agent, "POST", "/repositories/add", body.clone())
            .await
            .0,
        201
    );
    let Event::Repository { repository: shown } = next(&mut stream).await else {
        panic!("a repository")
    };
    assert_eq!(
        (shown.name.as_str(), &shown.path, shown.check_ins),
        ("proj", &repository, 2)
    );
    assert_eq!(
        shown.last_check_in.expect("a check-in").comment,
        "change hello.txt"
    );
    let Event::Log {
        level: Level::Info,
        repository,
        ..
    } = next(&mut stream).await
    else {
        panic!("a log line")
    };
    assert_eq!(repository.as_deref(), Some("proj"));

    assert_eq!(call(&agent, "POST", "/repositories/add", body).await.0, 409);
    assert_eq!(
        call(
            &agent,
            "DELETE",
            "/repositories/proj",
            serde_json::Value::Null
        )
        .await
        .0,
        204
    );
    assert_eq!(
        next(&mut stream).await,
        Event::Removed {
            name: "proj".into()
        }
    );
    agent.stop().await;
}

/// Reads lines until one is an event; between them are the frames of the chunked transfer.
async fn next(stream: &mut BufReader<TcpStream>) -> Event {
    loop {
        let mut line = String::new();
        assert_ne!(
            stream.read_line(&mut line).await.expect("a line"),
            0,
            "the stream ended"
        );
        if line.starts_with('{') {
            return serde_json::from_str(&line).expect("an event");
        }
    }
}

#[tokio::test]
async fn a_stock_commit_and_a_missing_file_are_noticed_without_a_poll() {
    let place = Place::new();
    let repository = place.repository("proj.fossil");
    let mut config = place.config();
    config.poll = std::time::Duration::from_secs(3600);
    config.repositories.push(repository.clone());
    let agent = start(config).await;
    let mut events: Subscription = agent.subscribe();
    repository_event(&mut events, |shown| shown.check_ins == 2).await;
    place.check_in(&repository, "more.txt", "more\n");
    let shown = repository_event(&mut events, |shown| shown.check_ins == 3).await;
    assert_eq!(
        shown.last_check_in.expect("a check-in").comment,
        "change more.txt"
    );

    let aside = place.path("aside.fossil");
    std::fs::rename(&repository, &aside).expect("renamed");
    repository_event(&mut events, |shown| {
        matches!(shown.state, State::Missing { .. })
    })
    .await;
    std::fs::rename(&aside, &repository).expect("renamed");
    repository_event(&mut events, |shown| shown.state == State::Local).await;
    agent.stop().await;
}
