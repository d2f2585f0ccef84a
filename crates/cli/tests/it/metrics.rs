//! `/metrics` as an operator's Prometheus reads it: judged by Prometheus' own parser.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use serde_json::Value;

use crate::lab::{Agent, Lab, python};

fn page(lab: &Lab) -> String {
    let status = lab.json(&["sync", "status"]);
    let address = status["http"].as_str().expect("an address");
    let host = address.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).expect("connected");
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}

#[test]
fn prometheus_own_parser_reads_every_metric() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    let flags = ["-R", "a.fossil", "--notify", "--serve-http", "127.0.0.1:0"];
    let _agent = Agent::start(&lab, &flags);
    lab.edgesync(&["notify", "send", "--project", "demo", "hello"]);
    let page = page(&lab);

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/prometheus.py");
    let mut parser = lab
        .command(python(), &[script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut input = parser.stdin.take().expect("its input");
    input.write_all(page.as_bytes()).expect("written");
    drop(input);
    let out = parser.wait_with_output().expect("it ends");
    assert!(out.status.success(), "{page}");
    let families: Vec<Value> = serde_json::from_slice(&out.stdout).expect("JSON");

    let mut names = BTreeSet::new();
    let mut samples = 0;
    for family in &families {
        let name = family["name"].as_str().expect("a name");
        assert!(names.insert(name), "{name} is there twice: {page}");
        let kind = family["type"].as_str();
        assert!(matches!(kind, Some("counter" | "gauge")), "{family}");
        assert!(!family["help"].as_str().unwrap_or_default().is_empty());
        let own = family["samples"].as_array().expect("samples");
        assert!(!own.is_empty(), "{name}");
        for sample in own {
            let is_total = sample[0].as_str().is_some_and(|it| it.ends_with("_total"));
            assert_eq!(is_total, kind == Some("counter"), "{sample}");
        }
        samples += own.len();
    }
    // Nothing of the page is passed over.
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(samples, lines.count(), "{page}");
    assert!(names.contains("edgesync_nats_messages"), "{page}");
}
