//! What the doctor says of an agent's links to others: each as `sync status` has it, with what to do about one that does not stand.

use serde_json::Value;

use crate::mesh::{Place, run, wait};
use crate::stock_nats::{Port, StockNats};

#[test]
fn joins_and_the_server_beside_them_are_listed_and_those_that_do_not_stand_have_a_fix() {
    let (nobody, clients) = (Port::new(), Port::new());
    let _server = StockNats::start(&format!("listen: \"127.0.0.1:{}\"", clients.number));
    let place = Place::new(2);
    let other = place.start(0, &[]);
    let away = format!("nats-leaf://127.0.0.1:{}", nobody.number);
    let wrong = format!("nats-leaf://127.0.0.1:{}", clients.number);
    let (there, beside) = (other.address("route"), ["--nats-upstream", &wrong]);
    let flags = [&["--join", there, "--join", &away][..], &beside].concat();
    let agent = place.start(1, &flags);
    let states = || {
        let mesh = agent.mesh();
        let joins = mesh["joins"].as_array().expect("joins").clone();
        let all = joins.into_iter().chain([mesh["upstream"].clone()]);
        all.map(|it| (it["url"].to_string(), it["state"]["kind"].to_string()))
            .collect::<Vec<_>>()
    };
    let settled = |(url, kind): &(String, String)| match url.contains(there) {
        true => kind == "\"connected\"",
        false => kind == "\"error\"",
    };
    wait(|| states().iter().all(settled));
    let found = agent.api("GET", "doctor", None);
    let checks = found["checks"].as_array().expect("checks");
    let of = |url: &str| -> &Value {
        let is_it = |it: &&Value| it["message"].as_str().is_some_and(|it| it.starts_with(url));
        let mut links = checks
            .iter()
            .filter(|it| it["name"] == "join" || it["name"] == "upstream");
        links.find(is_it).unwrap_or_else(|| panic!("{found}"))
    };
    let status = run(place.edgesync(1).args(["sync", "status"]));
    let told = place.edgesync(1).arg("doctor").output().expect("it runs");
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    for (name, url, verdict, shown, fix) in [
        ("join", there, "pass", "pass", None),
        (
            "join",
            &away,
            "warn",
            "warn",
            Some("See whether the agent there runs"),
        ),
        (
            "upstream",
            &wrong,
            "fail",
            "FAIL",
            Some("Take nats-leaf://127.0.0.1:7422"),
        ),
    ] {
        let check = of(url);
        assert_eq!(check["name"], name, "{check}");
        assert_eq!(check["verdict"], verdict, "{check}");
        let says = |it: &str| check["fix"].as_str().is_some_and(|fix| fix.starts_with(it));
        assert!(fix.map_or(check["fix"].is_null(), says), "{check}");
        let message = check["message"].as_str().expect("a message");
        let line = format!("{shown}  {name:<12} {url}: ");
        assert!(told.contains(&line), "{line}: {told}");
        if fix.is_some() {
            // An age may have become another one meanwhile.
            assert!(status.contains(message), "{message}: {status}");
        }
    }
    assert_eq!(found["ok"], false, "{found}");
}
