//! Where passwords come from: a file, standard input, or a question on the terminal that shows nothing of the answer.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;

use crate::error::{Failure, Kind, OrFail};

/// `--password-file`, for every command that may need a password.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PasswordSource {
    /// Read the password from the first line of FILE (`-`: standard input)
    #[arg(long, value_name = "FILE", env = "EDGESYNC_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordSource {
    /// Returns the password of `--password-file`, or nothing when the flag is not there.
    pub(crate) fn read(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.password_file else {
            return Ok(None);
        };
        if path.as_os_str() == "-" {
            return first_line_of_stdin().map(Some);
        }
        let text = std::fs::read_to_string(path).or_fail(Kind::Failed, path.display())?;
        first_line(&text).map(Some).ok_or_else(|| {
            Failure::new(
                Kind::Failed,
                format!("{}: the first line is empty", path.display()),
            )
        })
    }

    /// Returns the password of `--password-file`, else asks on the terminal; nothing when there is no terminal to ask on.
    pub(crate) fn read_or_ask(&self, prompt: &str) -> Result<Option<String>, Failure> {
        match self.read()? {
            Some(password) => Ok(Some(password)),
            None if io::stdin().is_terminal() => ask(prompt).map(Some),
            None => Ok(None),
        }
    }

    /// Returns a new password: from the file, else asked for twice on the terminal, else the first line of standard input.
    pub(crate) fn new_password(&self, prompt: &str) -> Result<String, Failure> {
        if let Some(password) = self.read()? {
            return Ok(password);
        }
        if !io::stdin().is_terminal() {
            return first_line_of_stdin();
        }
        let password = ask(prompt)?;
        if ask("Again")? != password {
            return Err(Failure::new(Kind::Failed, "the two passwords differ")
                .hint("run the command again"));
        }
        Ok(password)
    }
}

fn ask(prompt: &str) -> Result<String, Failure> {
    rpassword::prompt_password(format!("{prompt}: ")).or_fail(Kind::Failed, "the terminal")
}

fn first_line_of_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .read_line(&mut text)
        .or_fail(Kind::Failed, "standard input")?;
    first_line(&text).ok_or_else(|| {
        Failure::new(Kind::Failed, "no password was given")
            .hint("write it to standard input, or name --password-file FILE")
    })
}

fn first_line(text: &str) -> Option<String> {
    text.lines()
        .next()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
}
