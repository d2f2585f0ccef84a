//! Runs what the documents tell the reader to type, and follows their links. A block marked `console` holds commands after `$ ` and the output each
//! is said to give; the blocks of one document run in order, in one fresh folder with its own home. A block marked with a
//! language and `file=NAME` is that file's content, written before the blocks after it.
//!
//! A command that ends in ` &` runs on behind the others; its output is what it prints before the next command. `wait $!` waits for the
//! last such command, and is followed by the rest of its output and its exit.
//!
//! In the expected output `[..]` stands for any text within a line and a line `…` for any number of lines; a last line
//! `[exit 1]` says how the command ends when that is not 0. A command continues on the next line after a `\`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use behind::Behind;

use crate::workspace;

mod behind;

/// Waits for the command that was started last with `&`.
const WAIT: &str = "wait $!";

/// What a document wants done.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Write a file.
    File { name: String, text: String },
    /// Run a command.
    Run(Example),
}

/// A command of a document and what the document says of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Example {
    /// Line in the document, from 1.
    line: usize,
    command: String,
    output: Vec<String>,
    exit: i32,
}

/// Returns what a Markdown text wants done, in order.
///
/// # Errors
/// A block that is not closed, or that starts with something other than a command.
fn steps(markdown: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut lines = (1..).zip(markdown.lines());
    while let Some((start, line)) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        let mut block = Vec::new();
        loop {
            let (number, line) = lines
                .next()
                .ok_or(format!("line {start}: the block is not closed"))?;
            if line.trim() == "```" {
                break;
            }
            block.push((number, line));
        }
        if language.trim() == "console" {
            steps.extend(block_examples(&block)?.into_iter().map(Step::Run));
        } else if let Some((_, name)) = language.split_once(" file=") {
            steps.push(Step::File {
                name: name.trim().to_owned(),
                text: block.iter().map(|(_, line)| format!("{line}\n")).collect(),
            });
        }
    }
    Ok(steps)
}

fn block_examples(block: &[(usize, &str)]) -> Result<Vec<Example>, String> {
    let mut examples: Vec<Example> = Vec::new();
    let mut continues = false;
    for &(number, line) in block {
        let command = if continues {
            Some(line)
        } else {
            line.strip_prefix("$ ")
        };
        match (command, examples.last_mut()) {
            (Some(text), Some(example)) if continues => {
                example.command.push('\n');
                example.command.push_str(text);
            }
            (Some(text), _) => {
                examples.push(Example {
                    line: number,
                    command: text.to_owned(),
                    ..Example::default()
                });
            }
            (None, Some(example)) => match exit_line(line) {
                Some(exit) => example.exit = exit,
                None => example.output.push(line.to_owned()),
            },
            (None, None) => {
                return Err(format!(
                    "line {number}: a console block starts with `$ command`"
                ));
            }
        }
        continues = command.is_some_and(|text| text.ends_with('\\'));
    }
    Ok(examples)
}

fn exit_line(line: &str) -> Option<i32> {
    line.strip_prefix("[exit ")?.strip_suffix(']')?.parse().ok()
}

/// Whether the lines that came are the expected ones, with `…` for any lines.
fn lines_match(expected: &[String], came: &[&str]) -> bool {
    match expected.split_first() {
        None => came.is_empty(),
        Some((line, rest)) if line.trim() == "…" => {
            (0..=came.len()).any(|skipped| lines_match(rest, &came[skipped..]))
        }
        Some((line, rest)) => came.split_first().is_some_and(|(first, others)| {
            line_matches(line.trim_end(), first.trim_end()) && lines_match(rest, others)
        }),
    }
}

/// Whether one line is the expected one, with `[..]` for any text.
fn line_matches(expected: &str, came: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected == came,
        Some((before, after)) => came.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| line_matches(after, &rest[at..]))
        }),
    }
}

/// The folder of one document, and what it has started there.
struct Session<'a> {
    folder: &'a Path,
    programs: &'a Path,
    behind: Vec<Behind>,
}

impl Session<'_> {
    /// Does what a document wants, and says what differs from the document.
    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::File { name, text } => {
                fs::write(self.folder.join(name), text).map_err(|error| format!("{name}: {error}"))
            }
            Step::Run(example) => self.run(example),
        }
    }

    fn run(&mut self, example: &Example) -> Result<(), String> {
        if let Some(command) = example.command.strip_suffix(" &") {
            let behind = Behind::start(&mut self.command(command));
            let came = behind.lines_until(|came| lines_match(&example.output, came));
            self.behind.push(behind);
            return compare(example, &came, Some(example.exit));
        }
        if example.command == WAIT {
            let last = self.behind.pop();
            let last = last.ok_or(format!("line {}: nothing runs behind", example.line))?;
            let (came, exit) = last.wait();
            return compare(example, &came, exit);
        }
        let done = self.command(&example.command).output().expect("sh runs");
        let output = String::from_utf8_lossy(&done.stdout);
        let came: Vec<String> = output.lines().map(str::to_owned).collect();
        compare(example, &came, done.status.code())
    }

    /// Returns the shell that runs a command.
    fn command(&self, command: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(
            [self.programs.to_owned()]
                .into_iter()
                .chain(std::env::split_paths(&path)),
        )
        .expect("no folder of PATH has a colon in it");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("exec 2>&1\n{command}")])
            .current_dir(self.folder)
            .env("PATH", path)
            .env("HOME", self.folder)
            .env("FOSSIL_HOME", self.folder)
            .env("EDGESYNC_HOME", self.folder.join(".edgesync"))
            .env_remove("XDG_RUNTIME_DIR")
            .env("USER", "ann")
            .env("TZ", "UTC")
            .env("NO_COLOR", "1");
        shell
    }
}

