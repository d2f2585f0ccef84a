//! Stock `fossil server` on one side of `edgesync bridge serve`, agents, one-off commands and clients in the Go product's form on the other.

mod lab;
mod project;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use edgesync_tests::{Authority, artifacts};
use libfossil::xfer::frame::{self, ContentType};
use serde_json::{Value, json};

use crate::listeners;
use crate::mesh::{Agent, PATIENCE, Place, run, wait};
use crate::tunnel::peer;
use lab::{Bridge, Stock, bridge_id, noise, project_url};

#[test]
fn commits_go_both_ways_between_agents_and_a_stock_server() {
    let place = Place::new(2);
    let server = Stock::copy(&place, "gio");
    let id = bridge_id(&place, 0);
    let first = place.start(0, &["--trust", &id]);
    let join = ["--trust", id.as_str(), "--join", first.address("leaf")];
    let second = place.start(1, &join);
    first.meets(1);
    let bridge = Bridge::start(&place, &first, &[&server.url("")], &[]);
    let listened = listeners::ports(bridge.process_id());
    assert!(listened.is_empty(), "{listened:?}");
    first.meets(2);
    second.meets(2);
    assert_eq!(peer(&first, &id)["kind"], "bridge");

    server.commit(&place, "at-the-server", b"short");
    first.receives("at-the-server");
    second.receives("at-the-server");

    place.commit(0, "at-the-first");
    let holds = |name: &str| {
        let text = run(place
            .fossil()
            .args(["timeline", "-t", "ci", "-n", "0", "-R"])
            .arg(&server.repository));
        text.contains(name)
    };
    wait(|| holds("at-the-first"));
    place.commit(1, "at-the-second");
    wait(|| holds("at-the-second"));
    first.receives("at-the-second");

    // More than the bus takes in one message, in each direction.
    server.commit(&place, "long-at-the-server", &noise(3_000_000));
    first.receives("long-at-the-server");
    let all = server.artifacts();
    wait(|| artifacts(&place.repository(0)) == all);
    place.commit_bytes(0, "long-at-the-first", &noise(2_500_000));
    wait(|| holds("long-at-the-first"));
    let all = || artifacts(&place.repository(0));
    wait(|| server.artifacts() == all());
    wait(|| artifacts(&place.repository(1)) == all());
    let checked = run(place.fossil().arg("test-integrity").arg(&server.repository));
    assert!(checked.contains(" 0 errors"), "{checked}");
    wait(|| first.api("GET", "status", None)["repositories"][0]["state"]["kind"] == "up_to_date");
}

#[test]
fn unversioned_files_go_both_ways_where_the_server_allows_it() {
    let place = Place::new(1);
    let server = Stock::copy(&place, "gioy");
    let id = bridge_id(&place, 0);
    let agent = place.start(0, &["--uv", "--trust", &id]);
    let _bridge = Bridge::start(&place, &agent, &[&server.url("")], &[]);
    agent.meets(1);
    let add = |name: &str, bytes: usize, file: &Path| {
        let path = place.home(0).join(name);
        std::fs::write(&path, noise(bytes)).expect("written");
        // As in a commit, stock fails at once when another writes at that moment.
        wait(|| {
            let mut add = place.fossil();
            add.args(["uv", "add"])
                .arg(&path)
                .args(["--as", name, "-R"]);
            add.arg(file).output().expect("it runs").status.success()
        });
    };
    let files = |file: &Path| run(place.fossil().args(["uv", "hash", "-R"]).arg(file));
    let own = place.repository(0);
    add("at-the-server", 700_000, &server.repository);
    wait(|| files(&own) == files(&server.repository));
    add("at-the-agent", 2_000_000, &own);
    wait(|| files(&own) == files(&server.repository));
    let listed = run(place
        .fossil()
        .args(["uv", "ls", "-R"])
        .arg(&server.repository));
    assert_eq!(listed, "at-the-agent\nat-the-server\n");
}

