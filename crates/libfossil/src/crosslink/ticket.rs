//! Tickets: rows that many changes, by whomever and in whatever order they arrived, add up to.

use std::collections::BTreeSet;
use std::fmt::Write;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params, params_from_iter};

use super::Crosslinker;
use super::tags::tag_number;
use super::words::{Words, html};
use crate::artifact::{self, Artifact, Ticket};
use crate::db::{Repository, Result, Rid, Transaction};
use crate::name::HashName;
use crate::text::Text;

/// Which fields the two ticket tables of this repository have columns for. Columns called `tkt_…` are Fossil's own.
#[derive(Debug, Clone, Default)]
pub(super) struct TicketColumns {
    ticket: BTreeSet<String>,
    change: BTreeSet<String>,
    has_created: bool,
    change_has_rid: bool,
    change_has_user: bool,
}

impl TicketColumns {
    fn read(repo: &Repository) -> Result<Self> {
        let ticket = columns(repo, "ticket")?;
        let change = columns(repo, "ticketchng")?;
        let fields = |all: &BTreeSet<String>| {
            let fields = all.iter();
            let fields = fields.filter(|name| !name.starts_with("tkt_") && !name.contains(' '));
            fields.cloned().collect::<BTreeSet<_>>()
        };
        Ok(Self {
            has_created: ticket.contains("tkt_ctime"),
            change_has_rid: change.contains("tkt_rid"),
            change_has_user: change.contains("tkt_user"),
            ticket: fields(&ticket),
            change: fields(&change),
        })
    }
}

