//! From what the program says to lines of the log.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::Log;
use crate::api::{Level, LogLine, Time};
use crate::limits;

/// What the `log` crate's records are called here, and the start of the names of what they carry besides.
const FOREIGN: &str = "log";

/// Hands each event to the log.
pub(super) struct Keep(Log);

impl Keep {
    pub(super) fn new(log: Log) -> Self {
        Self(log)
    }
}

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut said = Said::default();
        event.record(&mut said);
        self.0.take(LogLine {
            at: Time::now(),
            level: level(*metadata.level()),
            target: said.target.unwrap_or_else(|| metadata.target().to_owned()),
            message: said.message,
            fields: said.fields,
        });
    }
}

fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    target: Option<String>,
    fields: BTreeMap<String, String>,
}

impl Said {
    fn note(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = text,
            "log.target" => self.target = Some(text),
            name if name.split('.').next() == Some(FOREIGN) => {}
            name => {
                self.fields.insert(name.to_owned(), text);
            }
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, cut(format_args!("{value}")));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.note(field, cut(format_args!("{value}")));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field, cut(format_args!("{value:?}")));
    }
}

/// Returns a text, up to the most that a line holds of one.
fn cut(text: fmt::Arguments<'_>) -> String {
    let mut short = Short(String::new());
    // Fails when it is full: then the rest is left out.
    if short.write_fmt(text).is_err() {
        short.0.push('…');
    }
    short.0
}

/// A text that takes so many bytes and no more.
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = limits::LOG_TEXT_BYTES - self.0.len();
        let end = more.floor_char_boundary(room.min(more.len()));
        self.0.push_str(more.get(..end).unwrap_or_default());
        if end < more.len() {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}