#[test]
fn several_projects_are_cloned_at_once_through_a_bridge_that_alone_has_them() {
    let place = Place::new(2);
    let agent = place.start(0, &[]);
    let servers = [Stock::new(&place, "one"), Stock::new(&place, "two")];
    for (server, bytes) in servers.iter().zip([2_000_000, 10]) {
        server.commit(&place, "a-file", &noise(bytes));
    }
    let urls = [servers[0].url(""), servers[1].url("")];
    let bridge = Bridge::start(&place, &agent, &[&urls[0], &urls[1]], &[]);
    let clones: Vec<(PathBuf, Child, usize)> = (0..6)
        .map(|number| {
            let which = number % 2;
            let file = place.home(1).join(format!("clone-{number}.fossil"));
            let url = project_url(&agent, bridge.project(which));
            let mut command = place.edgesync(1);
            command
                .args(["clone", "--admin-user", "ada", &url])
                .arg(&file);
            command.stdout(Stdio::null()).stderr(Stdio::piped());
            (file, command.spawn().expect("it starts"), which)
        })
        .collect();
    for (file, process, which) in clones {
        let output = process.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(artifacts(&file), servers[which].artifacts());
    }
    // What is stored in a clone goes back the same way.
    let file = place.home(1).join("clone-1.fossil");
    std::fs::write(place.home(1).join("new.txt"), "new").expect("written");
    let new = [
        "ci",
        "new.txt",
        "-m",
        "from a clone",
        "--user-override",
        "ada",
        "-R",
    ];
    run(place
        .edgesync(1)
        .current_dir(place.home(1))
        .args(new)
        .arg(&file));
    let url = project_url(&agent, bridge.project(1));
    run(place.edgesync(1).args(["sync", &url, "-R"]).arg(&file));
    assert_eq!(artifacts(&file), servers[1].artifacts());
}

#[test]
fn a_server_that_is_down_is_told_to_who_asks_and_used_again_when_it_is_back() {
    let place = Place::new(2);
    let agent = place.start(0, &[]);
    let server = Stock::new(&place, "one");
    let (port, file) = (server.port(), server.repository.clone());
    let bridge = Bridge::start(&place, &agent, &[&server.url("")], &[]);
    let url = project_url(&agent, bridge.project(0));
    drop(server);
    let clone = place.home(1).join("clone.fossil");
    let mut command = place.edgesync(1);
    command.args(["clone", &url]).arg(&clone);
    let refused = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{said}");
    let words = format!("127.0.0.1:{port} can't be reached");
    assert!(said.contains(&words), "{said}");
    assert!(!clone.exists());
    let server = Stock::on(&file, port).expect("the port is free again");
    run(&mut command);
    assert_eq!(artifacts(&clone), server.artifacts());
}

#[test]
fn what_was_committed_while_the_server_was_down_arrives_when_it_is_back() {
    let place = Place::new(1);
    let server = Stock::copy(&place, "gio");
    let (port, file) = (server.port(), server.repository.clone());
    let id = bridge_id(&place, 0);
    let agent = place.start(0, &["--trust", &id]);
    let _bridge = Bridge::start(&place, &agent, &[&server.url("")], &[]);
    agent.meets(1);
    drop(server);
    agent.meets(0);
    place.commit(0, "while-it-was-down");
    let server = Stock::on(&file, port).expect("the port is free again");
    wait(|| server.artifacts() == artifacts(&place.repository(0)));
}

#[test]
fn a_server_with_a_password_is_used_in_the_name_of_the_bridges_user() {
    let place = Place::new(2);
    let server = Stock::copy(&place, "");
    let id = bridge_id(&place, 0);
    let agent = place.start(0, &["--trust", &id]);
    let password = place.home(0).join("password");
    std::fs::write(&password, "secret\n").expect("written");
    let flags = ["--password-file", password.to_str().expect("a path")];
    let bridge = Bridge::start(&place, &agent, &[&server.url("ada")], &flags);
    assert_eq!(bridge.ready["bridges"][0]["user"], "ada");
    assert!(!bridge.ready.to_string().contains("secret"));
    agent.meets(1);
    place.commit(0, "by-the-account");
    wait(|| server.artifacts() == artifacts(&place.repository(0)));
    let url = project_url(&agent, bridge.project(0));
    let clone = place.home(1).join("clone.fossil");
    run(place.edgesync(1).args(["clone", &url]).arg(&clone));
    assert_eq!(artifacts(&clone), server.artifacts());
}