/// Says how what came differs from what the document says.
fn compare(example: &Example, came: &[String], exit: Option<i32>) -> Result<(), String> {
    let lines: Vec<&str> = came.iter().map(String::as_str).collect();
    if exit == Some(example.exit) && lines_match(&example.output, &lines) {
        return Ok(());
    }
    Err(format!(
        "line {}: $ {}\n--- the document says (exit {})\n{}\n--- it printed (exit {exit:?})\n{}",
        example.line,
        example.command,
        example.exit,
        example.output.join("\n"),
        came.join("\n")
    ))
}

/// Returns the documents whose console blocks are promises.
fn documents() -> Vec<PathBuf> {
    let root = workspace::root();
    let mut documents: Vec<PathBuf> = fs::read_dir(root.join("docs"))
        .expect("docs/ is there")
        .map(|entry| entry.expect("docs/ can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    documents.extend(["README.md", "SHORTCOMINGS.md"].map(|name| root.join(name)));
    documents.sort();
    documents
}

#[test]
fn every_command_in_the_documents_does_what_they_say() {
    let edgesync = workspace::built("edgesync");
    let programs = edgesync.parent().expect("a program is in a folder");
    let mut ran = 0;
    let mut wrong = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).expect("the document can be read");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let name = document
            .strip_prefix(workspace::root())
            .expect("a file of ours")
            .display();
        let steps = steps(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut session = Session {
            folder: folder.path(),
            programs,
            behind: Vec::new(),
        };
        ran += steps.len();
        let failed = steps.iter().find_map(|step| session.step(step).err());
        wrong.extend(failed.map(|difference| format!("{name}, {difference}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(ran > 0, "no document shows a command");
}

/// Returns the relative addresses that a Markdown text links to or shows, without their fragments.
fn links(markdown: &str) -> Vec<&str> {
    markdown
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(address, _)| address.split('#').next().unwrap_or_default())
        .filter(|address| !address.is_empty() && !address.contains("://"))
        .collect()
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).expect("the document can be read");
        let folder = document.parent().expect("a document is in a folder");
        for link in links(&text) {
            assert!(
                folder.join(link).exists(),
                "{} links to {link}",
                document.display()
            );
        }
    }
}

#[test]
fn links_are_found_and_addresses_left_alone() {
    let text = "[a](b.md#c), ![d](e.png) [f](https://example.org/g) [h](#i)\n[j](../k)";
    assert_eq!(links(text), ["b.md", "e.png", "../k"]);
}

#[test]
fn console_blocks_become_commands_and_their_output() {
    let text = "# A\n```sh\n$ not run\n```\n```console\n$ one \\\n  two\nout\n$ three\n[exit 3]\n```\n```sh file=a.sh\nb\n```\n";
    let example = |line, command: &str, output: &[&str], exit| {
        Step::Run(Example {
            line,
            command: command.to_owned(),
            output: output.iter().map(|&it| it.to_owned()).collect(),
            exit,
        })
    };
    let expected = [
        example(6, "one \\\n  two", &["out"], 0),
        example(9, "three", &[], 3),
        Step::File {
            name: "a.sh".to_owned(),
            text: "b\n".to_owned(),
        },
    ];
    assert_eq!(steps(text).as_deref(), Ok(&expected[..]));
    assert!(steps("```console\n$ a\n").is_err(), "not closed");
    assert!(steps("```console\nno command\n```\n").is_err());
}

#[test]
fn wildcards_stand_for_text_and_for_lines() {
    let expected = |lines: &[&str]| lines.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
    assert!(lines_match(
        &expected(&["a [..] c[..]", "…", "z"]),
        &["a b c", "x", "y", "z"]
    ));
    assert!(lines_match(&expected(&["…"]), &[]));
    assert!(!lines_match(&expected(&["a [..] d"]), &["a b c"]));
    assert!(!lines_match(&expected(&["a"]), &["a", "b"]));
    assert!(!lines_match(&expected(&["a", "b"]), &["a"]));
}

#[test]
fn a_document_that_is_wrong_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let example = |command: &str, output: &str, exit| Example {
        line: 1,
        command: command.to_owned(),
        output: output.lines().map(str::to_owned).collect(),
        exit,
    };
    let mut session = Session {
        folder: folder.path(),
        programs: folder.path(),
        behind: Vec::new(),
    };
    let mut run = |example: &Example| session.run(example);
    assert_eq!(run(&example("echo a; echo b >&2", "a\nb", 0)), Ok(()));
    assert_eq!(run(&example("exit 3", "", 3)), Ok(()));
    assert!(
        run(&example("echo a", "b", 0))
            .is_err_and(|it| it.contains("it printed (exit Some(0))\na"))
    );
    assert!(run(&example("echo a", "", 0)).is_err());
    assert!(run(&example("exit 3", "", 0)).is_err());
    assert_eq!(run(&example("echo a; echo b; exit 2 &", "a", 0)), Ok(()));
    assert_eq!(run(&example(WAIT, "b", 2)), Ok(()));
    assert!(run(&example(WAIT, "", 0)).is_err(), "nothing runs");
    assert!(run(&example("echo a &", "b", 0)).is_err());
}
