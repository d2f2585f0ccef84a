//! What the derived tables say, with hashes in place of row numbers and times to the millisecond, so that two files can
//! be compared.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// Name and query of each part. Clusters carry no date: their tag is as old as the last rebuild.
const PARTS: [(&str, &str); 10] = [
    (
        "event",
        "SELECT e.type, strftime('%Y-%m-%d %H:%M:%f', e.mtime), b.uuid, t.tagname, e.bgcolor, e.euser,
                e.user, e.ecomment, e.comment, strftime('%Y-%m-%d %H:%M:%f', e.omtime)
           FROM event e JOIN blob b ON b.rid=e.objid LEFT JOIN tag t ON t.tagid=e.tagid",
    ),
    (
        "plink",
        "SELECT p.uuid, c.uuid, isprim, strftime('%Y-%m-%d %H:%M:%f', l.mtime), s.uuid
           FROM plink l LEFT JOIN blob p ON p.rid=l.pid JOIN blob c ON c.rid=l.cid
           LEFT JOIN blob s ON s.rid=l.baseid",
    ),
    (
        "mlink",
        "SELECT m.uuid, coalesce(f.uuid, fid), coalesce(q.uuid, pmid), coalesce(p.uuid, pid), n.name,
                o.name, mperm, isaux
           FROM mlink l JOIN blob m ON m.rid=l.mid LEFT JOIN blob f ON f.rid=l.fid
           LEFT JOIN blob q ON q.rid=l.pmid LEFT JOIN blob p ON p.rid=l.pid
           JOIN filename n ON n.fnid=l.fnid LEFT JOIN filename o ON o.fnid=l.pfnid",
    ),
    ("leaf", "SELECT uuid FROM leaf JOIN blob USING(rid)"),
    (
        "tagxref",
        "SELECT t.tagname, x.tagtype, s.uuid, o.uuid, x.value,
                CASE WHEN t.tagname='cluster' THEN '' ELSE strftime('%Y-%m-%d %H:%M:%f', x.mtime) END,
                r.uuid
           FROM tagxref x JOIN tag t USING(tagid) LEFT JOIN blob s ON s.rid=x.srcid
           LEFT JOIN blob o ON o.rid=x.origid JOIN blob r ON r.rid=x.rid",
    ),
    ("filename", "SELECT name FROM filename"),
    (
        "cherrypick",
        "SELECT p.uuid, c.uuid, isExclude FROM cherrypick x JOIN blob p ON p.rid=x.parentid
           JOIN blob c ON c.rid=x.childid",
    ),
    (
        "ticket",
        "SELECT tkt_uuid, strftime('%Y-%m-%d %H:%M:%f', tkt_mtime), strftime('%Y-%m-%d %H:%M:%f', tkt_ctime),
                type, status, subsystem, priority, severity, foundin, private_contact, resolution, title, comment
           FROM ticket",
    ),
    (
        "ticketchng",
        "SELECT tkt_uuid, b.uuid, strftime('%Y-%m-%d %H:%M:%f', c.tkt_mtime), tkt_user, login, username, mimetype,
                icomment
           FROM ticketchng c JOIN ticket USING(tkt_id) LEFT JOIN blob b ON b.rid=c.tkt_rid",
    ),
    (
        "attachment",
        "SELECT b.uuid, isLatest, strftime('%Y-%m-%d %H:%M:%f', a.mtime), src, target, filename, comment, user
           FROM attachment a JOIN blob b ON b.rid=a.attachid",
    ),
];

/// Sets of artifacts by their standing.
const SETS: [&str; 4] = ["phantom", "orphan", "private", "unclustered"];

/// Returns the derived tables of a repository file as sorted lines.
pub(crate) fn dump(repository: &Path) -> Vec<String> {
    let conn = Connection::open(repository).expect("a database");
    let mut lines = Vec::new();
    for (part, sql) in PARTS {
        lines.extend(rows(&conn, part, sql));
    }
    for set in SETS {
        let sql = format!("SELECT uuid FROM {set} JOIN blob USING(rid)");
        lines.extend(rows(&conn, set, &sql));
    }
    let forum: bool = conn
        .query_row(
            "SELECT EXISTS(SELECT 1 FROM sqlite_schema WHERE name='forumpost')",
            [],
            |row| row.get(0),
        )
        .expect("a schema");
    if forum {
        let sql = "SELECT b.uuid, r.uuid, p.uuid, i.uuid, strftime('%Y-%m-%d %H:%M:%f', fmtime)
                     FROM forumpost JOIN blob b ON b.rid=fpid LEFT JOIN blob r ON r.rid=froot
                     LEFT JOIN blob p ON p.rid=fprev LEFT JOIN blob i ON i.rid=firt";
        lines.extend(rows(&conn, "forumpost", sql));
    }
    lines
}

fn rows(conn: &Connection, part: &str, sql: &str) -> Vec<String> {
    let mut query = conn.prepare(sql).expect("a query");
    let width = query.column_count();
    let mut rows = query.query([]).expect("rows");
    let mut lines = Vec::new();
    while let Some(row) = rows.next().expect("a row") {
        let mut line = part.to_owned();
        for column in 0..width {
            line.push('\t');
            match row.get_ref(column).expect("a column") {
                ValueRef::Null => line.push('-'),
                ValueRef::Integer(number) => line.push_str(&number.to_string()),
                ValueRef::Real(number) => line.push_str(&number.to_string()),
                ValueRef::Text(text) | ValueRef::Blob(text) => {
                    line.push_str(&String::from_utf8_lossy(text));
                }
            }
        }
        lines.push(line);
    }
    lines.sort();
    lines
}

/// Fails with the lines that only one of two dumps has.
pub(crate) fn assert_same(ours: &[String], stock: &[String], what: &str) {
    if ours == stock {
        return;
    }
    let only = |left: &[String], right: &[String], mark: &str| {
        let right: std::collections::HashSet<_> = right.iter().collect();
        let lines = left.iter().filter(|line| !right.contains(line));
        lines
            .map(|line| format!("{mark} {line}\n"))
            .collect::<String>()
    };
    panic!(
        "{what}: the derived tables differ\n{}{}",
        only(ours, stock, "ours "),
        only(stock, ours, "stock")
    );
}