#[test]
fn who_is_not_trusted_gets_nothing_and_go_clients_only_where_unsigned_requests_count() {
    let place = Place::new(1);
    let server = Stock::new(&place, "one");
    let agent = place.start(0, &[]);
    let bridge = Bridge::start(&place, &agent, &[&server.url("")], &[]);
    let stranger = Place::new(1);
    let url = project_url(&agent, bridge.project(0));
    let clone = stranger.home(0).join("clone.fossil");
    let refused = stranger
        .edgesync(0)
        .args(["clone", &url])
        .arg(&clone)
        .output();
    let refused = refused.expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{said}");
    let words = format!("this bridge does not trust {}", stranger.ids[0]);
    assert!(said.contains(&words), "{said}");

    let code = bridge.project(0).to_owned();
    let (refusal, status) = go_request(&agent, &code);
    assert!(status.is_some_and(|it| it.contains("signed requests only")));
    assert!(refusal.starts_with("error this\\sbridge"), "{refusal}");
    drop(bridge);
    let _bridge = Bridge::start(
        &place,
        &agent,
        &[&server.url("")],
        &["--accept-unsigned", &code],
    );
    let (answer, status) = go_request(&agent, &code);
    assert_eq!(status, None);
    assert!(
        answer.contains("cfile ") && answer.contains(&code),
        "{answer}"
    );
    assert!(answer.contains("clone_seqno "), "{answer}");
}

/// Returns the agent's bridges.
fn bridges(agent: &Agent) -> Vec<Value> {
    let mesh = agent.mesh();
    mesh["bridges"].as_array().expect("bridges").clone()
}

#[test]
fn an_agent_bridges_servers_itself_over_restarts_and_leaves_projects_to_its_own_repositories() {
    let place = Place::new(2);
    let server = Stock::new(&place, "one");
    let url = json!({ "url": server.url("") });
    let agent = place.start(0, &[]);
    let added = agent.api("POST", "mesh/bridges", Some(&url));
    let code = added["project_code"].as_str().expect("a code").to_owned();
    wait(|| bridges(&agent)[0]["state"]["kind"] == "connected");
    assert_eq!(
        agent.refused("POST", "mesh/bridges", &url)["code"],
        "conflict"
    );
    let down = json!({ "url": "http://127.0.0.1:1/" });
    assert_eq!(
        agent.refused("POST", "mesh/bridges", &down)["code"],
        "unreachable"
    );
    let own = Stock::copy(&place, "gio");
    let own = json!({ "url": own.url("") });
    let refused = agent.refused("POST", "mesh/bridges", &own);
    assert!(
        refused["hint"]
            .as_str()
            .expect("a hint")
            .contains("the remote of that repository")
    );

    // Another agent, which trusts this one, clones from it, and what it commits arrives.
    let clone = place.home(1).join("one.fossil");
    let from = project_url(&agent, &code);
    let arguments = ["clone", "--admin-user", "ada", &from];
    run(place.edgesync(1).args(arguments).arg(&clone));
    let second = place.start(1, &["--join", agent.address("leaf")]);
    let add = json!({ "path": clone });
    second.api("POST", "repositories/add", Some(&add));
    let commit = |name: &str| {
        std::fs::write(place.home(1).join(name), name).expect("written");
        let new = ["ci", name, "-m", name, "--user-override", "ada", "-R"];
        let mut command = place.edgesync(1);
        run(command.current_dir(place.home(1)).args(new).arg(&clone));
        wait(|| server.artifacts() == artifacts(&clone));
    };
    commit("before-the-restart");
    wait(|| bridges(&agent)[0]["answered"].as_u64().expect("a count") > 0);
    assert!(bridges(&agent)[0]["last_request"].is_string());
    let leaf = agent
        .address("leaf")
        .trim_start_matches("nats-leaf://")
        .to_owned();
    agent.stop();
    let agent = place.start(0, &["--leaf-listen", &leaf]);
    commit("after-the-restart");

    // A repository of its own rules, as long as it is there.
    let copy = place.home(0).join("copy.fossil");
    std::fs::copy(&server.repository, &copy).expect("copied");
    agent.api("POST", "repositories/add", Some(&json!({ "path": copy })));
    wait(|| bridges(&agent)[0]["state"]["kind"] == "unused");
    let status = run(place.edgesync(0).args(["sync", "status"]));
    let line = format!("  bridge: {}: not used: ", server.url(""));
    assert!(status.contains(&line), "{status}");
    agent.api("DELETE", "repositories/copy", None);
    wait(|| bridges(&agent)[0]["state"]["kind"] == "connected");
    commit("bridged-again");
    agent.api("DELETE", &format!("mesh/bridges/{code}"), None);
    assert_eq!(bridges(&agent), Vec::<Value>::new());
}

