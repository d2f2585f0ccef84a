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
    clap_mangen::generate_to(Cli::command(), folder).or_fail(Kind::Failed, folder.display())?;
    out.note(format!("manual pages are in {}", folder.display()));
    Ok(())
}
