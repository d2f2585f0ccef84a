//! What is generated from the parser: shell completions and manual pages.

use std::path::Path;

use clap::CommandFactory;

use crate::args::Cli;
use crate::error::{Failure, Kind, OrFail};
use crate::output::Output;

/// Prints the completion script.
pub(crate) fn completions(shell: clap_complete::Shell, out: Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "edgesync", &mut script);
    out.bytes(&script)
}

/// Writes one manual page per command.
pub(crate) fn man(folder: &Path, out: Output) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).or_fail(Kind::Failed, folder.display())?;
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let mut commands = vec![program];
    while let Some(command) = commands.pop() {
        let visible = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        commands.extend(visible.cloned());
        let page = clap_mangen::Man::new(command.clone());
        let file = folder.join(page.get_filename());
        let mut text = Vec::new();
        page.render(&mut text)
            .and_then(|()| std::fs::write(&file, with_value_names(&command, &text)))
            .or_fail(Kind::Failed, file.display())?;
    }
    out.note(format!("manual pages are in {}", folder.display()));
    Ok(())
}

/// Returns a manual page whose synopsis says what follows an option, which the generator leaves out.
fn with_value_names(command: &clap::Command, page: &[u8]) -> String {
    const SYNOPSIS: &str = "\n.SH SYNOPSIS\n";
    let page = String::from_utf8_lossy(page).into_owned();
    let Some((head, rest)) = page.split_once(SYNOPSIS) else {
        return page;
    };
    let (synopsis, rest) = rest.split_once("\n.SH ").unwrap_or((rest, ""));
    let mut synopsis = synopsis.to_owned();
    let valued = command
        .get_opts()
        .filter(|arg| arg.get_action().takes_values());
    for arg in valued {
        let long = arg.get_long().map(|long| format!("--{long}"));
        let short = arg.get_short().map(|short| format!("-{short}"));
        let Some(option) = long.or(short) else {
            continue;
        };
        let option = format!("\\fB{}\\fR", option.replace('-', "\\-"));
        let names = arg.get_value_names().unwrap_or_default();
        let names: Vec<&str> = names.iter().map(clap::builder::Str::as_str).collect();
        synopsis = synopsis.replace(&option, &format!("{option} \\fI{}\\fR", names.join(" ")));
    }
    format!("{head}{SYNOPSIS}{synopsis}\n.SH {rest}")
}
