//! Configuration transfer: which settings and tables belong to which area, how rows travel, and who may see them.
//!
//! A row is `KEY-TIME KEY column value column value …` in SQL literals; the newer time wins. Only what is listed here leaves a repository or is
//! taken in. Settings that name scripts or programs are not listed: nothing that arrives by clone or sync is ever run, by us or by a stock
//! program that opens the file later.

use std::collections::BTreeSet;

use bytes::Bytes;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::card::Card;
use super::literal::{self, Word};
use crate::auth::Capabilities;
use crate::db::{Repository, Result, Transaction};

/// An area that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// Concealed addresses.
    Email,
    /// Description and file settings of the project.
    Project,
    /// Look of the web pages.
    Skin,
    /// The style sheet.
    Css,
    /// Shunned artifacts.
    Shun,
    /// Ticket pages and reports.
    Ticket,
    /// Users with their password secrets.
    User,
}

/// All areas, with the names they are asked for by.
const AREAS: [(&str, Area); 7] = [
    ("/email", Area::Email),
    ("/project", Area::Project),
    ("/skin", Area::Skin),
    ("/css", Area::Css),
    ("/shun", Area::Shun),
    ("/ticket", Area::Ticket),
    ("/user", Area::User),
];

/// Asks for all areas at once.
const ALL: &str = "/all";

const CSS: &[&str] = &["css"];

const SKIN: &[&str] = &[
    "css",
    "header",
    "mainmenu",
    "footer",
    "details",
    "js",
    "default-skin",
    "logo-mimetype",
    "logo-image",
    "background-mimetype",
    "background-image",
    "icon-mimetype",
    "icon-image",
    "timeline-block-markup",
    "timeline-date-format",
    "timeline-default-style",
    "timeline-dwelltime",
    "timeline-closetime",
    "timeline-max-comment",
    "timeline-plaintext",
    "timeline-truncate-at-blank",
    "timeline-tslink-info",
    "timeline-utc",
    "adunit",
    "adunit-omit-if-admin",
    "adunit-omit-if-user",
    "default-csp",
    "sitemap-extra",
];

const PROJECT: &[&str] = &[
    "project-name",
    "short-project-name",
    "project-description",
    "index-page",
    "manifest",
    "binary-glob",
    "clean-glob",
    "ignore-glob",
    "keep-glob",
    "crlf-glob",
    "crnl-glob",
    "encoding-glob",
    "empty-dirs",
    "dotfiles",
    "parent-project-code",
    "parent-project-name",
    "hash-policy",
    "forbid-delta-manifests",
    "mv-rm-files",
];

const TICKET: &[&str] = &[
    "ticket-table",
    "ticket-common",
    "ticket-change",
    "ticket-newpage",
    "ticket-viewpage",
    "ticket-editpage",
    "ticket-reportlist",
    "ticket-report-template",
    "ticket-key-template",
    "ticket-title-expr",
    "ticket-closed-expr",
];

/// A table of which rows travel.
struct Table {
    /// The name in `config` cards.
    card: &'static str,
    table: &'static str,
    key: &'static str,
    columns: &'static [&'static str],
    area: Option<Area>,
}

const TABLES: [Table; 5] = [
    Table {
        card: "/config",
        table: "config",
        key: "name",
        columns: &["value"],
        area: None,
    },
    Table {
        card: "/user",
        table: "user",
        key: "login",
        columns: &["pw", "cap", "info", "photo", "jx"],
        area: Some(Area::User),
    },
    Table {
        card: "/shun",
        table: "shun",
        key: "uuid",
        columns: &["scom"],
        area: Some(Area::Shun),
    },
    Table {
        card: "/reportfmt",
        table: "reportfmt",
        key: "title",
        columns: &["owner", "cols", "sqlcode", "jx"],
        area: Some(Area::Ticket),
    },
    Table {
        card: "/concealed",
        table: "concealed",
        key: "hash",
        columns: &["content"],
        area: Some(Area::Email),
    },
];

impl Area {
    /// Returns the name that the area is asked for by.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut all = AREAS.iter();
        all.find(|(_, area)| *area == self)
            .map_or("", |(name, _)| name)
    }

    /// Returns the areas that a `reqconfig` card asks for; none when it is unknown.
    #[must_use]
    pub fn named(name: &str) -> BTreeSet<Self> {
        AREAS
            .iter()
            .filter(|(known, _)| name == ALL || *known == name)
            .map(|(_, area)| *area)
            .collect()
    }

    /// Returns whether someone with these rights may fetch the area.
    #[must_use]
    pub fn may_be_seen_by(self, capabilities: Capabilities) -> bool {
        match self {
            Self::User => capabilities.may_administer(),
            Self::Email => capabilities.may_see_addresses(),
            Self::Project | Self::Skin | Self::Css | Self::Shun | Self::Ticket => {
                capabilities.may_read()
            }
        }
    }

    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Css => CSS,
            Self::Skin => SKIN,
            Self::Project => PROJECT,
            Self::Ticket => TICKET,
            Self::Email | Self::Shun | Self::User => &[],
        }
    }
}

