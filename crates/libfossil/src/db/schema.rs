//! The tables of a repository file, as SQL.
//!
//! Names, columns, uniqueness and indexes are those that stock Fossil 2.x queries; two groups differ in
//! life span. *Durable* tables hold what cannot be recomputed. *Derived* tables are dropped and filled
//! anew by `rebuild`, ours or stock's.

/// SQLite's `application_id` of a repository file.
pub const APPLICATION_ID: i64 = 252_006_673;

/// Value of config `content-schema`: the generation of the durable tables.
pub const CONTENT_SCHEMA: &str = "2";

/// Oldest derived-table generation (config `aux-schema`, compared as text) that stock 2.x opens.
pub const AUX_SCHEMA_MIN: &str = "2011-04-25 19:50";

/// The derived-table generation written here, and the newest that is understood.
pub const AUX_SCHEMA_MAX: &str = "2015-01-24";

/// Value of config `rebuilt`: which program last computed the derived tables.
pub const REBUILT_BY: &str = concat!("libfossil ", env!("CARGO_PKG_VERSION"));

/// Smallest file that stock accepts as a repository, in bytes.
pub const MIN_FILE_BYTES: u64 = 16_834;

/// Tables whose presence makes an SQLite file a repository.
pub const IDENTIFYING_TABLES: [&str; 7] = [
    "blob", "config", "delta", "mlink", "plink", "rcvfrom", "user",
];

/// Tables that `rebuild` drops and fills anew. What is not listed is kept as it is: a search index, back links, and what
/// is still to be sent.
pub const DERIVED_TABLES: [&str; 13] = [
    "attachment",
    "cherrypick",
    "event",
    "filename",
    "forumpost",
    "leaf",
    "mlink",
    "orphan",
    "phantom",
    "plink",
    "tag",
    "tagxref",
    "unclustered",
];

/// Tags with a fixed number and a meaning of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FixedTag {
    /// Colour on the timeline.
    Bgcolor = 1,
    /// Replaces a check-in's comment.
    Comment,
    /// Replaces a check-in's user.
    User,
    /// Replaces a check-in's date.
    Date,
    /// Keeps a check-in off the timeline.
    Hidden,
    /// Keeps an artifact from being synchronised.
    Private,
    /// Marks clusters.
    Cluster,
    /// Names the branch.
    Branch,
    /// Marks a leaf on which nothing is to follow.
    Closed,
    /// Replaces a check-in's parents.
    Parent,
    /// A remark.
    Note,
}

impl FixedTag {
    /// All of them with their names, in order of their numbers.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Bgcolor, "bgcolor"),
        (Self::Comment, "comment"),
        (Self::User, "user"),
        (Self::Date, "date"),
        (Self::Hidden, "hidden"),
        (Self::Private, "private"),
        (Self::Cluster, "cluster"),
        (Self::Branch, "branch"),
        (Self::Closed, "closed"),
        (Self::Parent, "parent"),
        (Self::Note, "note"),
    ];

    /// Returns the number, `tag.tagid`.
    #[must_use]
    pub const fn id(self) -> i64 {
        self as i64
    }

    /// Returns the tag that has a number.
    #[must_use]
    pub fn from_id(id: i64) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find_map(|(tag, _)| (tag.id() == id).then_some(tag))
    }
}

/// Creates the durable tables.
pub const DURABLE: &str = "
CREATE TABLE blob(
  rid INTEGER PRIMARY KEY, rcvid INTEGER, size INTEGER, uuid TEXT UNIQUE NOT NULL, content BLOB,
  CHECK( length(uuid)>=40 AND rid>0 )
);
CREATE TABLE delta(rid INTEGER PRIMARY KEY, srcid INTEGER NOT NULL REFERENCES blob);
CREATE INDEX delta_i1 ON delta(srcid);
CREATE TABLE rcvfrom(
  rcvid INTEGER PRIMARY KEY, uid INTEGER REFERENCES user, mtime DATETIME, nonce TEXT UNIQUE,
  ipaddr TEXT
);
CREATE TABLE user(
  uid INTEGER PRIMARY KEY, login TEXT UNIQUE, pw TEXT, cap TEXT, cookie TEXT, ipaddr TEXT,
  cexpire DATETIME, info TEXT, mtime DATE, photo BLOB, jx TEXT DEFAULT '{}'
);
CREATE TABLE config(
  name TEXT PRIMARY KEY NOT NULL, value CLOB, mtime DATE,
  CHECK( typeof(name)='text' AND length(name)>=1 )
);
CREATE TABLE shun(uuid UNIQUE, mtime DATE, scom TEXT);
CREATE TABLE private(rid INTEGER PRIMARY KEY);
CREATE TABLE reportfmt(
  rn INTEGER PRIMARY KEY, owner TEXT, title TEXT UNIQUE, mtime DATE, cols TEXT, sqlcode TEXT,
  jx TEXT DEFAULT '{}'
);
CREATE TABLE concealed(hash TEXT PRIMARY KEY, mtime DATE, content TEXT);
";

