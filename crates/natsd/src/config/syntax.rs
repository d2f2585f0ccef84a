//! The syntax of the reference server's configuration file, as a tree of values that remember their lines. It knows nothing of
//! what the keys mean. What it reads is `key: value`, `key = value` and `key value`; maps in braces, lists in brackets;
//! comments from `#` or `//`; text bare or in quotes; `$NAME` for a value named above or in the environment; `include FILE`.

use std::fs;
use std::path::{Path, PathBuf};

use super::ConfigError;

/// How deep maps, lists and included files may lie in each other: a person's file needs four or five.
const DEPTH_MAX: usize = 32;

/// A value and the line, from 1, where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) line: usize,
    pub(super) what: What,
}

/// What a value holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A word, number or quoted text; what it means is decided by the key.
    Text(String),
    List(Vec<Value>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: Value,
    /// A `$NAME` stands for the value: then the key need not mean anything else.
    pub(super) used: bool,
}

/// Returns the entries of a text. `folder` is where the files that it includes are looked for, `environment` what `$NAME` means
/// when no key above has that name.
///
/// # Errors
/// The first place that is not in the syntax, a name that means nothing, or a file that cannot be read.
pub(super) fn parse(
    text: &str,
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Entry>, ConfigError> {
    let mut parser = Parser {
        rest: text,
        line: 1,
        depth: 0,
        folder: folder.to_owned(),
        environment,
        scopes: Vec::new(),
    };
    parser.document()
}

struct Parser<'a> {
    rest: &'a str,
    line: usize,
    depth: usize,
    folder: PathBuf,
    environment: &'a dyn Fn(&str) -> Option<String>,
    /// The entries read so far of the maps that are open, the outermost first: what `$NAME` may refer to.
    scopes: Vec<Vec<Entry>>,
}