#[test]
fn a_server_with_tls_is_bridged_and_one_that_nobody_vouches_for_is_refused() {
    let place = Place::new(2);
    let authority = Authority::default();
    let files = authority.files(&place.home(0), "localhost");
    let trusted = place.home(0).join("authority.pem");
    std::fs::write(&trusted, authority.pem()).expect("written");
    let server = Stock::secure_copy(&place, "", &files);
    let password = place.home(0).join("password");
    std::fs::write(&password, "secret\n").expect("written");
    let flags = ["--password-file", password.to_str().expect("a path")];
    let url = server.url("ada");
    assert!(url.starts_with("https://ada@"), "{url}");
    let id = bridge_id(&place, 0);
    let agent = place.start(0, &["--trust", &id]);

    let refused = place
        .edgesync(0)
        .args(["bridge", "serve", "--fossil-url", &url])
        .args(flags)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{said}");
    let words = "nobody that this system trusts signed its certificate";
    assert!(said.contains(words), "{said}");

    let mut program = place.edgesync(0);
    program.env("SSL_CERT_FILE", &trusted);
    let bridge = Bridge::start_by(program, &place, &agent, &[&url], &flags);
    agent.meets(1);
    server.commit(&place, "at-the-server", &noise(1_000_000));
    agent.receives("at-the-server");
    place.commit(0, "at-the-agent");
    wait(|| server.artifacts() == artifacts(&place.repository(0)));
    let clone = place.home(1).join("clone.fossil");
    let from = project_url(&agent, bridge.project(0));
    run(place.edgesync(1).args(["clone", &from]).arg(&clone));
    assert_eq!(artifacts(&clone), server.artifacts());
}

/// Returns how many artifacts of a repository are private.
fn private(place: &Place, file: &Path) -> String {
    let count = ["sql", "--no-repository", "-readonly"];
    let sql = "select count(*) from private";
    run(place.fossil().args(count).arg(file).arg(sql))
}

#[test]
fn private_check_ins_go_through_a_bridge_when_both_ends_allow_it_and_stay_otherwise() {
    let place = Place::new(2);
    let agent = place.start(0, &[]);
    let server = Stock::new(&place, "one");
    server.commit(&place, "public", b"public");
    let public = server.artifacts();
    server.commit_privately(&place, "private");
    server.lets(&place, "giox");
    let whole = server.artifacts();
    assert!(whole.len() > public.len());
    let asks = |verb: &str, flags: &[&str], url: &str, name: &str| {
        let file = place.home(1).join(name);
        let mut command = place.edgesync(1);
        command.arg(verb).args(flags).arg(url);
        match verb {
            "clone" => command.args(["--admin-user", "ada"]).arg(&file),
            _ => command.arg("-R").arg(&file),
        };
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().expect("a code"), said, file)
    };

    // An agent that is trusted has no right to private check-ins by that alone.
    let bridge = Bridge::start(&place, &agent, &[&server.url("")], &[]);
    let url = project_url(&agent, bridge.project(0));
    let (code, said, file) = asks("clone", &["--private"], &url, "refused.fossil");
    assert!(
        code == 3 && said.contains("not authorized to sync private content"),
        "{said}"
    );
    assert!(!file.exists());
    let (code, said, file) = asks("clone", &[], &url, "public.fossil");
    assert_eq!(code, 0, "{said}");
    assert_eq!(artifacts(&file), public);
    server.commit(&place, "later", b"later");
    let (code, said, file) = asks("sync", &["--private"], &url, "public.fossil");
    assert!(
        code == 3 && said.contains("all others are exchanged"),
        "{said}"
    );
    assert_eq!(artifacts(&file).len(), public.len() + 2);
    assert_eq!(private(&place, &file).trim(), "0");

    drop(bridge);
    let rights = json!({ "endpoint_id": place.ids[1], "capabilities": "giox" });
    agent.api("POST", "mesh/trusted", Some(&rights));
    let bridge = Bridge::start(&place, &agent, &[&server.url("")], &[]);
    let url = project_url(&agent, bridge.project(0));
    let (code, said, file) = asks("clone", &["--private"], &url, "whole.fossil");
    assert_eq!(code, 0, "{said}");
    assert_eq!(artifacts(&file), server.artifacts());
    let there = private(&place, &server.repository);
    assert_eq!(private(&place, &file), there);

    std::fs::write(place.home(1).join("own.txt"), "own").expect("written");
    let new = [
        "ci",
        "own.txt",
        "--private",
        "-m",
        "own",
        "--user-override",
        "ada",
        "-R",
    ];
    let mut command = place.edgesync(1);
    run(command.current_dir(place.home(1)).args(new).arg(&file));
    let (code, said, _) = asks("sync", &[], &url, "whole.fossil");
    assert_eq!(code, 0, "{said}");
    assert_eq!(private(&place, &server.repository), there);
    let (code, said, _) = asks("sync", &["--private"], &url, "whole.fossil");
    assert_eq!(code, 0, "{said}");
    assert_eq!(artifacts(&file), server.artifacts());
    assert_eq!(private(&place, &server.repository), private(&place, &file));
    assert_ne!(private(&place, &file), there);
}

