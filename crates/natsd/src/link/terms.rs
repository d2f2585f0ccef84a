//! What may cross one link.

use crate::auth::Permissions;
use crate::proto::LinkPermissions;
use crate::subject::{self, Filter};

/// The prefix of subjects by which loops are found. They cross every link.
pub(crate) const LOOP_PREFIX: &[u8] = b"$LDS.";

/// Subjects that may go one way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    /// Only these; everything if not set.
    allow: Option<Vec<Filter>>,
    /// Not these.
    deny: Vec<Filter>,
}

impl Way {
    /// Says whether everything may go.
    pub(crate) fn is_open(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }

    /// Adds subjects that may not go.
    pub(crate) fn deny(&mut self, filters: impl IntoIterator<Item = Filter>) {
        self.deny.extend(filters);
    }

    /// Adds what the other end says of this way; what it says that is no subject rules out nothing.
    pub(crate) fn narrow(&mut self, told: &LinkPermissions) {
        let parse = |texts: &[String]| -> Vec<Filter> {
            texts
                .iter()
                .filter_map(|text| Filter::parse(text.as_bytes()))
                .collect()
        };
        if !told.allow.is_empty() {
            self.allow = Some(parse(&told.allow));
        }
        self.deny.extend(parse(&told.deny));
    }

    /// Returns what the other end is told of this way; nothing if everything may go.
    pub(crate) fn told(&self) -> Option<LinkPermissions> {
        let texts = |filters: &[Filter]| filters.iter().map(Filter::to_string).collect();
        (!self.is_open()).then(|| LinkPermissions {
            allow: self.allow.as_deref().map(texts).unwrap_or_default(),
            deny: texts(&self.deny),
        })
    }

    /// Says whether a message to this subject may go.
    pub(crate) fn lets_message(&self, subject: &[u8]) -> bool {
        let matches = |filter: &Filter| filter.matches(subject);
        self.allow
            .as_ref()
            .is_none_or(|allow| allow.iter().any(matches))
            && !self.deny.iter().any(matches)
    }

    /// Says whether all messages of a filter may go, but for some that are denied.
    pub(crate) fn lets_all(&self, filter: &Filter) -> bool {
        let covers = |rule: &Filter| subject::covers(rule.as_bytes(), filter.as_bytes());
        self.allow
            .as_ref()
            .is_none_or(|allow| allow.iter().any(covers))
            && !self.deny.iter().any(covers)
    }

    /// Says whether some messages of a filter may go.
    pub(crate) fn lets_some(&self, filter: &Filter) -> bool {
        let overlaps = |rule: &Filter| subject::overlap(rule.as_bytes(), filter.as_bytes());
        let covers = |rule: &Filter| subject::covers(rule.as_bytes(), filter.as_bytes());
        self.allow
            .as_ref()
            .is_none_or(|allow| allow.iter().any(overlaps))
            && !self.deny.iter().any(covers)
    }
}

/// Both ways of a link.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// From us to the other end.
    pub(crate) out: Way,
    /// From the other end to us.
    pub(crate) into: Way,
}

impl Terms {
    /// Returns the terms that a hub has for a leafnode with these permissions: it publishes what comes to us, and subscribes to
    /// what we send.
    pub(crate) fn of_leafnode(permissions: Option<&Permissions>) -> Self {
        let Some(permissions) = permissions else {
            return Self::default();
        };
        // Leafnodes ask for queue groups on behalf of others; a rule for a group alone allows nothing here.
        let plain = |rules: &[crate::auth::SubscribeRule]| -> Vec<Filter> {
            let plain = rules.iter().filter(|rule| rule.queue.is_none());
            plain.map(|rule| rule.filter.clone()).collect()
        };
        Self {
            out: Way {
                allow: permissions.subscribe.allow.as_deref().map(plain),
                deny: plain(&permissions.subscribe.deny),
            },
            into: Way {
                allow: permissions.publish.allow.clone(),
                deny: permissions.publish.deny.clone(),
            },
        }
    }
}

/// Says whether a subject serves to find loops.
pub(crate) fn finds_loops(subject: &[u8]) -> bool {
    subject.starts_with(LOOP_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::{Terms, Way};
    use crate::proto::LinkPermissions;
    use crate::subject::Filter;

    fn filter(text: &str) -> Filter {
        Filter::parse(text.as_bytes()).expect("a filter")
    }

    fn way(allow: &[&str], deny: &[&str]) -> Way {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let mut way = Way::default();
        way.narrow(&LinkPermissions {
            allow: texts(allow),
            deny: texts(deny),
        });
        way
    }

    #[test]
    fn interest_is_covered_or_overlaps_and_messages_match() {
        let way = way(&["a.>", "b"], &["a.secret.>"]);
        assert!(way.lets_message(b"a.x") && way.lets_message(b"b"));
        assert!(!way.lets_message(b"c") && !way.lets_message(b"a.secret.x"));
        assert!(way.lets_all(&filter("a.*")) && !way.lets_all(&filter(">")));
        assert!(way.lets_some(&filter(">")) && !way.lets_some(&filter("c")));
        assert!(!way.lets_all(&filter("a.secret.x")) && !way.lets_some(&filter("a.secret.x")));
    }

    #[test]
    fn what_is_told_is_what_holds() {
        let way = way(&["a.>"], &["a.b"]);
        let told = way.told().expect("limits");
        assert_eq!(
            (told.allow, told.deny),
            (vec!["a.>".into()], vec!["a.b".into()])
        );
        assert_eq!(Way::default().told(), None);
        assert_eq!(Terms::of_leafnode(None).out.told(), None);
    }
}
