//! Real agents that are paired by their commands: nobody is trusted before, and nobody afterwards who was unpaired.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::mesh::{Agent, Place, run, wait};
use crate::tunnel::{peer, start, two};

/// What of `agent.db` is of pairings and of what comes of them.
const TABLES: [&str; 6] = [
    "offer",
    "pairing_doubt",
    "member_record",
    "member_unconfirmed",
    "trusted",
    "joined",
];

/// A command that pairs, and asks on its way.
struct Asking {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    aside: std::io::Lines<BufReader<ChildStderr>>,
}

impl Asking {
    fn new(place: &Place, number: usize, arguments: &[&str]) -> Self {
        let mut command = place.edgesync(number);
        let mut process = command
            .args(arguments)
            .arg("--json")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let aside = BufReader::new(process.stderr.take().expect("its errors")).lines();
        Self {
            process,
            lines,
            aside,
        }
    }

    fn line(&mut self) -> Value {
        let line = self.lines.next().expect("a line").expect("text");
        serde_json::from_str(&line).expect("JSON")
    }

    /// Types a line, and returns how the command ends.
    fn types(mut self, line: &str) -> bool {
        let mut input = self.process.stdin.take().expect("its input");
        // One that has heard that the other side ended it asks no more.
        let _ = writeln!(input, "{line}");
        self.ends()
    }

    /// Reads what it says beside its output until these words.
    fn says(&mut self, words: &str) {
        let mut lines = self.aside.by_ref().map_while(Result::ok);
        assert!(lines.any(|line| line.contains(words)), "{words}");
    }

    /// Ends its input, as that of a command that runs in the background.
    fn untyped(mut self) -> Self {
        drop(self.process.stdin.take());
        self
    }

    /// Returns how the command ends.
    fn ends(mut self) -> bool {
        self.process.wait().expect("it ends").success()
    }
}

fn members(agent: &Agent) -> usize {
    agent.mesh()["members"].as_array().expect("members").len()
}

/// Pairs two agents over the API, as two people do who look at the same digits.
pub(crate) fn pair(host: &Agent, claimant: &Agent) {
    let made = host.api("POST", "mesh/pairing/offer", None);
    let offer = json!({ "offer": made["url"] });
    claimant.api("POST", "mesh/pairing/claim", Some(&offer));
    let others = [host, claimant].map(|agent| {
        let compares = || waiting(agent, "comparing").first().cloned();
        wait(|| compares().is_some());
        (agent, compares().expect("one that waits"))
    });
    assert_eq!(others[0].1["digits"], others[1].1["digits"]);
    for (agent, other) in &others {
        let id = other["id"].as_str().expect("an id");
        agent.api(
            "POST",
            &format!("mesh/pairing/pending/{id}/accept"),
            Some(&json!({})),
        );
    }
    for (agent, other) in &others {
        wait(|| is_member(agent, other["id"].as_str().expect("an id")));
    }
}

pub(crate) fn is_member(agent: &Agent, id: &str) -> bool {
    let mesh = agent.mesh();
    let mut members = mesh["members"].as_array().expect("members").iter();
    members.any(|it| it["endpoint_id"] == id)
}

/// Whether an agent has a link of its own to the one of this id.
pub(crate) fn is_linked(agent: &Agent, id: &str) -> bool {
    peer(agent, id)["link"] == "route"
}

#[test]
fn two_that_were_each_paired_with_a_third_have_a_link_and_need_the_third_no_more() {
    let mut place = Place::new(3);
    let ids = std::mem::take(&mut place.ids);
    let start_all = || [0, 1, 2].map(|number| start(&place, number, None, &[]));
    let [first, middle, last] = start_all();
    pair(&first, &middle);
    pair(&last, &middle);
    wait(|| is_linked(&first, &ids[2]) && is_linked(&last, &ids[0]));
    middle.stop();
    place.commit(0, "without-the-middle");
    last.receives("without-the-middle");
    place.commit(2, "and-back");
    first.receives("and-back");

    // All were away, and two come back.
    first.stop();
    last.stop();
    let (first, last) = (start(&place, 0, None, &[]), start(&place, 2, None, &[]));
    place.commit(2, "after-the-start");
    first.receives("after-the-start");
    wait(|| is_linked(&last, &ids[0]));
    let own: Vec<_> = last.mesh()["joins"]
        .as_array()
        .expect("joins")
        .iter()
        .map(|it| (it["from"].clone(), it["peer"].clone()))
        .collect();
    assert!(own.contains(&(json!("mesh"), json!(ids[0]))), "{own:?}");
}

