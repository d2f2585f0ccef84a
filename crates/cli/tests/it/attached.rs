//! Files that messages carry.

use crate::lab::{Agent, Lab};
use crate::notify::http;

#[test]
fn an_attachment_is_saved_and_never_shown_and_one_that_is_not_there_is_told() {
    let lab = Lab::new();
    let agent = Agent::start(&lab, &["--notify", "--json"]);
    let ready = agent.ready();
    // Bytes that a browser would take for a page, under the name of a picture.
    let page = "<script>alert(1)</script>";
    lab.write("look.png", page);
    let send = ["notify", "send", "--project", "demo", "--attach"];
    let sent = lab.json(&[&send[..], &["look.png", "Look"]].concat());
    let id = sent["id"].as_str().expect("an id");
    let token = ready["token"].as_str().expect("a token");
    let login = format!("Authorization: Bearer {token}\r\n");
    let get = |name: &str| {
        let what = format!("GET /api/v1/notify/messages/{id}/media/{name}");
        http(&ready, &what, &login, "")
    };
    let answer = get("look.png");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for head in [
        "content-type: application/octet-stream\r\n",
        "content-disposition: attachment; ",
        "x-content-type-options: nosniff\r\n",
        "content-security-policy: default-src 'none'; sandbox\r\n",
    ] {
        assert!(answer.to_lowercase().contains(head), "{head}: {answer}");
    }
    assert!(answer.ends_with(page), "{answer}");
    for name in ["other.png", "..%2Flook.png", "%2Fetc%2Fpasswd"] {
        assert!(get(name).starts_with("HTTP/1.1 404 "), "{name}");
    }
    // Somebody took it away, or it has not come yet.
    let thread = &sent["thread"].as_str().expect("a thread")["thread-".len()..][..8];
    let log = lab.edgesync(&["notify", "log", thread]);
    assert!(log.ends_with(" text:Look attached:look.png\n"), "{log}");
    let path = format!("demo/media/{thread}/{}/look.png", &id["msg-".len()..][..8]);
    let status = lab.json(&["notify", "status"]);
    let repository = status["repository"].as_str().expect("a path");
    lab.fossil(&["uv", "rm", "-R", repository, &path]);
    assert!(get("look.png").starts_with("HTTP/1.1 404 "));
}

#[test]
fn a_message_without_text_and_attachments_that_are_no_plain_files_are_refused() {
    let lab = Lab::new();
    let _agent = Agent::start(&lab, &["--notify"]);
    lab.write("a/build.log", "one");
    lab.write("b/build.log", "two");
    let same = [
        "--attach",
        "a/build.log",
        "--attach",
        "b/build.log",
        "Built",
    ];
    let device = ["--attach", "/dev/zero", "Built"];
    let folder = ["--attach", "a", "Built"];
    let missing = ["--attach", "missing.log", "Built"];
    let none = format!(
        "{} cannot be attached: there is no such file\n",
        lab.path("missing.log").display()
    );
    for (more, says) in [
        (&[" "][..], "there is no text"),
        (&same, "two of the attachments are called build.log"),
        (
            &device,
            "/dev/zero cannot be attached: it is no plain file\n",
        ),
        (&folder, "/here/a cannot be attached: it is a folder\n"),
        (&missing, &none),
    ] {
        let send = [&["notify", "send", "--project", "demo"], more].concat();
        let refused = lab.run(&send);
        assert_eq!(refused.code, 1, "{more:?}");
        assert!(
            refused.stderr.contains(says),
            "{more:?}: {}",
            refused.stderr
        );
    }
    assert_eq!(lab.json(&["notify", "threads"]), serde_json::json!([]));
    let without_text = [
        "notify",
        "send",
        "--project",
        "demo",
        "--attach",
        "a/build.log",
        "",
    ];
    lab.edgesync(&without_text);
}

#[test]
fn an_attachment_that_an_older_version_kept_under_a_name_with_white_space_is_still_served() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    lab.edgesync(&["notify", "init", "-R", "a.fossil"]);
    lab.write("my file.txt", "all fine\n");
    let send = ["notify", "send", "-R", "a.fossil", "--project", "demo"];
    let sent = lab.json(&[&send[..], &["--attach", "my file.txt", "Built"]].concat());
    let rename = "UPDATE unversioned SET name = replace(name, 'my:20file.txt', 'my file.txt')";
    lab.fossil(&["sql", "-R", "notify.fossil", rename]);
    let kept = lab.fossil(&["uv", "ls", "-R", "notify.fossil"]);
    assert!(kept.ends_with("/my file.txt\n"), "{kept}");
    let agent = Agent::start(&lab, &["-R", "a.fossil", "--notify", "--json"]);
    let ready = agent.ready();
    let token = ready["token"].as_str().expect("a token");
    let login = format!("Authorization: Bearer {token}\r\n");
    let id = sent["id"].as_str().expect("an id");
    let what = format!("GET /api/v1/notify/messages/{id}/media/my%20file.txt");
    let answer = http(&ready, &what, &login, "");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("all fine\n"), "{answer}");
}