/// Creates the derived tables except `ticket` and `ticketchng`, with the indexes that filling them needs.
pub const DERIVED: &str = "
CREATE TABLE filename(fnid INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE mlink(
  mid INTEGER, fid INTEGER, pmid INTEGER, pid INTEGER, fnid INTEGER REFERENCES filename,
  pfnid INTEGER, mperm INTEGER, isaux BOOLEAN DEFAULT 0
);
CREATE INDEX mlink_i1 ON mlink(mid);
CREATE TABLE plink(
  pid INTEGER REFERENCES blob, cid INTEGER REFERENCES blob, isprim BOOLEAN, mtime DATETIME,
  baseid INTEGER REFERENCES blob, UNIQUE(pid, cid)
);
CREATE INDEX plink_i2 ON plink(cid,pid);
CREATE TABLE leaf(rid INTEGER PRIMARY KEY);
CREATE TABLE event(
  type TEXT, mtime DATETIME, objid INTEGER PRIMARY KEY, tagid INTEGER,
  uid INTEGER REFERENCES user, bgcolor TEXT, euser TEXT, user TEXT, ecomment TEXT, comment TEXT,
  brief TEXT, omtime DATETIME
);
CREATE TABLE phantom(rid INTEGER PRIMARY KEY);
CREATE TABLE orphan(rid INTEGER PRIMARY KEY, baseline INTEGER);
CREATE INDEX orphan_baseline ON orphan(baseline);
CREATE TABLE unclustered(rid INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS unsent(rid INTEGER PRIMARY KEY);
CREATE TABLE tag(tagid INTEGER PRIMARY KEY, tagname TEXT UNIQUE);
CREATE TABLE tagxref(
  tagid INTEGER REFERENCES tag, tagtype INTEGER, srcid INTEGER REFERENCES blob,
  origid INTEGER REFERENCES blob, value TEXT, mtime TIMESTAMP, rid INTEGER REFERENCES blob,
  UNIQUE(rid, tagid)
);
CREATE INDEX tagxref_i1 ON tagxref(tagid, mtime);
CREATE TABLE IF NOT EXISTS backlink(
  target TEXT, srctype INT, srcid INT, mtime TIMESTAMP, UNIQUE(target, srctype, srcid)
);
CREATE INDEX IF NOT EXISTS backlink_src ON backlink(srcid, srctype);
CREATE TABLE attachment(
  attachid INTEGER PRIMARY KEY, isLatest BOOLEAN DEFAULT 0, mtime TIMESTAMP, src TEXT,
  target TEXT, filename TEXT, comment TEXT, user TEXT
);
CREATE INDEX attachment_idx1 ON attachment(target, filename, mtime);
CREATE INDEX attachment_idx2 ON attachment(src);
CREATE TABLE cherrypick(
  parentid INT, childid INT, isExclude BOOLEAN DEFAULT false, PRIMARY KEY(parentid, childid)
) WITHOUT ROWID;
CREATE INDEX cherrypick_cid ON cherrypick(childid);
";

/// Creates the indexes that only reading needs.
pub const DERIVED_INDEXES: &str = "
CREATE INDEX mlink_i2 ON mlink(fnid);
CREATE INDEX mlink_i3 ON mlink(fid);
CREATE INDEX mlink_i4 ON mlink(pid);
CREATE INDEX event_i1 ON event(mtime);
";

/// Creates the ticket tables of a repository whose config has no `ticket-table` of its own.
pub const DEFAULT_TICKET: &str = "
CREATE TABLE ticket(
  tkt_id INTEGER PRIMARY KEY, tkt_uuid TEXT UNIQUE, tkt_mtime DATE, tkt_ctime DATE, type TEXT,
  status TEXT, subsystem TEXT, priority TEXT, severity TEXT, foundin TEXT, private_contact TEXT,
  resolution TEXT, title TEXT, comment TEXT
);
CREATE TABLE ticketchng(
  tkt_id INTEGER REFERENCES ticket, tkt_rid INTEGER REFERENCES blob, tkt_mtime DATE,
  tkt_user TEXT, login TEXT, username TEXT, mimetype TEXT, icomment TEXT
);
CREATE INDEX ticketchng_idx1 ON ticketchng(tkt_id, tkt_mtime);
";

/// Creates the forum table, which exists only once a forum artifact does.
pub const FORUM: &str = "
CREATE TABLE IF NOT EXISTS forumpost(
  fpid INTEGER PRIMARY KEY, froot INT, fprev INT, firt INT, fmtime REAL
);
CREATE INDEX IF NOT EXISTS forumthread ON forumpost(froot,fmtime);
";

/// Title, columns and query of the ticket report that a new repository starts with.
pub const ALL_TICKETS_REPORT: [&str; 3] = [
    "All Tickets",
    "#ffffff Key:\n#f2dcdc Active\n#e8e8e8 Review\n#cfe8bd Fixed\n#bde5d6 Tested\n#cacae5 Deferred\n#c8c8c8 Closed",
    "SELECT\n  CASE status\n    WHEN 'Open' THEN '#f2dcdc' WHEN 'Verified' THEN '#f2dcdc'\n    \
     WHEN 'Review' THEN '#e8e8e8' WHEN 'Fixed' THEN '#cfe8bd'\n    WHEN 'Tested' THEN '#bde5d6' \
     WHEN 'Deferred' THEN '#cacae5'\n    ELSE '#c8c8c8' END AS 'bgcolor',\n  \
     substr(tkt_uuid, 1, 10) AS '#', datetime(tkt_mtime) AS 'mtime',\n  \
     type, status, subsystem, title\nFROM ticket",
];