#[test]
fn who_is_unpaired_by_one_is_cut_off_by_all_that_hear_of_it() {
    let mut place = Place::new(3);
    let ids = std::mem::take(&mut place.ids);
    let [first, middle, last] = [0, 1, 2].map(|number| start(&place, number, None, &[]));
    pair(&first, &middle);
    pair(&last, &middle);
    wait(|| is_linked(&first, &ids[2]) && is_linked(&last, &ids[0]));
    // One is away when it is said.
    middle.stop();
    run(place.edgesync(0).args(["unpair", &ids[2]]));
    let revoked = || first.mesh()["revoked"].clone();
    assert_eq!(revoked()[0]["endpoint_id"], json!(ids[2]));
    wait(|| revoked()[0]["unheard"] == json!([ids[1]]));
    assert!(peer(&first, &ids[2]).is_null(), "{}", first.mesh());
    let status = run(place.edgesync(0).args(["sync", "status"]));
    assert!(status.contains("not yet heard by"), "{status}");

    let middle = start(&place, 1, None, &[]);
    wait(|| revoked()[0]["unheard"] == json!([]));
    wait(|| !is_member(&middle, &ids[2]) && peer(&middle, &ids[2]).is_null());
    let stands = |agent: &Agent| {
        let joins = agent.mesh()["joins"].clone();
        let mut joins = joins.as_array().expect("joins").iter();
        joins.any(|it| it["state"]["kind"] == "connected")
    };
    wait(|| !stands(&last) && stands(&middle));
    let joined = |agent: &Agent, id: &str| agent.mesh()["joins"].to_string().contains(id);
    assert!(!joined(&middle, &ids[2]));
    // Nothing of it is taken, and it gets nothing.
    place.commit(2, "from-the-one-that-is-out");
    place.commit(1, "from-the-middle");
    first.receives("from-the-middle");
    assert!(!first.holds("from-the-one-that-is-out") && !middle.holds("from-the-one-that-is-out"));
    assert!(!last.holds("from-the-middle"));
}

/// Makes an agent's file what it was when the link was lost at the very end of its pairing with `host`: both have signed, and it has kept nothing.
fn forget_the_end(place: &Place, number: usize, host: &str, ticket: &str) {
    let file = place.home(number).join("agent.db");
    let state = rusqlite::Connection::open(file).expect("its file");
    let mut query = state
        .prepare("SELECT text FROM member_record")
        .expect("a table");
    let records = query.query_map([], |row| row.get::<_, String>(0));
    let records: Result<Vec<_>, _> = records.expect("rows").collect();
    let records = json!(records.expect("texts")).to_string();
    state
        .execute_batch("DELETE FROM member_record; DELETE FROM joined;")
        .expect("forgotten");
    let doubt = "INSERT INTO pairing_doubt(host, ticket, records) VALUES(?1, ?2, ?3)";
    state
        .execute(doubt, [host, ticket, &records])
        .expect("written");
}

#[test]
fn a_pairing_whose_end_was_not_heard_is_what_the_other_side_says_that_it_is() {
    let (place, ids) = two();
    let host = start(&place, 0, None, &[]);
    let ticket = host.address("ticket");
    let guest = start(&place, 1, None, &[]);
    pair(&host, &guest);
    guest.stop();
    forget_the_end(&place, 1, &ids[0], ticket);
    let guest = start(&place, 1, None, &[]);
    wait(|| is_member(&guest, &ids[0]) && is_linked(&guest, &ids[0]));
    place.commit(0, "after-all");
    guest.receives("after-all");
    assert_eq!(guest.api("GET", "mesh/pairing", None)["pending"], json!([]));

    // One that the other side does not keep is none.
    guest.stop();
    forget_the_end(&place, 1, &ids[0], ticket);
    run(place.edgesync(0).args(["unpair", &ids[1]]));
    let guest = start(&place, 1, None, &[]);
    wait(|| waiting(&guest, "ended").len() == 1);
    assert_eq!(members(&guest), 0);
    assert_eq!(guest.mesh()["joins"], json!([]));
}

