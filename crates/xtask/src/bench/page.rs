//! The tables in docs/performance.md: each stands between two marks and is replaced as a whole.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// Puts the table of `bench NAME` between its marks in docs/performance.md.
///
/// # Errors
/// When the file or the marks are missing.
pub(crate) fn write(name: &str, table: &str) -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/performance.md");
    let old =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let new = replaced(&old, name, table)
        .with_context(|| format!("no marks of `bench {name}` in {}", path.display()))?;
    Ok(fs::write(&path, new)?)
}

fn replaced(old: &str, name: &str, table: &str) -> Option<String> {
    let begin =
        format!("<!-- bench {name}: begin (written by `cargo xtask bench {name} --write`) -->");
    let end = format!("<!-- bench {name}: end -->");
    let (before, rest) = old.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n\n{table}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn the_old_table_makes_way_for_the_new() {
        let begin = "<!-- bench repo: begin (written by `cargo xtask bench repo --write`) -->";
        let end = "<!-- bench repo: end -->";
        let old = format!("a\n{begin}\nold\n{end}\nz\n");
        assert_eq!(
            replaced(&old, "repo", "new\n"),
            Some(format!("a\n{begin}\n\nnew\n\n{end}\nz\n"))
        );
        assert_eq!(replaced(&old, "other", "new"), None);
    }
}
