//! The rules that a line of text can break, in any language of the repository.
//!
//! The words it looks for are written in two halves here, so that this file does not find itself.

use super::{File, Finding};

/// The longest source file, in lines.
const FILE_LINES_MAX: usize = 600;

/// What we write by hand and read in full.
const SOURCE: &[&str] = &["css", "js", "mjs", "rs", "sh", "svelte", "ts"];

/// What is written by a program.
const GENERATED: &[&str] = &["Cargo.lock", "package-lock.json", "LICENSE"];

/// The one file of the page that may name a colour.
const TOKENS: &str = "ui/src/styles/tokens.css";

/// What unfinished or switched-off work looks like.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("<<<<", "<<< "),
    concat!(">>>>", ">>> "),
    concat!("#[ig", "nore"),
    concat!("test.fix", "me("),
    concat!("test.sk", "ip("),
    concat!("test.on", "ly("),
    concat!("describe.on", "ly("),
    concat!("debug", "ger;"),
];

/// Places that exist on one machine only, and hosts that a mirror may stand in for.
const MACHINE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("shared", "/spec"),
    concat!("shared", "/recipes"),
    concat!("registry.npm", "js.org"),
    concat!("static.crates", ".io"),
    concat!("index.crates", ".io"),
    concat!("pypi", ".org"),
    concat!("deb.debian", ".org"),
];

/// What a library that is handed its time and its randomness does not call.
const CLOCKS: &[&str] = &[
    "SystemTime::now",
    "Instant::now",
    "getrandom::",
    "thread::sleep",
];

/// Waits for a lock of the file, as the engine's own busy handler does; no result depends on how long.
const WAITS_FOR_LOCK: &str = "crates/libfossil/src/db/lock.rs";

/// Names of colours that slip in beside the palette.
const COLOUR_NAMES: &[&str] = &[
    "black", "blue", "gray", "green", "grey", "orange", "pink", "purple", "red", "white", "yellow",
];

/// Returns what is wrong with a file, whatever its language.
pub(super) fn check(file: &File) -> Vec<Finding> {
    if GENERATED.contains(&file.path.as_str()) {
        return words(file, MACHINE);
    }
    let mut findings = words(file, UNFINISHED);
    findings.extend(words(file, MACHINE));
    findings.extend(length(file));
    findings.extend(manifest(file));
    if file.path.starts_with("crates/libfossil/src/") && file.path != WAITS_FOR_LOCK {
        findings.extend(words(file, CLOCKS));
    }
    if file.path.starts_with("ui/")
        && file.path != TOKENS
        && file.has_extension(&["css", "svelte", "ts"])
    {
        findings.extend(colours(file));
    }
    findings
}

fn length(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    (file.has_extension(SOURCE) && lines > FILE_LINES_MAX)
        .then(|| file.finding(lines, format!("{lines} lines (at most {FILE_LINES_MAX})")))
}

/// Returns where one of `words` stands by itself: `network/` does not hold the folder `work/`.
fn words(file: &File, words: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        for word in words {
            let alone = line.match_indices(word).any(|(at, _)| {
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~".contains(c))
            });
            if alone {
                findings.push(file.finding(number, format!("`{word}` does not belong here")));
            }
        }
    }
    findings
}

/// Every package takes the workspace's lints.
fn manifest(file: &File) -> Option<Finding> {
    let package = file.path.ends_with("/Cargo.toml") && !file.path.starts_with("fuzz/");
    (package && !file.text.contains("[lints]\nworkspace = true"))
        .then(|| file.finding(1, "does not take the workspace's lints"))
}

/// Returns where a colour is written out instead of taken from the tokens.
fn colours(file: &File) -> Vec<Finding> {
    let literal = |line: &str| {
        ["rgb(", "rgba(", "hsl(", "hsla(", "oklch(", "oklab(", "lab("]
            .iter()
            .any(|function| {
                line.match_indices(function)
                    .any(|(at, _)| starts_word(line, at))
            })
            || line
                .match_indices('#')
                .any(|(at, _)| starts_word(line, at) && is_hex_colour(&line[at + 1..]))
            || names_a_colour(line)
    };
    file.lines()
        .filter(|(_, line)| literal(line))
        .map(|(number, line)| {
            file.finding(
                number,
                format!("a colour outside {TOKENS}: {}", line.trim()),
            )
        })
        .collect()
}

fn starts_word(line: &str, at: usize) -> bool {
    // `/#abc` and `?a#abc` are addresses, `&#160;` a character, `{#each` a block, `.#face` a private field.
    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "/&{.-_".contains(c))
}

fn is_hex_colour(rest: &str) -> bool {
    let digits = rest.chars().take_while(char::is_ascii_hexdigit).count();
    let ends = !rest[digits..].starts_with(|c: char| c.is_alphanumeric() || "_-".contains(c));
    matches!(digits, 3 | 4 | 6 | 8) && ends
}

/// Whether a style declaration such as `border: 1px solid red;` names a colour.
fn names_a_colour(line: &str) -> bool {
    let Some((property, value)) = line.trim().trim_end_matches(';').split_once(':') else {
        return false;
    };
    let takes_colour = ["background", "border", "color", "fill", "outline", "stroke"]
        .iter()
        .any(|start| property.starts_with(start));
    takes_colour
        && value
            .split_whitespace()
            .any(|word| COLOUR_NAMES.contains(&word))
}