fn columns(repo: &Repository, table: &str) -> Result<BTreeSet<String>> {
    let mut query = repo
        .conn()
        .prepare_cached("SELECT name FROM pragma_table_info(?1)")?;
    let rows = query.query_map([table], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A list of columns and the values that go into them.
#[derive(Default)]
struct Assignments {
    columns: Vec<String>,
    expressions: Vec<String>,
    values: Vec<Value>,
}

impl Assignments {
    /// Adds a column that gets `expression`, in which `?` stands for the value.
    fn add(&mut self, column: &str, expression: &str, value: Value) {
        self.values.push(value);
        let place = format!("?{}", self.values.len());
        self.columns.push(quoted(column));
        self.expressions.push(expression.replace('?', &place));
    }

    /// Adds a column that gets an expression without a value.
    fn add_copy(&mut self, column: &str) {
        self.columns.push(quoted(column));
        self.expressions.push(quoted(column));
    }
}

fn quoted(column: &str) -> String {
    format!("\"{}\"", column.replace('"', "\"\""))
}

fn text(value: &Text<'_>) -> Value {
    Value::Text(value.to_str_lossy().into_owned())
}

impl Crosslinker {
    pub(super) fn link_ticket(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        ticket: &Ticket<'_>,
    ) -> Result<()> {
        let tag = format!("tkt-{}", ticket.id).into_bytes();
        self.tag_self(tx, rid, &tag, None, ticket.date)?;
        self.tickets.insert(ticket.id);
        self.retell_attachments(tx, ticket.id.as_str())
    }

    /// Computes the rows of a ticket anew from all its changes, in order of their dates.
    pub(super) fn rebuild_ticket(&mut self, tx: &mut Transaction<'_>, id: &HashName) -> Result<()> {
        let columns = match &self.ticket_columns {
            Some(columns) => columns.clone(),
            None => TicketColumns::read(tx)?,
        };
        self.ticket_columns = Some(columns.clone());
        if columns.ticket.is_empty() {
            return Ok(());
        }
        if !columns.change.is_empty() {
            tx.execute(
                "DELETE FROM ticketchng WHERE tkt_id IN
                   (SELECT tkt_id FROM ticket WHERE tkt_uuid=?1)",
                [id.as_str()],
            )?;
        }
        tx.execute("DELETE FROM ticket WHERE tkt_uuid=?1", [id.as_str()])?;
        let tag = tag_number(tx, format!("tkt-{id}").as_bytes())?;
        let changes: Vec<Rid> = {
            let mut query = tx
                .conn()
                .prepare_cached("SELECT rid FROM tagxref WHERE tagid=?1 ORDER BY mtime, rid")?;
            let rows = query.query_map([tag], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        let mut ticket_id = None;
        for (index, rid) in changes.into_iter().enumerate() {
            let content = tx.content(rid)?;
            if let Ok(Artifact::Ticket(change)) = artifact::parse(&content) {
                let ticket_id = match ticket_id {
                    Some(ticket_id) => ticket_id,
                    None => *ticket_id.insert(insert_ticket(tx, id)?),
                };
                apply_change(tx, &columns, ticket_id, rid, &change)?;
                self.write_ticket_event(tx, rid, &change, index == 0, tag)?;
            }
        }
        Ok(())
    }

    fn write_ticket_event(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        change: &Ticket<'_>,
        is_first: bool,
        tag: i64,
    ) -> Result<()> {
        let digits = self.digits(tx)?;
        let link = digits.link_to(&change.id);
        let title_column = tx.config("ticket-title-expr")?;
        let title = ticket_field(tx, &change.id, title_column.as_deref().unwrap_or("title"))?;
        let status_column = tx.config("ticket-status-column")?;
        let status_column = status_column.as_deref().unwrap_or("status");
        let count = change.fields.len();
        let mut set = change.fields.iter();
        let set = set.rfind(|field| field.name.as_bytes() == status_column.as_bytes());
        let (comment, brief) = if is_first {
            (
                format!("New ticket {link} <i>{title}</i>."),
                format!("New ticket {link}."),
            )
        } else if let Some(status) = set {
            let status = html(status.value.as_bytes());
            let mut comment = format!("{status} ticket {link}: <i>{title}</i>");
            if count > 1 {
                let others = count - 1;
                let plural = if count == 2 { "" } else { "s" };
                let _ = write!(comment, " plus {others} other change{plural}");
            }
            (comment, format!("{status} ticket {link}."))
        } else {
            let status = ticket_field(tx, &change.id, status_column)?;
            let plural = if count == 1 { "" } else { "s" };
            (
                format!(
                    "Ticket {link} <i>{title}</i> status still {status} with {count} other change{plural}"
                ),
                format!("Ticket {link}: {count} change{plural}"),
            )
        };
        tx.execute(
            "REPLACE INTO event(type, tagid, mtime, objid, user, comment, brief)
             VALUES('t', ?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                tag,
                change.date.to_julian(),
                rid,
                Words(change.user.as_bytes()),
                comment,
                brief
            ],
        )?;
        Ok(())
    }
}

fn insert_ticket(tx: &mut Transaction<'_>, id: &HashName) -> Result<i64> {
    tx.execute(
        "INSERT INTO ticket(tkt_uuid, tkt_mtime) VALUES(?1, 0)",
        [id.as_str()],
    )?;
    Ok(tx.last_insert_rowid())
}

/// Applies one change to the row of its ticket, and writes its row in the list of changes.
fn apply_change(
    tx: &mut Transaction<'_>,
    columns: &TicketColumns,
    ticket_id: i64,
    rid: Rid,
    change: &Ticket<'_>,
) -> Result<()> {
    let time = Value::Real(change.date.to_julian());
    let mut ticket = Assignments::default();
    let mut entry = Assignments::default();
    ticket.add("tkt_mtime", "?", time.clone());
    if columns.has_created {
        ticket.add("tkt_ctime", "coalesce(tkt_ctime, ?)", time.clone());
    }
    entry.add("tkt_id", "?", Value::Integer(ticket_id));
    entry.add("tkt_mtime", "?", time);
    let mut set = BTreeSet::new();
    for field in &change.fields {
        let name = field.name.to_str_lossy();
        let (name, expression) = match name.strip_prefix('+') {
            Some(name) => (name, format!("coalesce({}, '') || ?", quoted(name))),
            None => (&*name, "?".to_owned()),
        };
        set.insert(name.to_owned());
        if columns.ticket.contains(name) {
            ticket.add(name, &expression, text(&field.value));
        }
        if columns.change.contains(name) {
            entry.add(name, "?", text(&field.value));
        }
    }
    update_ticket(tx, ticket_id, ticket)?;
    if !columns.change_has_rid && !columns.change_has_user && entry.columns.len() == 2 {
        return Ok(());
    }
    if columns.change_has_rid {
        entry.add("tkt_rid", "?", Value::Integer(rid.get()));
    }
    if columns.change_has_user {
        entry.add("tkt_user", "?", text(&change.user));
    }
    for shared in columns.ticket.intersection(&columns.change) {
        if !set.contains(shared) {
            entry.add_copy(shared);
        }
    }
    let Assignments {
        columns,
        expressions,
        mut values,
    } = entry;
    values.push(Value::Integer(ticket_id));
    let sql = format!(
        "INSERT INTO ticketchng({}) SELECT {} FROM ticket WHERE tkt_id=?{}",
        columns.join(", "),
        expressions.join(", "),
        values.len()
    );
    tx.execute(&sql, params_from_iter(values))?;
    Ok(())
}

fn update_ticket(tx: &mut Transaction<'_>, ticket_id: i64, set: Assignments) -> Result<()> {
    let Assignments {
        columns,
        expressions,
        mut values,
    } = set;
    let pairs: Vec<String> = columns
        .iter()
        .zip(&expressions)
        .map(|(column, expression)| format!("{column}={expression}"))
        .collect();
    values.push(Value::Integer(ticket_id));
    let sql = format!(
        "UPDATE OR REPLACE ticket SET {} WHERE tkt_id=?{}",
        pairs.join(", "),
        values.len()
    );
    tx.execute(&sql, params_from_iter(values))?;
    Ok(())
}

/// Returns a field of a ticket, safe for HTML.
fn ticket_field(tx: &Transaction<'_>, id: &HashName, column: &str) -> Result<String> {
    let sql = format!(
        "SELECT CAST({} AS BLOB) FROM ticket WHERE tkt_uuid=?1",
        quoted(column)
    );
    let value: Option<Option<Vec<u8>>> = tx
        .conn()
        .prepare_cached(&sql)?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(match value {
        None => "unknown".to_owned(),
        Some(value) => html(&value.unwrap_or_default()),
    })
}
