//! Start at login on Linux: a desktop file in the person's `autostart` folder, by the Desktop Application Autostart Specification
//! 0.5 and the Desktop Entry Specification 1.5.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use directories::BaseDirs;
use edgesync_agent::HOME_VARIABLE;

use super::ARGUMENT;

/// The file's name in the `autostart` folder.
const FILE_NAME: &str = "edgesync.desktop";

/// The app among what is started at login.
#[derive(Debug)]
pub(super) struct Entry {
    file: PathBuf,
    /// The command that starts this program, in the form of `Exec`.
    command: String,
}

impl Entry {
    /// Returns the entry that starts `program` in this person's session, with the home that this run has.
    pub(super) fn of(program: &str) -> anyhow::Result<Self> {
        let folders = BaseDirs::new().context("no home folder is known")?;
        let home = match std::env::var_os(HOME_VARIABLE).filter(|home| !home.is_empty()) {
            Some(home) => {
                let home = std::path::absolute(home)?;
                let home = home.to_str().context("the agent's home is not UTF-8")?;
                Some(home.to_owned())
            }
            None => None,
        };
        Ok(Self::at(
            &folders.config_dir().join("autostart"),
            program,
            home.as_deref(),
        ))
    }

    fn at(folder: &Path, program: &str, home: Option<&str>) -> Self {
        let program = quoted(program);
        let command = match home {
            Some(home) => {
                let home = quoted(&format!("{HOME_VARIABLE}={home}"));
                format!("env {home} {program} {ARGUMENT}")
            }
            None => format!("{program} {ARGUMENT}"),
        };
        Self {
            file: folder.join(FILE_NAME),
            command,
        }
    }

    /// Whether the file is there, starts this program and nobody has switched it off. Desktops switch off by these two keys.
    pub(super) fn is_on(&self) -> bool {
        let Ok(text) = fs::read_to_string(&self.file) else {
            return false;
        };
        let value = |key: &str| value(&text, key);
        value("Exec") == Some(self.command.as_str())
            && value("Hidden") != Some("true")
            && value("X-GNOME-Autostart-enabled") != Some("false")
    }

    pub(super) fn put(&self) -> anyhow::Result<()> {
        let command = &self.command;
        let text = format!(
            "[Desktop Entry]\nType=Application\nVersion=1.5\nName=EdgeSync\nComment=Keeps Fossil repositories equal on every machine\n\
             Exec={command}\nIcon=edgesync-desktop\nTerminal=false\nX-GNOME-Autostart-enabled=true\n"
        );
        let written = || {
            let folder = self.file.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(folder)?;
            // Whole or not at all: a session that starts meanwhile reads it.
            let new = self.file.with_extension("desktop.new");
            fs::write(&new, text)?;
            fs::rename(new, &self.file)
        };
        written().with_context(|| format!("{} can't be written", self.file.display()))
    }

    pub(super) fn remove(&self) -> anyhow::Result<()> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.with_context(|| format!("{} can't be removed", self.file.display())),
        }
    }
}

/// Returns the value of a key in the file's first group, where the keys of programs stand.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let lines = text.lines().map(str::trim);
    let mut group = lines
        .skip_while(|line| *line != "[Desktop Entry]")
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    group.find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim_end() == key).then(|| value.trim_start())
    })
}

/// Returns an argument for `Exec`: in quotes, with what has a meaning within them escaped, then escaped once more as the text
/// of a value, and with the sign of field codes doubled.
fn quoted(argument: &str) -> String {
    let mut text = String::from("\"");
    for letter in argument.chars() {
        match letter {
            '"' | '`' | '$' => text.extend(["\\\\", letter.encode_utf8(&mut [0; 4])]),
            '\\' => text.push_str("\\\\\\\\"),
            '%' => text.push_str("%%"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_is_put_and_removed_and_both_may_be_said_twice() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("config/autostart");
        let entry = Entry::at(&folder, "/opt/Edge Sync/app", None);
        assert!(!entry.is_on());
        entry.remove().unwrap();
        for _ in 0..2 {
            entry.put().unwrap();
            assert!(entry.is_on());
        }
        let text = fs::read_to_string(folder.join(FILE_NAME)).unwrap();
        assert!(text.contains("\nExec=\"/opt/Edge Sync/app\" --hidden\n"));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        for _ in 0..2 {
            entry.remove().unwrap();
            assert!(!entry.is_on());
        }
    }

    #[test]
    fn what_other_programs_switched_off_is_off_and_so_is_an_entry_for_another_program() {
        let place = tempfile::tempdir().unwrap();
        let entry = Entry::at(place.path(), "/usr/bin/edgesync-desktop", None);
        let file = place.path().join(FILE_NAME);
        entry.put().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        for (change, is_on) in [
            (format!("{text}Hidden=false\n"), true),
            (format!("{text}Hidden=true\n"), false),
            (format!("{text}[Desktop Action New]\nHidden=true\n"), true),
            (
                text.replace("Autostart-enabled=true", "Autostart-enabled=false"),
                false,
            ),
            (text.replace("/usr/bin", "/old"), false),
            (String::new(), false),
        ] {
            fs::write(&file, &change).unwrap();
            assert_eq!(entry.is_on(), is_on, "{change}");
        }
        entry.put().unwrap();
        assert!(entry.is_on());
    }

    #[test]
    fn a_home_of_its_own_is_taken_along() {
        let entry = Entry::at(Path::new("/x"), "/app", Some("/home/ada/my edge"));
        let wanted = "env \"EDGESYNC_HOME=/home/ada/my edge\" \"/app\" --hidden";
        assert_eq!(entry.command, wanted);
    }

    #[test]
    fn signs_with_a_meaning_are_escaped() {
        assert_eq!(quoted("/a b"), "\"/a b\"");
        assert_eq!(quoted("100%"), "\"100%%\"");
        assert_eq!(quoted("$x`y\"z"), r#""\\$x\\`y\\"z""#);
        assert_eq!(quoted(r"a\b"), r#""a\\\\b""#);
    }
}