/// Makes an agent's file what it was right after its pairing with the one of id `guest`, before the two had met.
fn forget_the_meeting(place: &Place, number: usize, guest: &str) {
    let file = place.home(number).join("agent.db");
    let state = rusqlite::Connection::open(file).expect("its file");
    let hold =
        "INSERT INTO member_unconfirmed SELECT ?1, json_group_array(text) FROM member_record";
    state.execute(hold, [guest]).expect("written");
    state
        .execute_batch("DELETE FROM member_record")
        .expect("forgotten");
}

#[test]
fn a_pairing_that_only_the_one_that_offered_has_kept_is_taken_off_when_the_other_says_so() {
    let (place, ids) = two();
    let host = start(&place, 0, None, &[]);
    let guest = start(&place, 1, None, &[]);
    pair(&host, &guest);
    wait(|| is_linked(&host, &ids[1]) && host.mesh()["members"][0]["confirmed"] == true);
    guest.stop();
    host.stop();
    forget_the_meeting(&place, 0, &ids[1]);
    // One that is away loses nothing.
    let host = start(&place, 0, None, &[]);
    let shown = || host.mesh()["members"][0]["confirmed"].clone();
    assert_eq!(shown(), json!(false));
    let status = run(place.edgesync(0).args(["sync", "status"]));
    assert!(status.contains("not confirmed yet"), "{status}");
    let guest = start(&place, 1, None, &[]);
    wait(|| shown() == true && is_linked(&guest, &ids[0]));

    // A person at the other has ended it before the two have met.
    guest.stop();
    host.stop();
    forget_the_meeting(&place, 0, &ids[1]);
    let file = place.home(1).join("agent.db");
    let state = rusqlite::Connection::open(file).expect("its file");
    let forget = "DELETE FROM member_record; DELETE FROM joined;";
    state.execute_batch(forget).expect("forgotten");
    let host = start(&place, 0, None, &[]);
    assert_eq!(members(&host), 1);
    let guest = start(&place, 1, None, &[]);
    wait(|| members(&host) == 0);
    has_nothing(&place, 0, &host);
    has_nothing(&place, 1, &guest);
    let log = host.api("GET", "log", None).to_string();
    assert!(log.contains("is not paired with this agent"), "{log}");
    // They can be paired again.
    pair(&host, &guest);
    wait(|| is_linked(&guest, &ids[0]));
}

#[test]
fn two_agents_that_people_pair_are_equal_until_one_unpairs_the_other() {
    let (place, ids) = two();
    let first = start(&place, 0, None, &[]);
    let second = start(&place, 1, None, &[]);
    let mut offering = Asking::new(&place, 0, &["offer"]);
    let made = offering.line();
    let url = made["url"].as_str().expect("a link");
    let mut joining = Asking::new(&place, 1, &["join", url]);
    let (there, here) = (offering.line(), joining.line());
    assert_eq!(there["digits"], here["digits"]);
    assert_eq!(
        [&there["id"], &here["id"]],
        [&json!(ids[1]), &json!(ids[0])]
    );
    assert_eq!([members(&first), members(&second)], [0, 0]);
    let other = std::thread::spawn(move || joining.types("yes"));
    assert!(offering.types("yes") && other.join().expect("it ends"));

    first.meets(1);
    second.meets(1);
    wait(|| first.mesh()["members"][0]["confirmed"] == true);
    assert_eq!(first.mesh()["mesh"]["id"], second.mesh()["mesh"]["id"]);
    place.commit(0, "from-the-first");
    second.receives("from-the-first");
    place.commit(1, "from-the-second");
    first.receives("from-the-second");

    // Who joined is started anew, and finds the way back by itself.
    second.stop();
    let second = start(&place, 1, None, &[]);
    first.meets(1);
    place.commit(1, "after-the-start");
    first.receives("after-the-start");

    run(place.edgesync(0).args(["unpair", &ids[1]]));
    assert_eq!(members(&first), 0);
    wait(|| {
        first.mesh()["peers"]
            .as_array()
            .is_some_and(|all| all.iter().all(|it| it["link"] != "route"))
    });
    let state = || second.mesh()["joins"][0]["state"]["kind"].clone();
    wait(|| state() != "connected");
    wait(|| peer(&first, &ids[1]).is_null());
    assert_eq!(first.mesh()["revoked"][0]["endpoint_id"], json!(ids[1]));
}

