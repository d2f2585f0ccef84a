//! One agent per home, its files private, nothing left behind.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use edgesync_agent::{Agent, Headless, Runtime, StartError};

use crate::support::{Place, start};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[tokio::test]
async fn a_second_agent_in_the_same_home_is_told_where_the_first_one_answers() {
    let place = Place::new();
    let agent = start(place.config()).await;
    let refused = Agent::start(place.config(), Arc::new(Headless)).await;
    let Err(StartError::AlreadyRunning { runtime }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(&*runtime, agent.runtime());
    assert_eq!(
        Runtime::read(&place.home()).expect("readable"),
        Some(*runtime)
    );
    agent.stop().await;
    assert_eq!(Runtime::read(&place.home()).expect("readable"), None);
    assert!(!place.home().runtime_file().exists());
    start(place.config()).await.stop().await;
}

#[tokio::test]
async fn the_agents_files_are_private_and_its_identity_stays() {
    let place = Place::new();
    let agent = start(place.config()).await;
    let (home, first) = (place.home(), agent.endpoint_id().to_owned());
    assert_eq!(mode(home.data()), 0o700);
    for file in [home.runtime_file(), home.state_file(), home.identity_file()] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    agent.stop().await;
    let agent = start(place.config()).await;
    assert_eq!(agent.endpoint_id(), first);
    agent.stop().await;

    std::fs::write(home.identity_file(), "not a key").expect("written");
    let refused = Agent::start(place.config(), Arc::new(Headless)).await;
    assert!(
        matches!(refused, Err(StartError::Identity(_))),
        "{refused:?}"
    );
    assert_eq!(
        std::fs::read_to_string(home.identity_file()).expect("left alone"),
        "not a key"
    );
}

#[tokio::test]
async fn a_start_that_fails_leaves_nothing_running() {
    let place = Place::new();
    let mut config = place.config();
    config.repositories.push(place.path("absent.fossil"));
    let refused = Agent::start(config, Arc::new(Headless)).await;
    assert!(
        matches!(refused, Err(StartError::Repository(_))),
        "{refused:?}"
    );
    let mut config = place.config();
    config.api = "192.0.2.1:0".parse().expect("an address");
    let refused = Agent::start(config, Arc::new(Headless)).await;
    assert!(
        matches!(refused, Err(StartError::NotLoopback(_))),
        "{refused:?}"
    );
    assert!(!place.home().runtime_file().exists());
    start(place.config()).await.stop().await;
}

#[tokio::test]
async fn a_runtime_file_of_a_killed_agent_does_not_count() {
    let place = Place::new();
    let home = place.home();
    let agent = start(place.config()).await;
    let left = std::fs::read(home.runtime_file()).expect("there");
    agent.stop().await;
    std::fs::write(home.runtime_file(), left).expect("written");
    assert_eq!(Runtime::read(&home).expect("readable"), None);
}
