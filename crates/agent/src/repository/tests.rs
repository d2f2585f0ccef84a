//! A repository as the agent hosts it: what it keeps in memory, and when it gives that back.

use libfossil::db::{Access, Visibility};
use tokio_util::task::TaskTracker;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_repository_that_nobody_uses_gives_its_memory_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("r.fossil");
    create(&path, None, Some("ada")).expect("created");
    let store = |file: &mut File| {
        file.write(crate::clock::now(), |tx| {
            tx.store(&[7; 100_000], Visibility::Public)
        })
    };
    let mut file = File::open(&path, Access::ReadWrite).expect("a repository");
    let rid = store(&mut file).expect("stored").rid;
    drop(file);
    let (events, closed) = (Arc::new(Events::new()), CancellationToken::new());
    let hosted = Hosted::open("r".into(), path, None, events, closed).expect("opened");
    let hosted = Arc::new(hosted);
    let hour = Duration::from_secs(3600);
    hosted.keep(Arc::default(), hour, &TaskTracker::new());

    let read = move |file: &File| file.content(rid).map(|_| file.held_bytes());
    let held = hosted.write(move |file| read(file)).await.expect("done");
    assert!(held.expect("read") >= 100_000);
    let held = hosted.read(read).await.expect("done");
    assert!(held.expect("read") >= 100_000);
    hosted.timeline(None, 0, 10).await.expect("a timeline");

    // The time of this test goes on by itself, but the repository's thread works in the world's.
    let limit = std::time::Instant::now() + Duration::from_secs(60);
    while !hosted.readers.are_at_rest() || !locked(&hosted.timelines).is_empty() {
        assert!(std::time::Instant::now() < limit, "the memory is kept");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    loop {
        let held = hosted.writer().run(|file| file.held_bytes()).await;
        if held.expect("done") == 0 {
            break;
        }
        assert!(std::time::Instant::now() < limit, "the writer keeps it");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    hosted.close();
}

#[tokio::test]
async fn a_repository_that_is_being_closed_shows_no_error_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("r.fossil");
    create(&path, None, Some("ada")).expect("created");
    let remote: Remote = "http://127.0.0.1:1/".parse().expect("a remote");
    // Whether the end or the exchange is seen first is left to chance.
    for _ in 0..64 {
        let (events, closed) = (Arc::new(Events::new()), CancellationToken::new());
        let hosted = Hosted::open("r".into(), path.clone(), None, events, closed);
        let hosted = Arc::new(hosted.expect("opened"));
        let linker = Linker {
            http: crate::sync::Http::new().expect("a client"),
            wishes: crate::sync::Wishes {
                push: true,
                pull: true,
                unversioned: false,
                private: false,
            },
            poll: Duration::from_secs(3600),
            tasks: TaskTracker::new(),
            tally: Arc::default(),
        };
        drop(hosted.close());
        hosted.link(vec![remote.clone()], &linker);
        hosted.sync_now();
        linker.tasks.close();
        linker.tasks.wait().await;
        let state = hosted.show().state;
        assert!(!matches!(state, State::Error { .. }), "{state:?}");
    }
}