#[test]
fn who_knocks_with_a_ticket_is_accepted_by_its_digits_alone() {
    let (place, ids) = two();
    let first = start(&place, 0, None, &[]);
    let _second = start(&place, 1, None, &[]);
    let mut joining = Asking::new(&place, 1, &["join", first.address("ticket")]);
    let digits = joining.line()["digits"]
        .as_str()
        .expect("digits")
        .to_owned();
    let listed = run(place.edgesync(0).args(["peers", "pending"]));
    assert!(
        listed.contains(&ids[1]) && listed.contains(&digits),
        "{listed}"
    );
    run(place
        .edgesync(0)
        .args(["peers", "accept", &ids[1], "--code", &digits]));
    assert!(joining.types("yes"));
    first.meets(1);
}

#[test]
fn commands_at_which_nobody_can_type_wait_until_both_are_accepted_otherwise() {
    let (place, ids) = two();
    let first = start(&place, 0, None, &[]);
    let _second = start(&place, 1, None, &[]);
    let mut offering = Asking::new(&place, 0, &["offer"]).untyped();
    let made = offering.line();
    let url = made["url"].as_str().expect("a link");
    let mut joining = Asking::new(&place, 1, &["join", url]).untyped();
    let digits = joining.line()["digits"].clone();
    let code = digits.as_str().expect("digits");
    assert_eq!(offering.line()["digits"], digits);
    for (asking, other) in [(&mut offering, &ids[1]), (&mut joining, &ids[0])] {
        asking.says(&format!("edgesync peers accept {other} --code NNNNNN"));
    }
    for (number, other) in [(0, &ids[1]), (1, &ids[0])] {
        let accept = ["peers", "accept", other, "--code", code];
        run(place.edgesync(number).args(accept));
    }
    assert!(offering.ends() && joining.ends());
    first.meets(1);
}

#[test]
fn an_offer_counts_no_longer_than_its_command_runs_however_that_is_ended() {
    let (place, _) = two();
    let first = start(&place, 0, None, &[]);
    for signal in ["INT", "TERM", "HUP", "KILL"] {
        let mut offering = Asking::new(&place, 0, &["offer"]);
        offering.line();
        assert!(first.api("GET", "mesh/pairing", None)["offer"].is_object());
        let id = offering.process.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.expect("kill runs").success());
        assert!(!offering.ends());
        let is_open = || first.api("GET", "mesh/pairing", None)["offer"].is_object();
        match signal {
            // It could say nothing any more: the agent hears that its connection has ended.
            "KILL" => wait(|| !is_open()),
            _ => assert!(!is_open(), "SIG{signal}"),
        }
    }
}

#[test]
fn a_command_whose_agent_is_killed_says_that_it_stopped() {
    let (place, _) = two();
    let first = start(&place, 0, None, &[]);
    let mut offering = Asking::new(&place, 0, &["offer"]);
    offering.line();
    drop(first);
    assert_eq!(offering.line()["error"]["message"], "the agent stopped");
    assert!(!offering.ends());
}

#[test]
fn the_code_for_the_first_phone_of_an_agent_counts_while_its_command_runs() {
    let place = Place::new(1);
    let agent = place.start(0, &["--notify"]);
    let mut pair = vec!["notify", "pair", "--listen", "127.0.0.1"];
    pair.extend(["--project", "demo"]);
    let mut asking = Asking::new(&place, 0, &pair);
    asking.line();
    // What the command hears of it comes in this time.
    for _ in 0..100 {
        let devices = agent.api("GET", "devices", None);
        assert!(devices["offer"].is_object(), "{devices}");
        assert_eq!(asking.process.try_wait().expect("its state"), None);
    }
    asking.process.kill().expect("it is ended");
    assert!(!asking.ends());
    wait(|| agent.api("GET", "devices", None)["offer"].is_null());
}