/// Returns the files in `fixtures/` and the snapshots that no source names.
pub(super) fn dead_fixtures(files: &[File]) -> Vec<Finding> {
    let named = |name: &str| {
        files.iter().any(|file| {
            file.has_extension(SOURCE)
                && !file.path.contains("/fixtures/")
                && file.text.contains(name)
        })
    };
    files
        .iter()
        .filter(|file| match fixture_name(&file.path) {
            Some(name) => !named(name),
            None => false,
        })
        .map(|file| file.finding(1, "no test names this file"))
        .collect()
}

/// Returns what a test must say to use this file: a fixture's file name, a snapshot's own name.
fn fixture_name(path: &str) -> Option<&str> {
    let file_name = path.rsplit('/').next()?;
    if let Some(stem) = file_name.strip_suffix(".snap") {
        let name = stem.rsplit("__").next()?;
        // The second snapshot of one test is called `name-2`.
        let counted = name
            .rsplit_once('-')
            .filter(|(_, number)| number.bytes().all(|b| b.is_ascii_digit()));
        return Some(counted.map_or(name, |(name, _)| name));
    }
    path.contains("/fixtures/").then_some(file_name)
}

#[cfg(test)]
mod tests {
    use super::super::{File, found};
    use super::{check, dead_fixtures};

    const CLEAN: &[String] = &[];

    #[test]
    fn a_source_file_may_have_600_lines_and_not_601() {
        assert_eq!(found(check, "scripts/a.sh", &"x\n".repeat(600)), CLEAN);
        assert_eq!(
            found(check, "scripts/a.sh", &"x\n".repeat(601)),
            ["601: 601 lines (at most 600)"]
        );
        assert_eq!(found(check, "docs/a.md", &"x\n".repeat(601)), CLEAN);
    }

    #[test]
    fn unfinished_work_is_found() {
        for word in super::UNFINISHED {
            let text = format!("first\n  {word}\n");
            assert_eq!(
                found(check, "ui/src/a.ts", &text),
                [format!("2: `{word}` does not belong here")]
            );
        }
    }

    #[test]
    fn a_machine_of_ours_is_found_and_an_ordinary_path_is_not() {
        for word in super::MACHINE {
            assert_eq!(
                found(check, "README.md", &format!("see `{word}`\n")).len(),
                1,
                "{word}"
            );
        }
        assert_eq!(
            found(
                check,
                "README.md",
                concat!("a net/", "wo", "rk/x and ./network/x\n")
            ),
            CLEAN
        );
    }

    #[test]
    fn lock_files_are_read_for_hosts_only() {
        let text = format!("{}\n{}\n", super::MACHINE[4], super::UNFINISHED[0]);
        assert_eq!(found(check, "package-lock.json", &text).len(), 1);
    }

    #[test]
    fn libfossil_is_handed_its_time() {
        let text = "//! A sample.\nlet now = SystemTime::now();\n";
        assert_eq!(
            found(check, "crates/libfossil/src/a.rs", text),
            ["2: `SystemTime::now` does not belong here"]
        );
        assert_eq!(found(check, "crates/agent/src/a.rs", text), CLEAN);
    }

    #[test]
    fn a_colour_outside_the_tokens_is_found() {
        for line in [
            "color: #fff;",
            "fill=\"#12ab9F\"",
            "background: rgb(1 2 3);",
            "border: 1px solid red;",
        ] {
            assert_eq!(found(check, "ui/src/a.svelte", line).len(), 1, "{line}");
            assert_eq!(
                found(check, "ui/src/styles/tokens.css", line),
                CLEAN,
                "{line}"
            );
        }
        for line in [
            "color: var(--text);",
            "{#each days as day}",
            "location.href = '/#face'",
            "a &#160; b",
            "background: transparent;",
            "<p>the red button: press it</p>",
        ] {
            assert_eq!(found(check, "ui/src/a.svelte", line), CLEAN, "{line}");
        }
    }

    #[test]
    fn a_package_without_the_lints_is_found() {
        assert_eq!(found(check, "crates/a/Cargo.toml", "[package]\n").len(), 1);
        assert_eq!(
            found(check, "crates/a/Cargo.toml", "[lints]\nworkspace = true\n"),
            CLEAN
        );
    }

    #[test]
    fn a_fixture_that_no_test_names_is_found() {
        let file = |path: &str, text: &str| File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let files = [
            file("tests/it/a.rs", "read(\"used.txt\"); fn help_text() {}"),
            file("tests/fixtures/used.txt", ""),
            file("tests/fixtures/dead.txt", ""),
            file(
                "crates/cli/tests/it/snapshots/it__help__help_text-2.snap",
                "",
            ),
            file("crates/cli/tests/it/snapshots/it__help__gone.snap", ""),
        ];
        let dead: Vec<String> = dead_fixtures(&files)
            .into_iter()
            .map(|finding| finding.path)
            .collect();
        assert_eq!(
            dead,
            [
                "tests/fixtures/dead.txt",
                "crates/cli/tests/it/snapshots/it__help__gone.snap"
            ]
        );
    }
}
