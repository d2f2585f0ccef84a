//! What the command says about itself.

use crate::lab::Lab;

/// Every command with a help text of its own.
const COMMANDS: &[&str] = &[
    "",
    "sync",
    "sync start",
    "sync now",
    "sync status",
    "sync pause",
    "sync resume",
    "sync bus",
    "hub",
    "hub serve",
    "id",
    "ticket",
    "offer",
    "join",
    "peers",
    "peers pending",
    "peers accept",
    "unpair",
    "doctor",
    "logs",
    "bridge",
    "bridge serve",
    "bridge id",
    "notify",
    "notify init",
    "notify send",
    "notify ask",
    "notify reply",
    "notify watch",
    "notify threads",
    "notify log",
    "notify status",
    "notify trace",
    "mcp",
    "open",
    "service",
    "service install",
    "service status",
    "service uninstall",
    "completions",
    "man",
    "repo",
    "new",
    "ci",
    "uv",
    "uv add",
    "uv ls",
    "uv list",
    "uv cat",
    "uv export",
    "uv rm",
    "uv hash",
    "uv sync",
    "uv touch",
    "clone",
    "repo sync",
    "push",
    "pull",
    "verify",
    "rebuild",
    "timeline",
    "ls",
    "cat",
    "info",
    "user",
    "user list",
    "user new",
    "user capabilities",
    "user contact",
    "user password",
    "user default",
    "config",
    "config ls",
    "config get",
    "config set",
    "config unset",
];

#[test]
fn help_texts() {
    let lab = Lab::new();
    let mut text = String::new();
    for command in COMMANDS {
        let mut args: Vec<&str> = command.split_whitespace().collect();
        args.push("--help");
        text.push_str(&format!(
            "$ edgesync {}\n{}\n",
            args.join(" "),
            lab.edgesync(&args)
        ));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_command_is_in_the_list_of_help_texts() {
    let lab = Lab::new();
    for parent in ["", "sync", "hub", "service", "repo", "user", "config", "uv"] {
        let mut args: Vec<&str> = parent.split_whitespace().collect();
        args.push("--help");
        let help = lab.edgesync(&args);
        let list = help
            .split("Commands:\n")
            .nth(1)
            .and_then(|rest| rest.split("\n\n").next())
            .expect("a list");
        for line in list
            .lines()
            .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        {
            let name = line.split_whitespace().next().expect("a name");
            let full = if matches!(parent, "" | "repo") && (parent, name) != ("repo", "sync") {
                name.to_owned()
            } else {
                format!("{parent} {name}")
            };
            assert!(
                name == "help" || COMMANDS.contains(&full.as_str()),
                "{full} is not in the list"
            );
        }
    }
}

#[test]
fn a_verb_works_with_and_without_repo_in_front() {
    let lab = Lab::new();
    lab.edgesync(&["new", "a.fossil"]);
    assert_eq!(
        lab.edgesync(&["user", "list"]),
        lab.edgesync(&["repo", "user", "list"])
    );
}

#[test]
fn completions_and_manual_pages_come_from_the_parser() {
    let lab = Lab::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(
            lab.edgesync(&["completions", shell]).contains("serve-http"),
            "{shell}"
        );
    }
    lab.edgesync(&["man", "pages"]);
    let page = std::fs::read_to_string(lab.path("pages/edgesync-sync-start.1")).expect("a page");
    assert!(page.contains("serve\\-http"), "{page}");
    let synopsis = page
        .split("\n.SH ")
        .find(|section| section.starts_with("SYNOPSIS"));
    let synopsis = synopsis.expect("a synopsis");
    for option in [r"\fB\-\-serve\-http\fR \fIADDR\fR", r"\fB\-\-poll\fR \fI"] {
        assert!(synopsis.contains(option), "{option}: {synopsis}");
    }
}