/// Returns the cards with the content of `areas`.
pub(super) fn cards(repo: &Repository, areas: &BTreeSet<Area>) -> Result<Vec<Card>> {
    let mut cards = Vec::new();
    let settings: BTreeSet<&str> = areas
        .iter()
        .flat_map(|area| area.settings())
        .copied()
        .collect();
    for table in &TABLES {
        if table.area.is_none_or(|area| areas.contains(&area)) {
            let wanted = |key: &Value| match (table.area, key) {
                (None, Value::Text(name)) => settings.contains(name.as_str()),
                (area, _) => area.is_some(),
            };
            rows_of(repo, table, wanted, &mut cards)?;
        }
    }
    Ok(cards)
}

fn rows_of(
    repo: &Repository,
    table: &Table,
    wanted: impl Fn(&Value) -> bool,
    cards: &mut Vec<Card>,
) -> Result<()> {
    let Table {
        card,
        table,
        key,
        columns,
        ..
    } = table;
    let sql = format!(
        "SELECT coalesce(mtime, 0), {key}, {} FROM {table} WHERE {key} IS NOT NULL ORDER BY {key}",
        columns.join(", ")
    );
    let mut query = repo.conn().prepare_cached(&sql)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let name: Value = row.get(1)?;
        if !wanted(&name) {
            continue;
        }
        let mut text = String::new();
        literal::write(&mut text, &row.get(0)?);
        text.push(' ');
        literal::write(&mut text, &name);
        for (index, column) in columns.iter().enumerate() {
            text.push_str(&format!(" {column} "));
            literal::write(&mut text, &row.get(index + 2)?);
        }
        cards.push(Card::Config {
            name: (*card).to_owned(),
            content: text.into_bytes().into(),
        });
    }
    Ok(())
}

/// Takes in one `config` card if it belongs to `areas`. Returns whether that changed anything.
///
/// What does not parse, is not listed, or is older than what is here changes nothing.
pub(super) fn apply(
    tx: &mut Transaction<'_>,
    name: &str,
    content: &Bytes,
    areas: &BTreeSet<Area>,
) -> Result<bool> {
    let Some(table) = TABLES.iter().find(|table| table.card == name) else {
        return Ok(false);
    };
    let Some((mtime, key, values)) = row(table, content) else {
        return Ok(false);
    };
    let allowed = match (table.area, &key) {
        (Some(area), _) => areas.contains(&area),
        (None, Value::Text(setting)) => areas
            .iter()
            .any(|area| area.settings().contains(&setting.as_str())),
        (None, _) => false,
    };
    if !allowed || values.is_empty() {
        return Ok(false);
    }
    let Table {
        table,
        key: key_column,
        ..
    } = table;
    let columns: Vec<&str> = values.iter().map(|(column, _)| *column).collect();
    let places: Vec<String> = (3..columns.len() + 3)
        .map(|place| format!("?{place}"))
        .collect();
    let updates: Vec<String> = columns
        .iter()
        .map(|column| format!("{column}=excluded.{column}"))
        .collect();
    let sql = format!(
        "INSERT INTO {table}(mtime, {key_column}, {}) VALUES(?1, ?2, {}) ON CONFLICT({key_column}) DO UPDATE
            SET mtime=excluded.mtime, {} WHERE coalesce({table}.mtime, 0) < excluded.mtime",
        columns.join(", "),
        places.join(", "),
        updates.join(", "),
    );
    let values = [mtime, key]
        .into_iter()
        .chain(values.into_iter().map(|(_, value)| value));
    Ok(tx.execute(&sql, params_from_iter(values))? > 0)
}

type Row = (Value, Value, Vec<(&'static str, Value)>);

/// Reads a row: its time, its key, and the values of columns that are listed.
fn row(table: &Table, content: &[u8]) -> Option<Row> {
    let mut words = literal::read(content)?.into_iter();
    let Word::Value(mtime @ (Value::Integer(_) | Value::Real(_))) = words.next()? else {
        return None;
    };
    let Word::Value(key @ Value::Text(_)) = words.next()? else {
        return None;
    };
    let mut values: Vec<(&'static str, Value)> = Vec::new();
    while let Some(column) = words.next() {
        let (Word::Name(column), Word::Value(value)) = (column, words.next()?) else {
            return None;
        };
        let known = table.columns.iter().find(|known| **known == column);
        if let Some(known) = known.filter(|known| values.iter().all(|(seen, _)| seen != *known)) {
            values.push((known, value));
        }
    }
    Some((mtime, key, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_asks_for_every_area_and_unknown_ones_for_nothing() {
        assert_eq!(Area::named("/all").len(), AREAS.len());
        assert_eq!(Area::named("/user"), BTreeSet::from([Area::User]));
        assert!(Area::named("/xfer").is_empty());
        assert!(Area::named("user").is_empty());
    }

    #[test]
    fn rows_with_anything_but_literals_are_refused() {
        let config = &TABLES[0];
        assert!(row(config, b"1000 'css' value 'x'").is_some());
        for text in [
            "1000 'css' value",
            "'x' 'css' value 'x'",
            "1000 css value 'x'",
            "1000 'css' value random()",
            "",
            "1000",
        ] {
            assert!(row(config, text.as_bytes()).is_none(), "{text}");
        }
        assert_eq!(
            row(config, b"1 'css' mtime 5 value 'x' value 'y'").map(|(_, _, values)| values.len()),
            Some(1)
        );
    }

    #[test]
    fn no_listed_setting_names_a_program_or_script() {
        for setting in AREAS.iter().flat_map(|(_, area)| area.settings()) {
            for part in ["command", "script", "th1", "tcl", "editor", "hook"] {
                assert!(!setting.split('-').any(|word| word == part), "{setting}");
            }
        }
    }
}