#[test]
fn agents_that_want_private_check_ins_get_the_others_where_they_may_not_have_them() {
    let place = Place::new(2);
    let server = Stock::copy(&place, "gio");
    let id = bridge_id(&place, 0);
    let first = place.start(0, &["--private", "--trust", &id]);
    let join = [
        "--private",
        "--trust",
        id.as_str(),
        "--join",
        first.address("leaf"),
    ];
    let second = place.start(1, &join);
    let _bridge = Bridge::start(&place, &first, &[&server.url("")], &[]);
    for agent in [&first, &second] {
        agent.meets(2);
    }
    server.commit(&place, "at-the-server", b"short");
    first.receives("at-the-server");
    second.receives("at-the-server");
    place.commit(0, "at-the-first");
    second.receives("at-the-first");
    wait(|| server.artifacts() == artifacts(&place.repository(0)));
    wait(|| peer(&second, &place.ids[0])["error"]["code"] == "remote_login");
}

/// Makes a request as the Go product makes it: packed, no header. Returns the answer, which has to be packed, and its status.
fn go_request(agent: &Agent, code: &str) -> (String, Option<String>) {
    let message = b"pragma client-version 22800 20260101 0\nclone 3 1\n".to_vec();
    let body = frame::encode(ContentType::Packed, message);
    let subject = format!("fossil.{code}.sync");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let answer = runtime.block_on(async {
        let options = async_nats::ConnectOptions::with_token(agent.bus_token());
        let client = options
            .connect(agent.address("nats"))
            .await
            .expect("connected");
        let request = client.request(subject, body);
        let answer = tokio::time::timeout(PATIENCE, request).await;
        answer.expect("in time").expect("an answer")
    });
    let status = answer.headers.as_ref();
    let status = status.and_then(|it| Some(it.get("Edgesync-Status")?.to_string()));
    let text = frame::decode(ContentType::Packed, answer.payload).expect("packed");
    (String::from_utf8_lossy(&text).into_owned(), status)
}

#[test]
fn without_a_bus_or_a_server_it_says_what_is_missing() {
    let place = Place::new(1);
    let serve = |flags: &[&str]| {
        let mut command: Command = place.edgesync(0);
        let output = command.args(["bridge", "serve"]).args(flags).output();
        let output = output.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().expect("a code"), said)
    };
    let (code, said) = serve(&["--fossil-url", "http://127.0.0.1:1/"]);
    assert_eq!(code, 4, "{said}");
    assert!(
        said.contains("no agent is running") && said.contains("--nats-url"),
        "{said}"
    );
    let (code, said) = serve(&[]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("--fossil-url"), "{said}");
    let _agent = place.start(0, &[]);
    let (code, said) = serve(&["--fossil-url", "http://127.0.0.1:1/"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("127.0.0.1:1 can't be reached"), "{said}");
}