#[test]
fn who_types_other_digits_or_says_no_pairs_nobody() {
    let (place, ids) = two();
    let first = start(&place, 0, None, &[]);
    let second = start(&place, 1, None, &[]);
    let mut joining = Asking::new(&place, 1, &["join", first.address("ticket")]);
    let digits = joining.line()["digits"]
        .as_str()
        .expect("digits")
        .to_owned();
    let wrong = if digits == "000000" {
        "000001"
    } else {
        "000000"
    };
    let refused = place
        .edgesync(0)
        .args(["peers", "accept", &ids[1], "--code", wrong])
        .output()
        .expect("it runs");
    assert!(!refused.status.success());
    assert!(!joining.types("yes"));
    let mut again = Asking::new(&place, 1, &["join", first.address("ticket")]);
    again.line();
    assert!(!again.types("no"));
    // What has ended waits no more, also while it is still shown in the app.
    for number in [0, 1] {
        let waiting = run(place.edgesync(number).args(["peers", "pending"]));
        assert_eq!(waiting, "nobody waits to be paired\n");
    }
    assert_eq!([members(&first), members(&second)], [0, 0]);
    assert_eq!(second.mesh()["joins"], json!([]));
}

/// Returns the agents that are this far in being paired with one.
fn waiting(agent: &Agent, state: &str) -> Vec<Value> {
    let pairing = agent.api("GET", "mesh/pairing", None);
    let pending = pairing["pending"].as_array().expect("pending").iter();
    pending.filter(|it| it["state"] == state).cloned().collect()
}

/// Asserts that an agent, and its file, have nothing of a pairing.
fn has_nothing(place: &Place, number: usize, agent: &Agent) {
    let mesh = agent.mesh();
    for list in ["members", "joins", "revoked"] {
        assert_eq!(mesh[list], json!([]), "{list}");
    }
    assert_eq!(agent.api("GET", "mesh/trusted", None), json!([]));
    let pairing = agent.api("GET", "mesh/pairing", None);
    assert_eq!(pairing["offer"], json!(null));
    let pending = pairing["pending"].as_array().expect("pending");
    assert!(pending.iter().all(|it| it["state"] == "ended"), "{pairing}");
    let file = place.home(number).join("agent.db");
    let state = rusqlite::Connection::open(file).expect("its file");
    for table in TABLES {
        let count = format!("SELECT count(*) FROM {table}");
        let rows: i64 = state
            .query_row(&count, [], |row| row.get(0))
            .expect("a count");
        assert_eq!(rows, 0, "{table}");
    }
}

#[test]
fn whoever_is_killed_before_both_have_accepted_leaves_nothing_on_either_side() {
    // Who has accepted by then, and who is killed: the one that offered is the first.
    let cases = [(None, 0), (Some(0), 1), (Some(0), 0), (Some(1), 0)];
    let case = |(accepted, killed): (Option<usize>, usize)| {
        let (place, ids) = two();
        let mut agents = [0, 1].map(|number| Some(start(&place, number, None, &[])));
        let other = |number: usize| &ids[1 - number];
        {
            let [Some(host), Some(guest)] = &agents else {
                unreachable!("both run");
            };
            let made = host.api("POST", "mesh/pairing/offer", None);
            let offer = json!({ "offer": made["url"] });
            guest.api("POST", "mesh/pairing/claim", Some(&offer));
            for agent in [host, guest] {
                wait(|| waiting(agent, "comparing").len() == 1);
            }
        }
        if let Some(number) = accepted {
            let accept = format!("mesh/pairing/pending/{}/accept", other(number));
            let agent = agents[number].as_ref().expect("it runs");
            agent.api("POST", &accept, Some(&json!({})));
        }
        drop(agents[killed].take());
        let survivor = agents[1 - killed].as_ref().expect("it runs");
        wait(|| waiting(survivor, "ended").len() == 1);
        has_nothing(&place, 1 - killed, survivor);
        let again = start(&place, killed, None, &[]);
        has_nothing(&place, killed, &again);
        // Nobody can accept what has ended.
        let accept = format!("mesh/pairing/pending/{}/accept", other(1 - killed));
        let refused = survivor.refused("POST", &accept, &json!({}));
        assert_eq!(refused["code"], "conflict", "{refused}");
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = cases
            .map(|it| scope.spawn(move || case(it)))
            .into_iter()
            .collect();
        for one in running {
            one.join().expect("a case");
        }
    });
}