impl Parser<'_> {
    /// Reads a whole file: entries, which may stand in one pair of braces.
    fn document(&mut self) -> Result<Vec<Entry>, ConfigError> {
        self.blank();
        let braced = self.take('{');
        let entries = self.entries(braced.then_some('}'))?;
        self.blank();
        if self.rest.is_empty() {
            Ok(entries)
        } else {
            Err(self.error("nothing may follow the last brace"))
        }
    }

    /// Reads entries up to `end`, or to the end of the text.
    fn entries(&mut self, end: Option<char>) -> Result<Vec<Entry>, ConfigError> {
        let opened = self.line;
        self.scopes.push(Vec::new());
        loop {
            self.blank_or(&[',', ';']);
            match self.peek() {
                found if found == end => break,
                None => return Err(ConfigError::at(opened, "this `{` is not closed")),
                Some('}' | ']' | '{' | '[' | ':' | '=') => {
                    return Err(self.error("a key is expected here"));
                }
                Some(_) => self.entry()?,
            }
        }
        if let Some(end) = end {
            self.take(end);
        }
        // Pushed above; the calls between take out only what they put in.
        Ok(self.scopes.pop().unwrap_or_default())
    }

    fn entry(&mut self) -> Result<(), ConfigError> {
        let line = self.line;
        let key = match self.peek() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            _ => self.bare(&[':', '=', '{', '[']),
        };
        self.blank();
        if key.eq_ignore_ascii_case("include") && !matches!(self.peek(), Some(':' | '=')) {
            return self.include(line);
        }
        let _ = self.take(':') || self.take('=');
        self.blank();
        let value = self.value()?;
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(Entry {
                line,
                key,
                value,
                used: false,
            });
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Value, ConfigError> {
        let line = self.line;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error("too many braces and brackets in each other"));
        }
        let what = match self.peek() {
            Some('{') => {
                self.take('{');
                What::Map(self.entries(Some('}'))?)
            }
            Some('[') => {
                self.take('[');
                What::List(self.list(line)?)
            }
            Some(quote @ ('"' | '\'')) => What::Text(self.quoted(quote)?),
            None | Some('}' | ']' | ',' | ';') => {
                return Err(ConfigError::at(line, "a value is missing"));
            }
            Some(_) => {
                let word = self.bare(&['}', ']']);
                match word.strip_prefix('$') {
                    // A hashed password begins in the same way.
                    Some(name) if !name.starts_with('2') => self.variable(line, name)?,
                    _ => What::Text(word),
                }
            }
        };
        self.depth -= 1;
        Ok(Value { line, what })
    }

    fn list(&mut self, opened: usize) -> Result<Vec<Value>, ConfigError> {
        let mut values = Vec::new();
        loop {
            self.blank_or(&[',', ';']);
            if self.take(']') {
                return Ok(values);
            }
            if self.peek().is_none() {
                return Err(ConfigError::at(opened, "this `[` is not closed"));
            }
            values.push(self.value()?);
        }
    }

    /// Returns what `$name` stands for: the value of the nearest key above, or of the environment.
    fn variable(&mut self, line: usize, name: &str) -> Result<What, ConfigError> {
        let mut above = self
            .scopes
            .iter_mut()
            .rev()
            .flat_map(|scope| scope.iter_mut().rev());
        if let Some(entry) = above.find(|entry| entry.key == name) {
            entry.used = true;
            return Ok(entry.value.what.clone());
        }
        (self.environment)(name).map(What::Text).ok_or_else(|| {
            ConfigError::at(
                line,
                format!("`${name}` is neither a key above nor in the environment"),
            )
        })
    }

    fn include(&mut self, line: usize) -> Result<(), ConfigError> {
        let name = match self.peek() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            _ => self.bare(&['}']),
        };
        if self.depth >= DEPTH_MAX {
            return Err(ConfigError::at(
                line,
                "files include each other without end",
            ));
        }
        let path = self.folder.join(&name);
        let text = fs::read_to_string(&path).map_err(|source| ConfigError::Unreadable {
            path: path.clone(),
            source,
        })?;
        let mut parser = Parser {
            rest: &text,
            line: 1,
            depth: self.depth + 1,
            folder: path.parent().unwrap_or(Path::new("")).to_owned(),
            environment: self.environment,
            scopes: std::mem::take(&mut self.scopes),
        };
        let entries = parser.document().map_err(|error| error.within(&path))?;
        self.scopes = parser.scopes;
        if let Some(scope) = self.scopes.last_mut() {
            // The lines of another file would mislead; the line of the `include` leads there.
            scope.extend(entries.into_iter().map(|entry| Entry { line, ..entry }));
        }
        Ok(())
    }

    /// Takes a word: up to a blank, the end of an entry, or one of `ends`.
    fn bare(&mut self, ends: &[char]) -> String {
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || c == ',' || c == ';' || ends.contains(&c))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    /// Takes a text in quotes. Double quotes know escapes, single ones do not.
    fn quoted(&mut self, quote: char) -> Result<String, ConfigError> {
        let opened = self.line;
        self.take(quote);
        let mut text = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, character)) = characters.next() {
            let escape = character == '\\' && quote == '"';
            let plain = match character {
                _ if character == quote => {
                    self.rest = self.rest.get(at + quote.len_utf8()..).unwrap_or_default();
                    return Ok(text);
                }
                _ if escape => match characters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, 'r')) => '\r',
                    Some((_, 't')) => '\t',
                    Some((_, same @ ('"' | '\\'))) => same,
                    _ => {
                        return Err(
                            self.error("no such escape: \\n, \\r, \\t, \\\" and \\\\ are known")
                        );
                    }
                },
                other => other,
            };
            if character == '\n' {
                self.line += 1;
            }
            text.push(plain);
        }
        Err(ConfigError::at(opened, "this quote is not closed"))
    }

    /// Passes blanks, ends of lines and comments.
    fn blank(&mut self) {
        self.blank_or(&[]);
    }

    fn blank_or(&mut self, also: &[char]) {
        loop {
            match self.peek() {
                Some('\n') => self.line += 1,
                Some(c) if c.is_whitespace() || also.contains(&c) => {}
                _ if self.rest.starts_with('#') || self.rest.starts_with("//") => {
                    let end = self.rest.find('\n').unwrap_or(self.rest.len());
                    self.rest = self.rest.get(end..).unwrap_or_default();
                    continue;
                }
                _ => return,
            }
            let mut characters = self.rest.chars();
            characters.next();
            self.rest = characters.as_str();
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self, character: char) -> bool {
        let after = self.rest.strip_prefix(character);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn error(&self, what: &str) -> ConfigError {
        ConfigError::at(self.line, what)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::ConfigError;
    use super::{Entry, What, parse};

    fn read(text: &str) -> Result<Vec<Entry>, ConfigError> {
        let environment = |name: &str| (name == "HOME_PORT").then(|| "4333".to_owned());
        parse(text, Path::new(""), &environment)
    }

    /// Prints entries in one fixed form, so that two ways of writing the same can be compared.
    fn plain(entries: &[Entry]) -> String {
        fn value(what: &What) -> String {
            match what {
                What::Text(text) => format!("{text:?}"),
                What::List(values) => {
                    let values: Vec<String> = values.iter().map(|item| value(&item.what)).collect();
                    format!("[{}]", values.join(" "))
                }
                What::Map(entries) => format!("{{{}}}", plain(entries)),
            }
        }
        let entries: Vec<String> = entries
            .iter()
            .map(|entry| format!("{}={}", entry.key, value(&entry.value.what)))
            .collect();
        entries.join(" ")
    }

    fn shown(text: &str) -> String {
        match read(text) {
            Ok(entries) => plain(&entries),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_three_ways_to_write_an_entry_mean_the_same() {
        for text in [
            "port: 4222",
            "port = 4222",
            "port 4222",
            "port=4222",
            "port:4222",
            "{\"port\": 4222}",
        ] {
            assert_eq!(shown(text), r#"port="4222""#, "{text}");
        }
    }

    #[test]
    fn maps_lists_comments_and_quotes_are_read() {
        let text = "# comment\nauthorization { // another\n  users = [\n    {user: a, password: \"p\\\"w\"}\n    {user: 'b\\', password: $2a$11$x}, ]\n}\n\
                    routes [nats://a:1, nats://b:2]; name: \"x y\" # end";
        assert_eq!(
            shown(text),
            r#"authorization={users=[{user="a" password="p\"w"} {user="b\\" password="$2a$11$x"}]} routes=["nats://a:1" "nats://b:2"] name="x y""#
        );
    }

    #[test]
    fn lines_are_counted_through_comments_and_long_texts() {
        let entries = read("# one\na: 'two\nthree'\n\nb {\n c: 1\n}").expect("it parses");
        let lines: Vec<usize> = entries.iter().map(|entry| entry.line).collect();
        assert_eq!(lines, [2, 5]);
        let What::Map(inner) = &entries[1].value.what else {
            panic!("b is a map");
        };
        assert_eq!(inner[0].line, 6);
    }

    #[test]
    fn a_variable_is_a_key_above_or_in_the_environment() {
        assert_eq!(
            shown("P: 1\na { P: 2\n b: $P }\nc: $P"),
            r#"P="1" a={P="2" b="2"} c="1""#
        );
        assert_eq!(shown("port: $HOME_PORT"), r#"port="4333""#);
        assert_eq!(
            shown("\nport: $NOWHERE"),
            "line 2: `$NOWHERE` is neither a key above nor in the environment"
        );
    }

    #[test]
    fn an_included_file_is_read_in_place_and_its_errors_name_it() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("more.conf"), "b: 2\nc: $a").expect("written");
        fs::write(folder.path().join("bad.conf"), "\nb: ]").expect("written");
        fs::write(folder.path().join("loop.conf"), "include loop.conf").expect("written");
        let read = |text: &str| parse(text, folder.path(), &|_| None);
        let entries = read("a: 1\ninclude more.conf\nd: $b").expect("it parses");
        assert_eq!(plain(&entries), r#"a="1" b="2" c="1" d="2""#);
        let error = read("include ./bad.conf")
            .expect_err("a bad file")
            .to_string();
        assert!(
            error.ends_with("bad.conf: line 2: a value is missing"),
            "{error}"
        );
        let error = read("include 'loop.conf'").expect_err("a loop").to_string();
        assert!(error.contains("without end"), "{error}");
        assert!(read("include absent.conf").is_err());
    }

    #[test]
    fn what_is_not_in_the_syntax_is_named_with_its_line() {
        for (text, error) in [
            ("a {\n b: 1", "line 1: this `{` is not closed"),
            ("a [\n1", "line 1: this `[` is not closed"),
            ("\na: \"b", "line 2: this quote is not closed"),
            (
                "a: \"\\x\"",
                "line 1: no such escape: \\n, \\r, \\t, \\\" and \\\\ are known",
            ),
            ("a:", "line 1: a value is missing"),
            ("}", "line 1: a key is expected here"),
            ("{a: 1} b", "line 1: nothing may follow the last brace"),
        ] {
            assert_eq!(shown(text), error, "{text}");
        }
        assert_eq!(
            shown(&"a [".repeat(1_000)),
            "line 1: too many braces and brackets in each other"
        );
    }
}
